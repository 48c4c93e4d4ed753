"""The project's one error type, its one atomic writer, and manifests (a folder's list of SHA-256 sums).

A file is written beside its target under a temporary name, flushed to the disk and renamed: a reader sees
the old file or the new one, never half of either. A manifest is written last: if it holds, its folder is whole.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MANIFEST = "manifest.json"
HINTS = {
    errno.ENOSPC: "free some disk space, or choose another folder",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.EACCES: "check the permissions, or choose another folder",
    errno.EFBIG: "the size of files is limited here: choose another folder",
}


class MinbertError(Exception):
    """What a user can mend: one sentence naming file, place, value and rule; a hint with the way out."""

    def __init__(self, message: str, hint: str = "", exit_code: int = 2):
        super().__init__(message, hint, exit_code)
        self.message, self.hint, self.exit_code = message, hint, exit_code
        if hint:
            self.add_note(f"hint: {hint}")  # Python prints it below the message

    def __str__(self) -> str:
        return self.message


def error_from_os(error: OSError, path: Path | str, action: str) -> MinbertError:
    """The MinbertError that says `cannot <action> <path>: <reason>`."""
    reason = error.strerror or str(error).partition("\n")[0]
    return MinbertError(f"cannot {action} {path}: {reason}", HINTS.get(error.errno, "check the path"))


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path in the target's folder (made if need be); becomes `path` when the block ends well.

    Links are followed. When the block raises, the temporary file goes and the old file stays.

    Raises MinbertError for every OSError about this file; when `path` is a directory or a device.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        if target.exists() and not target.is_file():  # renaming over a device would delete the device
            what = "a directory" if target.is_dir() else "not a regular file"
            raise MinbertError(f"cannot write {path}: it is {what}", "give the name of a file")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _flush_to_disk(temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        _flush_to_disk(target.parent)
    except OSError as error:
        ours = (None, str(temporary), str(target), *map(str, target.parents))
        if error.filename not in ours:
            raise  # the block failed to read something else: blaming this file would mislead
        raise error_from_os(error, path, "write") from error


@contextmanager
def atomic_folder(folder: Path | str) -> Iterator[Path]:
    """A temporary folder beside the target; when the block ends well it gets a manifest and takes the target's place.

    When the block raises, the temporary folder goes and the old one stays. Only a folder with a manifest is replaced.
    A power cut between the two renames leaves both versions whole, as .NAME.old.tmp and .NAME.new.tmp.
    """
    target = Path(os.path.realpath(folder))
    temporary, old = (target.with_name(f".{target.name}.{which}.tmp") for which in ("new", "old"))
    try:
        if target.exists() and not (target / MANIFEST).is_file():
            raise MinbertError(f"will not replace {folder}: it was not written by minBERT", "choose another name")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            write_manifest(temporary)
            if target.exists():  # a folder cannot be renamed over one that is not empty
                shutil.rmtree(old, ignore_errors=True)
                os.replace(target, old)
            os.replace(temporary, target)
        finally:
            if old.exists() and not target.exists():
                os.replace(old, target)
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        _flush_to_disk(target.parent)
    except OSError as error:
        raise error_from_os(error, folder, "write") from error


def _flush_to_disk(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder, and needs no flush of it
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network drives have no flush
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path | str, text: str) -> None:
    """Writes `text` as UTF-8, atomically, line ends as they are."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def read_table(path: Path | str, hint: str = "fetch the file again") -> dict:
    """The table in a JSON file. Raises MinbertError where it cannot be read or holds something else."""
    try:
        table = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise error_from_os(error, path, "read") from error
    except (ValueError, RecursionError) as error:
        raise MinbertError(f"{path}: is not JSON: {error}", hint) from error
    if not isinstance(table, dict):
        raise MinbertError(f"{path}: holds {type(table).__name__}, not a table", hint)
    return table


def check_space(folder: Path | str, needed: int) -> None:
    """Raises MinbertError when the disk of `folder` (made or not) has fewer than `needed` bytes free."""
    place = Path(folder).absolute()
    free = shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free
    if free < needed:
        sizes = f"needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB free"
        raise MinbertError(f"not enough space: {sizes} in {folder}", HINTS[errno.ENOSPC])


def sha256(path: Path | str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise error_from_os(error, path, "read") from error


def write_manifest(folder: Path | str) -> None:
    """Writes manifest.json: the SHA-256 of every file directly in `folder` but notes (.md). To be called last."""
    files = [path for path in sorted(Path(folder).iterdir()) if path.is_file() and path.name != MANIFEST]
    sums = {path.name: sha256(path) for path in files if path.suffix not in (".tmp", ".md")}
    write_text(Path(folder) / MANIFEST, json.dumps(sums, indent=2) + "\n")


def verify_manifest(folder: Path | str) -> None:
    """Raises MinbertError unless manifest.json is there and each file it lists is there with its SHA-256."""
    manifest = Path(folder) / MANIFEST
    hint = "the folder was cut short or altered: use another copy, or an earlier checkpoint"
    if not (sums := read_table(manifest, hint)):
        raise MinbertError(f"{manifest}: lists no files", hint)
    present = {path.name: path for path in Path(folder).iterdir() if path.is_file()}
    for name, expected in sums.items():
        if name not in present:
            raise MinbertError(f"{name} is listed in {manifest} but missing", hint)
        if sha256(present[name]) != expected:
            raise MinbertError(f"SHA-256 mismatch for {name} in {folder}", hint)
