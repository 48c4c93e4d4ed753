"""One mistake on trial: which test of its component fails, and what that test says."""

import _thread
import contextlib
import io
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from minbert.files import MinbertError
from tools.mistakes import official
from tools.mistakes.planted import ROOT, Mistake, planted

LONGEST = 30.0  # seconds for one trial; a mistake may loop for ever
DELIBERATE = (AssertionError, pytest.fail.Exception)


@dataclass(frozen=True)
class Failure:
    """A test that failed, and the sentence it said; a bare crash, or an assert without a message, says nothing."""

    test: str
    sentence: str


@dataclass(frozen=True)
class Outcome:
    """What became of a mistake. `verdict` is "named" where a failing test's sentence has the mistake's `says`."""

    mistake: Mistake
    verdict: str
    failure: Failure | None
    sanity: bool | None
    optimizer: bool | None


class Listener:
    """A pytest plugin: keeps the tests of one exercise, takes down failures, stops at the first that `says` is found in."""

    def __init__(self, exercise: str = "", says: str | None = None, known: frozenset[str] = frozenset()) -> None:
        self.exercise, self.says, self.known = exercise, says, known
        self.selected = 0
        self.failures: list[Failure] = []
        self.named: Failure | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.exercise:
            items[:] = [item for item in items
                        if any(self.exercise in marker.args for marker in item.iter_markers("exercise"))]
        self.selected = len(items)

    def pytest_exception_interact(self, node: pytest.Item, call: pytest.CallInfo) -> None:
        if node.nodeid in self.known:
            return
        sentence = str(call.excinfo.value) if isinstance(call.excinfo.value, DELIBERATE) else ""
        self.failures.append(Failure(node.nodeid, sentence))
        if self.says is not None and re.search(self.says, sentence):
            self.named = self.failures[-1]
            node.session.shouldfail = "named"  # the rest need not run


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Inside, the main thread is interrupted (KeyboardInterrupt) when the time is up."""
    timer = threading.Timer(seconds, _thread.interrupt_main)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def run_tests(component: str, listener: Listener) -> bool:
    """Runs a test file quietly in this process; False where it did not end in time."""
    # plain asserts, no formatted tracebacks, no plugins that collect garbage after every run: a third of the time
    options = ["-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "no:threadexception", "--assert=plain",
               "-q", "--tb=native", "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), time_limit(LONGEST):
        code = pytest.main([*options, str(ROOT / component)], plugins=[listener])
    return code != pytest.ExitCode.INTERRUPTED


def find_failing(component: str) -> frozenset[str]:
    """The tests that fail without any mistake: they prove nothing."""
    listener = Listener()
    with planted(None):
        run_tests(component, listener)
    return frozenset(failure.test for failure in listener.failures)


def try_mistake(mistake: Mistake, known: frozenset[str] = frozenset()) -> Outcome:
    """Plants the mistake and runs its component's tests, then the course's two official checks where they run such code.

    Raises MinbertError where no test is marked with the mistake's exercise.
    """
    listener = Listener(mistake.exercise, mistake.says, known)
    with planted(mistake):
        ended = run_tests(mistake.component, listener)
    if not listener.selected and not listener.failures and mistake.exercise:
        raise MinbertError(f"{mistake.name!r}: {mistake.component} has no test of exercise {mistake.exercise}",
                           f'mark one: @pytest.mark.exercise("{mistake.exercise}")')
    verdict = "named" if listener.named else "caught, cause not named" if listener.failures else "not caught"
    failures = [failure for failure in listener.failures if failure.sentence] or listener.failures
    failure = listener.named or (failures[0] if failures else None)
    return Outcome(mistake, verdict if ended else "did not end", failure,
                   sees(mistake, "minbert/", official.sanity_check), sees(mistake, "optim/", official.optimizer_check))


def sees(mistake: Mistake, package: str, check) -> bool | None:
    """Whether an official check fails, or crashes, with the mistake in; None where it cannot be run here. It runs no code
    outside of `package`."""
    if not mistake.file.startswith(package):
        return False
    with planted(mistake), time_limit(LONGEST):
        try:
            passed = check()
        except (Exception, KeyboardInterrupt):
            return True
    return None if passed is None else not passed
