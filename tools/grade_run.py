"""pytest plugin of the grader, loaded in the program that runs the tests on a student's code: writes down what became of them.

A test has `--grade_limit` seconds, and so has the import of a test file; behind a test that took longer, the rest of its
exercise is not run. The last thing written is `--grade_file`: where it is missing, the student's code has ended the program.
"""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.exercises import PACKAGES, find_in, sources

TOO_LONG = "took longer than {:g} seconds: does a loop never end?"


class TookTooLongError(BaseException):
    """No Exception: `except Exception` in the code under test must not catch it."""


class Grader:
    def __init__(self, root: Path, limit: float, file: Path, numbers: set[str]) -> None:
        self.root, self.limit, self.file, self.numbers = root, limit, file, numbers
        self.functions = find_functions(root)
        self.expected: dict[str, list[str]] = {}
        self.tests: dict[str, dict] = {}
        self.broken: dict[str, str] = {}
        self.slow: set[str] = set()
        self.ran: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator:
        try:
            with time_limit(self.limit):
                report = yield
        except SystemExit as error:
            report = pytest.CollectReport(collector.nodeid, "failed", f"SystemExit: {error}", [])
        if report.failed:
            self.broken[collector.nodeid] = last_error(report.longreprtext)
        elif report.skipped:
            self.broken[collector.nodeid] = str(report.longrepr[-1])
        return report

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not self.numbers or exercises_of(item) & self.numbers]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            if not item.get_closest_marker("skip"):  # oracles and slow tests are not part of a grade
                for number in exercises_of(item):
                    self.expected.setdefault(number, []).append(item.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator:
        """Runs the test within its time, and watches which exercises' functions it enters."""
        self.ran = set()
        if exercises_of(item) & self.slow:
            pytest.fail("was not run: another test of this exercise " + TOO_LONG.format(self.limit))
        sys.setprofile(self.watch)
        try:
            with time_limit(self.limit):
                return (yield)
        except TookTooLongError:
            self.slow |= exercises_of(item)
            raise
        finally:
            sys.setprofile(None)

    def watch(self, frame, event: str, argument: object) -> None:
        if event == "call" and (number := self.functions.get((frame.f_code.co_filename, frame.f_code.co_qualname))):
            self.ran.add(number)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            outcome = {"passed": "passed", "skipped": "waits", "failed": "open"}[report.outcome]
            if not report.passed and not report.runs_into:
                outcome = "failed"  # a test that skips itself has not shown anything either
            message = report.longrepr[-1] if report.skipped else report.message
            message = message.removeprefix("Skipped: ").removeprefix(f"{TookTooLongError.__name__}: ")
            before = self.tests.get(report.nodeid, {"outcome": "passed"})
            if before["outcome"] == "passed":
                self.tests[report.nodeid] = {"outcome": outcome, "message": message, "ran": sorted(self.ran)}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        origins = [sys.modules[package].__file__ or package for package in PACKAGES if package in sys.modules]
        foreign = [origin for origin in origins if not Path(origin).resolve().is_relative_to(self.root)]
        result = {"expected": self.expected, "tests": self.tests, "broken": self.broken, "foreign": foreign}
        self.file.write_text(json.dumps(result), encoding="utf-8")


def find_functions(root: Path) -> dict[tuple[str, str], str]:
    """(file, qualified name) -> number, of every exercise in source that can be read."""
    functions = {}
    for file, text in sources(root).items():
        try:
            functions |= {(str(root / file), exercise.name): exercise.number for exercise in find_in(text, file)}
        except ValueError:
            continue  # the student's file; its tests will say what is wrong with it
    return functions


def exercises_of(item: pytest.Item) -> set[str]:
    return {str(number) for marker in item.iter_markers("exercise") for number in marker.args}


def last_error(text: str) -> str:
    """The line of a traceback that says what is wrong."""
    lines = [line.removeprefix("E").strip() for line in text.strip().split("\n") if line.startswith("E ")]
    return (lines or text.strip().split("\n"))[-1]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TookTooLongError inside when the time is up; where the system has no timer, the grader's own limit must do."""
    def stop(signal_number: int, frame) -> None:
        raise TookTooLongError(TOO_LONG.format(seconds))

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--grade_file", type=Path)
    parser.addoption("--grade_limit", type=float)
    parser.addoption("--grade_only", default="")


def pytest_configure(config: pytest.Config) -> None:
    root, limit, file = config.rootpath.resolve(), config.getoption("--grade_limit"), config.getoption("--grade_file")
    numbers = set(config.getoption("--grade_only").split())
    config.pluginmanager.register(Grader(root, limit, file, numbers), "grader")
