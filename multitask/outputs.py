"""A model's raw outputs on disk, one row for every example, exactly as they were computed; and the texts they answer.

Prediction files keep the answer alone; ensembles and tables need the numbers behind it, reports the sentences.
"""

# N examples, C columns of the output

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minbert.files import MinbertError, write_text
from multitask.tab_separated import LONGEST_FIELD, error_at, read_text, show
from multitask.tables import NUMBER

HINT = "outputs/ and texts/ of a run folder hold such files; run again to make this one anew"


@dataclass(frozen=True)
class Outputs:
    """What a file holds, in its order; an id may repeat. `labels` has None where the example had no label."""

    ids: list[str]
    labels: list[float | None]
    outputs: np.ndarray  # float64, of shape (N,) for one column, else (N, C)


def write_outputs(path: Path, ids: Sequence[str], labels: Sequence[float | None], outputs: np.ndarray) -> None:
    """`id,label,output_0[,output_1...]` and a row for each example, with all the digits that the numbers have."""
    rows_NC = outputs.reshape(len(ids), -1).tolist()
    rows = [[id, "" if label is None else label, *row] for id, label, row in zip(ids, labels, rows_NC, strict=True)]
    write_rows(path, ["id", "label", *(f"output_{column}" for column in range(len(rows_NC[0])))], rows)


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file; a number keeps all its digits, nan is left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in row] for row in rows])
    write_text(path, text.getvalue())


def write_texts(path: Path, ids: Sequence[str], texts: Sequence[tuple[str, ...]]) -> None:
    """`id,text_0[,text_1]` and a row for each example, in the order of its outputs."""
    write_rows(path, ["id", *(f"text_{side}" for side in range(len(texts[0])))],
               [[id, *sides] for id, sides in zip(ids, texts, strict=True)])


def read_texts(path: Path, ids: Sequence[str], sides: int) -> list[tuple[str, ...]]:
    """What `write_texts` wrote, so many texts a row. Raises MinbertError where the file is broken, or its rows are not those
    of `ids`."""
    csv.field_size_limit(LONGEST_FIELD)  # what a data file may hold, a run's texts may
    expected = ["id", *(f"text_{side}" for side in range(sides))]
    reader = csv.reader(io.StringIO(read_text(path)[0], newline=""), strict=True)
    try:
        header, *rows = list(reader) or [[]]
    except csv.Error as error:
        raise error_at(path, reader.line_num, str(error), HINT) from error
    if header != expected or any(len(row) != len(header) for row in rows):
        raise MinbertError(f"{path}: is no table of {','.join(expected)}", HINT)
    if [row[0] for row in rows] != list(ids):
        raise MinbertError(f"{path}: its ids are not those of the outputs", "the folder mixes two runs")
    return [tuple(row[1:]) for row in rows]


def read_outputs(path: Path) -> Outputs:
    """What `write_outputs` wrote, number for number.

    Raises MinbertError, which names file and line, where the file is no such table.
    """
    reader = csv.reader(io.StringIO(read_text(path)[0], newline=""), strict=True)
    ids, labels, outputs = [], [], []
    try:
        columns = check_header(path, next(reader, []))
        for fields in reader:
            if len(fields) != columns + 2:
                raise error_at(path, reader.line_num, f"{len(fields)} columns, expected {columns + 2}", HINT)
            ids.append(fields[0])
            labels.append(parse_number(path, reader.line_num, fields[1]) if fields[1] else None)
            outputs.append([parse_number(path, reader.line_num, field) for field in fields[2:]])
    except csv.Error as error:
        raise error_at(path, reader.line_num, str(error), HINT) from error
    if not ids:
        raise MinbertError(f"{path}: no examples: nothing but a header line", HINT)
    outputs_NC = np.array(outputs)
    return Outputs(ids, labels, outputs_NC[:, 0] if columns == 1 else outputs_NC)


def check_header(path: Path, fields: list[str]) -> int:
    """How many columns of output there are."""
    columns = len(fields) - 2
    if columns < 1 or fields != ["id", "label", *(f"output_{column}" for column in range(columns))]:
        raise error_at(path, 1, f"the header is {show(','.join(fields))}, expected id,label,output_0,...", HINT)
    return columns


def parse_number(path: Path, line: int, text: str) -> float:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise error_at(path, line, f"{show(text)} is not a number", HINT)
    return value
