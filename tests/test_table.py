"""Ours beside the report's numbers: on the report's scale, with what differs said in words."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from saved_run import FACTS, make_run

from minbert.files import MinbertError
from multitask.flags import run_command
from multitask.recipe import Expected
from multitask.recipe_files import load_recipe
from multitask.run_folder import Run, find_runs, read_run
from multitask.table import Row, csv_text, find_changes, find_remarks, main, markdown_text

BOTH = Expected(sst=0.5, para=0.9, sts=0.946, sts_scale="normalised", overall=0.8, overall_scale="normalised")


def make(folder: Path, sst=0.511, para=0.877, r=0.892, examples=(1101, 40427, 863), **options) -> Row:
    """A run whose results say these scores."""
    make_run(folder, {"sst": ([0, 1], [[1, 0, 0, 0, 0]] * 2), "para": ([0, 1], [-1, 1]), "sts": ([0, 1], [0, 1])}, **options)
    path = folder / "results.json"
    results = json.loads(path.read_text())

    def score(value):
        return {"value": value, "low": None if value is None else value - 0.03, "high": None if value is None else value + 0.02}

    results["dev"]["tasks"] = {"sst": {"accuracy": score(sst), "macro_f1": score(0.1)}, "para": {"accuracy": score(para)},
                               "sts": {"pearson": score(r), "spearman": score(0.2)}}
    known = r is not None
    results["dev"] |= {"overall_raw": score((sst + para + r) / 3 if known else None),
                       "overall_normalised": score((sst + para + (r + 1) / 2) / 3 if known else None),
                       "examples": dict(zip(("sst", "para", "sts"), examples, strict=True))}
    return Row(folder, [Run(folder, results, load_recipe(folder / "recipe.toml"))])


def cells(rows: list[Row], line: int = 0) -> dict[str, str]:
    """A line of the Markdown table by heading."""
    table = [text.removeprefix("| ").removesuffix(" |").split(" | ") for text in markdown_text(rows).splitlines()]
    return dict(zip(table[0], table[2 + line], strict=True))


def read_csv(rows: list[Row]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(rows))))


def test_sts_is_compared_on_the_reports_scale_with_r_beside_it(tmp_path):
    row = make(tmp_path, expected=BOTH)
    assert row.report("sts") == (0.946, "normalised", pytest.approx(0.0)), "r = .892 is (r + 1) / 2 = .946"
    shown = cells([row])
    assert shown["sts, r"] == "0.892 (0.862 to 0.912)" and shown["sts, (r + 1) / 2"] == "0.946 (0.931 to 0.956)"
    assert shown["sts: the report's"] == "0.946 with (r + 1) / 2, difference +0.000"
    plain = make(tmp_path / "r", expected=Expected(sts=0.902, sts_scale="r"))
    assert plain.report("sts") == (0.902, "r", pytest.approx(-0.01)), "ours minus the report's"


def test_overall_is_compared_on_the_reports_scale(tmp_path):
    ours = 0.511 + 0.877
    row = make(tmp_path / "a", expected=BOTH)
    assert row.report("overall")[2] == pytest.approx((ours + 0.946) / 3 - 0.8)
    row = make(tmp_path / "b", expected=Expected(overall=0.75, overall_scale="r"))
    assert row.report("overall")[2] == pytest.approx((ours + 0.892) / 3 - 0.75)
    assert cells([row])["overall: the report's"].startswith("0.750 with r, difference +0.010")


def test_a_recipe_without_expected_scores_has_empty_cells(tmp_path):
    row = make(tmp_path / "a")
    assert row.report("sst") == (None, None, None) and "sst: the report's" not in cells([row])
    assert cells([row, make(tmp_path / "b", expected=BOTH)])["sst: the report's"] == ""
    (line,) = read_csv([row])
    assert line["sst_report"] == line["sst_difference"] == line["overall_report_scale"] == "" and line["sst"] == "0.511"


def test_seeds_become_one_row_with_mean_and_deviation(tmp_path):
    runs = [make(tmp_path / f"seed-{seed}", sst=sst, seed=seed, seconds=60.0 * (seed + 1), expected=BOTH).runs[0]
            for seed, sst in enumerate((0.50, 0.52, 0.54))]
    row = Row(tmp_path, runs)
    assert cells([row])["sst"] == "0.520 ± 0.020" and cells([row])["sst: the report's"] == "0.500, difference +0.020"
    (line,) = read_csv([row])
    assert line["seeds"] == "3" and float(line["sst_sd"]) == pytest.approx(0.02) and line["sst_low"] == ""
    assert float(line["minutes"]) == pytest.approx(2.0), "wall time of one run, the seeds' mean"


def test_what_differs_from_the_report_is_said_in_words(tmp_path):
    assert find_remarks(make(tmp_path / "same", expected=BOTH)) == []
    assert find_remarks(make(tmp_path / "hub", expected=BOTH, facts=FACTS | {"model": "google-bert/bert-base-uncased"})) == []
    other = make(tmp_path / "other", expected=BOTH, examples=(120, 40427, 863),
                 facts=FACTS | {"model": "all-MiniLM-L6-v2", "model_note": "Quora scores are contaminated"})
    remarks = "; ".join(find_remarks(other))
    assert "another model than the report's bert-base-uncased" in remarks and "Quora scores are contaminated" in remarks
    assert "sst dev has 120 examples" in remarks and "para" not in remarks, "some rows of the course's file lack a label"
    sample = make(tmp_path / "sample", expected=BOTH, facts=FACTS | {"data": "bundled samples"})
    assert find_remarks(sample) == ["other data than the report's: bundled samples"]
    ours = make(tmp_path / "ours", facts=FACTS | {"model": "other"})
    assert find_remarks(ours) == [], "without a report nothing can differ from it"


def test_an_undefined_score_has_no_difference(tmp_path):
    row = make(tmp_path, r=None, expected=BOTH)
    shown = cells([row])
    assert shown["sts, r"] == shown["overall with r"] == "undefined" and shown["sts: the report's"] == "0.946 with (r + 1) / 2"
    assert "nan" not in csv_text([row]) and "None" not in csv_text([row]) + markdown_text([row])


def test_a_run_of_one_task_has_no_overall_score(tmp_path):
    make_run(tmp_path, {"sts": ([0, 1, 2, 3, 4], [0, 2, 1, 3, 4])}, expected=BOTH)
    row = Row(tmp_path, find_runs(tmp_path))
    assert row.measure("overall_raw") is None and row.report("overall") == (0.8, "normalised", None)
    assert "sst" not in cells([row]) and "overall with r" not in cells([row])


def test_text_from_outside_cannot_break_the_table(tmp_path):
    row = make(tmp_path, facts=FACTS | {"model": "a|b<script>", "data": "x\ny"})
    text = markdown_text([row])
    assert "<script>" not in text and "a\\|b" in text and len(text.splitlines()) == 3
    assert read_csv([row])[0]["model"] == "a|b<script>", "CSV keeps the text and quotes it"


def test_an_ensembles_row_says_how_it_was_scored(tmp_path):
    [run] = make(tmp_path).runs
    row = Row(tmp_path, [Run(tmp_path, run.results | {"members": {}, "notes": {"dev": "cross-fitted"}}, None)])
    assert find_remarks(row) == ["cross-fitted"] and row.report("sst") == (None, None, None)


def test_the_command_prints_or_writes(tmp_path, capsys):
    make_run(tmp_path / "a", {"sts": ([0, 1, 2, 3, 4], [0, 2, 1, 3, 4])}, expected=BOTH)
    assert run_command(main, [str(tmp_path / "a")]) == 0
    printed = capsys.readouterr().out
    assert run_command(main, [str(tmp_path / "a"), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "table.md").read_text(encoding="utf-8") == printed and "on the report's scale" in printed
    assert (tmp_path / "out" / "table.csv").read_text(encoding="utf-8").startswith("run,recipe,seeds,sst,")


@pytest.mark.parametrize("arguments, words", [(["nowhere"], "nowhere is no folder"), ([], "required: RUN"),
                                              (["--outt", "x", "a"], "did you mean --out")])
def test_bad_input_is_one_line(capsys, arguments, words):
    assert run_command(main, arguments) == 2
    shown = capsys.readouterr().err
    assert words in shown and shown.count("\n") == 2


def test_a_run_with_changed_settings_does_not_pass_for_the_row(tmp_path):
    shipped = load_recipe("quick")
    changed = load_recipe("quick", ["stages.0.epochs=1", "seed=5"])
    assert find_changes(Run(tmp_path, {}, shipped)) == [] == find_changes(Run(tmp_path, {}, replace(shipped, name="mine")))
    assert find_changes(Run(tmp_path, {}, changed)) == ["epochs = 1"], "another seed is no other recipe, fewer epochs are"


@pytest.mark.parametrize("change", [
    lambda dev: dev["tasks"]["sst"].pop("macro_f1"),
    lambda dev: dev["tasks"]["sst"]["accuracy"].update(value="0.5"),
    lambda dev: dev["tasks"]["sst"]["accuracy"].update(value=10**400),
    lambda dev: dev["examples"].update(sst=[3]),
    lambda dev: dev.pop("overall_raw"),
])
def test_a_record_of_another_form_is_refused(change, tmp_path):
    folder = tmp_path / "record"
    make_run(folder, {"sst": ([0, 1], [[1, 0, 0, 0, 0]] * 2), "para": ([0, 1], [-1, 1]), "sts": ([0, 1], [0, 1])})
    shutil.rmtree(folder / "outputs")
    assert read_run(folder).tasks == ("sst", "para", "sts"), "a record has no outputs"
    path = folder / "results.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    change(results["dev"])
    path.write_text(json.dumps(results), encoding="utf-8")
    with pytest.raises(MinbertError, match="dev is not what a run writes"):
        read_run(folder)
