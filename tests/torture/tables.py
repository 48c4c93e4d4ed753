"""Damaged data files: every row of a file is kept, or skipped and counted, or the file is refused in one line."""

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from minbert.files import MinbertError
from multitask.tables import SPLITS, TASKS, Table, Task, read_table
from tests.torture.outcome import Outcome

CLAIM = ("a damaged table is refused by one line that names the file, or every row of it is kept as it stands, or skipped and "
         "counted in a warning")
TEXTS = ('It \'s a charming film , `` really " .', "Was für ein Film ?", 'He said "no" twice .', "中文 👩‍👩‍👧 ,", "a", "", " b ",
         "-LRB- x -RRB-", "[SEP] [MASK]", 'so bad "', "<b>|bold|</b>", "long " * 40)
LABELS = (b"nan", b"inf", b"-inf", b"1_0", "٣".encode(), b"3.0", b"3.5", b"", b" ", b"1e400", b"-0", b"+1", b"0x1", b"1e0", b".0",
          b"7", b"True", "²".encode(), b"0" * 5000, b'"1"', b"1\x00")
PIECES = (b'"', b'""', b"\t", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xc3", b"\xef\xbb\xbf", b" ", b",", b"\x1a", b"\x0b",
          b"\x0c", b"\x1b[31m", "\u2028".encode(), "\u0085".encode(), b"\xed\xa0\x80")
HEADERS = (lambda line: line.upper(), lambda line: line.replace(b"\t", b","), lambda line: b"", lambda line: line + b"\tid",
           lambda line: line.replace(b"id", b" id "), lambda line: b'"' + line + b'"', lambda line: line[1:],
           lambda line: line * 2, lambda line: line.replace(b"id", b""))
Damage = Callable[[random.Random, bytes], bytes]


def make_table(draw: random.Random, task: Task, split: str, rows: int = 6) -> bytes:
    """A file of the course's shape: an unnamed index, texts in quotes where they need them, now and then no label."""
    last = [task.label] if split != "test" else ["Unnamed: 2", "Unnamed: 3"]
    lines, labels = [["", "id", *task.texts, *last]], ["", *map(str, range(task.low, task.high + 1)), f"{task.low}.0"]
    for number in range(rows):
        texts = (text if '"' not in text[:-1] else '"{}"'.format(text.replace('"', '""')) for text in draw.choices(TEXTS, k=2))
        last = ["", ""] if split == "test" else [draw.choice(labels)]
        lines.append([str(number), f"{number:x}{draw.randrange(16**6):x}", *list(texts)[: len(task.texts)], *last])
    return "".join("\t".join(cells) + "\n" for cells in lines).encode()


def change_bytes(draw: random.Random, data: bytes) -> bytes:
    start = draw.randrange(len(data) + 1)
    end = min(len(data), start + draw.choice((0, 0, 1, 1, 2, 30)))
    flipped = bytes(byte ^ 1 << draw.randrange(8) for byte in data[start:end])
    return data[:start] + draw.choice((draw.choice(PIECES), flipped, data[start:end] * 2, b"")) + data[end:]


def open_quote(draw: random.Random, data: bytes) -> bytes:
    """A quote before a cell, which the next one that stands before a tab or line end closes."""
    start = 1 + draw.choice([place for place, byte in enumerate(data) if byte in b"\t\n"] or [-1])
    return data[:start] + b'"' + data[start:]


def change_lines(draw: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one:one + 1] = draw.choice(([], [lines[one]] * 2, [lines[other]], [b""], [lines[one] + lines[other]], [lines[one][1:]]))
    return b"\n".join(lines)


def change_cells(draw: random.Random, data: bytes) -> bytes:
    """Two columns swapped, or one taken out, doubled or given another value: in one line, or in all of them."""
    lines = [line.split(b"\t") for line in data.split(b"\n")]
    width, kind, value = max(map(len, lines)), draw.choice(("swap", "remove", "double", "label", "label")), draw.choice(LABELS)
    one, other = draw.choice((width - 1, draw.randrange(width))), draw.randrange(width)
    for cells in draw.choice((lines, [draw.choice(lines)], [draw.choice(lines)])):
        here, there = one % len(cells), other % len(cells)
        if kind == "swap":
            cells[here], cells[there] = cells[there], cells[here]
        else:
            cells[here:here + 1] = {"remove": [], "double": [cells[here]] * 2, "label": [value]}[kind]
    return b"\n".join(b"\t".join(cells) for cells in lines)


def change_header(draw: random.Random, data: bytes) -> bytes:
    header, end, rest = data.partition(b"\n")
    return draw.choice(HEADERS)(header) + end + rest


def change_file(draw: random.Random, data: bytes) -> bytes:
    """As another editor would have saved it, or a broken connection."""
    text = data.decode("utf-8", errors="replace")
    return draw.choice((b"\xef\xbb\xbf" + data, data.replace(b"\n", b"\r\n"), data.replace(b"\n", b"\r"), text.encode("utf-16"),
                        text.encode("latin-1", errors="replace"), data[:draw.randrange(len(data) + 1)], data + b"\0" * 100,
                        data + b"\n\n", data.rstrip(b"\n"), b"", data + data))


DAMAGES: tuple[Damage, ...] = (change_bytes, change_bytes, change_bytes, open_quote, change_lines, change_cells, change_cells,
                               change_header, change_file)


def read_slowly(data: bytes) -> list[list[str]] | None:
    """The file's rows, header and all but blank lines, letter by letter; None for what nobody should take for a table.

    Written apart from multitask/tab_separated.py, to say independently of it how many rows a file has.
    """
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None
    rows, cells, cell, state = [], [], "", "start"
    for letter in text + "\n" * (not text.endswith("\n")):
        if letter == "\0":
            continue
        if letter == "\r" or (state == "closed" and letter not in '"\t\n'):
            return None
        if state == "quoted" or (state == "closed" and letter == '"'):
            state, cell = ("closed", cell) if state == "quoted" and letter == '"' else ("quoted", cell + letter)
        elif letter in "\t\n":
            cells, cell, state = [*cells, cell], "", "start"
            if letter == "\n":
                rows, cells = rows + [cells] * (cells != [""]), []
        elif state == "start" and letter == '"':
            state = "quoted"
        else:
            cell, state = cell + letter, "plain"
    return None if state == "quoted" else rows


def find_fault(data: bytes, table: Table) -> str:
    """What is wrong with what was read; "" where every row is accounted for."""
    rows, task = read_slowly(data), table.task
    if not rows:
        return "taken for a table, which it is not"
    names = [name.strip() for name in rows[0]]
    if len(rows) - 1 != len(table.rows) + len(table.skipped):
        return f"{len(rows) - 1} rows, {len(table.rows)} kept, {len(table.skipped)} skipped"
    kept, places = iter(table.rows), {name: names.index(name) for name in ("id", *task.texts, task.label) if name in names}
    for cells in rows[1:]:
        label = cells[places[task.label]].strip() if task.label in places else ""
        if len(cells) != len(names) or any("\t" in cell and "\n" in cell for cell in cells):
            return f"took the row {cells}"
        if not label and table.split != "test":
            continue  # has to be among the skipped
        row, texts = next(kept, None), tuple(cells[places[name]] for name in task.texts)
        if row is None or (row.id, row.texts) != (cells[places["id"]].strip().lower(), texts):
            return f"the row {cells} became {row}"
        well = set(label) <= set("0123456789+-.eE") and (not label or task.low <= float(label) == row.label <= task.high)
        if not well:
            return f"the label {label!r} became {row.label}"
    counted = any(f": {len(table.skipped)} row" in warning and "without label skipped" in warning for warning in table.warnings)
    return "" if counted or not table.skipped else f"{len(table.skipped)} rows skipped, and the warnings are {table.warnings}"


def try_table(path: Path, data: bytes, task: Task, split: str) -> tuple[str, str]:
    """("kept", "skipped" or "refused"; what is wrong, "" for nothing)."""
    path.write_bytes(data)
    try:
        table = read_table(path, task, split)
    except MinbertError as error:
        well = error.message.isprintable() and str(path) in error.message and error.hint.isprintable() and error.hint
        return "refused", "" if well and error.exit_code == 2 else f"says {error.message!r}, hint {error.hint!r}"
    except Exception as error:
        return "refused", f"raised {type(error).__name__}: {error}"
    return "skipped" if table.skipped else "kept", find_fault(data, table)


def measure(full: bool) -> Outcome:
    """50,000 damaged tables of all tasks and splits, or 2,000: one or two damages in each."""
    tried, draw, failures, ends = 50_000 if full else 2_000, random.Random(6), [], Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(tried):
            task, split = draw.choice(list(TASKS.values())), draw.choice(SPLITS)
            data, damages = make_table(draw, task, split), draw.choices(DAMAGES, k=draw.randint(1, 2))
            for damage in damages:
                data = damage(draw, data)
            end, fault = try_table(Path(folder) / "table.csv", data, task, split)
            ends[end] += 1
            if fault:
                failures.append(f"table {number} ({task.name} {split}, {'+'.join(one.__name__ for one in damages)}): {fault}")
    details = (f"{tried:,} tables: {ends['refused']:,} refused, {ends['kept']:,} read whole, {ends['skipped']:,} read but for "
               "rows without a label, counted in a warning",)
    return Outcome(CLAIM, tried, tuple(failures), details)
