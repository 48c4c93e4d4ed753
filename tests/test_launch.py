"""--resume and --time_limit as they are typed: which run goes on, with which files, and what is said where none can."""

import json
import os
import shutil
from pathlib import Path

import pytest
from same_run import StopAfter
from small_run import save_tiny_bert
from test_run import write_tables

import classifier
import multitask_classifier
from minbert.files import read_table
from multitask.flags import run_command
from multitask.state_files import list_states

pytestmark = pytest.mark.usefixtures("without_figures")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with data/ and a tiny model."""
    save_tiny_bert(tmp_path / "model")
    write_tables(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(capsys, *arguments: str, main=multitask_classifier.main) -> tuple[int, str, str]:
    """Exit status, output and errors."""
    common = () if "--resume" in arguments and "auto" not in arguments else (
        "--option", "finetune", "--model", "model", "--epochs", "1", "--batch_size", "4", "--set", "max_length=32")
    status = run_command(main, [*common, *arguments])
    return status, *capsys.readouterr()


def stop_early(capsys, monkeypatch, steps: int, *arguments: str, main=multitask_classifier.main) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("multitask.launch.Interrupt", lambda deadline: StopAfter(steps))
        status, said, errors = call(capsys, *arguments, main=main)
    assert status == 143 and "--resume" in said, errors


def test_auto_begins_goes_on_and_leaves_a_complete_run_alone(place, capsys, monkeypatch):
    stop_early(capsys, monkeypatch, 3, "--resume", "auto")
    status, said, _ = call(capsys, "--resume", "auto")
    assert status == 0 and "going on after step 3 of runs/baseline/1" in said
    status, said, _ = call(capsys, "--resume", "auto")
    assert status == 0 and "runs/baseline/1 is already complete" in said and "dev scores of the best checkpoint" in said
    assert os.listdir("runs/baseline") == ["1"]
    status, said, _ = call(capsys, "--resume", "auto", "--lr", "3e-5")
    assert status == 0 and "no run with these settings is in runs/baseline: a new one begins" in said
    assert sorted(os.listdir("runs/baseline")) == ["1", "2"]
    assert "runs/baseline/1 is already complete" in call(capsys, "--resume", "auto")[1], "the newest is another's"


def test_a_named_run_knows_its_recipe_model_and_files_from_anywhere(place, capsys, monkeypatch):
    stop_early(capsys, monkeypatch, 2, "--sts_dev_out", "mine.csv")
    assert not (place / "mine.csv").exists()
    (place / "elsewhere").mkdir()
    monkeypatch.chdir(place / "elsewhere")
    status, said, errors = call(capsys, "--resume", "../runs/baseline/1")
    assert status == 0 and "going on after step 2" in said, errors
    assert (place / "mine.csv").exists() and (place / "predictions/sst-dev-output.csv").exists()
    assert os.listdir(place / "elsewhere") == []
    assert len((place / "runs/baseline/1/command.txt").read_text().splitlines()) == 2


def test_what_differs_is_listed(place, capsys, monkeypatch):
    stop_early(capsys, monkeypatch, 2)
    status, _, errors = call(capsys, "--resume", "runs/baseline/1", "--lr", "1e-3", "--seed", "7")
    assert status == 2 and "optimizer.learning_rate is 0.001 and was" in errors and "seed is 7 and was 11711" in errors
    path = place / "data/quora-dev.csv"
    path.write_text(path.read_text().replace("film", "movie"))
    status, _, errors = call(capsys, "--resume", "runs/baseline/1")
    assert status == 2 and "the data of para-dev differ from the run's" in errors and "Traceback" not in errors


def test_more_epochs_are_no_difference(place, capsys):
    call(capsys)
    status, said, errors = call(capsys, "--resume", "runs/baseline/1", "--epochs", "2")
    assert status == 0 and "going on after step" in said, errors
    assert len((place / "runs/baseline/1/metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("arguments, words", [
    (["--resume", "runs/9"], ["runs/9 is no folder", "--resume takes a run folder"]),
    (["--resume", "data"], ["data holds no run that could go on"]),
    (["--resume", "runs/quikc/1"], ["runs/quikc/1 is no folder", "did you mean runs/quick/1?"]),
    (["--resume", "quick/1"], ["quick/1 is no folder", "did you mean runs/quick/1?"]),
    (["--resume", "atuo"], ["atuo is no folder", "did you mean auto?"]),
    (["--resume", "seeds"], ["seeds holds the runs of several seeds", "--seeds N", "--resume seeds/seed-9"]),
    (["--resume", "seeds/seed-9", "--out", "new"], ["--resume seeds/seed-9 and --out new contradict each other"]),
])
def test_a_run_that_is_none_is_said_to_be(arguments, words, place, capsys):
    for folder in (place / "seeds/seed-9", place / "seeds/seed-10", place / "runs/quick/1"):
        folder.mkdir(parents=True)
        (folder / "environment.json").write_text("{}")
    status, _, errors = call(capsys, *arguments)
    assert status == 2 and all(word in errors for word in words), errors


def test_auto_passes_over_a_run_that_is_damaged_and_says_so(place, capsys, monkeypatch):
    stop_early(capsys, monkeypatch, 3)
    for state in list_states(place / "runs/baseline/1/last"):
        (state / "state.json").write_text("{}")
    status, said, _ = call(capsys, "--resume", "auto")
    assert status == 0 and "runs/baseline/1 is passed over: no state in" in said and (place / "runs/baseline/2").exists()


def test_a_run_that_no_command_line_began_asks_for_its_files(place, capsys, monkeypatch):
    stop_early(capsys, monkeypatch, 2)
    facts = read_table("runs/baseline/1/environment.json") | {"paths": {}}
    Path("runs/baseline/1/environment.json").write_text(json.dumps(facts))
    status, _, errors = call(capsys, "--resume", "runs/baseline/1")
    assert status == 2 and "does not say where" in errors and "--out runs/baseline/1 --resume auto" in errors
    assert call(capsys, "--out", "runs/baseline/1", "--resume", "auto")[0] == 0


def test_only_the_first_seed_keeps_where_the_predictions_go(place, capsys):
    assert call(capsys, "--seeds", "2", "--seed", "7", "--out", "seeds")[0] == 0
    paths = [read_table(f"seeds/seed-{seed}/environment.json")["paths"] for seed in (7, 8)]
    assert paths[0]["predictions"] and paths[1] == paths[0] | {"predictions": {}}, "alone, seed 8 would write over seed 7's"


def test_a_model_that_has_moved_is_asked_for(place, capsys, monkeypatch):
    stop_early(capsys, monkeypatch, 2)
    shutil.move(place / "model", place / "moved")
    status, _, errors = call(capsys, "--resume", "runs/baseline/1")
    assert status == 2 and "model" in errors and "hint" in errors
    assert call(capsys, "--resume", "runs/baseline/1", "--model", "moved")[0] == 0


def test_the_single_task_classifier_goes_on_too(place, capsys, monkeypatch):
    tables = {name: (place / "data" / name).read_text() for name in ("ids-sst-train.csv", "ids-sst-dev.csv")}
    for name, text in tables.items():
        lines = text.splitlines()
        kept = [lines[0], *(line for line in lines[1:] if line[-1] in "01")]
        (place / "data" / name.replace("sst", "cfimdb")).write_text("\n".join(kept) + "\n")
    stop_early(capsys, monkeypatch, 2, "--resume", "auto", main=classifier.main)
    status, said, errors = call(capsys, "--resume", "auto", main=classifier.main)
    assert status == 0 and "going on after step 2 of runs/single/sst/1" in said, errors
    written = {path.name for path in (place / "predictions").iterdir()}
    assert written >= {"finetune-sst-dev-out.csv", "finetune-cfimdb-dev-out.csv"}
    assert "already complete" in call(capsys, "--resume", "runs/single/sst/1", main=classifier.main)[1]


@pytest.mark.parametrize("text, seconds", [("3h", 10800), ("90m", 5400), ("45s", 45), ("1h30m", 5400), ("1h1m1s", 3661)])
def test_a_time_limit_is_hours_minutes_and_seconds(text, seconds, monkeypatch):
    from multitask import command_line

    monkeypatch.setattr(command_line.time, "monotonic", lambda: 1000.0)
    assert command_line.parse_deadline(text) == 1000 + seconds


@pytest.mark.parametrize("text", ["3", "h", "0h", "-1h", "3 h", "1.5h", "30m1h", "٣h", ""])
def test_what_is_no_time_is_refused(text, place, capsys):
    status, _, errors = call(capsys, f"--time_limit={text}")
    assert status == 2 and "is not a time such as 3h" in errors
