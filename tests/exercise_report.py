"""pytest's side of the exercises: `--exercise 3.3`, short messages where one is open, and a table of what is done.

Loaded by conftest.py. A test that runs into an exercise which is still open fails if it checks that exercise, and is
skipped ("waits for Exercise 3.3: ...") if it checks anything else. In such a run, and with `--exercise`, the table stands in the
place of tracebacks and of the list of failures; `--tb=short` brings the tracebacks back. Where nothing is open, nothing of this
changes a run.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tools.exercises import order, read_open, read_titles

MESSAGES = 5  # of one exercise in the table
RAISED = re.compile(r"NotImplementedError: Exercise ([0-9]+\.[0-9]+): ")


@dataclass
class Standing:
    """What the tests of one exercise have come to."""

    title: str
    passed: int = 0
    open: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)  # test, first line of its message
    waits_for: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        if self.open:
            return "open"
        return "wrong" if self.failed else "waits" if self.waits_for else "done"

    @property
    def ran(self) -> int:
        return self.passed + self.open + len(self.failed) + len(self.waits_for)


class ExerciseReport:
    """The plugin of one run: knows which exercises are open, and takes down what each exercise's tests come to."""

    def __init__(self, root: Path, chosen: Collection[str] | None) -> None:
        self.titles, self.open, self.chosen = read_titles(root), read_open(root), chosen
        self.others: list[tuple[str, str]] = []  # what failed and checks no exercise
        self.standings = {number: Standing(title) for number, title in self.titles.items()}

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Passes over the test files that have no test of a chosen exercise: most of the time goes into importing them."""
        if self.chosen is None or collection_path.suffix != ".py":
            return None
        marks = re.findall(r"exercise\((.*?)\)", collection_path.read_text(encoding="utf-8"))
        return None if any(f'"{number}"' in mark for mark in marks for number in self.chosen) else True

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keeps the chosen exercises' tests."""
        if self.chosen is not None:
            kept = {item for item in items if set(numbers_of(item)) & set(self.chosen)}
            config.hook.pytest_deselected(items=[item for item in items if item not in kept])
            items[:] = [item for item in items if item in kept]

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector):
        """A test file that needs an open exercise to be imported waits as a whole."""
        report = yield
        number = self.find_open([report.longreprtext]) if report.failed else None
        if number:
            report.outcome, report.longrepr = "skipped", (str(collector.path), 0, f"Skipped: waits for {self.name(number)}")
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo):
        report = yield
        report.exercises, report.runs_into, report.message = numbers_of(item), None, ""
        if report.failed:
            report.message = describe_failure(call.excinfo)
            number = report.runs_into = self.find_open(texts_of(call.excinfo.value, report))
            if number in report.exercises:
                report.longrepr = report.message = f"{self.name(number)} is still open"
                report.sections = []
            elif number:
                report.outcome = "skipped"
                # no line of a file, so that pytest lists all that wait for one exercise in one line
                report.longrepr = (str(item.config.rootpath / "tests"), None, f"Skipped: waits for {self.name(number)}")
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes down one test's outcome; under xdist this runs in the main process, from what the workers sent."""
        for number in getattr(report, "exercises", ()):
            standing = self.standings.setdefault(number, Standing(""))
            if report.failed and report.runs_into:
                standing.open += 1
            elif report.failed:
                standing.failed.append((report.nodeid, report.message))
            elif report.skipped and report.runs_into:
                standing.waits_for.append(report.runs_into)
            elif report.passed and report.when == "call":
                standing.passed += 1
        if report.failed and not getattr(report, "exercises", ()):
            self.others.append((report.nodeid, report.message))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        rows = list(table(self.standings))
        if rows and self.takes_over:
            terminalreporter.reportchars = "s"  # pytest's list of failures would bury the table; that of skips comes before it
            terminalreporter.short_test_summary()
            terminalreporter.reportchars = ""
            terminalreporter.section("exercises")
            for row in [*rows, *list_others(self.others)]:
                terminalreporter.write_line(row)

    @property
    def takes_over(self) -> bool:
        """Whether this is a run of somebody who works on exercises."""
        return bool(self.open) or self.chosen is not None

    def find_open(self, texts: Iterable[str]) -> str | None:
        """The open exercise that these texts name as the error, or None."""
        if not self.open:
            return None
        found = (number for text in texts for number in RAISED.findall(text) if number in self.open)
        return next(found, None)

    def name(self, number: str) -> str:
        return f"Exercise {number}: {self.titles.get(number, 'its comment is gone')}"


def texts_of(error: BaseException, report: pytest.TestReport) -> Iterator[str]:
    """Where the error of an open exercise may be read: the error itself, what led to it, and what was printed."""
    while error is not None:
        yield f"{type(error).__name__}: {error}"
        yield from (output if isinstance(output, str) else output.decode(errors="replace")
                    for name in ("stdout", "stderr") if (output := getattr(error, name, None)))  # a command that failed
        error = error.__cause__ or error.__context__
    yield from (text for _, text in report.sections)
    yield report.longreprtext


def describe_failure(info: pytest.ExceptionInfo) -> str:
    """What the failure says, in one line; a crash also says where."""
    line = str(info.value).strip().split("\n")[0]
    if line and isinstance(info.value, (AssertionError, pytest.fail.Exception)):
        return line
    place = info.traceback[-1]
    return f"{type(info.value).__name__}: {line} ({Path(str(place.path)).name}, line {place.lineno + 1})"


def numbers_of(item: pytest.Item) -> list[str]:
    return sorted({str(number) for marker in item.iter_markers("exercise") for number in marker.args}, key=order)


def table(standings: dict[str, Standing]) -> Iterator[str]:
    """A line for each exercise of which a test was run."""
    for number, standing in sorted(standings.items(), key=lambda pair: order(pair[0])):
        if not standing.ran:
            continue
        state = standing.state
        if state == "waits":
            state = "waits for " + ", ".join(sorted(set(standing.waits_for), key=order))
        yield f"{number:<5} {state:<{max(6, len(state))}}  {standing.title}"
        if standing.state == "wrong":
            yield from list_messages(number, standing)


def list_messages(number: str, standing: Standing) -> Iterator[str]:
    """What the failed tests say: sentences before bare comparisons and crashes, each once."""
    failed = sorted(standing.failed, key=lambda one: bool(re.match(r"assert |\w+Error: ", one[1])))
    messages = list(dict.fromkeys(message for _, message in failed))
    yield from (f"      - {message}" for message in messages[:MESSAGES])
    more = f"{len(messages) - MESSAGES} more sentences and the " if len(messages) > MESSAGES else ""
    yield f"      {len(failed)} of {standing.ran} tests fail; {more}tracebacks: pytest --exercise {number} --tb=short"


def list_others(failed: list[tuple[str, str]]) -> Iterator[str]:
    if failed:
        yield f"{len(failed)} failed that check no exercise: a change outside of the exercises, or a mistake of ours?"
        yield from (f"      - {test}: {message}" for test, message in failed[:MESSAGES])


def choose(wanted: Collection[str], titles: Collection[str]) -> list[str]:
    """The exercises that "3.3" or, for a whole section, "3" stand for. Raises pytest.UsageError for one that is none."""
    chosen = []
    for one in wanted:
        found = [number for number in titles if one in (number, number.split(".")[0])]
        if not found:
            raise pytest.UsageError(f"--exercise {one}: there is no such exercise{nearest(one, titles)}")
        chosen += found
    return chosen


def nearest(wanted: str, titles: Collection[str]) -> str:
    """"; the nearest is 3.4" for 3.7: the same section first, then the number."""
    if not titles or not re.fullmatch(r"[0-9]+(\.[0-9]+)?", wanted):
        return ": write 3.3 for one exercise, 3 for a section"
    section, number = order(wanted + ".1")[:2]
    distances = {title: (abs(order(title)[0] - section), abs(order(title)[1] - number)) for title in titles}
    return f"; the nearest is {min(distances, key=distances.get)}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--exercise", action="append", metavar="N.M", help="only the tests of this exercise, or of section N")


def pytest_configure(config: pytest.Config) -> None:
    wanted = config.getoption("--exercise")
    chosen = choose(wanted, read_titles(config.rootpath)) if wanted else None
    report = ExerciseReport(config.rootpath, chosen)
    if report.takes_over and config.option.tbstyle == "auto":
        config.option.tbstyle = "no"
    config.pluginmanager.register(report, "exercise-report")
