"""Grades: points per exercise with the teacher's tests, whatever the student's code does."""

import json

import pytest
from small_course import ROOT, copy_course, replace, write, write_course

from minbert.files import MinbertError
from tools import grade as grader
from tools.exercises import blank, sources
from tools.grade import WEIGHTS, Grade, grade, main, to_gradescope, to_table

ATTENTION, STEP = "minbert/attention.py", "optim/step.py"


@pytest.fixture
def course(tmp_path):
    return write_course(tmp_path / "course")


@pytest.fixture
def copy(course, tmp_path):
    return copy_course(course, tmp_path / "copy")


def states(grades):
    return {one.exercise.number: one.state for one in grades}


def scores(grades):
    return {one.exercise.number: one.score for one in grades}


def output(grades, number):
    return next(one.output for one in grades if one.exercise.number == number)


def test_all_solved_is_full_points(course, copy):
    grades = grade(copy, root=course)
    assert states(grades) == dict.fromkeys(["3.3", "3.4", "5.1", "8.1", "10.2"], "done")
    assert scores(grades) == {"3.3": 2, "3.4": 2, "5.1": 3, "8.1": 1, "10.2": 1}
    assert output(grades, "10.2") == "3 of 3 tests pass"


def test_open_wrong_and_waiting_exercises(course, copy):
    write(copy / "optim/step.py", blank(sources(copy)[STEP], ["5.1"]))
    write(copy / "multitask/evaluate.py", blank(sources(copy)["multitask/evaluate.py"], ["8.1"]))
    replace(copy / ATTENTION, "/ math.sqrt(4)", "")
    grades = grade(copy, root=course)
    assert states(grades) == {"3.3": "wrong", "3.4": "wrong", "5.1": "open", "8.1": "open", "10.2": "waits"}
    assert scores(grades) == {"3.3": 0.5, "3.4": 0.5, "5.1": 0, "8.1": 0, "10.2": 0}, "half the weight, times the share"
    assert output(grades, "5.1") == "still open"
    assert "test_scores_are_halved: scores are 2 times what they should be: was the scale forgotten?" in output(grades, "3.3")
    assert "may follow from" not in output(grades, "3.3")
    assert "may follow from 3.3" in output(grades, "3.4")
    assert "waits for Exercise 8.1: accuracy" in output(grades, "10.2")


@pytest.mark.slow
def test_a_part_is_graded_alone(course, copy):
    assert set(scores(grade(copy, 1, root=course))) == {"3.3", "3.4", "5.1"}
    assert set(scores(grade(copy, 2, root=course))) == {"8.1", "10.2"}


@pytest.mark.slow
def test_what_a_student_does_to_tests_and_tools_changes_nothing(course, copy):
    replace(copy / ATTENTION, "/ math.sqrt(4)", "")
    before = scores(grade(copy, root=course))
    write(copy / "tests/test_attention.py", "def test_nothing(): pass\n")
    cheat = "import pytest\n\n\n@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_makereport():\n    report = yield\n" \
            "    report.outcome = 'passed'\n    return report\n"
    for name in ("tests/conftest.py", "conftest.py", "minbert/conftest.py", "tests/exercise_report.py", "tools/grade_run.py",
                 "sitecustomize.py", "pytest.py"):
        write(copy / name, cheat)
    write(copy / "pyproject.toml", '[tool.pytest.ini_options]\naddopts = "--collect-only"\n')
    assert scores(grade(copy, root=course)) == before


@pytest.mark.slow
def test_a_syntax_error_costs_what_needs_the_file_and_says_so(course, copy):
    replace(copy / ATTENTION, "return product", "return )")
    grades = grade(copy, root=course)
    assert scores(grades) == {"3.3": 0, "3.4": 0, "5.1": 3, "8.1": 1, "10.2": 1}
    assert "SyntaxError" in output(grades, "3.3") and states(grades)["3.3"] == "wrong"


@pytest.mark.slow
@pytest.mark.parametrize("name, reason", [("minbert/attention.py", "minbert.attention"), ("minbert", "minbert/ is missing")])
def test_a_missing_file_or_package_gives_nothing_and_says_so(course, copy, name, reason):
    (copy / name).rename(copy / "elsewhere")
    grades = grade(copy, root=course)
    assert scores(grades) == {"3.3": 0, "3.4": 0, "5.1": 3, "8.1": 1, "10.2": 1}
    assert reason in output(grades, "3.3"), output(grades, "3.3")


@pytest.mark.slow
@pytest.mark.parametrize("code, reason", [("import sys\nsys.exit(0)\n", "SystemExit"),
                                          ("import os\nos._exit(0)\n", "program ended"),
                                          ("raise ValueError('no')\n", "ValueError: no")])
def test_a_file_that_ends_the_program_at_import_costs_only_its_own_exercises(course, copy, code, reason):
    write(copy / "minbert/__init__.py", code)
    grades = grade(copy, root=course)
    assert scores(grades) == {"3.3": 0, "3.4": 0, "5.1": 3, "8.1": 1, "10.2": 1}
    assert reason in output(grades, "3.3"), output(grades, "3.3")


@pytest.mark.slow
@pytest.mark.parametrize("code, reason", [("import sys; sys.exit(0)", "SystemExit"), ("import os; os._exit(0)", "program ended"),
                                          ("import os; os.abort()", "program ended"), ("return None", "None")])
def test_a_function_that_ends_the_program_costs_only_its_own_exercise(course, copy, code, reason):
    replace(copy / STEP, "return weight / 2", code)
    grades = grade(copy, root=course)
    assert scores(grades) == {"3.3": 2, "3.4": 2, "5.1": 0, "8.1": 1, "10.2": 1}
    assert reason in output(grades, "5.1"), output(grades, "5.1")


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["while True: pass",
                                  "\n    while True:\n        try: weight += 1\n        except Exception: pass"])
def test_a_loop_without_end_costs_only_its_own_exercise(course, copy, monkeypatch, loop):
    monkeypatch.setattr(grader, "TEST_SECONDS", 0.5)
    replace(copy / STEP, "return weight / 2", loop)
    grades = grade(copy, root=course)
    assert scores(grades) == {"3.3": 2, "3.4": 2, "5.1": 0, "8.1": 1, "10.2": 1}
    assert "took longer than 0.5 seconds: does a loop never end?" in output(grades, "5.1")


@pytest.mark.slow
def test_behind_a_loop_without_end_the_exercises_other_tests_are_not_run(course, copy, monkeypatch):
    monkeypatch.setattr(grader, "TEST_SECONDS", 0.5)
    replace(copy / ATTENTION, "product = query * key", "while query: pass")
    assert "was not run: another test of this exercise took longer" in output(grade(copy, root=course), "3.3")


@pytest.mark.slow
def test_the_time_for_everything_is_kept_and_what_was_not_run_gives_nothing(course, copy, monkeypatch):
    monkeypatch.setattr(grader, "TEST_SECONDS", 60.0)
    replace(copy / STEP, "return weight / 2", "while True: pass")
    grades = grade(copy, root=course, seconds=3)
    assert set(scores(grades).values()) == {0} and "time for all exercises was up" in output(grades, "8.1")


@pytest.mark.slow
def test_other_code_than_the_students_is_never_graded(course, copy, tmp_path):
    """The student's package makes the tests import another one."""
    other = write_course(tmp_path / "other") / "minbert"
    write(copy / "minbert/__init__.py", f"__file__ = {str(other / '__init__.py')!r}\n__path__ = [{str(other)!r}]\n")
    with pytest.raises(MinbertError, match="not the student's"):
        grade(copy, root=course)


def test_the_format_is_gradescopes():
    from tools.exercises import Exercise

    exercise = Exercise("3.3", "scores", "a.py", "scores", 1, 2)
    result = to_gradescope([Grade(exercise, "wrong", 3, 4, ("test: wrong",)), Grade(exercise, "done", 4, 4)])
    assert json.loads(json.dumps(result)) == {
        "score": 2.75, "output": "2.75 of 4 points", "visibility": "visible",
        "tests": [{"number": "3.3", "name": "scores", "score": 0.75, "max_score": 2, "status": "failed",
                   "output": "3 of 4 tests pass\ntest: wrong", "visibility": "visible"},
                  {"number": "3.3", "name": "scores", "score": 2.0, "max_score": 2, "status": "passed",
                   "output": "4 of 4 tests pass", "visibility": "visible"}]}
    assert "3.3   wrong   0.75 of 2  scores" in to_table([Grade(exercise, "wrong", 3, 4)])


def test_the_command_prints_a_table_or_json_or_writes_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(grader, "grade", lambda *arguments: [])
    main([str(tmp_path)])
    assert capsys.readouterr().out == "0 of 0 points\n"
    main([str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["tests"] == []
    main([str(tmp_path), "--json", str(tmp_path / "results.json")])
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["score"] == 0
    with pytest.raises(MinbertError, match="is not a folder"):
        main([str(tmp_path / "none")])


def test_every_weight_is_an_exercises():
    from tools.exercises import find_exercises

    assert set(WEIGHTS) <= {one.number for one in find_exercises()}


@pytest.mark.slow
def test_this_repository_gets_all_points():
    grades = grade(ROOT)
    assert set(states(grades).values()) == {"done"}, to_table(grades)
