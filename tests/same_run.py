"""Stopping a run, and whether two run folders hold the same one, to the last bit, but for what a clock says."""

import json
from contextlib import contextmanager
from pathlib import Path

from multitask.interrupt import Interrupt, Stopped
from multitask.state_files import load_state

TIMES = ("seconds", "evaluation_seconds", "examples_per_second")


class StopAfter(Interrupt):
    """Asks the run to end after so many steps, as a signal would."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    @contextmanager
    def deferred(self):
        self.left -= 1
        self.asked = Stopped("a test", 143) if self.left <= 0 else None
        with super().deferred():
            yield


def read_log(folder: Path) -> list[dict]:
    """metrics.jsonl without times."""
    return [{key: value for key, value in json.loads(line).items() if key not in TIMES}
            for line in (folder / "metrics.jsonl").read_text().splitlines()]


def find_difference(one: Path, other: Path) -> str:
    """The first file that is not the same in both folders, or ""."""
    for folder in ("best", "outputs", "predictions", "texts"):
        names = sorted(path.relative_to(one) for path in (one / folder).rglob("*") if path.is_file())
        if names != sorted(path.relative_to(other) for path in (other / folder).rglob("*") if path.is_file()):
            return f"{folder} holds other files"
        for name in names:
            if name.name != "README.md" and (one / name).read_bytes() != (other / name).read_bytes():  # a card tells the time
                return f"{name} differs"
    if read_log(one) != read_log(other):
        return "metrics.jsonl differs"
    return compare(*(load_state(folder / "last")[0] for folder in (one, other)), "last")


def compare(one: object, other: object, place: str) -> str:
    """The first place at which two states differ, or ""."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        entries = [(one[key], other[key], f"{place}.{key}") for key in one if key not in ("lines", *TIMES)]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        entries = [(*pair, f"{place}.{number}") for number, pair in enumerate(zip(one, other, strict=True))]
    elif hasattr(one, "dtype") and hasattr(other, "dtype"):
        same = one.dtype == other.dtype and one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()
        return "" if same else place
    else:
        return "" if one == other or (one != one and other != other) else place
    return next(filter(None, (compare(*entry) for entry in entries)), "")
