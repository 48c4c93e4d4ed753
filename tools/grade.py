"""Points for a student's copy, exercise by exercise: this repository's tests, run on the student's packages.

    python -m tools.grade DIR [--part 1] [--json [FILE]]

From DIR come the packages and the two command lines, nothing else: what a student changes in tests or conftest.py changes no
points. An exercise gives its weight if all its tests pass; if some fail, half its weight times the share that pass, for most of
the tests of a wrong function look at what it got right; an open one gives nothing. The student's code runs in a program of its
own, on this machine: inside a container, as at Gradescope, it can do no harm.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minbert.files import MinbertError, write_text
from multitask.flags import Parser, number, run_command
from tools.assignment import PARTS
from tools.exercises import PACKAGES, ROOT, Exercise, find_exercises, order

WEIGHTS = {"1.1": 2, "1.3": 2, "3.3": 2, "3.4": 2, "4.2": 2, "5.1": 3, "7.4": 2, "7.5": 2, "8.3": 2, "9.1": 2, "10.1": 2,
           "11.1": 2}  # every other exercise 1
TEST_SECONDS = 10.0
ALONE_SECONDS = 60.0  # for one exercise on its own, where all together did not end well


@dataclass(frozen=True)
class Grade:
    """What one exercise earned; `state` is open, done, wrong or waits."""

    exercise: Exercise
    state: str
    passed: int
    tests: int
    lines: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        return WEIGHTS.get(self.exercise.number, 1)

    @property
    def score(self) -> float:
        most = {"done": self.weight, "open": 0}.get(self.state, self.weight / 2)
        return round(most * self.passed / self.tests, 2)

    @property
    def output(self) -> str:
        head = "still open" if self.state == "open" else f"{self.passed} of {self.tests} tests pass"
        return "\n".join([head, *self.lines])


def grade(folder: Path, part: int | None = None, seconds: float = 900.0, root: Path = ROOT) -> list[Grade]:
    """The grades of a student's copy, in order; the tests, and what is an exercise, come from `root`.

    Raises MinbertError where the tests ran on other code than the student's.
    """
    chosen = [one for one in {one.number: one for one in find_exercises(root)}.values()
              if part is None or order(one.number)[0] in PARTS[part]]
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="minbert-grade-") as temporary:
        place = Path(temporary).resolve()
        expected = run_tests(root, place / "expected.json", [], ["--collect-only"], seconds)["expected"]
        untested = [one.number for one in chosen if one.number not in expected]
        if untested:
            raise MinbertError(f"no test checks exercise {', '.join(untested)}", "mark one: @pytest.mark.exercise")
        lay_out(folder, root, place / "work")
        outcomes = run_all(place, {one.number: expected[one.number] for one in chosen}, deadline)
    wrong = {number for number, tests in expected.items() if number in outcomes
             and any(outcomes[number]["tests"].get(test, {}).get("outcome") != "passed" for test in tests)}
    return [judge(one, expected[one.number], outcomes[one.number], wrong - {one.number}) for one in chosen]


def lay_out(folder: Path, root: Path, work: Path) -> None:
    """The student's packages and commands beside our tests."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("tests", "tools"):
        shutil.copytree(root / name, work / name, ignore=ignore)
    shutil.copyfile(root / "pyproject.toml", work / "pyproject.toml")
    for name in PACKAGES:
        if (folder / name).is_dir():
            shutil.copytree(folder / name, work / name, ignore=ignore, ignore_dangling_symlinks=True)
        else:  # an installed package of that name must not take its place
            write_text(work / name / "__init__.py", f'raise ImportError("{name}/ is missing")\n')
    for script in ("classifier.py", "multitask_classifier.py"):
        if (folder / script).is_file():
            shutil.copyfile(folder / script, work / script)


def run_all(place: Path, expected: dict[str, list[str]], deadline: float) -> dict[str, dict]:
    """Exercise -> what its tests came to: all in one program, or where that one did not end well, each in its own."""
    together = try_tests(place, list(expected), expected, deadline - time.monotonic())
    if "ended" not in together:
        return dict.fromkeys(expected, together)
    return {one: try_tests(place, [one], expected, min(ALONE_SECONDS, deadline - time.monotonic())) for one in expected}


def try_tests(place: Path, numbers: Sequence[str], expected: dict[str, list[str]], seconds: float) -> dict:
    """The outcomes of these exercises' tests; "ended" says why there are none."""
    files = sorted({test.partition("::")[0] for number in numbers for test in expected[number]})
    options = ["--grade_only", " ".join(numbers)]
    if seconds <= 0:
        return {"tests": {}, "broken": {}, "ended": "was not run: the time for all exercises was up"}
    return run_tests(place / "work", place / "outcome.json", files, options, seconds)


def run_tests(root: Path, file: Path, tests: list[str], options: list[str], seconds: float) -> dict:
    """Runs pytest in `root`, in a program of its own that sees no other copy of the packages."""
    file.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
    environment |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                    "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tools.grade_run", "--rootdir", str(root),
               "--grade_file", str(file), "--grade_limit", str(TEST_SECONDS), "--continue-on-collection-errors", *options, *tests]
    nothing = {"tests": {}, "broken": {}}
    with subprocess.Popen(command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as running:
        try:
            output = running.communicate(timeout=seconds)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            stop(running)
            return nothing | {"ended": f"the tests took longer than {seconds:.0f} seconds and were stopped"}
    if not file.exists():
        last = (output.strip().split("\n") or [""])[-1]
        return nothing | {"ended": f"the program ended (status {running.returncode}) before the tests did: {last}"}
    result = json.loads(file.read_text(encoding="utf-8"))
    if result["foreign"]:
        raise MinbertError(f"the tests ran on {result['foreign'][0]}, which is not the student's",
                           "grade in an environment in which minbert is not installed", exit_code=1)
    return result


def stop(running: subprocess.Popen) -> None:
    """Ends the program with all that it has started."""
    if os.name == "nt":
        running.kill()
    else:
        os.killpg(running.pid, 9)


def judge(exercise: Exercise, expected: list[str], outcome: dict, wrong: set[str]) -> Grade:
    """One exercise's grade, with a line for each kind of failure; `wrong` are the other exercises that failed."""
    lines, passed, states = [], 0, set()
    for test in expected:
        found = outcome["tests"].get(test) or {"outcome": "failed", "message": why_not_run(test, outcome), "ran": []}
        states.add(found["outcome"])
        if found["outcome"] == "passed":
            passed += 1
        elif found["outcome"] != "open":
            follows = sorted(wrong & set(found["ran"]), key=order) if found["outcome"] == "failed" else []
            cause = f" (may follow from {', '.join(follows)}, which this test runs and which is not right yet)" if follows else ""
            lines.append(f"{test.partition('::')[2] if found['ran'] else test}: {found['message']}{cause}")
    state = next((state for state, seen in (("open", "open"), ("wrong", "failed"), ("waits", "waits")) if seen in states), "done")
    return Grade(exercise, state, passed, len(expected), () if state == "open" else tuple(dict.fromkeys(lines)))


def why_not_run(test: str, outcome: dict) -> str:
    file = test.partition("::")[0]
    broken = outcome["broken"].get(file)
    return f"{file} cannot be run: {broken}" if broken else outcome.get("ended", "was not run")


def to_gradescope(grades: list[Grade]) -> dict:
    """The contents of Gradescope's results.json."""
    total, most = sum(one.score for one in grades), sum(one.weight for one in grades)
    tests = [{"number": one.exercise.number, "name": one.exercise.title, "score": one.score, "max_score": one.weight,
              "status": "passed" if one.state == "done" else "failed", "output": one.output, "visibility": "visible"}
             for one in grades]
    return {"score": round(total, 2), "output": f"{total:g} of {most} points", "visibility": "visible", "tests": tests}


def to_table(grades: list[Grade]) -> str:
    lines = []
    for one in grades:
        lines.append(f"{one.exercise.number:<5} {one.state:<6} {one.score:>5g} of {one.weight}  {one.exercise.title}")
        lines += [f"{'':12} {line}" for line in one.lines[:3]]
    return "\n".join([*lines, to_gradescope(grades)["output"]])


def main(arguments: list[str]) -> None:
    """Grades a copy and prints, or writes, the points."""
    parser = Parser(prog="python -m tools.grade", description="Grade a student's copy, exercise by exercise.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the student's copy")
    parser.add_argument("--part", type=int, choices=PARTS, help="only chapters 1 to 5, or only the rest")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="Gradescope's results.json, printed or into FILE")
    parser.add_argument("--seconds", type=number(float, 1, 86400), default=900.0, help="for everything; default: %(default)g")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args(arguments)
    if not flags.folder.is_dir():
        raise MinbertError(f"{flags.folder} is not a folder", "name the one with the student's minbert/, optim/, multitask/")
    grades = grade(flags.folder, flags.part, flags.seconds)
    if flags.json is None:
        print(to_table(grades))
    elif flags.json == "-":
        print(json.dumps(to_gradescope(grades), indent=2))
    else:
        write_text(flags.json, json.dumps(to_gradescope(grades), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
