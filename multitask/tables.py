"""The four tasks and their table files: a file -> rows with ids, texts and labels.

Source: the CS224N default project's files, quirks included (an unnamed index column; two junk columns in test
files). Unlike the course's reader: no row is dropped in silence, and every error names file and line.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from minbert.files import MinbertError
from multitask.tab_separated import error_at, read_text, show, split_rows

SPLITS = ("train", "dev", "test")
# float() alone would also take "nan", "1_0" and the digits of every script
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Task:
    """What a task's files look like. A new task is a new entry in TASKS and a head in a recipe."""

    name: str
    stem: str  # file names are {stem}-train.csv, {stem}-dev.csv, {stem}-test-student.csv
    texts: tuple[str, ...]  # one column, or two for a task on pairs
    label: str  # column
    kind: str  # "classes" and "binary": whole numbers from low to high; "score": any number in between
    low: int
    high: int
    prediction: str  # column title in prediction files
    # split -> what the course's handouts say; nothing for a task that is not the course's
    handout_rows: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def is_pair(self) -> bool:
        return len(self.texts) == 2

    @property
    def classes(self) -> int:
        """How many whole numbers there are from low to high."""
        return self.high - self.low + 1

    def file_name(self, split: str) -> str:
        return f"{self.stem}-{'test-student' if split == 'test' else split}.csv"


@dataclass(frozen=True)
class Row:
    """`texts` exactly as in the file; `label` is None only in a test split; the row starts on `line`."""

    id: str
    texts: tuple[str, ...]
    label: int | float | None
    line: int


@dataclass(frozen=True)
class Table:
    """A file as read."""

    path: Path
    task: Task
    split: str
    rows: list[Row]
    skipped: list[int]  # lines of rows without a label
    warnings: list[str]  # sentences for the user


def read_table(path: Path | str, task: Task, split: str) -> Table:
    """One file's rows. Blank lines do not count; ids are stripped and lowercased, as the course's scripts do.

    In train and dev, rows without a label are skipped and named in a warning. A test split needs no label
    column and keeps every row; where it has the column, its labels are read.

    Raises MinbertError, which names file, line, value and rule.
    """
    path = Path(path)
    text, warnings = read_text(path)
    numbered_fields = split_rows(path, text)
    header_line, header = next(numbered_fields, (1, []))
    columns = find_columns(path, header_line, header, task, split)
    rows, skipped = [], []
    for line, fields in numbered_fields:
        if len(fields) != len(header):
            raise error_at(path, line, f"{len(fields)} columns, expected {len(header)}, line {line}",
                           "a text that holds a tab must stand in double quotes")
        label = parse_label(path, line, fields[columns[task.label]], task) if task.label in columns else None
        if label is None and split != "test":
            skipped.append(line)
        else:
            texts = tuple(fields[columns[name]] for name in task.texts)
            rows.append(Row(fields[columns["id"]].strip().lower(), texts, label, line))
    if not any(text.strip() for row in rows for text in row.texts):
        found = (f"{len(rows)} rows without text, {len(skipped)} rows without label" if rows or skipped
                 else "nothing but a header line")
        raise MinbertError(f"no examples in {path}: {found}", "is this the right file?")
    odd_lines = {
        "without label skipped": skipped,
        "with an empty sentence kept": [row.line for row in rows if not all(text.strip() for text in row.texts)],
        "with the id of an earlier row": check_ids(path, rows, split),
    }
    warnings += [f"{path}: {name_lines(what, lines)}" for what, lines in odd_lines.items() if lines]
    return Table(path, task, split, rows, skipped, warnings)


def overlap(train: Table, dev: Table) -> int:
    """How many rows of `dev` have the text of a row of `train`: case and outer blanks aside, a pair in either order."""
    def texts_of(row: Row) -> tuple[str, ...]:
        return tuple(sorted(text.strip().lower() for text in row.texts))

    seen = set(map(texts_of, train.rows))
    return sum(texts_of(row) in seen for row in dev.rows)


def find_columns(path: Path, line: int, header: list[str], task: Task, split: str) -> dict[str, int]:
    """Column name -> its place, for id, texts and label; the label may be absent from a test split."""
    if not header:
        raise MinbertError(f"no examples in {path}: the file is empty", "is this the right file?")
    names = [name.strip() for name in header]
    wanted = ["id", *task.texts, task.label]
    needed = wanted[:-1] if split == "test" else wanted
    if missing := [name for name in needed if name not in names]:
        found = f"found {len(names)} column{'s' * (len(names) > 1)} {show(', '.join(names))}"
        comma = ": is it comma-separated?" if len(names) == 1 and "," in names[0] else ""
        hint = f"task {task.name} needs a header line with {', '.join(needed)}, separated by tabs"
        raise error_at(path, line, f"missing columns {', '.join(missing)}; {found}{comma}", hint)
    if doubled := [name for name in wanted if names.count(name) > 1]:
        raise error_at(path, line, f"column {doubled[0]} appears twice", "rename or remove one of the two")
    return {name: names.index(name) for name in wanted if name in names}


def parse_label(path: Path, line: int, text: str, task: Task) -> int | float | None:
    """The label, None where there is none. Raises MinbertError for one that is not in the task's range."""
    text = text.strip()
    if not text:
        return None
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    whole = task.kind != "score"
    if not task.low <= value <= task.high or (whole and value != int(value)):
        rule = f"a {'whole ' * whole}number from {task.low} to {task.high}"
        hint = "correct the label, or leave it empty"
        raise error_at(path, line, f"{task.label} {show(text)} is not {rule}", hint)
    return int(value) if whole else value


def check_ids(path: Path, rows: list[Row], split: str) -> list[int]:
    """The lines of rows with an earlier row's id. In dev and test an id must name one text: predictions are keyed by it."""
    first: dict[str, Row] = {}
    for row in rows:
        earlier = first.setdefault(row.id, row)
        wrong = ""
        if not row.id or "," in row.id or "\n" in row.id:
            wrong = "is empty, or holds a comma or a line end"
        elif earlier.texts != row.texts:
            wrong = f"already stands on line {earlier.line} with another text"
        if wrong and split != "train":
            raise error_at(path, row.line, f"id {show(row.id)} {wrong}",
                           "prediction files are keyed by id: give this row another")
    return [row.line for row in rows if first[row.id] is not row]


def name_lines(what: str, lines: list[int]) -> str:
    """`2 rows without label skipped (lines 5, 9)`."""
    rows, word = ("1 row", "line") if len(lines) == 1 else (f"{len(lines):,} rows", "lines")
    more = f" and {len(lines) - 10:,} more" if len(lines) > 10 else ""
    return f"{rows} {what} ({word} {', '.join(map(str, lines[:10]))}{more})"


def prepare_as_course(text: str, task: Task) -> str:
    """Lower case, outer blanks gone; in pairs also a space before each . ? , ' and no runs of blanks."""
    text = text.lower().strip()
    return " ".join(re.sub(r"([.?,'])", r" \1", text).split()) if task.is_pair else text


PREPROCESS: dict[str, Callable[[str, Task], str]] = {"raw": lambda text, task: text, "cs224n": prepare_as_course}

TASKS = {
    "sst": Task(
        "sst", "ids-sst", ("sentence",), "sentiment", "classes", 0, 4, "Predicted_Sentiment",
        {"train": (8544,), "dev": (1101,), "test": (2210,)},
    ),
    "para": Task(
        "para", "quora", ("sentence1", "sentence2"), "is_duplicate", "binary", 0, 1, "Predicted_Is_Paraphrase",
        {"train": (141506, 283010), "dev": (20215, 40429), "test": (40431, 80859)},  # 2023, 2024
    ),
    "sts": Task(
        "sts", "sts", ("sentence1", "sentence2"), "similarity", "score", 0, 5, "Predicted_Similiary",  # the course's spelling
        {"train": (6040,), "dev": (863,), "test": (1725,)},
    ),
    "cfimdb": Task(
        "cfimdb", "ids-cfimdb", ("sentence",), "sentiment", "classes", 0, 1, "Predicted_Sentiment",
        {"train": (1701,), "dev": (245,), "test": (488,)},
    ),
}
COURSE_TASKS = ("sst", "para", "sts")  # those that the course trains together and scores
