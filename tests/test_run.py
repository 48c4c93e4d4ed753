"""A whole run on a tiny model: the run folder, the best checkpoint, predictions, and what is said when input is bad."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_run import VOCABULARY, config, data, examples, recipe, tokenizer

from minbert.bert import BertModel
from minbert.files import MinbertError, verify_manifest
from minbert.weights import save_model
from multitask.checkpoint import build_model, load_checkpoint
from multitask.epochs import StageRun
from multitask.evaluate import Score, predict
from multitask.interrupt import Interrupt
from multitask.judge import Judge
from multitask.launch import run_seeds
from multitask.plan import describe_plan
from multitask.progress import Best, Progress
from multitask.recipe import Recipe
from multitask.recipe_files import load_recipe
from multitask.record import is_better
from multitask.run import Setting, run
from multitask.run_folder import read_predictions, read_run
from multitask.stage import Parts, TaskData

pytestmark = pytest.mark.usefixtures("without_figures")

ROOT = Path(__file__).parents[1]
TASKS = ("sst", "para", "sts")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    """A tiny BERT in the ecosystem's format."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    save_model(folder, config(), BertModel(config()), VOCABULARY)
    return folder


def train_stage(some_recipe: Recipe, index: int, parts: Parts, setting: Setting, best: Best | None) -> Best | None:
    progress = Progress(best=best)
    StageRun(some_recipe, index, parts, setting, progress).train(Interrupt())
    return progress.best


def make_setting(model_folder: Path, folder: Path, **changes) -> Setting:
    some_data = {task: TaskData(one.train, one.dev, examples(task, 5, seed=7)) for task, one in data().items()}
    paths = {(task, split): folder / f"{task}-{split}.csv" for task in TASKS for split in ("dev", "test")}
    return Setting(**{"model_folder": model_folder, "device": torch.device("cpu"), "data": some_data,
                      "folder": folder / "run", "prediction_paths": paths, "facts": {"model": "tiny"},
                      "command": "a test"} | changes)


@pytest.fixture(scope="module")
def finished(model_folder, tmp_path_factory):
    """A finished run: its setting and its results."""
    setting = make_setting(model_folder, tmp_path_factory.mktemp("out"))
    return setting, run(recipe(epochs=3), setting)


def test_the_run_folder_holds_what_the_design_says(finished):
    setting, _ = finished
    names = {path.relative_to(setting.folder).as_posix() for path in setting.folder.rglob("*") if path.is_file()}
    assert names >= {"recipe.toml", "environment.json", "metrics.jsonl", "results.json", "report.md",
                     "best/model.safetensors", "best/config.json", "best/vocab.txt", "best/heads.safetensors",
                     "best/README.md", "best/recipe.toml", "best/manifest.json",
                     *(f"predictions/{task}-{split}-output.csv" for task in TASKS for split in ("dev", "test"))}
    assert not [name for name in names if name.endswith(".tmp")]
    verify_manifest(setting.folder / "best")


def test_every_epoch_leaves_a_line_with_losses_and_scores(finished):
    setting, _ = finished
    records = [json.loads(line) for line in (setting.folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2, 3]
    for record in records:
        assert set(record["train_loss"]) == set(record["dev"]) == set(record["train"]) == set(TASKS)
        assert record["examples_per_second"] > 0 and 0 <= record["dev"]["sst"]["accuracy"]["value"] <= 1
    assert records[-1]["learning_rate"] == 0, "linear decay ends at zero"


def test_the_best_epoch_is_the_one_with_the_highest_score(finished):
    setting, results = finished
    records = [json.loads(line) for line in (setting.folder / "metrics.jsonl").read_text().splitlines()]
    values = [record["overall_normalised"]["value"] for record in records]
    assert results["best_epoch"] == 1 + values.index(max(values))
    assert results["dev"]["overall_normalised"].value == pytest.approx(max(values), abs=1e-9)


@pytest.mark.parametrize("value, best, expected", [
    (0.1, None, True), (float("nan"), None, True), (0.1, float("nan"), True), (float("nan"), 0.1, False),
    (0.2, 0.1, True), (0.1, 0.1, False), (0.05, 0.1, False),
])
def test_nan_is_never_better_and_never_stays_best(value, best, expected):
    assert is_better(value, best) is expected


def test_the_saved_checkpoint_gives_the_predictions_that_were_written(finished):
    setting, _ = finished
    checkpoint = load_checkpoint(setting.folder / "best")
    assert not checkpoint.model.training, "a loaded model is for use: dropout must be off"
    for task in TASKS:
        some = setting.data[task].dev
        found = predict(checkpoint.model, checkpoint.tokenizer, task, some)
        lines = setting.prediction_paths[task, "dev"].read_text().splitlines()[1:]
        assert [line.split(" , ")[0] for line in lines] == [example.id for example in some]
        written = [float(line.split(" , ")[1]) for line in lines]
        expected = found.argmax(-1) if task == "sst" else (found > 0 if task == "para" else found)
        assert written == pytest.approx(expected.astype(float), abs=1e-5)


def test_the_recipe_in_the_run_folder_is_the_one_that_ran(finished):
    setting, _ = finished
    assert load_recipe(setting.folder / "recipe.toml") == recipe(epochs=3)


def test_the_same_seed_gives_the_same_run_to_the_last_bit(finished, model_folder, tmp_path):
    setting, _ = finished
    again = make_setting(model_folder, tmp_path)
    run(recipe(epochs=3), again)
    for name in ("best/model.safetensors", "best/heads.safetensors", "predictions/sts-test-output.csv"):
        assert (setting.folder / name).read_bytes() == (again.folder / name).read_bytes(), name


@pytest.mark.parametrize("harm, message", [
    (lambda best: (best / "heads.safetensors").unlink(), "heads.safetensors"),
    (lambda best: (best / "heads.safetensors").write_bytes(b"junk" * 50), "SHA-256 mismatch|heads.safetensors"),
    (lambda best: (best / "config.json").unlink(), "config.json"),
])
def test_a_damaged_checkpoint_is_refused(finished, tmp_path, harm, message):
    setting, _ = finished
    best = tmp_path / "best"
    shutil.copytree(setting.folder / "best", best)
    harm(best)
    with pytest.raises(MinbertError, match=message):
        load_checkpoint(best)


def test_an_interrupted_run_keeps_the_best_checkpoint(model_folder, tmp_path, monkeypatch):
    setting, calls = make_setting(model_folder, tmp_path), []

    def interrupt(record):
        calls.append(record)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("multitask.epochs.to_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(recipe(epochs=3), setting)
    assert load_checkpoint(setting.folder / "best").recipe.name == "test"


def test_a_frozen_run_saves_the_pretrained_encoder_unchanged(model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path)
    run(recipe(train="last-linear-layer"), setting)
    before, after = BertModel.from_pretrained(model_folder), load_checkpoint(setting.folder / "best").model.encoder.bert
    assert all(torch.equal(one, other) for one, other in zip(before.parameters(), after.parameters(), strict=True))


def test_a_longer_maximum_than_the_models_positions_is_refused(model_folder, tmp_path):
    with pytest.raises(MinbertError, match="max_length 64 is more than the model's 40 positions"):
        run(replace(recipe(), max_length=64), make_setting(model_folder, tmp_path))


def test_undefined_scores_are_null_in_the_files_and_never_best(model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path)
    setting.data["sts"] = replace(setting.data["sts"], dev=[replace(one, label=2.0) for one in setting.data["sts"].dev])
    results = run(recipe(), setting)
    record = json.loads((setting.folder / "metrics.jsonl").read_text().splitlines()[0])
    assert record["dev"]["sts"]["pearson"]["value"] is None and record["overall_raw"]["value"] is None
    assert "undefined" in (setting.folder / "report.md").read_text()
    assert results["best_epoch"] >= 1


def write_tables(folder: Path, rows: int = 14) -> Path:
    """The made-up examples as course files."""
    from multitask.tables import TASKS as KNOWN

    folder.mkdir()
    for task in TASKS:
        for split, count, seed in (("train", rows, 0), ("dev", 9, 100), ("test", 5, 7)):
            lines = ["\t".join(["", "id", *KNOWN[task].texts, KNOWN[task].label])]
            lines += ["\t".join([str(number), one.id, *one.texts, str(one.label)])
                      for number, one in enumerate(examples(task, count, seed))]
            (folder / KNOWN[task].file_name(split)).write_text("\n".join(lines) + "\n")
    return folder


def call(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(ROOT / script), *arguments], cwd=cwd, capture_output=True, text=True, timeout=300)


def test_the_command_line_trains_evaluates_and_predicts(model_folder, tmp_path):
    tables = write_tables(tmp_path / "tables")
    done = call("multitask_classifier.py", "--option", "finetune", "--model", str(model_folder), "--data_dir", str(tables),
                "--epochs", "1", "--batch-size", "4", "--set", "max_length=32", "--seed=5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "recipe baseline" in done.stdout and "full-model" in done.stdout and "batch 4" in done.stdout
    assert "95% interval" in done.stdout and "overall_normalised" in done.stdout and "test scores" in done.stdout
    assert (tmp_path / "runs/baseline/1/command.txt").exists()
    for task in TASKS:
        for split, count in (("dev", 9), ("test", 5)):
            assert len((tmp_path / f"predictions/{task}-{split}-output.csv").read_text().splitlines()) == count + 1


@pytest.mark.parametrize("arguments, words", [
    (["--optoin", "finetune"], ["unknown flag --optoin", "--option"]),
    (["--option", "fintune"], ["fintune", "pretrain", "did you mean --option finetune?"]),
    (["--epoch", "1"], ["unknown flag --epoch", "--epochs"]),
    (["--lr", "1e-5x"], ["--lr", "'1e-5x' is not a number"]),
    (["--lr", "-1"], ["--lr", "is not a number above 0"]),
    (["--epochs", "0"], ["--epochs", "'0' is not a whole number of at least 1"]),
    (["--hidden_dropout_prob", "1.5"], ["--hidden_dropout_prob", "of at least 0 and below 1"]),
    (["--batch_size", "2.5"], ["--batch_size", "whole number"]),
    (["--resume", "nowhere"], ["nowhere is no folder", "--resume takes a run folder"]),
    (["--time_limit", "3"], ["'3' is not a time such as 3h"]),
    (["--recipe", "basline"], ["basline", "baseline"]),
    (["--set", "stages.0.epoch=3"], ["stages", "epochs"]),
    (["--sst_train", "nowhere.csv"], ["no such file: nowhere.csv"]),
    (["--data_dir", "nowhere"], ["no such folder: nowhere", "multitask.data download"]),
    (["--model", "nowhere-model"], ["nowhere-model"]),
    (["--device", "tpu"], ["--device 'tpu'"]),
    (["--use_gpu", "--device", "cpu"], ["--use_gpu and --device cpu contradict each other"]),
    (["--option", "finetune", "--fine-tune-mode", "full-model"], ["not allowed with"]),
    (["finetune"], ["unrecognized arguments: finetune", "did you mean --option finetune?"]),
    (["--out", "."], [". is not an empty folder"]),
    (["--sst_dev_out", "."], [". is a directory"]),
])
def test_a_mistake_gets_one_line_a_hint_and_status_2(model_folder, tmp_path, arguments, words):
    (tmp_path / "in_the_way").touch()
    if "--model" not in arguments:
        arguments = [*arguments, "--model", str(model_folder), "--set", "max_length=32"]
    run_in_this_process(tmp_path, arguments, words)


def run_in_this_process(folder: Path, arguments: list[str], words: list[str]) -> None:
    """The command line's own error handling, without the price of a new process."""
    import contextlib
    import io

    import multitask_classifier
    from multitask.flags import run_command

    before, errors, output = os.getcwd(), io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    os.chdir(folder)
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(output):
            status = run_command(multitask_classifier.main, arguments)
    finally:
        os.chdir(before)
    errors.seek(0)
    text = errors.read()
    assert status == 2 and "Traceback" not in text
    assert text.startswith("error: ") and text.count("\n") <= 2, text
    for word in words:
        assert word in text, text
    assert not (folder / "predictions").exists() or not list((folder / "predictions").iterdir())


def test_use_gpu_without_a_gpu_is_an_error_that_says_how_to_get_one(model_folder, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    run_in_this_process(tmp_path, ["--use_gpu", "--model", str(model_folder)], ["--use_gpu given but", "drop --use_gpu"])


def test_the_course_spellings_mean_the_same(tmp_path):
    from multitask.command_line import chosen_mode
    from multitask_classifier import make_parser

    for arguments, mode in ((["--option", "pretrain"], "last-linear-layer"), (["--option=finetune"], "full-model"),
                            (["--fine-tune-mode", "full-model"], "full-model"),
                            (["--fine_tune_mode", "last-linear-layer"], "last-linear-layer"), ([], None)):
        assert chosen_mode(make_parser().parse_args(arguments)) == mode


def test_predict_files_do_not_depend_on_the_training_batch(finished):
    setting, _ = finished
    checkpoint = load_checkpoint(setting.folder / "best")
    some = setting.data["sts"].dev
    forwards = predict(checkpoint.model, tokenizer(), "sts", some)
    backwards = predict(checkpoint.model, tokenizer(), "sts", some[::-1])[::-1]
    assert forwards == pytest.approx(backwards, abs=1e-5)


def test_ctrl_c_ends_cleanly_and_keeps_the_best_checkpoint(model_folder, tmp_path):
    import signal
    import time

    tables = write_tables(tmp_path / "tables")
    command = [sys.executable, str(ROOT / "multitask_classifier.py"), "--option", "finetune", "--model", str(model_folder),
               "--data_dir", str(tables), "--epochs", "5000", "--set", "max_length=32", "--out", str(tmp_path / "run")]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    metrics = tmp_path / "run" / "metrics.jsonl"
    give_up = time.time() + 120
    while not metrics.exists() and time.time() < give_up:
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in errors, errors
    assert "the best checkpoint so far is" in output and "--resume" in output
    assert load_checkpoint(tmp_path / "run" / "best").recipe.name == "baseline"
    assert not (tmp_path / "predictions/sst-dev-output.csv").exists()


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    running = subprocess.Popen([sys.executable, str(ROOT / "multitask_classifier.py"), "--list_recipes"],
                               cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.stdout.close()
    assert "Traceback" not in running.stderr.read() and running.wait(timeout=60) == 0


def test_a_recipe_can_be_looked_at_without_training(model_folder, tmp_path):
    tables = write_tables(tmp_path / "tables")
    done = call("multitask_classifier.py", "--option", "finetune", "--model", str(model_folder), "--data_dir", str(tables),
                "--set", "max_length=32", "--dry_run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("optimizer.learning_rate = ", "stage 1: 9 steps", "weights learn", "training: about 1 min"):
        assert words in done.stdout, done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tables"], "a dry run writes nothing"


def test_the_classifier_trains_both_tasks_of_the_courses_first_part(model_folder, tmp_path):
    from multitask.tables import TASKS as KNOWN

    tables = write_tables(tmp_path / "tables")
    for split, count, seed in (("train", 12, 0), ("dev", 6, 100), ("test", 5, 7)):
        rows = ["\t".join([str(number), one.id, *one.texts, str(one.label % 2)])
                for number, one in enumerate(examples("sst", count, seed))]
        (tables / KNOWN["cfimdb"].file_name(split)).write_text("\n".join(["\tid\tsentence\tsentiment", *rows]) + "\n")
    done = call("classifier.py", "--fine-tune-mode", "full-model", "--model", str(model_folder), "--data_dir", str(tables),
                "--epochs", "1", "--set", "max_length=32", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "predictions").iterdir()}
    assert names == {f"full-model-{task}-{split}-out.csv" for task in ("sst", "cfimdb") for split in ("dev", "test")}
    assert (tmp_path / "out/sst/best").is_dir() and (tmp_path / "out/cfimdb/best").is_dir()


def test_a_fourth_task_needs_an_entry_and_a_head(model_folder, tmp_path):
    """What README shows under 'Add a task', on a task that is not the course's."""
    tables = write_tables(tmp_path / "tables")
    for split, count in (("train", 14), ("dev", 6)):
        rows = ["\t".join([str(number), f"p{number}", one.texts[0], str(one.label % 2)])
                for number, one in enumerate(examples("sst", count))]
        (tables / f"polite-{split}.csv").write_text("\n".join(["\tid\tsentence\tis_polite", *rows]) + "\n")
    (tmp_path / "mine.toml").write_text("""name = "mine"
source = "a test"
extends = "baseline"
[tasks.polite]
encoding = "single"
[stages.0]
objectives = ["sst", "para", "sts", "polite"]
""")
    program = """
import sys
from multitask.tables import TASKS, Task
TASKS["polite"] = Task("polite", "polite", ("sentence",), "is_polite", "binary", 0, 1, "Predicted_Polite")
import multitask_classifier
from multitask.flags import run_command
sys.exit(run_command(multitask_classifier.main, sys.argv[1:]))
"""
    done = subprocess.run([sys.executable, "-c", program, "--recipe", "mine.toml", "--model", str(model_folder), "--data_dir",
                           str(tables), "--set", "max_length=32", "--epochs", "1"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=300, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "predictions/polite-dev-output.csv").read_text().startswith("id \t Predicted_Polite \np0 , ")
    assert "polite" in done.stdout.split("dev scores")[1]


def make_parts(some_recipe, model_folder) -> Parts:
    torch.manual_seed(0)
    words = tokenizer()
    return Parts(build_model(some_recipe, model_folder, words), words, data(), model_folder)


def staged(*stages, **changes):
    """A recipe of several stages."""
    return replace(recipe(), stages=tuple(recipe(**one).stages[0] for one in stages), **changes)


def read_records(setting) -> list[dict]:
    return [json.loads(line) for line in (setting.folder / "metrics.jsonl").read_text().splitlines()]


def copy_weights(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


PRETRAIN = {"objectives": ("masked_lm",), "schedule": "sequential_epoch", "batch_size": 16}
HEADS = {"objectives": ("sst",), "schedule": "sequential_epoch", "train": "last-linear-layer"}


def test_a_stage_of_pretraining_scores_no_task_and_the_run_goes_on(model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path)
    results = run(staged({**PRETRAIN, "select_by": "loss", "end_with": "best"}, {"epochs": 1}), setting)
    first, second, third = read_records(setting)
    for record in (first, second):
        assert record["stage"] == 1 and not {"dev", "train", "overall_raw"} & set(record), "its heads mean nothing yet"
        assert set(record["train_loss"]) == {"masked_lm"} and record["dev_loss"] > 0 and not record["best_so_far"]
    assert set(third["dev"]) == set(TASKS) and results["best_stage"] == 2
    saved = load_checkpoint(setting.folder / "best").model
    assert not list(saved.pretraining), "the head of pretraining has done its work"


def test_the_encoder_learns_from_pretraining(model_folder, tmp_path):
    parts = make_parts(some_recipe := staged(PRETRAIN, {}), model_folder)
    before = copy_weights(parts.model)
    setting = make_setting(model_folder, tmp_path)
    setting.folder.mkdir()
    assert train_stage(some_recipe, 0, parts, setting, None) is None, "no task was trained: there is no best checkpoint yet"
    after = parts.model.state_dict()
    assert not torch.equal(after["encoder.bert.layers.0.output.weight"], before["encoder.bert.layers.0.output.weight"])
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("heads."))


def test_patience_stops_a_stage_that_gets_no_better(model_folder, tmp_path, capsys):
    setting = make_setting(model_folder, tmp_path)
    still = {"epochs": 9, "batch_size": 14, "learning_rate": 1e-12, "patience": 2}  # every epoch scores the same
    run(staged(still, {**still, "patience": 0, "epochs": 1}), setting)
    assert [(one["stage"], one["epoch"]) for one in read_records(setting)] == [(1, 1), (1, 2), (1, 3), (2, 1)], \
        "an equal score is no better one: 2 epochs after the first the stage is over, and the next one begins"
    assert "stopped: no better overall_normalised in 2 epochs" in capsys.readouterr().out


def script_scores(monkeypatch, values: list[float]) -> None:
    """What the model scores each time it is asked, whatever it does: with end_with = "best" first at the stage's start."""
    left, score = iter(values), Judge.score

    def scripted(self):
        outputs, scores = score(self)
        return outputs, scores | {"overall_normalised": Score(value := next(left), value, value)}

    monkeypatch.setattr(Judge, "score", scripted)


@pytest.mark.parametrize("average", ["none", "ema"])
def test_a_stage_can_end_with_its_best_epochs_weights(average, model_folder, tmp_path, monkeypatch):
    some_recipe = staged({"epochs": 3, "end_with": "best"}, {})
    some_recipe = replace(some_recipe, optimizer=replace(some_recipe.optimizer, average=average))
    setting, parts = make_setting(model_folder, tmp_path), make_parts(some_recipe, model_folder)
    setting.folder.mkdir()
    script_scores(monkeypatch, [0.0, 0.1, 0.3, 0.2])
    best = train_stage(some_recipe, 0, parts, setting, None)
    saved, live = load_checkpoint(setting.folder / "best").model.state_dict(), parts.model.state_dict()
    assert (best.stage, best.epoch, best.value) == (0, 2, 0.3)
    assert all(torch.equal(saved[name], live[name]) for name in saved), "the next stage does not start where the best epoch ended"


def test_a_stage_ends_with_its_last_weights_unless_told_otherwise(model_folder, tmp_path, monkeypatch):
    some_recipe = staged({"epochs": 3})
    setting, parts = make_setting(model_folder, tmp_path), make_parts(some_recipe, model_folder)
    setting.folder.mkdir()
    script_scores(monkeypatch, [0.1, 0.3, 0.2])
    train_stage(some_recipe, 0, parts, setting, None)
    saved, live = load_checkpoint(setting.folder / "best").model.state_dict(), parts.model.state_dict()
    assert not all(torch.equal(saved[name], live[name]) for name in saved)


def test_averaged_weights_are_scored_and_saved_while_training_goes_on_with_its_own(model_folder, tmp_path):
    some_recipe = staged({"epochs": 1})
    some_recipe = replace(some_recipe, optimizer=replace(some_recipe.optimizer, average="ema"))
    setting, parts = make_setting(model_folder, tmp_path), make_parts(some_recipe, model_folder)
    setting.folder.mkdir()
    best = train_stage(some_recipe, 0, parts, setting, None)
    saved, live = load_checkpoint(setting.folder / "best").model, parts.model.state_dict()
    differ = [name for name, tensor in saved.state_dict().items() if not torch.equal(tensor, live[name])]
    assert len(differ) > len(live) / 2, "the checkpoint holds the training's weights, not their average"
    assert best.outputs["sts"] == pytest.approx(predict(saved, tokenizer(), "sts", parts.data["sts"].dev), abs=1e-5)


@pytest.mark.parametrize("values, moves", [([0.1, 0.3, 0.2], True), ([0.5, 0.2, 0.1], False), ([0.5, 0.5, 0.5], False)])
def test_a_stages_best_is_its_own_and_the_runs_best_is_of_all_stages(values, moves, model_folder, tmp_path, monkeypatch):
    some_recipe = staged({"epochs": 2}, {"epochs": 2, "end_with": "best"}, {})
    setting, parts = make_setting(model_folder, tmp_path), make_parts(some_recipe, model_folder)
    setting.folder.mkdir()
    script_scores(monkeypatch, [0.9, 0.8])
    best = train_stage(some_recipe, 0, parts, setting, None)
    kept, start = (setting.folder / "best/heads.safetensors").read_bytes(), copy_weights(parts.model)
    monkeypatch.undo()
    script_scores(monkeypatch, values)  # at the second stage's start, then after each of its epochs
    best = train_stage(some_recipe, 1, parts, setting, best)
    assert (best.stage, best.epoch) == (0, 1) and (setting.folder / "best/heads.safetensors").read_bytes() == kept
    moved = not all(torch.equal(tensor, start[name]) for name, tensor in parts.model.state_dict().items())
    assert moved is moves, "a stage ends with the best of its own epochs, but where none beats its start, with the start"


def test_heads_only_stages_after_a_full_one_touch_nothing_but_their_heads_and_never_lower_the_score(model_folder, tmp_path):
    stages = [{"epochs": 2, "end_with": "best"}, HEADS, {**HEADS, "objectives": ("sts",), "weights": {"sts": 2.0}}]
    some_recipe = staged(*stages)
    setting, parts, best = make_setting(model_folder, tmp_path), make_parts(some_recipe, model_folder), None
    setting.folder.mkdir()
    for index, own in enumerate((None, "heads.sst.", "heads.sts.")):
        before, score = copy_weights(parts.model), best and best.value
        best = train_stage(some_recipe, index, parts, setting, best)
        after = parts.model.state_dict()
        if own:
            moved = {name for name in before if not torch.equal(before[name], after[name])}
            assert moved and all(name.startswith(own) for name in moved), f"stage {index + 1} also moved {moved}"
            assert best.value >= score, "the best of all stages can only rise"
    assert best.value == max(one["overall_normalised"]["value"] for one in read_records(setting))


def test_selecting_by_loss_keeps_the_epoch_of_the_lowest_loss_on_dev(model_folder, tmp_path):
    some_recipe = staged({"epochs": 4, "learning_rate": 0.02, "learning_rate_schedule": "constant", "select_by": "loss",
                          "end_with": "best"}, {})
    setting, parts = make_setting(model_folder, tmp_path), make_parts(some_recipe, model_folder)
    setting.folder.mkdir()
    train_stage(some_recipe, 0, parts, setting, None)
    losses = [record["dev_loss"] for record in read_records(setting)]
    assert min(losses) < losses[-1], "the last epoch is the best: this tests nothing"
    by_task = []
    for task in TASKS:  # the loss on dev once more, from the weights that the stage ended with
        output = torch.from_numpy(predict(parts.model, tokenizer(), task, parts.data[task].dev))
        labels = torch.tensor([one.label for one in parts.data[task].dev])
        by_task.append(float(parts.model.targets[task].loss(output, labels if task == "sst" else labels.float())))
    assert sum(by_task) / 3 == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_outputs_on_disk_decode_to_the_predictions(split, finished):
    setting, _ = finished
    found = read_run(setting.folder)
    for task in TASKS:
        predicted = read_predictions(found, task, split)
        some = getattr(setting.data[task], split)
        assert predicted.ids == [one.id for one in some]
        assert predicted.labels_N.tolist() == pytest.approx([one.label for one in some])
        lines = (setting.folder / f"predictions/{task}-{split}-output.csv").read_text().splitlines()[1:]
        assert predicted.predictions_N.tolist() == pytest.approx([float(line.split(" , ")[1]) for line in lines], abs=1e-6)


def test_several_seeds_run_in_a_row_and_only_the_first_writes_the_courses_files(model_folder, tmp_path, capsys):
    setting = make_setting(model_folder, tmp_path)
    run_seeds(replace(recipe(epochs=1), seed=7), setting, 2, Interrupt())
    assert sorted(path.name for path in setting.folder.iterdir()) == ["seed-7", "seed-8"]
    results = [json.loads((setting.folder / name / "results.json").read_text()) for name in ("seed-7", "seed-8")]
    assert [one["seed"] for one in results] == [7, 8]
    output = capsys.readouterr().out.split("dev scores of 2 seeds")[1]
    rows = {line.split()[0]: line.split() for line in output.splitlines()[1:] if line}
    for name in (*TASKS, "overall_normalised", "overall_raw"):
        values = [next(iter(one["dev"]["tasks"][name].values())) if name in TASKS else one["dev"][name] for one in results]
        a, b = (value["value"] for value in values)
        assert float(rows[name][1]) == pytest.approx((a + b) / 2, abs=1e-4), name
        assert float(rows[name][3]) == pytest.approx(abs(a - b) / 2**0.5, abs=1e-4), f"{name}: of 2 numbers, divided by 2 - 1"
    for (task, split), path in setting.prediction_paths.items():
        first, second = ((setting.folder / name / f"predictions/{task}-{split}-output.csv").read_bytes()
                         for name in ("seed-7", "seed-8"))
        assert path.read_bytes() == first, "a later seed wrote over the first one's predictions"
        assert task != "sts" or first != second, "the seeds gave the same run"


def test_bfloat16_trains_to_other_finite_weights_which_are_float32(finished, model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path)
    run(replace(recipe(epochs=3), precision="bf16"), setting)
    one, other = (load_checkpoint(some.folder / "best").model.state_dict() for some in (setting, finished[0]))
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in one.values())
    assert any(not torch.equal(one[name], other[name]) for name in one), "bf16 rounds: equal weights mean it was never on"
    losses = [read_records(some)[0]["train_loss"]["sts"] for some in (setting, finished[0])]
    assert losses[0] == pytest.approx(losses[1], rel=0.1), "the same training, but for rounding"


def test_a_plan_covers_frozen_and_pretraining_stages(model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path)
    some_recipe = staged(PRETRAIN, {**HEADS, "objectives": TASKS, "epochs": 5}, {"epochs": 1})
    plan = describe_plan(some_recipe, setting)
    model = make_parts(some_recipe, model_folder).model
    heads, whole = (sum(one.numel() for one in some.parameters()) for some in (model.heads, model))
    assert f"stage 2: {5 * 3 * 4} steps, {heads:,} weights learn" in plan, plan
    assert f"stage 3: {3 * 4} steps, {whole:,} weights learn" in plan, plan
    assert "stage 1: " in plan and "training: about 1 min" in plan and not setting.folder.exists()
    assert load_recipe(write_plan(plan, tmp_path)) == some_recipe, "the plan shows the recipe as it is, not as it was timed"


def write_plan(plan: str, folder: Path) -> Path:
    """The plan's recipe as a file."""
    path = folder / "plan.toml"
    path.write_text(plan.split("\nstage 1: ")[0])
    return path


def test_a_plan_does_not_encode_all_the_data_of_a_frozen_stage(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("multitask.stage.frozen_objective", lambda *given: pytest.fail("all sentences were encoded for a plan"))
    assert "stage 1" in describe_plan(staged(HEADS), make_setting(model_folder, tmp_path))


def test_the_plan_counts_a_frozen_stages_encoding_once_and_not_in_every_epoch(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("multitask.plan.time_step", lambda steps, total: next(steps) and 60.0)  # every step takes a minute
    for stage, minutes in (({**HEADS, "epochs": 5}, 4), ({**HEADS, "epochs": 5, "frozen_dropout": True}, 20),
                           ({"epochs": 5}, 60)):
        plan = describe_plan(staged(stage), make_setting(model_folder, tmp_path))
        assert f"training: about {minutes} min" in plan, plan


def test_tasks_that_no_stage_trains_are_named():
    from multitask.launch import find_untrained

    assert find_untrained(recipe(objectives=("sst",))) == ["para", "sts"] and find_untrained(recipe()) == []
