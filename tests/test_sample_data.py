"""The sample corpora keep what they promise: size, variety, no leak from dev into training, the format."""

import csv
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from multitask.tables import TASKS, read_table
from tools.sample_data import MOST_USES, Row, cfimdb, fill_slots, sst
from tools.sample_data.__main__ import CORPORA, FOLDER, compose_files, format_table, make_id

TASK_NAMES = {"ids-sst": "sst", "ids-cfimdb": "cfimdb", "quora": "para", "sts": "sts"}
LABELS = {"ids-sst": {0, 1, 2, 3, 4}, "ids-cfimdb": {0, 1}, "quora": {0.0, 1.0}}
LARGEST_SHARE = {"ids-sst": 0.5, "ids-cfimdb": 0.6, "quora": 0.6}
FEWEST_ROWS, MOST_ROWS, FEWEST_FRAMES = 300, 800, 150

all_tasks = pytest.mark.parametrize("task", CORPORA)


@pytest.fixture(scope="module")
def splits() -> dict[str, tuple[list[Row], list[Row]]]:
    return {task: corpus.compose() for task, corpus in CORPORA.items()}


def frame_uses(rows: list[Row]) -> Iterator[int]:
    for _, _, frame in rows:
        yield from frame if isinstance(frame, tuple) else (frame,)


def plain(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The words alone; the two texts of a pair in alphabetical order, as (a, b) and (b, a) are one pair."""
    return tuple(sorted(" ".join(re.findall(r"\w+", text.lower())) for text in texts))


@all_tasks
def test_each_split_has_300_to_800_rows(splits, task):
    for rows in splits[task]:
        assert FEWEST_ROWS <= len(rows) <= MOST_ROWS, f"{len(rows)} rows: write or drop some frames"


@all_tasks
def test_a_corpus_is_made_of_many_frames_none_used_often(splits, task):
    train, dev = splits[task]
    uses = Counter(frame_uses(train + dev))
    assert len(uses) >= FEWEST_FRAMES, f"{len(uses)} frames: the corpus would repeat itself"
    assert max(uses.values()) <= MOST_USES, f"frame and uses: {uses.most_common(1)}"


@all_tasks
def test_no_frame_serves_both_training_and_dev(splits, task):
    train, dev = (set(frame_uses(rows)) for rows in splits[task])
    assert not train & dev, "dev would reward learning frames by heart"


@all_tasks
def test_no_text_comes_twice(splits, task):
    train, dev = splits[task]
    counts = Counter(plain(texts) for texts, _, _ in train + dev)
    twice = [texts for texts, count in counts.items() if count > 1]
    assert not twice, "two frames say the same, or a slot's choices change nothing"


@all_tasks
def test_ids_are_unique_and_look_like_the_courses(splits, task):
    train, dev = splits[task]
    ids = [make_id(task, texts) for texts, _, _ in train + dev]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{25}", row_id) for row_id in ids)


@all_tasks
def test_labels_are_in_range_and_no_class_prevails(splits, task):
    for rows in splits[task]:
        counts = Counter(label for _, label, _ in rows)
        if task == "sts":
            assert all(0 <= label <= 5 for label in counts)
            assert {int(label) for label in counts} >= {0, 1, 2, 3, 4, 5}, "the whole scale should be in use"
        else:
            assert set(counts) == LABELS[task]
            share = max(counts.values()) / len(rows)
            assert share < LARGEST_SHARE[task], "always giving one answer would already score well"


@all_tasks
def test_the_loader_reads_what_was_composed(splits, task):
    ours = TASKS[TASK_NAMES[task]]
    for split, rows in zip(("train", "dev"), splits[task], strict=True):
        table = read_table(FOLDER / f"{task}-{split}.csv", ours, split)
        assert not table.warnings
        assert {(row.texts, row.label) for row in table.rows} == {(texts, label) for texts, label, _ in rows}


def test_committed_files_are_what_the_frames_give():
    files = compose_files()
    assert {path.name for path in FOLDER.glob("*.csv")} == set(files), "files and corpora are not the same"
    for name, text in files.items():
        with open(FOLDER / name, encoding="utf-8", newline="") as file:
            assert file.read() == text, f"{name} is out of date: run `python -m tools.sample_data`"


def test_a_file_has_the_courses_form():
    name, text = "ids-sst", "He called it \"odd\",\nand\tit was."
    table = format_table(name, [((text,), 3, 0)])
    assert table.startswith("\tid\tsentence\tsentiment\n0\t") and table.endswith("\t3\n")
    assert list(csv.reader(table.splitlines(keepends=True), delimiter="\t"))[1][2] == text
    pair = format_table("quora", [(("a", "b"), 1, 0)])
    assert pair.endswith("\ta\tb\t1.0\n"), "the course writes 1.0, not 1"


def test_slots_are_filled_together():
    texts = fill_slots("A {dull|merry} tale of {spies|monks}.")
    assert texts == ["A dull tale of spies.", "A merry tale of monks."], "choices of two rows were mixed"
    assert fill_slots("No slots.") == ["No slots."]
    for wrong in ("{a|b} and {c|d|e}", "{a|b|c|d}"):
        with pytest.raises(ValueError, match="slots"):
            fill_slots(wrong)


def test_no_frame_is_written_twice():
    for task in (sst, cfimdb):
        assert len(set(task.FRAMES)) == len(task.FRAMES), "a frame with two numbers escapes the count"


def test_a_sentence_has_4_to_35_words_and_a_review_3_to_6_sentences(splits):
    for rows in splits["ids-sst"]:
        assert all(4 <= len(text.split()) <= 35 for (text,), _, _ in rows)
    for rows in splits["ids-cfimdb"]:
        for (text,), _, _ in rows:
            sentences = re.split(r'(?<=[.!?])"? +(?=["A-Z])', re.sub(r"\bMr?s?\. ", "", text))
            assert 3 <= len(sentences) <= 6, text
