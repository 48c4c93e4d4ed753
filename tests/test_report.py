"""The report: complete from the run folder alone, harmless whatever the sentences hold, and never the end of a finished run."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from saved_run import logits, make_run
from small_run import data, examples, recipe, save_tiny_bert

from minbert.files import MinbertError, write_text
from multitask.flags import run_command
from multitask.outputs import write_texts
from multitask.record import to_json
from multitask.report import main, write_report
from multitask.run import Setting, run
from multitask.run_folder import read_run
from multitask.stage import TaskData

pytest.importorskip("matplotlib", reason="figures are an extra: pip install matplotlib scikit-learn")
HOSTILE = ("![x](http://evil.example/a.png) [link](javascript:1) <img src=x onerror=1> | a `code` \n# head $1$ @name "
           "www.evil.example *bold* \u202egnirts")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A finished run with hostile sentences."""
    make_run(tmp_path / "run", {"sst": ([0, 4, 2], logits([0, 4, 3])), "sts": ([1.0, 2.0, 5.0], [1.0, 3.0, 4.0])})
    path = tmp_path / "run"
    write_texts(path / "texts" / "sst-dev.csv", ["sst0", "sst1", "sst2"], [("a film",), (HOSTILE,), ("中" * 2500,)])
    write_texts(path / "texts" / "sts-dev.csv", ["sts0", "sts1", "sts2"], [("a b", "a c"), (HOSTILE, HOSTILE), ("y", "z")])
    write_epochs(path, 2)
    return path


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Saves the time of making figures, where text is looked at."""
    monkeypatch.setattr("multitask.report.draw", lambda *_: [])


@pytest.fixture
def empty_figures(monkeypatch) -> None:
    """Figures are made, but their files stay empty: a picture costs ten times what the rest of a report does."""
    monkeypatch.setattr("multitask.figures.save", save_nothing)


def save_nothing(figure, path: Path) -> None:
    write_text(path, "")


def write_epochs(folder: Path, count: int) -> None:
    score = {"value": 0.5, "low": 0.4, "high": 0.6}
    scores = {"sst": {"accuracy": score}, "sts": {"pearson": score}}
    lines = [to_json({"stage": 1, "epoch": epoch, "train_loss": {"sst": 1.0, "sts": None}, "penalties": {"sst.smart": 0.1},
                      "dev": scores, "train": scores, "overall_normalised": score}) for epoch in range(1, count + 1)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def linked(folder: Path) -> list[str]:
    return re.findall(r"!\[[^]]*\]\(([^)]*)\)", (folder / "report.md").read_text(encoding="utf-8"))


def test_every_figure_that_is_linked_is_there_and_the_other_way_round(folder, empty_figures):
    assert write_report(read_run(folder), folder) == []
    assert sorted(linked(folder)) == sorted(f"figures/{path.name}" for path in (folder / "figures").iterdir())
    names = {Path(link).stem for link in linked(folder)}
    assert names == {"train-loss", "penalties", "scores", "sst-confusion", "sst-errors", "sst-distribution", "sst-length",
                     "sts-scatter", "sts-errors", "sts-distribution", "sts-length", "sts-overlap"}


def test_a_report_made_again_leaves_no_figure_of_the_earlier_one(folder, tmp_path, empty_figures, monkeypatch):
    other, out = make_run(tmp_path / "other", {"sst": ([0, 4, 2], logits([0, 4, 3]))}), tmp_path / "out"
    write_report(read_run(folder), out)
    (out / "figures" / "mine.png").touch()
    write_report(read_run(other), out)
    assert {path.name for path in (out / "figures").iterdir()} == {Path(link).name for link in linked(out)} | {"mine.png"}
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    write_report(read_run(other), out)
    assert [path.name for path in (out / "figures").iterdir()] == ["mine.png"] and linked(out) == []


@pytest.mark.slow
def test_every_figure_is_a_picture(folder):
    assert write_report(read_run(folder), folder) == []
    assert {path.read_bytes()[:8] for path in (folder / "figures").iterdir()} == {b"\x89PNG\r\n\x1a\n"}


def test_sentences_come_out_as_text_whatever_they_hold(folder, undrawn):
    write_report(read_run(folder), folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if "onerror" in line)
    assert "<img" not in row and "\u202e" not in text
    assert "](" not in row.replace("\\](", ""), "a link or picture is still one"
    for sign in "`*$@":
        assert not re.search(rf"(?<!\\){re.escape(sign)}", row), f"{sign} still has its meaning"
    assert "http://" not in row and "www." not in row, "a bare address becomes a link"
    cells = re.split(r"(?<!\\)\|", row)
    heading = next(line for line in text.splitlines() if line.startswith("| id | sentence |"))
    assert len(cells) == len(heading.split("|")), "the row has cells of its own: was | escaped?"
    assert all(len(line) < 1500 for line in text.splitlines()), "a long sentence is cut"
    assert "中" * 100 in text, "what is left of a long sentence without blanks"


def test_without_matplotlib_the_numbers_are_there_and_the_way_out_is_said(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    [note] = write_report(read_run(folder), folder)
    assert "pip install matplotlib scikit-learn" in note
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert linked(folder) == [] and "pip install matplotlib scikit-learn" in text and "Worst errors" in text
    assert (folder / "analysis" / "sst-confusion.csv").exists() and not (folder / "figures").exists()


def test_a_figure_that_fails_leaves_a_report_with_all_numbers(folder, monkeypatch):
    monkeypatch.setattr("multitask.figures.save", lambda *_: 1 / 0)
    [note] = write_report(read_run(folder), folder)
    assert "no figures: ZeroDivisionError: division by zero" in note, "the seeds that come after this run would be lost"
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "| sst | accuracy |" in text and "Worst errors" in text, "numbers are written before figures"
    assert linked(folder) == [], "no link to a figure that is not there"


def test_an_older_folder_says_what_it_leaves_out(folder, undrawn):
    for path in (folder / "texts").iterdir():
        path.unlink()
    (folder / "metrics.jsonl").unlink()
    notes = write_report(read_run(folder), folder)
    assert any("no texts/" in note for note in notes) and any("no metrics.jsonl" in note for note in notes)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "## Left out" in text and "| sst2 | 2 | 3 |" in text and "length" not in " ".join(linked(folder))


def test_a_torn_last_line_is_left_out_and_said(folder, undrawn):
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"stage": 1, "epo')
    assert ["last line is cut short" in note for note in write_report(read_run(folder), folder)] == [True]


@pytest.mark.parametrize("line", ["{", "[]", '{"stage": 1}', '{"stage": 1, "epoch": 2, "dev": {"sst": 5}}'])
def test_a_broken_line_before_the_last_is_an_error_with_its_number(folder, line):
    rest = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(f"{line}\n{rest}")
    with pytest.raises(MinbertError, match=r"metrics.jsonl:1: is (not JSON|no epoch's record)"):
        write_report(read_run(folder), folder)


def test_several_runs_get_their_curves_in_one_figure(folder, tmp_path, capsys, empty_figures):
    other = make_run(tmp_path / "other", {"sst": ([0, 4, 2], logits([0, 4, 3]))}, seed=2)
    write_epochs(other, 3)
    assert run_command(main, [str(folder), str(other), "--out", str(tmp_path / "both")]) == 0
    text = (tmp_path / "both" / "comparison.md").read_text(encoding="utf-8")
    assert "figures/dev-curves.png" in text and (tmp_path / "both" / "figures" / "dev-curves.png").exists()
    assert "1: test, seed 1" in text and "2: test, seed 2" in text
    rows = (tmp_path / "both" / "analysis" / "dev-curves.csv").read_text().splitlines()
    assert '"2: test, seed 2","sst, accuracy",3,0.5' in rows, "runs of different lengths stand side by side"
    assert (folder / "report.md").exists() and (other / "report.md").exists()
    assert "comparison.md" in capsys.readouterr().out


def change_results(folder: Path, name: str, value: object) -> None:
    path = folder / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {name: value}), encoding="utf-8")


@pytest.mark.parametrize("spoil, message", [
    (lambda folder: (folder / "results.json").unlink(), "holds no finished run"),
    (lambda folder: (folder / "results.json").write_text("{"), "is not JSON"),
    (lambda folder: (folder / "results.json").write_text((folder / "results.json").read_text().replace("select_by", "x")),
     "lacks select_by"),
    (lambda folder: (folder / "results.json").write_text(re.sub(r'"majority": {[^}]*}', '"majority": {}',
                                                                (folder / "results.json").read_text())),
     "'dev.majority.sst' is 'missing'"),
    (lambda folder: (folder / "recipe.toml").unlink(), "recipe.toml"),
    (lambda folder: change_results(folder, "hardware", {"hardware": None}), "lacks words in hardware"),
    (lambda folder: change_results(folder, "hardware", {"device": "cpu"}), "lacks words in hardware"),
    (lambda folder: change_results(folder, "facts", []), "lacks facts"),
    (lambda folder: change_results(folder, "facts", {"model": ["x"]}), "lacks words in facts"),
    (lambda folder: change_results(folder, "seconds", float("nan")), "lacks seconds"),
    (lambda folder: change_results(folder, "seed", 2), "'seed' is '2', but must be '1'"),
    (lambda folder: change_results(folder, "dev", {"tasks": {"sst": {}, "sts": {}}}), "'dev.tasks.sst.accuracy' is 'missing'"),
    (lambda folder: change_results(folder, "dev", {"tasks": {"s\x1b[31m": {}}}), "'s\\x1b[31m': not a task"),
    (lambda folder: change_results(folder, "test", []), "lacks test scores"),
    (lambda folder: (folder / "outputs" / "sst-dev.csv").write_text("id,label,output_0\n"), "sst-dev.csv"),
    (lambda folder: (folder / "metrics.jsonl").write_bytes(b"\xff\xfe\n\n"), "metrics.jsonl:1: is not JSON"),
])
def test_a_damaged_folder_is_named_on_the_command_line(folder, capsys, spoil, message):
    spoil(folder)
    assert run_command(main, [str(folder)]) == 2
    errors = capsys.readouterr().err
    assert message in errors and "Traceback" not in errors


def test_t_sne_without_its_sentences_is_refused(folder, capsys):
    (folder / "texts" / "sst-dev.csv").unlink()
    assert run_command(main, [str(folder), "--tsne"]) == 2
    assert "no t-SNE" in capsys.readouterr().err


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A real run of joint steps."""
    folder = tmp_path_factory.mktemp("joint")
    some_data = data() | {"sst": TaskData(examples("sst", 14), examples("sst", 40, seed=100), None)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("multitask.figures.save", save_nothing)
        run(recipe(schedule="joint_min", combine="pcgrad", epochs=1), Setting(
            save_tiny_bert(folder / "bert"), torch.device("cpu"), some_data, folder / "run", {}, {"model": "tiny"}, "a test"))
    return folder / "run"


def test_a_run_leaves_its_report_with_the_cosines_of_its_tasks(finished):
    [line] = (finished / "metrics.jsonl").read_text().splitlines()
    assert list(json.loads(line)["gradient_cosines"]) == ["sst, para", "sst, sts", "para, sts"]
    assert "figures/cosines.png" in linked(finished) and (finished / "analysis" / "cosines.csv").exists()
    assert "stage,epoch,pair,part,cosine" in (finished / "analysis" / "cosines.csv").read_text()


def test_the_command_makes_the_same_report_again(finished, tmp_path, empty_figures):
    first = (finished / "report.md").read_bytes()
    assert run_command(main, [str(finished), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "report.md").read_bytes() == first
    assert {path.name: path.read_bytes() for path in (tmp_path / "analysis").iterdir()} == \
        {path.name: path.read_bytes() for path in (finished / "analysis").iterdir()}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {path.name for path in (finished / "figures").iterdir()}


@pytest.mark.slow
def test_t_sne_shows_the_dev_sentences(finished, tmp_path):
    pytest.importorskip("sklearn")
    assert run_command(main, [str(finished), "--out", str(tmp_path), "--tsne"]) == 0
    rows = (tmp_path / "analysis" / "tsne.csv").read_text().splitlines()
    assert len(rows) == 1 + 40 and "figures/tsne.png" in linked(tmp_path), "40 sentences: perplexity 30 alone fits"
