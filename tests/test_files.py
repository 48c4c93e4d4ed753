"""The error type, the atomic writer and the manifests."""

import os
import pickle
import shutil
import stat
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

import pytest

from minbert.files import (
    MinbertError,
    atomic_folder,
    atomic_path,
    check_space,
    sha256,
    verify_manifest,
    write_manifest,
    write_text,
)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def small_files_only():
    """As on a full disk: inside, no file may grow beyond 1,000 bytes. Not a fixture: pytest's own log is a file, too."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_error_prints_as_its_message_and_survives_pickling():
    error = MinbertError("t.toml: key 'x' is unknown", "did you mean 'y'?", exit_code=5)
    assert str(error) == "t.toml: key 'x' is unknown"
    copy = pickle.loads(pickle.dumps(error))  # worker processes send their errors pickled
    assert (copy.message, copy.hint, copy.exit_code) == (error.message, error.hint, 5)
    assert MinbertError("x").exit_code == 2


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "results.json"
    write_text(path, "old")
    with atomic_path(path) as temporary:
        temporary.write_text("new, not finished")
        assert path.read_text() == "old", "the target changed before the block ended"
        assert temporary.parent == tmp_path, "a rename is atomic within one folder only"
    assert path.read_text() == "new, not finished"
    with open(path, encoding="utf-8") as reader:
        write_text(path, "newer")
        assert reader.read() == "new, not finished", "written into the old file: a reader can see half of the new one"
    assert names_in(tmp_path) == ["results.json"]


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt, MinbertError])
def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path, raised):
    path = tmp_path / "results.json"
    write_text(path, "old")
    with pytest.raises(raised), atomic_path(path) as temporary:
        temporary.write_text("half of the new")
        raise raised("stop")
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["results.json"], "a temporary file was left behind"


def test_parents_are_made_and_line_ends_and_letters_stay(tmp_path):
    path = tmp_path / "a" / "b" / "text.csv"
    write_text(path, "é\r\n\n")
    assert path.read_bytes() == "é\r\n\n".encode()


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    write_text(tmp_path / "drive" / "file", "old")
    (tmp_path / "link").symlink_to(tmp_path / "drive" / "file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "drive" / "file").read_text() == "new"


def test_a_directory_is_not_written_over(tmp_path):
    with pytest.raises(MinbertError, match="is a directory"):
        write_text(tmp_path, "text")


def test_a_pipe_or_a_device_is_never_renamed_away(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # stands for /dev/null, which a mistake here would delete for the whole machine
    with pytest.raises(MinbertError, match="not a regular file"):
        write_text(tmp_path / "pipe", "text")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_path_below_a_file_is_one_clear_error(tmp_path):
    write_text(tmp_path / "file", "")
    with pytest.raises(MinbertError, match="cannot write .*file/deeper.txt: "):
        write_text(tmp_path / "file" / "deeper.txt", "text")


def test_a_full_disk_is_one_clear_error_and_the_old_file_stays(tmp_path):
    path = tmp_path / "log"
    write_text(path, "old")
    with small_files_only(), pytest.raises(MinbertError, match="cannot write .*log: File too large") as caught:
        write_text(path, "x" * 2000)
    assert "another folder" in caught.value.hint
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["log"]


def test_the_target_is_not_blamed_when_the_block_cannot_read_another_file(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out"):
        (tmp_path / "absent-input").read_text(encoding="utf-8")
    assert names_in(tmp_path) == []


def test_too_little_space_is_said_in_numbers_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(0, 0, 12_000_000))
    check_space(tmp_path / "not" / "made", 12_000_000)
    with pytest.raises(MinbertError, match="needs 270 MB, 12 MB free in .*made"):
        check_space(tmp_path / "not" / "made", 270_000_000)


def test_sha256_is_the_published_function_and_names_a_missing_file(tmp_path):
    write_text(tmp_path / "abc", "abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180
    with pytest.raises(MinbertError, match="cannot read .*absent: No such file"):
        sha256(tmp_path / "absent")


@pytest.fixture
def folder(tmp_path) -> Path:
    write_text(tmp_path / "folder" / "model.safetensors", "weights")
    write_text(tmp_path / "folder" / "config.json", "{}")
    write_manifest(tmp_path / "folder")
    return tmp_path / "folder"


def test_a_manifest_holds_until_a_file_changes(folder):
    verify_manifest(folder)
    write_text(folder / "model.safetensors", "weighty")
    with pytest.raises(MinbertError, match="SHA-256 mismatch for model.safetensors"):
        verify_manifest(folder)


def test_a_missing_file_or_manifest_is_named(folder):
    (folder / "config.json").unlink()
    with pytest.raises(MinbertError, match="config.json is listed in .* but missing"):
        verify_manifest(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(MinbertError, match="cannot read .*manifest.json"):
        verify_manifest(folder)


def test_notes_and_left_over_temporary_files_are_not_in_the_manifest(folder):
    write_text(folder / "README.md", "a model card, which its author may edit")
    write_text(folder / ".x.tmp", "")
    write_manifest(folder)
    assert "README" not in (folder / "manifest.json").read_text()
    (folder / ".x.tmp").unlink()
    verify_manifest(folder)


def test_a_flipped_bit_of_a_manifest_is_seen(folder):
    whole = (folder / "manifest.json").read_bytes()
    for position in range(0, len(whole) * 8, 7):  # every byte, and every place in a byte
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        (folder / "manifest.json").write_bytes(damaged)
        with pytest.raises(MinbertError):
            verify_manifest(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"config.json": 3}', '{"../folder/config.json": "0"}',
                                  '{"/dev/zero": "0"}', "[" * 100_000, '{"a\\u0000": ""}', '{"%s": ""}' % ("x" * 5000)])
def test_a_manifest_with_anything_else_in_it_is_refused(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(MinbertError):
        verify_manifest(folder)


def write_version(folder: Path, text: str) -> None:
    with atomic_folder(folder) as temporary:
        write_text(temporary / "model", text)


def test_a_folder_is_replaced_as_a_whole_and_carries_its_manifest(tmp_path):
    write_version(tmp_path / "best", "one")
    with atomic_folder(tmp_path / "best") as temporary:
        write_text(temporary / "other", "two")
        assert names_in(tmp_path / "best") == ["manifest.json", "model"], "changed before the block ended"
    verify_manifest(tmp_path / "best")
    assert names_in(tmp_path / "best") == ["manifest.json", "other"]
    assert names_in(tmp_path) == ["best"], "a temporary folder was left behind"


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_a_folder_whose_writing_stops_stays_as_it_was(tmp_path, raised):
    write_version(tmp_path / "best", "one")
    with pytest.raises(raised), atomic_folder(tmp_path / "best") as temporary:
        write_text(temporary / "model", "two")
        raise raised("stop")
    assert (tmp_path / "best" / "model").read_text() == "one"
    assert names_in(tmp_path) == ["best"]


def test_a_stop_between_the_two_renames_puts_the_old_folder_back(tmp_path, monkeypatch):
    write_version(tmp_path / "best", "one")
    replace = os.replace

    def stop_at_the_second(source, target):
        if Path(source).name == ".best.new.tmp":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        write_version(tmp_path / "best", "two")
    assert (tmp_path / "best" / "model").read_text() == "one"


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path):
    write_text(tmp_path / "thesis" / "chapter1.txt", "years of work")
    with pytest.raises(MinbertError, match="was not written by minBERT"):
        write_version(tmp_path / "thesis", "one")
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "years of work"
