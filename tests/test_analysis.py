"""The numbers of a report, against numbers counted by hand."""

import csv
import math

import numpy as np
import pytest
from saved_run import logits, make_run

from minbert.files import MinbertError
from multitask.analysis import (
    Answered,
    analyse,
    collect,
    confusion_counts,
    count_labels,
    count_words,
    find_extremes,
    find_groups,
    group_errors,
    score_curves,
    value_in,
    word_overlap,
    write_tables,
)
from multitask.outputs import write_texts
from multitask.run_folder import read_run
from multitask.tables import TASKS

SST, PARA, STS = (TASKS[name] for name in ("sst", "para", "sts"))


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def answered(task, labels, predictions, certainty=None, texts=None) -> Answered:
    ids = [f"{task.name}{number}" for number in range(len(labels))]
    return Answered(task, ids, array(*labels), array(*predictions), array(*(certainty or [math.nan] * len(labels))), texts)


def test_a_confusion_has_labels_in_rows_and_every_example_once():
    counts_CC = confusion_counts(SST, array(0, 0, 4, 4, 1), array(1, 1, 4, 0, 1))
    assert counts_CC[0, 1] == 2 and counts_CC[1, 0] == 0, "rows are true labels, columns answers: were they exchanged?"
    assert counts_CC.sum() == 5 and counts_CC.shape == (5, 5) and not counts_CC[2].any()


def test_scores_count_to_the_nearest_label_and_at_the_ends_beyond_them():
    assert count_labels(STS, array(-3, 0.4, 0.5, 2.5, 7)).tolist() == [2, 1, 0, 1, 0, 1], "halves go up, as everywhere here"


def test_words_and_overlap_of_pairs():
    texts = [("A cat sat.", "the cat sat!"), ("don't", "do"), ("", "!"), ("a b", "c d e")]
    assert count_words(texts).tolist() == [6, 2, 0, 5], "a pair's words are those of both texts; signs are no words"
    assert word_overlap(texts).tolist() == [0.5, 0, 1, 0], "shared words over all different words, capitals aside"


def test_groups_have_the_errors_of_their_own_examples():
    groups = group_errors(SST, array(0, 1, -2, 0, 0), array(1, 5, 6, 7, 30), "words", (0, 6, 11, 21, math.inf))
    assert [(one.start, one.end, one.count, one.error) for one in groups] == \
        [(0, 6, 2, 0.5), (6, 11, 2, 0.5), (21, math.inf, 1, 0)], "a wrong class is one error, however far; no group is empty"
    assert all(0 <= one.low <= one.error <= one.high <= 1 for one in groups), "Wilson's interval stays within 0 and 1"


def test_a_score_tasks_groups_have_the_mean_distance():
    [first, second] = group_errors(STS, array(1, -3, 2), array(0, 0.1, 0.5), "overlap", (0, 0.2, math.inf))
    assert first.error == 2 and second.error == 2, "|error|, or errors up and down would cancel"
    assert math.isclose(first.high - first.error, 1.959964 * math.sqrt(2) / math.sqrt(2), rel_tol=1e-5)
    assert math.isnan(second.low), "one example has no interval"


def test_hits_are_the_surest_right_answers_and_errors_the_farthest_wrong_ones():
    one = answered(SST, [0, 1, 4, 4, 2], [0, 1, 0, 3, 2], [0.6, 0.9, 0.01, 0.2, 0.7])
    assert find_extremes(one, 2) == ([1, 4], [2, 3])
    assert find_extremes(one, 9) == ([1, 4, 0], [2, 3]), "a right answer is no error, and a wrong one no hit"


def test_of_equally_wrong_answers_the_surest_one_is_the_worst():
    one = answered(PARA, [1, 1, 0], [0, 0, 1], [0.4, 0.001, 0.3])
    assert find_extremes(one) == ([], [1, 2, 0]), "the less probability the true label got, the worse"


def test_a_score_tasks_extremes_go_by_distance():
    one = answered(STS, [1, 2, 3], [1.5, 2.0, 0.0])
    assert find_extremes(one, 1) == ([1], [2]) and find_extremes(one, 5) == ([1, 0, 2], [2, 0])


def record(stage: int, epoch: int, **entries) -> dict:
    return {"stage": stage, "epoch": epoch, "train_loss": {}, "penalties": {}} | entries


def score(value) -> dict:
    return {"value": value, "low": None, "high": None}


def test_curves_have_a_gap_where_an_epoch_has_no_value():
    epochs = [record(1, 1, train_loss={"masked_lm": 5.0}),
              record(2, 1, train_loss={"sst": 1.0}, dev={"sst": {"accuracy": score(None), "macro_f1": score(0.1)}},
                     train={"sst": {"accuracy": score(0.9)}}),
              record(2, 2, train_loss={"sst": 0.5}, dev={"sst": {"accuracy": score(0.5)}}, train={})]
    losses, curves = collect(epochs, "train_loss"), score_curves(epochs)
    assert losses["sst"][1:] == [1.0, 0.5] and math.isnan(losses["sst"][0]) and losses["masked_lm"][0] == 5.0
    assert list(curves) == ["sst, accuracy"], "one task has no overall score"
    assert curves["sst, accuracy"]["dev"][2] == 0.5 and math.isnan(curves["sst, accuracy"]["dev"][1]), "null is nan, not 0"
    assert curves["sst, accuracy"]["train"][1] == 0.9 and math.isnan(curves["sst, accuracy"]["train"][2])
    assert score_curves(epochs[:1]) == {} and score_curves([]) == {} and score_curves([record(1, 1, dev={"sst": {}})]) == {}


@pytest.fixture
def folder(tmp_path):
    make_run(tmp_path, {"sst": ([0, 4, 2], logits([0, 4, 3])), "sts": ([1.0, 2.0, 5.0], [1.0, 3.0, 4.0])})
    write_texts(tmp_path / "texts" / "sst-dev.csv", ["sst0", "sst1", "sst2"], [("a film",), ("so, so \"good\"\n",), ("",)])
    write_texts(tmp_path / "texts" / "sts-dev.csv", ["sts0", "sts1", "sts2"], [("a b", "a c"), ("x", "x"), ("y", "z")])
    return tmp_path


def read(path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_numbers_are_written_as_csv(folder):
    write_tables(folder / "analysis", analyse(read_run(folder)))
    names = sorted(path.name for path in (folder / "analysis").iterdir())
    assert names == ["epochs.csv", "sst-answers.csv", "sst-confusion.csv", "sst-distribution.csv", "sst-groups.csv",
                     "sts-answers.csv", "sts-distribution.csv", "sts-groups.csv"]
    assert read(folder / "analysis" / "sts-answers.csv")[2] == ["sts1", "2.0", "3.0", "1.0", "2", "1.0"]
    assert ["2", "3", "1", "1.0"] in read(folder / "analysis" / "sst-confusion.csv")
    assert read(folder / "analysis" / "sst-groups.csv")[1][:5] == ["words", "0", "6", "3", repr(1 / 3)]


def test_texts_come_back_as_they_were(folder):
    found = analyse(read_run(folder))
    assert found.answered["sst"].texts[1] == ("so, so \"good\"\n",) and find_groups(found.answered["sst"])[0].error > 0
    assert found.answered["sst"].certainty_N[0] > 0.5 > found.answered["sst"].certainty_N[2], "the TRUE label's probability"


def test_a_text_as_long_as_a_data_file_may_hold_comes_back(folder):
    limit = csv.field_size_limit(131072)  # Python's own, which a fresh process has
    try:
        write_texts(folder / "texts" / "sst-dev.csv", ["sst0", "sst1", "sst2"], [("x" * 200_000,), ("b",), ("c",)])
        assert len(analyse(read_run(folder)).answered["sst"].texts[0][0]) == 200_000
    finally:
        csv.field_size_limit(limit)


@pytest.mark.parametrize("label", ["9", "-1", "1.5", ""])
def test_a_label_that_the_task_does_not_have_is_named(folder, label):
    path = folder / "outputs" / "sst-dev.csv"
    path.write_text(path.read_text().replace("sst1,4,", f"sst1,{label},"))
    with pytest.raises(MinbertError, match=r"sst-dev.csv: 'sst1' has label \S+, which is none of sst's"):
        analyse(read_run(folder))


def test_an_older_folder_without_texts_says_so(folder):
    for path in (folder / "texts").iterdir():
        path.unlink()
    found = analyse(read_run(folder))
    assert found.answered["sst"].texts is None and any("texts/" in note for note in found.notes)


@pytest.mark.parametrize("text, message", [
    ("id,text_0\nsst0,a\n", "its ids are not those of the outputs"),
    ("id,label\nsst0,a\nsst1,b\nsst2,c\n", "is no table of id,text_0"),
    ("id,text_0,text_1\nsst0,a,b\nsst1,b,c\nsst2,c,d\n", "is no table of id,text_0"),
    ("id,text_0\nsst0,a,b\nsst1,b\nsst2,c\n", "is no table of id,text_0"),
    ('id,text_0\n"sst0,a\n', "sst-dev.csv:2: "),
    ("", "is no table of id,text_0"),
])
def test_damaged_texts_are_named(folder, text, message):
    (folder / "texts" / "sst-dev.csv").write_text(text)
    with pytest.raises(MinbertError, match=message):
        analyse(read_run(folder))


@pytest.mark.parametrize("value", [None, "0.5", [], 10**400, float("inf"), {"value": 10**400}, {"value": None}, {}])
def test_what_is_no_number_leaves_a_gap_in_a_curve(value):
    assert math.isnan(value_in({"sst": value}, "sst"))
