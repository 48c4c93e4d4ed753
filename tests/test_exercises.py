"""Where the exercises are, their bodies left open, and what pytest says of them."""

import ast
import json
import re
import subprocess
import sys

import pytest
from exercise_report import Standing, list_messages
from small_course import ROOT, replace, run_pytest, write_course

from tools.assignment import write_copy
from tools.exercises import blank, find_exercises, find_in, read_open, read_titles, sources

ALL = {"3.3", "3.4", "5.1", "8.1", "10.2"}
SHORT = '# Exercise 1.1: a title\ndef one(a):\n    """Steps."""\n    return a\n'


def states(output: str) -> dict[str, str]:
    """The table at the end of a run: number -> state."""
    section = output.partition("= exercises =")[2]
    return dict(re.findall(r"^([0-9]+\.[0-9]+) +(open|done|wrong|waits for [0-9., ]*[0-9])  ", section, re.MULTILINE))


def blanked_course(tmp_path, numbers=ALL):
    course = write_course(tmp_path / "course")
    for file, text in sources(course).items():
        (course / file).write_text(blank(text, numbers, file), encoding="utf-8", newline="")
    return course


def test_exercises_are_found_with_name_and_body(tmp_path):
    found = find_exercises(write_course(tmp_path))
    assert [one.number for one in found] == ["3.3", "3.4", "5.1", "8.1", "10.2"], "10.2 sorts behind 8.1, as a number"
    scores, attend = found[:2]
    assert (scores.title, scores.file, scores.name) == ('"scaled" scores', "minbert/attention.py", "scores")
    lines = (tmp_path / scores.file).read_text(encoding="utf-8").split("\n")
    assert lines[scores.first - 1] == "    # the secret formula" and lines[scores.last - 1].startswith("    return product")
    assert attend.name == "Layer.attend" and lines[attend.last - 1] == "        # the end of the secret"
    assert read_titles(tmp_path) == {one.number: one.title for one in found}


def test_a_blank_body_keeps_all_but_the_solution(tmp_path):
    source = sources(write_course(tmp_path))["minbert/attention.py"]
    text = blank(source, ALL)
    functions = {node.name: node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    assert set(functions) == {"scores", "attend"} and "secret" not in text and "import math" in text
    assert ast.unparse(functions["attend"].decorator_list[0]) == "staticmethod"
    assert ast.get_docstring(functions["attend"]).startswith("Steps: the scores, plus 1.")
    assert ast.unparse(functions["scores"].body[1]) == ast.unparse(ast.parse(
        "raise NotImplementedError('Exercise 3.3: \"scaled\" scores')"))
    assert blank(text, ALL) == text and blank(source, ["5.1"]) == source
    assert "return product" not in blank(source, ["3.3"]) and "return more" in blank(source, ["3.3"])


def test_line_ends_stay_as_they_are():
    text = blank(SHORT.replace("\n", "\r\n"), ["1.1"])
    assert text.count("\r\n") == text.count("\n") == 4


@pytest.mark.parametrize("source, message", [
    (SHORT.replace("title\n", "title\n\n"), "line 1: exercise 1.1 does not stand directly above a def"),
    (SHORT.replace("def one(a):\n", "class One:\n"), "does not stand directly above a def"),
    (SHORT.replace('    """Steps."""\n', ""), "one is an exercise without a docstring"),
    (SHORT.replace("    return a\n", ""), "one is an exercise without a body"),
    (SHORT.replace('"""\n    return a', '"""; return a'), "without a body on lines of its own"),
    (SHORT.replace("1.1: ", "1.1 "), "is no marker"),
    (SHORT.replace("return a", "return a)"), "line 4: unmatched"),
])
def test_a_wrong_marker_is_an_error(source, message):
    with pytest.raises(ValueError, match=message):
        list(find_in(source, "file.py"))


def test_an_exercise_may_be_several_functions_of_one_module(tmp_path):
    file = write_course(tmp_path) / "minbert/attention.py"
    replace(file, "Exercise 3.4: the layer", 'Exercise 3.3: "scaled" scores')
    assert [one.name for one in find_exercises(tmp_path)][:2] == ["scores", "Layer.attend"]
    assert blank(file.read_text(encoding="utf-8"), ["3.3"]).count("raise NotImplementedError") == 2


def test_a_number_given_twice_is_an_error(tmp_path):
    replace(write_course(tmp_path) / "optim/step.py", "Exercise 5.1", "Exercise 3.3")
    with pytest.raises(ValueError, match="exercise 3.3 is .* in minbert/attention.py and .* in optim/step.py"):
        find_exercises(tmp_path)


def test_titles_are_read_from_source_that_python_cannot_parse(tmp_path):
    replace(write_course(tmp_path) / "optim/step.py", "return", "return )")
    assert set(read_titles(tmp_path)) == ALL


def test_where_all_is_solved_a_run_is_an_ordinary_one(tmp_path):
    course = write_course(tmp_path)
    done = run_pytest(course)
    assert done.returncode == 0 and "exercises" not in done.stdout, done.stdout
    replace(course / "minbert/attention.py", "/ math.sqrt(4)", "")
    done = run_pytest(course)
    assert "3 failed" not in done.stdout and "2 failed" in done.stdout and "exercises =" not in done.stdout, done.stdout


def test_an_open_exercises_own_tests_fail_and_others_wait(tmp_path):
    done = run_pytest(blanked_course(tmp_path))
    assert states(done.stdout) == dict.fromkeys(ALL, "open"), done.stdout
    assert "waits for Exercise 3.4: the layer" in done.stdout.partition("= exercises =")[0], "the table comes last"
    assert "Traceback" not in done.stdout and "FAILED" not in done.stdout, "the table says it all"
    assert "Exercise 5.1: the step is still open" in run_pytest(tmp_path / "course", "--tb=short").stdout
    assert "2 skipped" in done.stdout, "only the unmarked test that needs 3.4, and the slow one, are skipped"


def test_tests_of_a_solved_exercise_wait_for_an_open_one_below_it(tmp_path):
    course = blanked_course(tmp_path, {"3.3", "8.1"})
    done = run_pytest(course)
    assert states(done.stdout) == {"3.3": "open", "3.4": "waits for 3.3", "5.1": "done", "8.1": "open", "10.2": "waits for 8.1"}
    assert "AssertionError" not in done.stdout and "CalledProcessError" not in done.stdout, done.stdout


def test_a_wrong_exercise_is_shown_with_what_its_tests_say(tmp_path):
    course = blanked_course(tmp_path, {"5.1"})
    replace(course / "minbert/attention.py", "/ math.sqrt(4)", "")
    done = run_pytest(course)
    assert states(done.stdout) == {"3.3": "wrong", "3.4": "wrong", "5.1": "open", "8.1": "done", "10.2": "done"}
    table = done.stdout.partition("= exercises =")[2]
    assert re.search(r"3\.3 .*\n +- scores are 2 times what they should be: was the scale forgotten\?\n +1 of 2 tests", table)


def test_sentences_stand_before_bare_comparisons_and_crashes_and_each_once():
    standing = Standing("scores", failed=[("a", "assert 1 == 2"), ("b", "TypeError: no (x.py, line 3)"),
                                          ("c", "too large: scale?"), ("d", "too large: scale?")])
    assert [line.strip() for line in list_messages("3.3", standing)] == [
        "- too large: scale?", "- assert 1 == 2", "- TypeError: no (x.py, line 3)",
        "4 of 4 tests fail; tracebacks: pytest --exercise 3.3 --tb=short"]


def test_a_failure_that_is_no_exercises_is_told_too(tmp_path):
    course = blanked_course(tmp_path, {"5.1"})
    (course / "tests/test_other.py").write_text("def test_other():\n    assert False, 'a sentence'\n", encoding="utf-8")
    assert "tests/test_other.py::test_other: a sentence" in run_pytest(course).stdout.partition("= exercises =")[2]


def test_a_test_file_that_needs_an_open_exercise_at_import_waits(tmp_path):
    course = blanked_course(tmp_path, {"8.1"})
    replace(course / "tests/test_report.py", "pytestmark", "line(1, 2)\npytestmark")
    done = run_pytest(course)
    assert "waits for Exercise 8.1: accuracy" in done.stdout and "error" not in done.stdout.splitlines()[-1], done.stdout


@pytest.mark.parametrize("wanted, tests", [(["3.3"], 2), (["3"], 4), (["3.3", "8"], 4), (["10.2"], 3)])
def test_one_exercise_or_a_section_is_chosen(tmp_path, wanted, tests):
    done = run_pytest(write_course(tmp_path), *[f"--exercise={one}" for one in wanted])
    assert f"{tests} passed" in done.stdout and set(states(done.stdout).values()) == {"done"}, done.stdout


@pytest.mark.parametrize("wanted, hint", [("3.9", "the nearest is 3.4"), ("14", "the nearest is 10.2"), ("x", "write 3.3 for")])
def test_an_unknown_number_is_refused_in_one_line(tmp_path, wanted, hint):
    done = run_pytest(write_course(tmp_path), f"--exercise={wanted}")
    assert done.returncode == 4 and hint in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr


BLANK_EACH = """
import json, re, sys
import pytest
from tools.exercises import ROOT, blank, find_exercises
from tools.mistakes.planted import imported_anew

class Listener:
    def __init__(self):
        self.failed, self.passed = {}, []
    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed[report.nodeid] = report.longreprtext + "".join(text for _, text in report.sections)
        elif report.passed and report.when == "call":
            self.passed.append(report.nodeid)

def marked(path):
    return set(re.findall(r'"([0-9]+[.][0-9]+)"', " ".join(re.findall(r"exercise[(].*[)]", path.read_text(encoding="utf-8")))))

marks = {path: marked(path) for path in sorted((ROOT / "tests").glob("test_*.py")) if path.name != "test_exercises.py"}
outcomes = {}
for exercise in [None, *{one.number: one for one in find_exercises()}.values()]:
    changed, listener, options = (), Listener(), []
    if exercise:
        changed = exercise.file, blank((ROOT / exercise.file).read_text(encoding="utf-8"), [exercise.number])
        options = ["--exercise", exercise.number]
    files = [str(path) for path, numbers in marks.items() if (exercise.number in numbers if exercise else numbers)]
    if files:
        with imported_anew(*changed):
            pytest.main(["-q", "-p", "no:cacheprovider", *options, *files], plugins=[listener])
    name = f"Exercise {exercise.number}: {exercise.title}" if exercise else "solved"
    outcomes[name] = {"passed": listener.passed, "failed": listener.failed}
open(sys.argv[1], "w", encoding="utf-8").write(json.dumps(outcomes))
"""


@pytest.mark.slow
def test_blanking_any_one_exercise_turns_all_its_own_tests_red_with_its_name(tmp_path):
    done = subprocess.run([sys.executable, "-c", BLANK_EACH, str(tmp_path / "outcomes.json")], cwd=ROOT, capture_output=True,
                          text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads((tmp_path / "outcomes.json").read_text(encoding="utf-8"))
    assert not outcomes.pop("solved")["failed"], "with everything solved, all is green"
    problems = []
    for name, outcome in outcomes.items():
        if not outcome["failed"]:
            problems.append(f"{name}: no test goes red")
        red = {test.partition("[")[0] for test in outcome["failed"]}
        problems += [f"{name}: stays green: {test}" for test in outcome["passed"] if test.partition("[")[0] not in red]
        problems += [f"{name}: red without the name: {test}" for test, text in outcome["failed"].items() if name not in text]
    assert not problems, "\n".join(problems)


@pytest.mark.slow
def test_in_the_students_copy_only_open_exercises_tests_fail_and_solving_one_turns_it_done(tmp_path):
    copy = tmp_path / "copy"
    numbers = write_copy(copy)
    assert read_open(copy) == numbers == {one.number for one in find_exercises()}
    done = run_pytest(copy, "-q", seconds=600)
    failed = re.findall(r"^(?:FAILED|ERROR) (.*)$", done.stdout, re.MULTILINE)
    table = states(done.stdout)
    assert set(table) == numbers and set(table.values()) == {"open"}, table
    assert len(failed) == len(re.findall(r"^Exercise [0-9.]+: .* is still open$", done.stdout, re.MULTILINE)), "\n".join(failed)
    for file, text in sources(ROOT).items():
        (copy / file).write_text(blank(text, numbers - {"4.1"}, file), encoding="utf-8", newline="")
    table = states(run_pytest(copy, "-q", "--exercise=4", "--exercise=5", seconds=600).stdout)
    assert [number for number, state in table.items() if state != "open"] == ["4.1"] and table["4.1"] == "done", table
