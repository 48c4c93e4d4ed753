"""Runs that are killed, or stopped by signals, go on to the same bits; and the torture command writes what it measured."""

import os
import signal
import subprocess
import sys
import time
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import pytest
from test_run import write_tables

import multitask_classifier
from minbert.files import MinbertError, write_text
from multitask.recipe_files import to_toml
from multitask.resume import read_earlier
from tests.same_run import find_difference
from tests.small_run import save_tiny_bert
from tests.torture import __main__ as torture
from tests.torture import kills
from tests.torture import steps as stops
from tests.torture.faults import RECIPE, finish_run, judge, make_model
from tests.torture.outcome import Outcome

ROOT = Path(__file__).parents[1]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, which Windows cannot")


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("measure", [kills.measure, kills.measure_placed, stops.measure], ids=["kills", "placed", "steps"])
def test_broken_runs_go_on_to_the_same_bits(measure):
    found = measure(full=False)
    assert found.holds, "\n".join(found.failures)


@needs_fork
@pytest.mark.slow
def test_the_measurements_would_see_a_run_that_is_not_the_same(tmp_path):
    make_model(tmp_path)
    whole, other = tmp_path / "whole", tmp_path / "other"
    assert not finish_run(whole) and not finish_run(other)
    assert judge(whole, other) == ""
    left = other / "last" / ".step-00000099.new.tmp"
    left.mkdir()
    assert judge(whole, other) == f"left behind: {left.name}"
    left.rmdir()
    predictions = other / "predictions/sst-dev-output.csv"
    predictions.write_bytes(predictions.read_bytes().replace(b"sst0-1 ,", b"sst0-x ,"))
    assert judge(whole, other).endswith("sst-dev-output.csv differs")


PROGRAM = """
import pkgutil, sys, time
place, function, seconds = sys.argv.pop(1), sys.argv.pop(1), float(sys.argv.pop(1))
owner, calls = pkgutil.resolve_name(place), []
whole = getattr(owner, function)

def slow(*arguments, **settings):
    calls.append(1)
    if len(calls) == 5:
        print("NOW", flush=True)
        time.sleep(seconds)
    return whole(*arguments, **settings)

setattr(owner, function, slow)
import multitask_classifier
from multitask.flags import run_command
sys.modules["matplotlib.figure"] = None
sys.exit(run_command(multitask_classifier.main, sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A folder with data, a model, a recipe, and the run `whole` that nothing interrupted."""
    folder = tmp_path_factory.mktemp("course")
    save_tiny_bert(folder / "model")
    write_tables(folder / "tables")
    write_text(folder / "tiny.toml", to_toml(RECIPE))
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.figure", None)
        multitask_classifier.main(arguments("whole"))
    return folder


def arguments(run: str) -> list[str]:
    return ["--recipe", "tiny.toml", "--model", "model", "--data_dir", "tables", "--out", run]


def interrupt(folder: Path, run: str, place: str, number: int, seconds: float, signals: int = 1) -> tuple[int, str, float]:
    """Status, output and seconds that a run took to end, which got signals while it was for the fifth time in the function
    `place`, and spent so many seconds there."""
    running = subprocess.Popen([sys.executable, "-c", PROGRAM, *place.split(":"), str(seconds), *arguments(run)], cwd=folder,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    said = list(iter(running.stdout.readline, "NOW\n"))
    started = time.perf_counter()
    for _ in range(signals):
        running.send_signal(number)
        time.sleep(0.3)
    output, _ = running.communicate(timeout=60)
    return running.returncode, "".join(said) + output, time.perf_counter() - started


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM, and sends Ctrl-C to whole consoles")
@pytest.mark.parametrize("place, number, status, steps", [
    ("multitask.train:take_gradient", signal.SIGTERM, 143, 5),
    ("multitask.state_files:write_tensors", signal.SIGTERM, 143, 5),
    ("multitask.state_files:write_tensors", signal.SIGINT, 130, 5),
    ("multitask.judge.Judge:score", signal.SIGTERM, 143, 16),
])
def test_a_signal_ends_a_run_with_its_state_saved(place, number, status, steps, course, monkeypatch):
    run = f"{place.rpartition(':')[2]}-{status}"
    found, said, seconds = interrupt(course, run, place, number, seconds=1)
    assert found == status and f"go on with: python -c --resume {run}" in said.replace("'", ""), said
    assert seconds < 10
    earlier = read_earlier(course / run)
    assert earlier.state["run"]["steps"] == steps, "the step that is being taken or saved is ended first"
    assert not earlier.notes and earlier.results is None
    assert not list((course / run).rglob(".*.tmp")), "what a signal interrupts is tidied up"
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with chdir(course):
        multitask_classifier.main(["--resume", run])
    assert not (difference := find_difference(course / "whole", course / run)), difference


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole consoles")
def test_a_second_ctrl_c_does_not_wait_for_the_step(course):
    status, _, seconds = interrupt(course, "twice", "multitask.train:take_gradient", signal.SIGINT, seconds=60, signals=2)
    assert status == 130 and seconds < 10


CLAIM = "Nothing breaks."


@pytest.fixture
def measured(monkeypatch) -> dict:
    """The outcomes of the only measurements there are, by name; to be changed."""
    outcomes = {"one": Outcome(CLAIM, 100, ()), "two": Outcome(CLAIM, 8, (), ("a detail", "| a | b |", "|---|---|", "| 1 | 2 |"))}
    monkeypatch.setattr(torture, "MEASUREMENTS", {
        name: torture.Measurement(lambda full, name=name: outcomes[name], drawn=name == "one") for name in outcomes})
    return outcomes


def test_the_report_has_a_section_for_each_measurement(measured, tmp_path, capsys):
    path = tmp_path / "report.md"
    torture.main(["--full", "--out", str(path)])
    text = path.read_text()
    assert text.startswith("# Reliability, measured\n")
    one, two = (text.split(f"\n## {name}\n")[1].split("\n## ")[0] for name in ("one", "two"))
    assert "\n**0 of 100 failed: less than 3% at 95%**\n" in one and CLAIM in one and ", full size, " in one
    assert "\n**0 of 8 failed**\n" in two, "where the cases are no sample, nothing follows for others"
    assert "- a detail\n\n| a | b |\n|---|---|\n| 1 | 2 |\n" in two and "torch" in two
    assert "one          0 of 100 failed" in capsys.readouterr().out


def test_a_run_of_one_measurement_keeps_the_sections_of_the_others(measured, tmp_path):
    path = tmp_path / "report.md"
    torture.main(["--full", "--out", str(path)])
    before = path.read_text()
    measured["two"] = replace(measured["two"], tried=9)
    torture.main(["two", "--out", str(path)])
    after = path.read_text()
    assert after.partition("## two")[0] == before.partition("## two")[0]
    assert "0 of 9 failed" in after and "the size for CI" in after and "0 of 8" not in after
    torture.main(["one", "two", "--full", "--out", str(path)])
    assert path.read_text().replace("of 9", "of 8") == before


def test_a_claim_that_fails_is_in_the_report_and_ends_with_status_1(measured, tmp_path, capsys):
    measured["one"] = replace(measured["one"], failures=("run 7: best/ differs",))
    with pytest.raises(MinbertError, match="does not hold: one") as caught:
        torture.main(["--out", str(tmp_path / "report.md")])
    assert caught.value.exit_code == 1
    text = (tmp_path / "report.md").read_text()
    assert "**1 of 100 failed**" in text and "FAILED: run 7: best/ differs" in text and "## two" in text
    assert "run 7" in capsys.readouterr().out


def test_without_full_no_report_is_written_and_unknown_names_are_refused(measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torture.main(["one"])
    with pytest.raises(MinbertError, match="no measurement tow") as caught:
        torture.main(["tow"])
    assert caught.value.hint == "did you mean two?" and not list(tmp_path.iterdir())
