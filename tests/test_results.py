"""Results as text: honest columns, and text from outside that cannot break a table."""

import math

from small_run import recipe

from multitask.evaluate import Score
from multitask.model_card import model_card
from multitask.results import escape, guesses, result_rows, result_table, summary_text

NOTHING = Score(math.nan, math.nan, math.nan)


def results(*names: str) -> dict:
    scores = {"sst": {"accuracy": Score(0.5, 0.47, 0.53), "macro_f1": Score(0.4, math.nan, math.nan)},
              "para": {"accuracy": Score(0.9, 0.89, 0.91)}, "sts": {"pearson": NOTHING}}
    split = {"tasks": {name: scores[name] for name in names}, "examples": dict.fromkeys(names, 10),
             "majority": {"sst": 0.262, "para": 0.627, "sts": None},
             "overall_raw": NOTHING, "overall_normalised": NOTHING, "minimum": NOTHING}
    return {"dev": split, "facts": {"model": "a|b<script>", "data_sha256": {"x": "y"}}, "best_stage": 1, "best_epoch": 2,
            "select_by": "sst", "seed": 3, "seconds": 4.0, "hardware": {"hardware": "a machine"}}


def test_text_from_outside_cannot_break_a_table_or_become_html():
    assert escape("a|b `c` <script>&\nd") == "a\\|b \\`c\\` &lt;script&gt;&amp; d"
    assert "<script>" not in summary_text(recipe(), results("sst"))
    assert "<script>" not in model_card(recipe(), {"model": "<script>"}, "a test")


def test_a_score_stands_with_its_interval_and_the_commonest_label():
    assert result_rows(results("sst"), "dev") == [
        ("sst", "accuracy", "0.500", "0.470 to 0.530", "10", "the commonest label gets 0.262"),
        ("", "macro_f1", "0.400", "", "", ""),
    ], "without the course's three tasks there is no overall score to show"


def test_an_undefined_score_is_called_so_and_the_overall_is_the_courses():
    table = result_table(results("sst", "para", "sts"), "dev")
    assert "undefined" in table and "overall_normalised" in table and "nan" not in table.replace("name", "")
    assert all("|" not in line for line in table.splitlines())


def test_the_report_names_what_ran_and_leaves_hashes_to_the_environment():
    text = summary_text(recipe(), results("sst"))
    assert "epoch 2" in text and "chosen by sst on dev" in text and "data_sha256" not in text


def test_a_score_whose_interval_reaches_the_constant_answers_is_a_guess():
    some = results("sst", "para", "sts")
    assert guesses(some) == ["sts"], "an undefined correlation is no better than a constant answer"
    some["dev"]["majority"]["sst"] = 0.48  # inside .47 to .53
    assert guesses(some) == ["sst", "sts"]


def test_only_scores_are_taken_for_scores():
    odd = results("sst") | {"facts": {"model": "x", "data_sha256": {"value": "x", "low": None, "high": None}}}
    assert "- model: x" in summary_text(recipe(), odd)
