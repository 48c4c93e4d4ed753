"""A run that is stopped and goes on: the same bits as one that was not, and a sentence where it cannot go on."""

import os
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from same_run import StopAfter, find_difference, read_log
from small_run import assert_same_state, data, examples, recipe, save_tiny_bert

from minbert.files import MinbertError
from multitask import processes
from multitask.interrupt import Interrupt, Stopped
from multitask.launch import run_seeds
from multitask.progress import Keeper, Progress, Setting
from multitask.recipe import BregmanRecipe, OptimizerRecipe, SmartRecipe, StageRecipe
from multitask.resume import find_differences, locked, read_earlier
from multitask.run import run
from multitask.stage import TaskData
from multitask.state_files import list_states, load_state, save_state
from multitask.train import run_stage

pytestmark = pytest.mark.usefixtures("without_figures")

ALL = ("sst", "para", "sts")
STAGES = (  # 12 steps in two stages: dropout, three tasks at once, PCGrad, a teacher, ending with the best; then heads alone
    StageRecipe(objectives=ALL, schedule="joint_min", epochs=2, batch_size=4, combine="pcgrad", bregman=BregmanRecipe(),
                smart=SmartRecipe(mode="sign"), end_with="best"),
    StageRecipe(objectives=("sst",), schedule="sequential_epoch", epochs=1, batch_size=4, train="last-linear-layer"),
)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("model"))


def make_recipe(**changes):
    return replace(recipe(), **{"stages": STAGES, "save_steps": 1} | changes)


def make_setting(model_folder: Path, folder: Path, **changes) -> Setting:
    some_data = {task: TaskData(one.train, one.dev, examples(task, 5, seed=7)) for task, one in data().items()}
    facts = {"model": "tiny", "model_sha256": "0", "data_sha256": {"sst-train": "1"}}
    return Setting(**{"model_folder": model_folder, "device": torch.device("cpu"), "data": some_data, "folder": folder,
                      "prediction_paths": {}, "facts": facts, "command": "a test", "resume": True} | changes)


def stop_after(steps: int, some_recipe, setting: Setting) -> None:
    with pytest.raises(Stopped):
        run(some_recipe, setting, StopAfter(steps))


def assert_same_run(one: Path, other: Path) -> None:
    assert not (difference := find_difference(one, other)), difference


@pytest.fixture(scope="module")
def whole(model_folder, tmp_path_factory) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(make_recipe(), make_setting(model_folder, folder))
    return folder


def test_a_run_stopped_after_every_single_step_ends_with_the_same_bits(model_folder, whole, tmp_path):
    setting, stops = make_setting(model_folder, tmp_path / "run"), 0
    while True:
        torch.manual_seed(stops)  # another process starts with other random numbers
        try:
            run(make_recipe(), setting, StopAfter(1))
            break
        except Stopped:
            stops += 1
    assert stops == 12, "two epochs of 4 joint steps, then 4 of the heads"
    assert_same_run(whole, setting.folder)


@pytest.mark.parametrize("steps", [1, 3, 4, 8, 9, 12])
def test_a_run_stopped_once_ends_with_the_same_bits(steps, model_folder, whole, tmp_path):
    setting = make_setting(model_folder, tmp_path / "run")
    stop_after(steps, make_recipe(), setting)
    run(make_recipe(), setting)
    assert_same_run(whole, setting.folder)


def test_a_complete_run_is_left_as_it_is(model_folder, whole, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    results = run(make_recipe(), make_setting(model_folder, folder))
    assert "is already complete" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before, "a complete run was written to"
    assert results["best_epoch"] >= 1


def test_more_epochs_go_on_where_a_complete_run_ended(model_folder, tmp_path):
    def some_epochs(count):  # of a stage in which nothing depends on how many there are
        stage = replace(STAGES[0], bregman=None, learning_rate_schedule="constant", end_with="last", epochs=count)
        return make_recipe(stages=(stage,))

    one, more = some_epochs(2), some_epochs(3)
    first, second = (make_setting(model_folder, tmp_path / name) for name in ("one", "more"))
    run(one, first)
    run(more, first)
    run(more, second)
    assert read_log(first.folder) == read_log(second.folder)
    for name in ("best/model.safetensors", "predictions/sts-test-output.csv"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name


@pytest.mark.parametrize("change, words", [
    ({"seed": 5}, "seed is 5 and was 11711"),
    ({"stages": (replace(STAGES[0], epochs=1), STAGES[1])}, "stages.0.epochs is 1 and was 2"),
    ({"stages": (replace(STAGES[0], end_with="last"),)}, "stages.1.batch_size is left out and was 4"),
    ({"stages": (replace(STAGES[0], bregman=BregmanRecipe(weight=2.0)), STAGES[1])}, "stages.0.bregman.weight is 2.0 and was"),
    ({"optimizer": OptimizerRecipe(learning_rate=2e-3)}, "optimizer.learning_rate is 0.002 and was 0.001"),
])
def test_another_recipe_cannot_go_on_with_a_run(change, words, model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path / "run")
    stop_after(2, make_recipe(), setting)
    with pytest.raises(MinbertError, match="cannot go on: .*" + words.replace(".", r"\.")):
        run(make_recipe(**change), setting)
    run(make_recipe(save_minutes=1.0, save_steps=0, source="other words"), setting)  # how it is saved is free


def test_a_stage_that_is_over_cannot_grow(model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path / "run")
    stop_after(10, make_recipe(), setting)
    longer = make_recipe(stages=(replace(STAGES[0], epochs=3), STAGES[1]))
    assert find_differences(read_earlier(setting.folder), longer) == ["stages.0.epochs is 3 and was 2"]
    longer = make_recipe(stages=(STAGES[0], replace(STAGES[1], epochs=3)))
    assert find_differences(read_earlier(setting.folder), longer) == []


@pytest.mark.parametrize("facts, words", [
    ({"data_sha256": {"sst-train": "2"}}, "the data of sst-train differ from the run's"),
    ({"data_sha256": {}}, "the data of sst-train differ from the run's"),
    ({"data_sha256": {"sst-train": "1", "sst-test": "3"}}, "the data of sst-test were no part of the run"),
    ({"model_sha256": "5"}, "the model is not the run's, tiny"),
])
def test_other_data_or_another_model_cannot_go_on_with_a_run(facts, words, model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path / "run")
    stop_after(2, make_recipe(), setting)
    with pytest.raises(MinbertError, match=words):
        run(make_recipe(), replace(setting, facts=setting.facts | facts))


def test_without_resume_a_folder_that_is_not_empty_is_refused(model_folder, whole):
    with pytest.raises(MinbertError, match="is not an empty folder") as caught:
        run(make_recipe(), make_setting(model_folder, whole, resume=False))
    assert f"--resume {whole}" in caught.value.hint


def test_a_folder_of_something_else_is_refused(model_folder, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(MinbertError, match="holds no run that could go on"):
        run(make_recipe(), make_setting(model_folder, tmp_path))
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_run_that_saved_nothing_yet_starts_over_and_says_so(model_folder, whole, tmp_path, capsys):
    setting = make_setting(model_folder, tmp_path / "run")
    stop_after(1, make_recipe(), setting)
    shutil.rmtree(setting.folder / "last")
    run(make_recipe(), setting)
    assert "no state was saved in" in (said := capsys.readouterr().out) and "the run starts over" in said
    assert_same_run(whole, setting.folder)


@pytest.mark.parametrize("written", [[], ["command.txt"], ["command.txt", "recipe.toml"]])
def test_a_run_that_was_killed_before_it_began_begins(written, model_folder, whole, tmp_path):
    setting = make_setting(model_folder, tmp_path / "run")
    setting.folder.mkdir()
    for name in written:
        shutil.copy(whole / name, setting.folder)
    (setting.folder / ".recipe.toml.123.abcd0123.tmp").write_text("half")
    run(make_recipe(), setting)
    assert_same_run(whole, setting.folder)
    assert not list(setting.folder.glob(".*.tmp"))


def test_a_damaged_state_gives_way_to_the_one_before_it(model_folder, whole, tmp_path, capsys):
    setting = make_setting(model_folder, tmp_path / "run")
    stop_after(6, make_recipe(), setting)
    newest, before = list_states(setting.folder / "last")
    tensors = bytearray((newest / "state.safetensors").read_bytes())
    tensors[-5] ^= 1
    (newest / "state.safetensors").write_bytes(tensors)
    shutil.copytree(setting.folder, tmp_path / "copy")
    run(make_recipe(), setting)
    said = capsys.readouterr().out
    assert "SHA-256 mismatch for state.safetensors" in said and "going on after step 5" in said
    assert_same_run(whole, setting.folder)
    shutil.rmtree(tmp_path / "copy/last" / before.name)
    with pytest.raises(MinbertError, match="no state in .* is whole"):
        run(make_recipe(), make_setting(model_folder, tmp_path / "copy"))


def test_a_run_whose_best_checkpoint_is_damaged_is_refused_at_once(model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path / "run")
    stop_after(7, make_recipe(), setting)
    with open(setting.folder / "best/config.json", "a") as file:
        file.write(" ")
    log = (setting.folder / "metrics.jsonl").read_bytes()
    with pytest.raises(MinbertError, match="the run's best checkpoint is missing or damaged: SHA-256 mismatch for config.json"):
        run(make_recipe(), setting)
    shutil.rmtree(setting.folder / "best")
    with pytest.raises(MinbertError, match="the run's best checkpoint is missing or damaged"):
        run(make_recipe(), setting)
    assert (setting.folder / "metrics.jsonl").read_bytes() == log, "nothing was begun, so nothing may be gone"


def test_a_damaged_state_without_a_manifest_does_not_stand_in_the_way_later(model_folder, whole, tmp_path):
    setting = make_setting(model_folder, tmp_path / "run")
    stop_after(6, make_recipe(), setting)
    (list_states(setting.folder / "last")[0] / "manifest.json").unlink()
    run(make_recipe(), setting)  # it would not be replaced: who knows whose it is
    assert_same_run(whole, setting.folder)


def test_who_goes_on_does_not_keep_the_saved_tensors_for_the_rest_of_the_run(model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path / "run")
    stop_after(2, make_recipe(), setting)
    state, progress = load_state(setting.folder / "last")[0], Progress()
    progress.go_on(state)
    assert progress.take_saved().keys() == {"train", "judge", "log"} and progress.saved is None
    assert not state.keys() & {"train", "judge", "log"}, "three times the model's memory, held by whoever read the state"


def test_another_number_of_threads_is_said(model_folder, tmp_path, capsys, monkeypatch):
    setting = make_setting(model_folder, tmp_path / "run")
    stop_after(2, make_recipe(), setting)
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    run(make_recipe(), setting)
    assert f"threads: {threads} before, {threads + 1} now: the last bits of the results may differ" in capsys.readouterr().out


def test_two_runs_at_once_in_one_folder_are_refused(model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path / "run")
    setting.folder.mkdir()
    with locked(setting.folder), pytest.raises(MinbertError, match="another run is at work in"):
        run(make_recipe(), setting)
    with locked(setting.folder):  # the first one's lock is gone with it
        pass


def test_seeds_that_are_complete_stay_and_the_others_go_on(model_folder, tmp_path, capsys):
    setting, some_recipe = make_setting(model_folder, tmp_path / "seeds"), make_recipe(seed=7)
    with pytest.raises(Stopped):
        run_seeds(some_recipe, setting, 2, StopAfter(12 + 2 + 5))  # a stage's end asks once more without taking a step
    assert (setting.folder / "seed-7/results.json").exists() and not (setting.folder / "seed-8/results.json").exists()
    run_seeds(some_recipe, setting, 2, Interrupt())
    said = capsys.readouterr().out
    assert "seed-7 is already complete" in said and "dev scores of 2 seeds" in said
    assert f"--resume {setting.folder} --seeds 2\n" in said, "with --resume of one seed's run the other seeds would not follow"
    run(replace(some_recipe, seed=8), make_setting(model_folder, tmp_path / "alone"))
    assert_same_run(tmp_path / "alone", setting.folder / "seed-8")


def test_any_nest_of_tensors_and_values_survives_the_disk(tmp_path):
    nan = float("nan")
    state = {"a": [1, 2.5, None, True, "text", []], "b": {0: {"step": torch.tensor(3.0)}, "empty": {}},
             "c": [torch.arange(6).view(2, 3)[:, 1], {"deep": [torch.zeros(0), torch.tensor([True])]}], "nan": nan, "big": 1e-300}
    state["shared"] = state["c"][0]
    save_state(tmp_path, 3, state)
    found, notes = load_state(tmp_path)
    assert str(found.pop("nan")) == "nan" and not notes
    del state["nan"]
    assert_same_state(found, state)
    assert found["c"][0].dtype == torch.int64 and found["b"][0]["step"].shape == ()


def test_the_newest_two_states_are_kept(tmp_path):
    for steps in (9, 10, 100):
        save_state(tmp_path, steps, {"steps": steps})
    assert [path.name for path in list_states(tmp_path)] == ["step-00000100", "step-00000010"]
    assert load_state(tmp_path)[0] == {"steps": 100} and load_state(tmp_path / "nowhere") == (None, [])


def test_a_signal_waits_for_the_step_and_a_second_one_does_not():
    with Interrupt() as interrupt, interrupt.deferred():
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.asked.exit_code == 143
        with pytest.raises(Stopped) as caught:
            signal.raise_signal(signal.SIGINT)
        assert caught.value.exit_code == 130
    with Interrupt() as interrupt, pytest.raises(Stopped):
        signal.raise_signal(signal.SIGINT)  # outside a step at once


def test_the_handlers_are_put_back_and_a_thread_has_none():
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    found = []

    def work():
        with Interrupt():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def test_a_signal_while_the_state_is_saved_does_not_wait_for_the_evaluation(model_folder, tmp_path, monkeypatch):
    save, scored = Keeper.save, []

    def save_and_signal(self, progress, train, judge, log):
        save(self, progress, train, judge, log)
        if progress.steps == 4:  # the epoch's last
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Keeper, "save", save_and_signal)
    monkeypatch.setattr("multitask.judge.Judge.score", lambda self: scored.append(self) or ({}, {}))
    with pytest.raises(Stopped, match="SIGTERM"):
        run(make_recipe(stages=(replace(STAGES[0], end_with="last"),)), make_setting(model_folder, tmp_path / "run"))
    assert not scored and read_earlier(tmp_path / "run").state["run"]["steps"] == 4


def test_a_signal_does_not_wait_for_a_frozen_encoder(model_folder, tmp_path, monkeypatch):
    from multitask import frozen

    encode, waits, interrupt = frozen.encode_once, [], Interrupt()

    def encode_and_look(*arguments):
        waits.append(interrupt.waits)
        return encode(*arguments)

    monkeypatch.setattr(frozen, "encode_once", encode_and_look)
    monkeypatch.setattr("multitask.judge.encode_once", encode_and_look)
    stage = StageRecipe(objectives=ALL, schedule="round_robin", epochs=1, batch_size=4, train="last-linear-layer")
    run(make_recipe(stages=(stage,)), make_setting(model_folder, tmp_path / "run"), interrupt)
    assert waits == [False] * 9, "of a hundred thousand sentences it takes an hour"


@pytest.mark.parametrize("left, ends", [(4.0, Stopped), (1000.0, processes.Ended), (None, processes.Ended)])
def test_a_process_that_ends_at_the_time_limit_ends_the_others_with_status_0(left, ends):
    """Their clocks are never quite the same."""
    import time

    with pytest.raises(ends) as caught, Interrupt(deadline=left and time.monotonic() + left):
        raise processes.Ended("another process has ended")
    assert ends is not Stopped or caught.value.exit_code == 0


@pytest.mark.parametrize("code", [0, 130, 143])
def test_a_process_that_is_not_asked_ends_as_the_one_that_is(code, monkeypatch):
    monkeypatch.setattr(processes, "largest", lambda own: max(own, code))
    assert Interrupt().asked_anywhere().exit_code == code
    monkeypatch.setattr(processes, "largest", lambda own: own)
    assert Interrupt().asked_anywhere() is None


def test_the_time_limit_stops_a_run_with_status_0(model_folder, tmp_path):
    import time

    long = make_recipe(stages=(replace(STAGES[0], end_with="last", epochs=100_000),), save_steps=0)
    setting = make_setting(model_folder, tmp_path / "run")
    started = time.monotonic()
    with pytest.raises(Stopped, match="the time limit is reached") as caught:
        run(long, setting, Interrupt(deadline=started + 4))
    assert caught.value.exit_code == 0 and time.monotonic() - started < 4, "it should stop before the limit, not after it"
    assert read_earlier(setting.folder).state["run"]["steps"] > 0


def test_a_folder_that_is_deleted_ends_the_run(model_folder, tmp_path, monkeypatch):
    setting = make_setting(model_folder, tmp_path / "run")
    monkeypatch.setattr("multitask.epochs.run_stage", lambda *rest: delete_after_two(setting.folder, run_stage(*rest)))
    with pytest.raises(MinbertError, match="the run folder .* is gone"):
        run(make_recipe(), setting)
    assert not setting.folder.exists(), "what is written into a deleted folder's place cannot go on"


def delete_after_two(folder: Path, steps):
    for number, step in enumerate(steps, 1):
        if number == 3:
            shutil.rmtree(folder)
        yield step
