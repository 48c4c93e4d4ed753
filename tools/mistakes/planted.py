"""The planted mistakes, read from their tables, and modules imported with a mistake in them; no file is ever changed."""

import importlib.machinery
import importlib.util
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from minbert.files import MinbertError
from tools.exercises import PACKAGES, ROOT


@dataclass(frozen=True)
class Mistake:
    """One replacement of `old` by `new` in `file`. A test of `component`, marked with the exercise where there is one, must
    fail with a sentence in which the pattern `says` is found."""

    section: int
    name: str
    component: str
    file: str
    old: str
    new: str
    says: str
    exercise: str = ""


def read_mistakes(folder: Path = Path(__file__).parent) -> list[Mistake]:
    """All entries of `N-title.toml`, section by section. Raises MinbertError for one with a wrong key."""
    mistakes = []
    for path in sorted(folder.glob("*-*.toml"), key=lambda path: int(path.name.split("-")[0])):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["mistake"]:
            try:
                mistakes.append(Mistake(section=int(path.name.split("-")[0]), **entry))
            except TypeError as error:
                raise MinbertError(f"{path.name}: {entry.get('name')!r}: {error}", "see tools/mistakes/planted.py") from error
    return mistakes


def mistaken_source(mistake: Mistake) -> str:
    """The module's text with the mistake in it. Raises MinbertError unless `old` is there exactly once."""
    source = (ROOT / mistake.file).read_text(encoding="utf-8")
    if (count := source.count(mistake.old)) != 1:
        raise MinbertError(f"{mistake.name!r}: {mistake.file} has its `old` {count} times, not once",
                           f"the code changed: mend the entry in tools/mistakes/{mistake.section}-*.toml")
    return source.replace(mistake.old, mistake.new)


class Finder:
    """Finds one module, and gives it another text than its file's."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        self.module, self.path, self.source = module, path, source

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != self.module:
            return None
        loader = importlib.machinery.SourceFileLoader(name, str(self.path))
        loader.get_code = lambda name: compile(self.source, str(self.path), "exec", dont_inherit=True)  # past all caches
        return importlib.util.spec_from_file_location(name, self.path, loader=loader)


@contextmanager
def imported_anew(file: str = "", source: str = "") -> Iterator[None]:
    """Inside, our modules are imported anew, that of `file`, if one is named, with this source; afterwards all is as it was."""
    finders = [Finder(file.removesuffix(".py").replace("/", "."), ROOT / file, source)] if file else []
    before = take_modules()
    sys.meta_path[:0] = finders
    try:
        yield
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)
        take_modules()
        sys.modules.update(before)


def planted(mistake: Mistake | None) -> AbstractContextManager[None]:
    """`imported_anew`, one module with the mistake (None: with none)."""
    return imported_anew(mistake.file, mistaken_source(mistake)) if mistake else imported_anew()


def take_modules() -> dict[str, ModuleType]:
    """Our packages and the test modules, taken out of sys.modules."""
    tests = str(ROOT / "tests")
    ours = [name for name, module in sys.modules.items()
            if name.split(".")[0] in PACKAGES or os.path.dirname(getattr(module, "__file__", None) or "") == tests]
    return {name: sys.modules.pop(name) for name in ours}
