"""Writes train and dev files of the four sample corpora to multitask/sample_data, in the course's format.

    python -m tools.sample_data

The outcome depends on the frames alone: ids are hashes of the texts, rows stand in the order of their ids.
"""

import csv
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minbert.files import write_text
from tools.sample_data import Row, cfimdb, quora, sst, sts

FOLDER = Path(__file__).parents[2] / "multitask" / "sample_data"
ID_LENGTH = 25


@dataclass(frozen=True)
class Corpus:
    """Where a task's rows come from; the columns after the id; the type its labels are written as."""

    compose: Callable[[], tuple[list[Row], list[Row]]]
    columns: tuple[str, ...]
    number: type[int] | type[float]


def make_id(task: str, texts: tuple[str, ...]) -> str:
    """25 hexadecimal digits, as in the course's files; the same texts give the same id."""
    return hashlib.sha256("\n".join((task, *texts)).encode("utf-8")).hexdigest()[:ID_LENGTH]


def format_table(task: str, rows: list[Row]) -> str:
    """The file's text: tab-separated, a header, an unnamed running index, the id, the texts and the label."""
    corpus = CORPORA[task]
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerow(["", "id", *corpus.columns])
    ordered = sorted((make_id(task, texts), texts, label) for texts, label, _ in rows)
    for index, (row_id, texts, label) in enumerate(ordered):
        writer.writerow([index, row_id, *texts, corpus.number(label)])
    return buffer.getvalue()


def compose_files() -> dict[str, str]:
    """File name -> its text, for both splits of every task."""
    return {
        f"{task}-{split}.csv": format_table(task, rows)
        for task, corpus in CORPORA.items()
        for split, rows in zip(("train", "dev"), corpus.compose(), strict=True)
    }


CORPORA = {
    "ids-sst": Corpus(sst.compose, ("sentence", "sentiment"), int),
    "ids-cfimdb": Corpus(cfimdb.compose, ("sentence", "sentiment"), int),
    "quora": Corpus(quora.compose, ("sentence1", "sentence2", "is_duplicate"), float),
    "sts": Corpus(sts.compose, ("sentence1", "sentence2", "similarity"), float),
}

if __name__ == "__main__":
    for name, text in compose_files().items():
        write_text(FOLDER / name, text)
        print(f"{FOLDER / name}: {text.count(chr(10)) - 1} rows")
