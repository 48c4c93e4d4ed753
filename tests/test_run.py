"""A whole run on a tiny model: the run folder, the best checkpoint, predictions, and what is said when input is bad."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_run import VOCABULARY, config, data, examples, recipe, tokenizer

from minbert.bert import BertModel
from minbert.files import MinbertError, verify_manifest
from minbert.weights import save_model
from multitask.checkpoint import load_checkpoint
from multitask.evaluate import predict
from multitask.recipe import load_recipe
from multitask.record import is_better
from multitask.run import Setting, run
from multitask.stage import TaskData

ROOT = Path(__file__).parents[1]
TASKS = ("sst", "para", "sts")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    """A tiny BERT in the ecosystem's format."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    save_model(folder, config(), BertModel(config()), VOCABULARY)
    return folder


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
    from multitask import run as module

    setting, calls = make_setting(model_folder, tmp_path), []

    def interrupt(path, line):
        calls.append(line)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "append_line", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(recipe(epochs=3), setting)
    assert load_checkpoint(setting.folder / "best").recipe.name == "test"


def test_a_frozen_run_saves_the_pretrained_encoder_unchanged(model_folder, tmp_path):
    setting = make_setting(model_folder, tmp_path)
    run(recipe(train="last-linear-layer"), setting)
    before, after = BertModel.from_pretrained(model_folder), load_checkpoint(setting.folder / "best").model.encoder.bert
    assert all(torch.equal(one, other) for one, other in zip(before.parameters(), after.parameters(), strict=True))


def test_a_longer_maximum_than_the_models_positions_is_refused(model_folder, tmp_path):
    from dataclasses import replace

    with pytest.raises(MinbertError, match="max_length 64 is more than the model's 40 positions"):
        run(replace(recipe(), max_length=64), make_setting(model_folder, tmp_path))


def test_undefined_scores_are_null_in_the_files_and_never_best(model_folder, tmp_path):
    from dataclasses import replace

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
    (["--resume", "auto"], ["--resume is not built yet"]),
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
    assert "the best checkpoint of the finished epochs is kept in" in output
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
