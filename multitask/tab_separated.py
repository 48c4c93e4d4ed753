"""Tab-separated files -> rows of fields, with an error that names file and line for whatever is wrong.

Source: the dialect of the course's files: tabs, quotes doubled, UTF-8 with or without a byte order mark. Unlike
Python's `csv` alone, no row is ever taken into the text of an open quote.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from minbert.console import show_plainly
from minbert.files import MinbertError, error_from_os

LONGEST_FIELD = 1_000_000  # characters
OPEN_QUOTE = ("unterminated quote opened here",
              "close it; a quote that belongs to the text is doubled, the text then quoted")
ON_ONE_LINE = {  # words of csv's message, where the row is one line -> what is wrong, the way out
    "field limit": (f"a text of more than {LONGEST_FIELD:,} characters", "cut it"),
    "expected after": ("text follows a closing quote", "double each quote inside a quoted text"),
}
NOT_A_TABLE = {  # how the file starts, in lower case -> what it is, the way out
    (b"\x1f\x8b",): ("is compressed with gzip", "unpack it with gunzip"),
    (b"pk\x03\x04",): ("is a zip archive or a workbook", "unpack it, or save it as tab-separated UTF-8 text"),
    (b"version https://git-lfs",): ("is a git-lfs pointer, not the data", "fetch the data with `git lfs pull`"),
    (b"\xff\xfe", b"\xfe\xff"): ("looks like UTF-16", "save it as UTF-8"),
    (b"<!doctype", b"<html"): ("is a web page (HTML)", "download the raw file instead"),
}


def error_at(path: Path, line: int, message: str, hint: str) -> MinbertError:
    return MinbertError(f"{show_plainly(str(path))}:{line}: {message}", hint)


def show(text: str) -> str:
    """`text` in quotes, control characters escaped, cut to 40 characters."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise error_from_os(error, show_plainly(str(path)), "read") from error


def read_text(path: Path) -> tuple[str, list[str]]:
    """The file's text, line ends as \\n, without byte order mark and U+0000; warnings.

    Raises MinbertError where there is no such file, or it cannot be read, or is not UTF-8 text.
    """
    return decode(path, read_bytes(path))


def decode(path: Path, data: bytes) -> tuple[str, list[str]]:
    """As `read_text`, of bytes that were read already; `path` is for the messages."""
    start = data.removeprefix(b"\xef\xbb\xbf")[:1000]
    for first_bytes, (what, way_out) in NOT_A_TABLE.items():
        if start.lstrip().lower().startswith(first_bytes):
            raise MinbertError(f"{path} {what}", way_out)
    if start.count(0) > len(start) // 3:  # without a byte order mark, every second byte is 0
        raise MinbertError(f"{path} looks like UTF-16", "save it as UTF-8")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        what = f"byte {data[error.start]:#04x} at offset {error.start} is not UTF-8"
        raise error_at(path, data.count(b"\n", 0, error.start) + 1, what, "save the file as UTF-8") from error
    lines_before, carriage_return, _ = text.partition("\r")
    if carriage_return:
        raise error_at(path, lines_before.count("\n") + 1, "carriage return without a line feed",
                       "remove it, or save the file with line ends LF or CRLF")
    zeros = text.count("\0")
    return text.replace("\0", ""), [f"{path}: {zeros} times U+0000 removed"] if zeros else []


def split_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """(line where it starts, fields) of every row that is not a blank line; `path` is for the messages.

    A quoted field may hold tabs or line ends, but not both: then its quote was left open and swallowed a row.

    Raises MinbertError for an open quote, for text behind a closing one, and for a field that is too long.
    """
    csv.field_size_limit(LONGEST_FIELD)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    fields = []
    while fields is not None:
        line = rows.line_num + 1
        try:
            fields = next(rows, None)
        except csv.Error as error:
            problem = next((told for words, told in ON_ONE_LINE.items() if words in str(error)), OPEN_QUOTE)
            raise error_at(path, line, *(problem if rows.line_num == line else OPEN_QUOTE)) from error
        if any("\n" in field and "\t" in field for field in fields or ()):
            raise error_at(path, line, *OPEN_QUOTE)
        if fields and fields != [""]:
            yield line, fields
