"""Damaged tables, recipes and run folders (tests/torture/ has the claims), and that the measurements would see a bad reader."""

import csv
import io
import random

import pytest

from multitask import run_folder
from multitask.tables import TASKS, Row, Table
from multitask.tables import read_table as read_well
from tests.torture import run_folders, tables


def test_every_row_of_a_damaged_table_is_accounted_for_or_the_table_refused():
    found = tables.measure(full=False)
    assert found.holds, "\n".join(found.failures[:5])


def test_damaged_run_folders_and_recipes_are_refused_or_say_what_was_measured():
    found = run_folders.measure(full=False)
    assert found.holds, "\n".join(found.failures[:5])


@pytest.mark.parametrize("text, rows", [
    ("a\tb\nc\td\n", [["a", "b"], ["c", "d"]]),
    ("a\tb\r\n\r\n\nc\td", [["a", "b"], ["c", "d"]]),
    ('a\t"b ""c"" \n d"\ne\t', [["a", 'b "c" \n d'], ["e", ""]]),
    ('a "b\tc"', [['a "b', 'c"']]), ('"a', None), ('"a"b\n', None), ("a\rb\n", None), ("", []), ('"""a"\t""', [['"a', ""]]),
])
def test_the_slow_reader_reads_what_stands_there(text, rows):
    assert tables.read_slowly(text.encode()) == rows
    assert tables.read_slowly(b"\xef\xbb\xbf" + text.encode()) == rows and tables.read_slowly(b"\xff" + text.encode()) is None


def read_with_csv_alone(path, task, split) -> Table:
    """As students' readers do: a quote left open swallows rows, rows without label go unseen, float() reads the labels."""
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig", errors="replace")), delimiter="\t"))
    kept = [Row(row["id"].strip().lower(), tuple(row[name] for name in task.texts), float(row[task.label]), 0) for row in rows
            if all(row.get(name) for name in ("id", *task.texts, task.label))]
    return Table(path, task, split, kept, [], [])


def drop_the_last(path, task, split) -> Table:
    table = read_well(path, task, split)
    return Table(path, task, split, table.rows[:-1], table.skipped, table.warnings)


def skip_in_silence(path, task, split) -> Table:
    table = read_well(path, task, split)
    return Table(path, task, split, table.rows, table.skipped, [])


@pytest.mark.parametrize("reader", [read_with_csv_alone, drop_the_last, skip_in_silence])
def test_a_reader_that_loses_rows_is_found_out(reader, monkeypatch):
    monkeypatch.setattr(tables, "read_table", reader)
    assert len(tables.measure(full=False).failures) > 100


def test_tables_that_are_not_damaged_are_read(tmp_path):
    for task in TASKS.values():
        for split in ("train", "dev", "test"):
            data = tables.make_table(random.Random(0), task, split)
            end, fault = tables.try_table(tmp_path / "t.csv", data, task, split)
            assert end in ("kept", "skipped") and not fault, fault


@pytest.mark.slow
def test_scores_that_are_taken_on_trust_are_found_out(monkeypatch):
    monkeypatch.setattr(run_folder, "find_differences", lambda *_: [])
    assert any("other scores" in failure for failure in run_folders.measure(full=False).failures)
