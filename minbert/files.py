"""The project's one error type, its one atomic writer, and manifests (a folder's list of SHA-256 sums).

A file is written beside its target under a temporary name, flushed to the disk and renamed: a reader sees
the old file or the new one, never half of either. A manifest is written last: if it holds, its folder is whole.
What a killed process leaves is mended by `remove_leftovers`.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MANIFEST = "manifest.json"
FORMAT = 1  # of manifests
ALTERED = "the folder was cut short or altered: use another copy, or an earlier checkpoint"
TEMPORARY = re.compile(r"\.(.+)\.(?:new|old|\d+\.[0-9a-f]{8})\.tmp")  # the names that atomic_folder and atomic_path give
HASHED: dict[tuple[int, ...], str] = {}
HINTS = {
    errno.ENOSPC: "free some disk space, or choose another folder",
    errno.EROFS: "the disk is read-only: choose another folder",
    errno.EACCES: "check the permissions, or choose another folder",
    errno.EFBIG: "the size of files is limited here: choose another folder",
    errno.EDQUOT: "your share of this disk is used up: delete something, or choose another folder",
    errno.EIO: "the disk or network drive fails: try again, or use another copy or folder",
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
    A kill or power cut between the two renames leaves both versions whole: `recover_folder` puts one in place.
    """
    target, new, old = _versions(folder)
    recover_folder(folder)
    try:
        if target.exists() and not (target / MANIFEST).is_file():
            raise MinbertError(f"will not replace {folder}: it was not written by minBERT", "choose another name")
        new.mkdir(parents=True)
        try:
            yield new
            write_manifest(new)
            if target.exists():  # a folder cannot be renamed over one that is not empty
                os.replace(target, old)
            os.replace(new, target)
        finally:
            if old.exists() and not target.exists():
                os.replace(old, target)
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        _flush_to_disk(target.parent)
    except OSError as error:
        raise error_from_os(error, folder, "write") from error


def _versions(folder: Path | str) -> tuple[Path, Path, Path]:
    """The folder, links followed, and where `atomic_folder` keeps its new and its old version meanwhile."""
    target = Path(os.path.realpath(folder))
    return target, target.with_name(f".{target.name}.new.tmp"), target.with_name(f".{target.name}.old.tmp")


def recover_folder(folder: Path | str) -> None:
    """Mends what a kill or power cut in `atomic_folder` left: where the folder is missing, its new version takes the
    place if its manifest holds, else the old one, if there is one. Other leftovers of the folder are removed."""
    target, new, old = _versions(folder)
    try:
        if not target.exists() and (version := new if _is_whole(new) else old).exists():
            os.replace(version, target)
            _flush_to_disk(target.parent)
        for version in (new, old):
            if version.exists():
                shutil.rmtree(version)
    except OSError as error:
        raise error_from_os(error, folder, "recover") from error


def _is_whole(folder: Path) -> bool:
    try:
        verify_manifest(folder)
        return True
    except MinbertError:
        return False


def remove_leftovers(folder: Path | str) -> None:
    """Deletes the temporary files that killed processes left in `folder`, at any depth; folders are recovered.

    To be called while nobody writes there. Raises MinbertError where something cannot be removed.
    """
    try:
        for path in sorted(Path(folder).rglob(".*.tmp")):
            if (match := TEMPORARY.fullmatch(path.name)) and path.exists():  # not gone with a folder by now
                recover_folder(path.with_name(match[1])) if path.is_dir() else path.unlink()
    except OSError as error:
        raise error_from_os(error, folder, "clean") from error


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
    """Writes `text` as UTF-8, atomically, line ends as they are. What is no UTF-8, as a path may be, is spelled \\udc80."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
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
    free = shutil.disk_usage(next(p for p in (place, *place.parents) if os.path.exists(p))).free  # False where it may not look
    if free < needed:
        sizes = f"needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB free"
        raise MinbertError(f"not enough space: {sizes} in {folder}", HINTS[errno.ENOSPC])


def sha256(path: Path | str) -> str:
    """The file's SHA-256, computed once in a program's life: again only where the file's times, size or place on the
    disk are others, or so new that the next change might not show in them."""
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            version = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if version in HASHED:
                return HASHED[version]
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise error_from_os(error, path, "read") from error
    if time.time() - max(found.st_mtime, found.st_ctime) > 2:  # seconds; the coarsest file system's clock ticks so slowly
        HASHED[version] = digest
    return digest


def write_manifest(folder: Path | str) -> None:
    """Writes manifest.json: the SHA-256 of every file directly in `folder` but notes (.md). To be called last."""
    from minbert import __version__  # here: the package imports this module before it is whole

    files = [path for path in sorted(Path(folder).iterdir()) if path.is_file() and path.name != MANIFEST]
    sums = {path.name: sha256(path) for path in files if path.suffix not in (".tmp", ".md")}
    table = {"format_version": FORMAT, "written_by": f"minbert {__version__}", "files": sums}
    write_text(Path(folder) / MANIFEST, json.dumps(table, indent=2) + "\n")


def verify_manifest(folder: Path | str) -> None:
    """Raises MinbertError unless manifest.json is there, whole and not of a newer format, and each file it lists is
    there with its SHA-256."""
    manifest = Path(folder) / MANIFEST
    sums = _read_manifest(manifest)
    try:
        present = {path.name: path for path in Path(folder).iterdir() if path.is_file()}
    except OSError as error:
        raise error_from_os(error, folder, "read") from error
    for name, expected in sums.items():
        if name not in present:
            raise MinbertError(f"{name!r:.80} is listed in {manifest} but missing", ALTERED)
        if sha256(present[name]) != expected:
            raise MinbertError(f"SHA-256 mismatch for {name} in {folder}", ALTERED)


def _read_manifest(manifest: Path) -> dict[str, object]:
    """File -> SHA-256."""
    table = read_table(manifest, ALTERED)
    version, writer, sums = (table.get(name) for name in ("format_version", "written_by", "files"))
    if type(version) is not int or not isinstance(writer, str) or not re.fullmatch(r"minbert [\w.+-]{1,40}", writer, re.ASCII):
        raise MinbertError(f"{manifest}: does not say which minBERT wrote it, in which format", ALTERED)
    if version > FORMAT:
        raise MinbertError(f"{manifest}: written by {writer} in format {version}, this one knows {FORMAT}: upgrade",
                           "install the newest minBERT")
    if version < 1 or not isinstance(sums, dict) or not sums or len(table) != 3:
        raise MinbertError(f"{manifest}: lists no files, or more than files", ALTERED)
    return sums
