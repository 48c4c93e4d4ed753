"""The error type, the atomic writer and the manifests."""

import json
import os
import pickle
import shutil
import signal
import stat
from collections import namedtuple
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import minbert
from minbert.files import (
    MANIFEST,
    MinbertError,
    atomic_folder,
    atomic_path,
    check_space,
    recover_folder,
    remove_leftovers,
    sha256,
    verify_manifest,
    write_manifest,
    write_text,
)
from tests.torture.child import run_in_child

STEPS = ("mkdir", "replace", "unlink", "rmdir")  # all that changes a folder goes through these
PERMANENT_EIO = Path("/proc/self/mem")  # a regular file whose first byte nobody can read


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
    with pytest.raises(MinbertError, match="'config.json' is listed in .* but missing"):
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
    version = whole.index(minbert.__version__.encode())  # these few characters are for people only
    harmless = range(version * 8, (version + len(minbert.__version__)) * 8)
    for position in sorted({*range(0, len(whole) * 8, 7)} - {*harmless}):  # every byte, and every place in a byte
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        (folder / "manifest.json").write_bytes(damaged)
        with pytest.raises(MinbertError):
            verify_manifest(folder)


def test_a_manifest_says_who_wrote_it_in_which_format(folder):
    table = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert (table["format_version"], table["written_by"]) == (1, f"minbert {minbert.__version__}")
    assert table["files"] == {name: sha256(folder / name) for name in ("config.json", "model.safetensors")}


HEADER = {"format_version": 1, "written_by": "minbert 0.1.0"}


def test_a_folder_of_a_newer_minbert_asks_for_an_upgrade(folder):
    newer = {"format_version": 2, "written_by": "minbert 0.9", "what this one cannot know": []}
    write_text(folder / "manifest.json", json.dumps(newer))
    expected = "manifest.json: written by minbert 0.9 in format 2, this one knows 1: upgrade"
    with pytest.raises(MinbertError, match=expected) as caught:
        verify_manifest(folder)
    assert "newest" in caught.value.hint


@pytest.mark.parametrize("files", [3, [], {}, {"config.json": 3}, {"../folder/config.json": "0"}, {"/dev/zero": "0"},
                                   {"a\0": ""}, {"x" * 5000: ""}, {"a\nb": ""}])
def test_a_manifest_that_lists_anything_else_is_refused(folder, files):
    write_text(folder / "manifest.json", json.dumps(HEADER | {"files": files}))
    refuse_manifest(folder)


@pytest.mark.parametrize("text", [
    "", "[]", "{}", "3", "[" * 100_000, '{"config.json": "0"}',
    *(json.dumps(HEADER | {"files": {"config.json": "0"}} | change) for change in (
        *({"format_version": version} for version in (0, 1.0, True, "1", None)),
        {"written_by": "minbert"}, {"written_by": None}, {"written_by": "minbert 1\n\x1b[31m"}, {"more": 1}))])
def test_a_damaged_manifest_is_refused(folder, text):
    write_text(folder / "manifest.json", text)
    refuse_manifest(folder)


def refuse_manifest(folder: Path) -> None:
    with pytest.raises(MinbertError) as caught:
        verify_manifest(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500 and caught.value.hint


def test_a_file_is_hashed_once_and_again_when_it_has_changed(tmp_path, monkeypatch):
    monkeypatch.setattr("minbert.files.HASHED", kept := {})
    path = tmp_path / "weights"
    write_text(path, "old")
    first = sha256(path)
    assert not kept, "so soon, the clock of the disk may not tell the next change from this one"
    path.write_text("new")  # at once: the same size, perhaps the same time
    assert sha256(path) != first, "a file that has just been written must be read"
    monkeypatch.setattr("minbert.files.time.time", lambda: path.stat().st_mtime + 3)
    second = sha256(path)
    monkeypatch.setattr("minbert.files.hashlib.file_digest", None)
    assert sha256(path) == second, "440 MB of weights were hashed a second time"
    monkeypatch.undo()
    os.utime(path, ns=(0, 0))
    path.write_text("odd")
    assert sha256(path) not in (first, second)


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


def kill_at(number: int, work: Callable[[], object]) -> bool:
    """Runs `work` in a process that dies, as by `kill -9`, just before its step of that number (from 0); whether it died."""
    steps = iter(range(number + 1))

    def count(original: Callable, *arguments, **named):
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)

    def die_in_time() -> None:
        for name in STEPS:
            setattr(os, name, partial(count, getattr(os, name)))
        work()

    return run_in_child(die_in_time)[1] == signal.SIGKILL


def read_version(folder: Path) -> str:
    verify_manifest(folder)
    return (folder / "model").read_text(encoding="utf-8")


fork_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork, which Windows has not")


@fork_only
def test_a_kill_at_any_step_of_a_write_leaves_the_old_file_or_the_new_one(tmp_path):
    path, number, seen = tmp_path / "results.json", 0, set()
    write_text(path, "old")
    while kill_at(number, lambda: write_text(path, "new")):
        seen.add(path.read_text(encoding="utf-8"))
        remove_leftovers(tmp_path)
        assert names_in(tmp_path) == ["results.json"], f"killed at step {number}: a temporary file was left behind"
        number += 1
    assert seen == {"old", "new"}, "the kills did not hit both sides of the rename"


@fork_only
@pytest.mark.parametrize("first", [True, False])
def test_a_kill_at_any_step_of_a_folder_leaves_a_whole_one(tmp_path, first):
    """And a kill at any step of the recovery from that."""
    run, number, seen, missing = tmp_path / "run", 0, set(), 0
    died, expected = True, [[]] * first + [["best"]]
    while died:
        shutil.rmtree(run, ignore_errors=True)
        if not first:
            write_version(run / "best", "one")
        died = kill_at(number, lambda: write_version(run / "best", "two"))
        killed_again, again = died, 0
        missing += died and not (run / "best").exists()
        while killed_again:
            copy = tmp_path / f"copy-{number}-{again}"
            shutil.copytree(run, copy) if run.exists() else copy.mkdir()
            killed_again = kill_at(again, partial(remove_leftovers, copy))
            remove_leftovers(copy)
            assert names_in(copy) in expected, f"killed at step {number}, and at {again} of the recovery: {names_in(copy)}"
            seen |= {read_version(copy / "best")} if names_in(copy) else {None}
            again += 1
        number += 1
    assert seen == ({None, "two"} if first else {"one", "two"}) and number > 10
    assert missing, "no kill fell between the two renames"


def make_leftovers(tmp_path: Path, *which: str) -> None:
    for name in which:
        write_version(tmp_path / name, name)
        (tmp_path / name).rename(tmp_path / f".best.{name}.tmp")


def test_of_two_whole_versions_the_new_one_takes_the_place(tmp_path):
    make_leftovers(tmp_path, "old", "new")
    recover_folder(tmp_path / "best")
    assert read_version(tmp_path / "best") == "new" and names_in(tmp_path) == ["best"]


def test_a_new_version_that_is_not_whole_leaves_the_place_to_the_old_one(tmp_path):
    make_leftovers(tmp_path, "old", "new")
    (tmp_path / ".best.new.tmp" / "model").write_text("nex")
    recover_folder(tmp_path / "best")
    assert read_version(tmp_path / "best") == "old" and names_in(tmp_path) == ["best"]


def test_what_is_in_place_stays_and_where_there_is_nothing_nothing_is_made(tmp_path):
    recover_folder(tmp_path / "best")
    assert names_in(tmp_path) == []
    make_leftovers(tmp_path, "old", "new")
    (tmp_path / "best").mkdir()
    recover_folder(tmp_path / "best")
    assert names_in(tmp_path) == ["best"] and names_in(tmp_path / "best") == []


def test_leftovers_are_removed_at_any_depth_and_nothing_else_is(tmp_path):
    own = [".notes.tmp", ".x.12.tmp", "a.1.0123abcd.tmp", ".best.newer.tmp", ".hidden", "best.new.tmp"]
    for place in (tmp_path, tmp_path / "last" / "step-1"):
        for name in (*own, ".metrics.jsonl.123.0123abcd.tmp", ".a.b.1.ffffffff.tmp"):
            write_text(place / name, "")
        make_leftovers(place, "old")
    (tmp_path / "elsewhere").mkdir()
    write_text(tmp_path / "elsewhere" / ".x.1.0123abcd.tmp", "")
    (tmp_path / "last" / "link").symlink_to(tmp_path / "elsewhere")
    remove_leftovers(tmp_path / "last")
    assert names_in(tmp_path / "elsewhere"), "a link was followed out of the folder"
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == sorted([*own, "best", "last", "elsewhere"])
    assert names_in(tmp_path / "last" / "step-1") == sorted([*own, "best"])
    remove_leftovers(tmp_path / "absent")


def save_tiny_checkpoint(folder: Path) -> None:
    from multitask.checkpoint import save_checkpoint
    from tests.small_run import make_model, recipe, tokenizer

    save_checkpoint(folder, recipe(), make_model(recipe()), tokenizer(), "a card")


def write_limited(write: Callable[[Path], None], path: Path, limit: int) -> list:
    """[error, exit code, hint] of writing where no file may grow beyond `limit` bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    return catch(write, path)


def catch(write: Callable[[Path], None], path: Path) -> list:
    try:
        write(path)
    except MinbertError as error:
        return [str(error), error.exit_code, error.hint]
    return []


def write_long_text(path: Path) -> None:
    write_text(path, "x" * 50_000)


def write_long_tensor(path: Path) -> None:
    import torch

    from minbert.tensor_files import write_tensors

    write_tensors(path, {"a": torch.ones(10_000)})


@fork_only
@pytest.mark.parametrize("name, write", [("log.txt", write_long_text), ("x.safetensors", write_long_tensor),
                                         ("best", save_tiny_checkpoint)])
@pytest.mark.parametrize("limit", [0, 500, 5000])
def test_a_full_disk_is_one_error_that_names_path_and_cause_and_loses_nothing(tmp_path, name, write, limit):
    pytest.importorskip("resource")
    write(tmp_path / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (message, exit_code, hint), _ = run_in_child(lambda: write_limited(write, tmp_path / name, limit))
    assert str(tmp_path) in message and name in message and "File too large" in message and "\n" not in message
    assert exit_code == 2 and hint
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after.keys() == before.keys(), "something was left behind"
    assert after == before, "what was there is not what it was"


def write_as_nobody(write: Callable[[Path], None], path: Path) -> list:
    if os.getuid() == 0:  # whom no permission keeps out
        os.setuid(65534)
    return catch(write, path)


@fork_only
@pytest.mark.parametrize("write", [write_long_text, write_long_tensor, save_tiny_checkpoint])
@pytest.mark.parametrize("place", ["file/x", "file/deeper/x", "read-only/x", "read-only/deeper/x", "closed/x", "closed/deeper/x"])
def test_a_place_that_cannot_be_written_is_one_error(tmp_path, write, place):
    write(tmp_path / "all is imported")
    with TemporaryDirectory() as name:  # pytest's own is closed to others
        os.chmod(name, 0o755)
        write_text(Path(name, "file"), "")
        for below, mode in (("read-only", 0o555), ("closed", 0)):
            Path(name, below).mkdir(mode)
        (message, exit_code, hint), _ = run_in_child(lambda: write_as_nobody(write, Path(name, place)))
    assert message.startswith("cannot ") and name in message and place.partition("/")[0] in message and "\n" not in message
    assert exit_code == 2 and hint


@pytest.mark.skipif(not PERMANENT_EIO.exists(), reason="this system has no /proc/self/mem, the one file that fails when read")
@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors", "pytorch_model.bin", MANIFEST])
def test_a_disk_that_fails_while_it_is_read_is_one_error_that_names_the_file(tmp_path, name):
    from minbert.weights import load_folder
    from tests.small_run import save_tiny_bert

    folder = save_tiny_bert(tmp_path / "bert")
    if name != MANIFEST:
        (folder / MANIFEST).unlink()
    if name == "pytorch_model.bin":
        (folder / "model.safetensors").unlink()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(PERMANENT_EIO)
    with pytest.raises(MinbertError, match=f"cannot read .*{name}: Input/output error") as caught:
        load_folder(folder)
    assert "disk" in caught.value.hint
