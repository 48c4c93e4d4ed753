"""A pytest run inside a test: the test files are imported afresh, and afterwards all modules are as they were."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
QUIET = ["-q", "--noconftest", "--tb=no", "--capture=no", "-p", "no:cacheprovider", "-p", "no:faulthandler",
         "-p", "exercise_report", "-p", "student_folder", "--rootdir", str(TESTS.parent),
         "-c", str(TESTS.parent / "pyproject.toml")]


@dataclass
class Result:
    """What the run came to: its exit code, how many tests passed, the first line of each failed test's message, and the
    places of a student's code that are still open."""

    code: int = 0
    passed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.rpartition("/")[2]
        if getattr(report, "open", ""):
            self.open.append(report.open)
        elif report.failed:
            self.failed[name] = getattr(report, "message", report.longreprtext)
        self.passed += report.passed and report.when == "call"


def run_nested(files: Sequence[str], *options: str, plugins: Sequence[object] = ()) -> Result:
    """The result of `pytest FILES OPTIONS`, run in this process; `files` are names in tests/."""
    result, before, paths = Result(), dict(sys.modules), list(sys.path)
    for name, module in before.items():
        if Path(getattr(module, "__file__", None) or "/").parent == TESTS:
            del sys.modules[name]
    try:
        result.code = int(pytest.main([*QUIET, *options, *(str(TESTS / file) for file in files)], plugins=[result, *plugins]))
    finally:
        for name in set(sys.modules) - set(before):
            if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == TESTS:
                del sys.modules[name]
        sys.modules.update(before)
        sys.path[:] = paths  # pytest takes out what pyproject.toml's pythonpath put in, though it was there before
    return result
