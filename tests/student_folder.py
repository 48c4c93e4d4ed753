"""`pytest tests/ --student PATH`: the component tests run on the code of a CS224N starter folder instead of ours.

The tests marked `course` are those that a starter can be asked. PATH has the course's names (bert.py, base_bert.py, config.py,
utils.py, optimizer.py; spring 2023 and 2024); student_adapters.py puts its classes in the places of ours. Only bert.py and
optimizer.py are imported, and what they import; nothing is downloaded or unpickled, and nothing is written to PATH.
"""

import importlib
import importlib.abc
import importlib.machinery
import inspect
import pickle
import socket
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch

FILES = ("test_attention.py", "test_embeddings.py", "test_bert.py", "test_adamw.py", "test_student_folder.py")
CLASSES = {
    "bert": {
        "BertSelfAttention": "(config), with attention(key, query, value, attention_mask) and "
                             "forward(hidden_states, attention_mask)",
        "BertLayer": "(config), with forward(hidden_states, attention_mask)",
        "BertModel": "(config), with embed(input_ids) and forward(input_ids, attention_mask)",
    },
    "optimizer": {"AdamW": "(params, lr, betas, eps, weight_decay, correct_bias), with step()"},
}
# the starter's files import these for downloads and progress bars; where one is missing an empty stand-in serves
STAND_INS = "boto3 botocore filelock importlib_metadata packaging requests sklearn tokenizers tqdm transformers".split()
LEFT_OUT = "{} more of the same files ask for what no starter has (maps, fused kernels, other optimizers) and are left out"
TYPES = ("note: embed() gives every token type 0. That is the starter's own code and no mistake of yours; the tests put their "
         "types into tk_type_embedding")
PATCH, COUNTS = pytest.StashKey[pytest.MonkeyPatch](), pytest.StashKey[tuple[int, int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--student", metavar="PATH", type=Path, help="test the CS224N starter folder PATH instead of our own code")


def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("--student")
    if folder is None:
        return
    from student_adapters import missing_names, replace_ours  # imports the model: only where a student's is tested

    config.stash[PATCH] = patch = pytest.MonkeyPatch()
    for place, name in ((socket.socket, "connect"), (pickle, "load"), (pickle, "loads"), (torch, "load")):
        patch.setattr(place, name, refuse)
    bert, optimizer = load_student(folder.resolve())
    replace_ours(patch, bert, optimizer)
    with in_one_line(folder.resolve() / "bert.py"):
        missing = missing_names()
    if missing:
        raise pytest.UsageError(f"{folder / 'bert.py'}: BertModel has no {', '.join(missing)}; pretrained weights are loaded by "
                                "the starter's names")


def pytest_unconfigure(config: pytest.Config) -> None:
    if PATCH in config.stash:
        config.stash[PATCH].undo()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_other = collection_path.suffix == ".py" and collection_path.name not in FILES
    return True if is_other and PATCH in config.stash else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if PATCH not in config.stash:
        return
    # the tests of AdamW run twice, by hand and fused; a student's has one way only
    asked = [item for item in items if item.get_closest_marker("course") and "fused" not in item.name.partition("[")[2]]
    left_out = [item for item in items if item not in asked]
    config.hook.pytest_deselected(items=left_out)
    config.stash[COUNTS] = len(asked), len(left_out)
    items[:] = asked


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    if COUNTS not in config.stash:
        return []
    from student_adapters import STUDENT

    takes_types = "token_type_ids" in inspect.signature(STUDENT.bert.BertModel.embed).parameters
    asked, left_out = config.stash[COUNTS]
    lines = [f"student's folder {config.getoption('--student')}: {asked} tests apply; {LEFT_OUT.format(left_out)}"]
    return lines if takes_types else [*lines, TYPES]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if PATCH in item.config.stash and call.excinfo and call.excinfo.errisinstance(NotImplementedError):
        last = call.excinfo.traceback[-1]
        if Path(last.path).is_relative_to(item.config.getoption("--student").resolve()):
            report.open = f"{last.path.name}, line {last.lineno + 1}: {last.frame.code.raw.co_qualname}"
    return report


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    return ("open", "o", "OPEN") if getattr(report, "open", "") else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for place, count in sorted(Counter(report.open for report in terminalreporter.stats.get("open", [])).items()):
        terminalreporter.write_line(f"OPEN {place} still raises NotImplementedError; {count} tests wait for it")
    for report in terminalreporter.stats.get("failed", []) if PATCH in config.stash else []:
        terminalreporter.write_line(f"WRONG {report.nodeid.rpartition('/')[2]}: {report.message}")  # exercise_report.py's


def load_student(folder: Path) -> tuple[ModuleType, ModuleType]:
    """The modules `bert` and `optimizer` of the folder; pytest.UsageError, one line, where that cannot be."""
    with importing_from(folder):
        bert, optimizer = (import_file(folder / f"{name}.py") for name in CLASSES)
        return bert, optimizer


def import_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise pytest.UsageError(f"{file} is missing: --student takes the folder of a CS224N starter, with bert.py, "
                                "base_bert.py, config.py, utils.py and optimizer.py")
    with in_one_line(file):
        module = importlib.import_module(file.stem)
    for name, expected in CLASSES[file.stem].items():
        if not inspect.isclass(getattr(module, name, None)):
            raise pytest.UsageError(f"{file}: there is no class {name}; expected is class {name}{expected}")
    return module


@contextmanager
def in_one_line(file: Path) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:  # whatever a student's file does when it is imported
        raise pytest.UsageError(f"{find_line(error, file)}: {type(error).__name__}: {error}") from error


def find_line(error: BaseException, file: Path) -> str:
    """The last line of the student's own that led to the error."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if Path(frame.filename).is_relative_to(file.parent)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else str(file)


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """The folder's modules hide all others of the same name; afterwards everything is as before."""
    own = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    hidden = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in own}
    for name in hidden:
        del sys.modules[name]
    stand_ins = StandIns()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr(sys, "dont_write_bytecode", True)
        sys.meta_path.append(stand_ins)
        try:
            yield
        finally:
            sys.meta_path.remove(stand_ins)
            for name in [name for name in sys.modules if name.partition(".")[0] in own | stand_ins.used]:
                del sys.modules[name]
            sys.modules.update(hidden)


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Asked last, when a module is found nowhere else."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        if package not in STAND_INS:
            return None
        self.used.add(package)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = give_empty_class


class Empty:
    """Takes any arguments and does nothing."""

    def __init__(self, *arguments, **options) -> None:
        pass


def give_empty_class(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return Empty


def refuse(*arguments, **options):
    raise OSError("--student: nothing of a student's folder is downloaded or unpickled")
