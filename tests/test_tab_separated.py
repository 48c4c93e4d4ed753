"""Tab-separated files: what is wrong with one is said with file and line, and no row is ever swallowed."""

from pathlib import Path

import pytest

from minbert.files import MinbertError
from multitask.tab_separated import LONGEST_FIELD, read_text, show, split_rows


def rows_of(text: str) -> list[tuple[int, list[str]]]:
    return list(split_rows(Path("x.csv"), text))


def error_of(text: str) -> str:
    with pytest.raises(MinbertError) as caught:
        rows_of(text)
    assert caught.value.hint, "every error names a way out"
    return caught.value.message


def text_error(path: Path, content: bytes | None = None) -> MinbertError:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MinbertError) as caught:
        read_text(path)
    assert str(path) in caught.value.message and caught.value.hint
    return caught.value


def test_tabs_part_fields_and_doubled_quotes_are_quotes():
    assert rows_of('a\t"say ""hi"""\t\n\t""""\t"x\ty"\n') == [(1, ["a", 'say "hi"', ""]), (2, ["", '"', "x\ty"])]


def test_a_quote_inside_an_unquoted_text_is_an_ordinary_character():
    assert rows_of('6" tall\the said "hi"\n') == [(1, ['6" tall', 'he said "hi"'])]


def test_the_last_line_may_lack_its_line_end_and_blank_lines_do_not_count():
    assert rows_of("a\tb\n\n\nc\t") == [(1, ["a", "b"]), (4, ["c", ""])]


def test_a_quoted_text_may_run_over_a_line_end_and_later_lines_keep_their_numbers():
    assert rows_of('a\t"one\ntwo"\t3\nb\tc\td\n') == [(1, ["a", "one\ntwo", "3"]), (3, ["b", "c", "d"])]


@pytest.mark.parametrize("text", [
    'h\ti\n1\tb\n2\t"open\n3\tb\n',  # no quote follows: csv takes the rest of the file
    'h\ti\n1\tb\n2\t"open\n3\t"fine"\n',  # the next row's quote seems to close it
    'h\ti\n1\tb\n2\t"open\n3\tshut"\n4\tb\n',  # csv makes one row of two, without a word
    'h\ti\n1\tb\n2\t"open\n3\t""doubled""\n4\t"x"\n',
    'h\ti\n1\tb\n2\t"',
])
def test_an_open_quote_names_the_line_where_it_was_opened_and_swallows_no_row(text):
    assert error_of(text) == "x.csv:3: unterminated quote opened here"


def test_text_after_a_closing_quote_is_an_error_on_its_own_line():
    assert error_of('a\tb\nc\t"good" movie\n') == "x.csv:2: text follows a closing quote"


def test_a_text_beyond_the_csv_modules_own_limit_is_read():
    long = "x" * 131_073
    assert rows_of(f'{long}\t"{long}"\n') == [(1, [long, long])]


def test_a_text_of_more_than_a_million_characters_is_an_error():
    assert error_of("a\n" + "x" * (LONGEST_FIELD + 1)) == "x.csv:2: a text of more than 1,000,000 characters"


def test_a_quote_left_open_over_more_than_a_million_characters_is_still_called_that():
    assert error_of('a\n"open\n' + "b\tc\n" * 300_000) == "x.csv:2: unterminated quote opened here"


def test_crlf_and_a_byte_order_mark_change_nothing(tmp_path):
    plain, dressed = tmp_path / "plain", tmp_path / "dressed"
    plain.write_bytes("id\té\n1\tx\n".encode())
    dressed.write_bytes(b"\xef\xbb\xbf" + "id\té\r\n1\tx\r\n".encode())
    assert read_text(dressed) == read_text(plain) == ("id\té\n1\tx\n", [])


def test_a_lone_carriage_return_is_an_error_with_its_line(tmp_path):
    assert ":3: carriage return" in text_error(tmp_path / "t", b"a\r\nb\nc\rd\n").message


@pytest.mark.parametrize("content, what", [
    ("id\tsentence\n".encode("utf-16"), "looks like UTF-16"),
    ("id\tsentence\n".encode("utf-16-be"), "looks like UTF-16"),
    ("id\tsentence\n".encode("utf-16-le"), "looks like UTF-16"),
    (b"\x1f\x8b\x08\x00rest", "gzip"),
    (b"PK\x03\x04rest", "zip"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git-lfs pointer"),
    (b"\n <!DOCTYPE html><title>404</title>", "web page"),
    (b"<HTML><body>", "web page"),
])
def test_a_file_that_is_no_table_is_called_by_its_name(tmp_path, content, what):
    assert what in text_error(tmp_path / "t", content).message


def test_bytes_that_are_not_utf8_are_named_with_offset_and_line(tmp_path):
    error = text_error(tmp_path / "t", b"\xef\xbb\xbfid\nna\xefve\n")
    assert ":2: byte 0xef at offset 8 is not UTF-8" in error.message and "UTF-8" in error.hint


def test_u0000_is_removed_and_reported(tmp_path):
    (tmp_path / "t").write_bytes(b"a\0b\tc\0\n" + b"long enough not to look like UTF-16\n")
    text, warnings = read_text(tmp_path / "t")
    assert text.startswith("ab\tc\n") and warnings == [f"{tmp_path / 't'}: 2 times U+0000 removed"]


def test_a_missing_file_a_directory_and_an_unreadable_file_have_each_their_sentence(tmp_path, monkeypatch):
    assert "No such file" in text_error(tmp_path / "none").message
    assert "Is a directory" in text_error(tmp_path).message
    for raised in (PermissionError(13, "Permission denied"), OSError(5, "I/O error")):
        monkeypatch.setattr(Path, "read_bytes", lambda path, raised=raised: (_ for _ in ()).throw(raised))
        assert raised.strerror in text_error(tmp_path / "t").message


def test_show_keeps_messages_short_and_on_one_line():
    assert show("a\nb") == "'a\\nb'" and len(show("x" * 1000)) == 42
