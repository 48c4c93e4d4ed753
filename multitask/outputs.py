"""A model's raw outputs on disk: one row for every example, exactly as they were computed.

Prediction files keep the answer alone; ensembles and tables need the numbers behind it.
"""

# N examples, C columns of the output

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minbert.files import MinbertError, write_text
from multitask.tab_separated import error_at, read_text, show
from multitask.tables import NUMBER

HINT = "outputs/ of a run folder holds such files; run again to make this one anew"


@dataclass(frozen=True)
class Outputs:
    """What a file holds, in its order; an id may repeat. `labels` has None where the example had no label."""

    ids: list[str]
    labels: list[float | None]
    outputs: np.ndarray  # float64, of shape (N,) for one column, else (N, C)


def write_outputs(path: Path, ids: Sequence[str], labels: Sequence[float | None], outputs: np.ndarray) -> None:
    """`id,label,output_0[,output_1...]` and a row for each example, with all the digits that the numbers have."""
    rows_NC = outputs.reshape(len(ids), -1).tolist()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "label", *(f"output_{column}" for column in range(len(rows_NC[0])))])
    for id, label, row in zip(ids, labels, rows_NC, strict=True):
        writer.writerow([id, "" if label is None else label, *row])
    write_text(path, text.getvalue())


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
