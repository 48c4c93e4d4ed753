"""Files that run code when they are unpickled carelessly, given to everything in this project that reads a file.

Each kind is first opened carelessly: only one whose code then ran shows anything when it does not run in ours.
"""

import builtins
import codecs
import importlib
import io
import os
import pickle
import runpy
import subprocess
import sys
import tarfile
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.utils.collect_env

from tests.torture.child import run_in_child
from tests.torture.damage import replace_pickle
from tests.torture.loaders import LOADERS, Loader, make_files
from tests.torture.outcome import Outcome

MODULE = "minbert_torture_payload"  # a file of this name makes the marker when it is run


class Call:
    """Pickled, it becomes a call of `function`: code that is run by whoever unpickles it."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __call__(self) -> None:
        """Only what can be called may stand for a function in a pickle; so a Call may make the function of another."""

    def __reduce__(self) -> tuple:
        return self.function, self.arguments


class Script(torch.nn.Module):
    """Saved by TorchScript, it writes a file when it is loaded: its own code runs, without any pickle."""

    def __init__(self, marker: str) -> None:
        super().__init__()
        self.marker = marker

    def forward(self, x):
        return x

    @torch.jit.export
    def __getstate__(self):
        return self.marker, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]):
        self.marker, self.training = state[0], state[1]
        torch.save(torch.zeros(1), state[0])


def save_torch(content: object, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def save_array(calls: dict[str, Call]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{name: np.array([call], dtype=object) for name, call in calls.items()})
    return file.getvalue()


def pack_tar(payload: bytes) -> bytes:
    """As the first torch saved: a tar file of pickles."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            entry.size = len(payload)
            tar.addfile(entry, io.BytesIO(payload))
    return file.getvalue()


def open_carelessly(path: Path) -> None:
    """Opens the file in every way that may run code in it."""
    sys.path.insert(0, str(path.parent))
    ways = [lambda: torch.load(path, weights_only=False), lambda: pickle.loads(path.read_bytes()),
            lambda: list(np.load(path, allow_pickle=True).values()), lambda: np.load(path, allow_pickle=True)]
    for way in ways:
        try:
            way()
        except Exception:  # what it says does not matter, only whether the marker is there
            continue


def make_kinds(marker: Path, full: bool) -> dict[str, bytes]:
    """Name -> the bytes of a file whose code makes `marker`; where `full`, plain pickles also inside torch's own file."""
    shell, code = f"touch '{marker}'", f"__import__('os').mkdir({str(marker)!r})"
    system, tensor = Call(os.system, shell), torch.zeros(3)
    hidden = OrderedDict(a=tensor)
    hidden.hidden = system  # an allowed class whose state is not
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(Script(str(marker))), script)
    calls = {
        "eval": Call(eval, code), "exec": Call(exec, code), "subprocess": Call(subprocess.Popen, ["touch", str(marker)]),
        "runpy": Call(runpy.run_module, MODULE), "importlib": Call(importlib.import_module, MODULE),
        "codecs, then exec": Call(exec, Call(codecs.decode, code.encode().hex().encode(), "hex")),
        "a function by its name": Call(Call(getattr, Call(importlib.import_module, "os"), "system"), shell),
        "a class made by type": Call(Call(type, "A", (), {"__init__": Call(getattr, builtins.eval, "__call__")}), code),
        "torch's own reader of bytes": Call(torch.storage._load_from_bytes, save_torch(system)),
        "torch's own shell": Call(torch.utils.collect_env.run, shell),
    }
    kinds = {f"os.system, protocol {number}": pickle.dumps({"a": system}, number) for number in (0, 2, 4, 5)}
    kinds |= {name: pickle.dumps(call) for name, call in calls.items()}
    kinds |= {f"{name} in a torch file": save_torch({"a": tensor, "b": call}) for name, call in calls.items() if full}
    return kinds | {
        "torch file": save_torch(system), "torch file, beside a tensor": save_torch({"a": tensor, "b": system}),
        "torch file, legacy": save_torch(system, legacy=True),
        "torch file, legacy, beside a tensor": save_torch({"a": tensor, "b": system}, legacy=True),
        "torch file of 2016": pack_tar(pickle.dumps(system)),
        "torch file with another data.pkl": replace_pickle(save_torch({"a": tensor}), lambda _: pickle.dumps(system, 2)),
        "deep in OrderedDicts": save_torch(OrderedDict(a=OrderedDict(b=[tensor, (system,)]))),
        "state of an OrderedDict": save_torch(hidden),
        "array of objects": np.array([system], dtype=object).dumps(), "npz of objects": save_array({"a": system}),
        "TorchScript": script.getvalue(),
    }


def runs_code(content: bytes, marker: Path) -> bool:
    """Whether the careless way runs it; removes the marker."""
    (marker.parent / f"{MODULE}.py").write_text(f"import os; os.makedirs({str(marker)!r}, exist_ok=True)", encoding="utf-8")
    path = marker.parent / "careless.bin"
    path.write_bytes(content)
    run_in_child(lambda: open_carelessly(path))
    for _ in range(100):  # a process that was started may still be on its way
        if marker.exists():
            break
        time.sleep(0.02)
    ran = marker.exists()
    if ran:
        marker.rmdir() if marker.is_dir() else marker.unlink()
    return ran


def try_loader(loader: Loader, place: str, folder: Path, content: bytes) -> str:
    """What `loader` makes of a folder in which `content` stands in the file's place: "" where it is as it should be."""
    path = folder / place
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(content)
    try:
        loader.load(path)
        return "" if loader.any_text else "was accepted"
    except Exception as error:
        kind = type(error).__name__
        return "" if kind == "MinbertError" else f"raised {kind}: {str(error):.200}"
    finally:
        path.write_bytes(before) if before is not None else path.unlink()


def try_kind(content: bytes, marker: Path, folder: Path) -> list[str]:
    """What went wrong at the loaders, a sentence each."""
    sys.path.insert(0, str(marker.parent))
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # torch's way of asking for the careless one
    failures = []
    for loader in LOADERS:
        for place in loader.places:
            if wrong := try_loader(loader, place, folder, content):
                failures.append(f"{loader.name}, {place}: {wrong}")
            if marker.exists():
                failures.append(f"{loader.name}, {place}: code in the file was run")
                marker.rmdir() if marker.is_dir() else marker.unlink()
    return failures


def measure(full: bool) -> Outcome:
    """Every kind in the place of every file that a loader reads."""
    failures = []
    with TemporaryDirectory() as name:
        marker = Path(name) / "the code in the file ran"
        kinds = make_kinds(marker, full)
        make_files(Path(name) / "files")
        for kind, content in kinds.items():
            if not runs_code(content, marker):
                failures.append(f"{kind}: does nothing even when opened carelessly, so it shows nothing")
            found, signal = run_in_child(lambda content=content: try_kind(content, marker, Path(name) / "files"))
            failures += [f"{kind}: {wrong}" for wrong in found or ()] + [f"{kind}: ended the process"] * bool(signal)
        time.sleep(0.1)
        if marker.exists():
            failures.append("a process that a file started has made the marker")
    places = sum(len(loader.places) for loader in LOADERS)
    return Outcome("No file runs code when it is loaded, whatever its name, and each is one MinbertError.", len(kinds) * places,
                   tuple(failures), (f"{len(kinds)} kinds of files with code in the place of {places} files that "
                                     f"{len(LOADERS)} functions read; each kind ran its code when opened carelessly.",))
