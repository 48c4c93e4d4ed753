"""The students' copy: what is open in it, what is left out, and that it gives no solution away."""

import fnmatch
import re

import pytest
from small_course import ROOT, copy_course, replace, write, write_course
from small_run import save_tiny_bert

from minbert.files import MinbertError
from tools.assignment import GIVEN, LEFT_OUT, choose_exercises, copy_text, list_files, main, write_copy
from tools.exercises import blank, find_exercises, order, read_open, sources


@pytest.fixture
def course(tmp_path):
    return write_course(tmp_path / "course")


def read(path):
    return path.read_text(encoding="utf-8")


def test_all_exercises_are_open_and_all_else_is_as_it_was(course, tmp_path):
    assert write_copy(tmp_path / "copy", root=course) == {"3.3", "3.4", "5.1", "8.1", "10.2"} == read_open(tmp_path / "copy")
    assert "secret" not in read(tmp_path / "copy/minbert/attention.py")
    for name in ("tests/test_attention.py", "pyproject.toml", ".gitignore", "multitask/__init__.py"):
        assert read(tmp_path / "copy" / name) == read(course / name)


def test_part_one_gives_nothing_of_part_two_away_but_what_its_classifier_needs(course, tmp_path):
    assert write_copy(tmp_path / "one", 1, course) == {"3.3", "3.4", "5.1", "10.2"} == read_open(tmp_path / "one")
    assert write_copy(tmp_path / "two", 2, course) == {"8.1", "10.2"} == read_open(tmp_path / "two")


def test_the_handout_loses_the_solutions_of_what_is_open(course, tmp_path):
    write_copy(tmp_path / "one", 1, course)
    text = read(tmp_path / "one/handout.md")
    assert "Write it: exercise 3.3." in text and "query * key" not in text
    assert "right / all" in text, "8.1 is given, and so is its solution"
    assert "<details>Because.</details>" in text, "answers to questions stay"
    assert "Make a copy." not in text, "what is for teachers is gone"


def test_the_readme_begins_with_the_way_to_work(course, tmp_path):
    write_copy(tmp_path / "copy", root=course)
    text = read(tmp_path / "copy/README.md")
    assert text.startswith("# minBERT: the assignment\n\nAll 5 exercises are open.") and text.endswith("# Small\nThe end.\n")
    assert "tools.grade" not in text, "what is for teachers is gone"


def test_left_out_is_what_is_the_teachers_and_what_git_ignores(course, tmp_path):
    write_copy(course / "students/two", 2, course)  # holds solutions of part 1
    for name in ("data/train.csv", "minbert/__pycache__/attention.pyc", "a.tmp", ".git/config", ".ci/run", "tools/grade.py",
                 "tools/mistakes/3.toml", "docs/records/a/results.json", "tests/test_variants.py", "tests/variants/a.py"):
        write(course / name, "secret")
    write_copy(tmp_path / "copy", root=course)
    copied = {path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    originals = {path.relative_to(course).as_posix() for path in course.rglob("*") if path.is_file() and read(path) != "secret"}
    originals = {name for name in originals if not name.startswith("students/")}
    assert copied == originals - {"docs/MISTAKES.md", "tools/grade_run.py"}


@pytest.mark.parametrize("inside", ["copy", "docs/copy"])
def test_a_copy_inside_the_tree_does_not_copy_itself(inside, course):
    write_copy(course / inside, root=course)
    assert not (course / inside / inside).exists()


def test_a_place_that_cannot_be_written_is_an_error_of_one_line(course):
    with pytest.raises(MinbertError, match="cannot write"):
        write_copy(course / "README.md/copy", root=course)


def test_nothing_is_overwritten(course, tmp_path):
    for full in (copy_course(course, tmp_path / "full"), course / "README.md"):
        with pytest.raises(MinbertError, match="is there already"):
            write_copy(full, root=course)
    (tmp_path / "empty").mkdir()
    write_copy(tmp_path / "empty", root=course)


def test_a_wrong_marker_stops_before_anything_is_written(course, tmp_path):
    replace(course / "optim/step.py", '    """Half of it."""\n', "")
    with pytest.raises(MinbertError, match="without a docstring"):
        write_copy(tmp_path / "copy", root=course)
    assert not (tmp_path / "copy").exists()


def test_the_command_says_what_is_open(tmp_path, capsys):
    main([str(tmp_path / "copy"), "--part", "2"])
    assert "chapters 6 to 11" in capsys.readouterr().out
    assert {order(number)[0] for number in read_open(tmp_path / "copy")} == set(range(6, 12))


def test_what_is_given_exists():
    assert set(GIVEN) <= {one.number for one in find_exercises()}


def test_no_file_of_the_copy_holds_a_body_that_is_open():
    """Three lines of code in a row, of at least 60 letters, are a solution wherever they stand."""
    numbers = choose_exercises(find_exercises(), None)
    texts = {path: squeeze(copy_text(path, read(ROOT / path), numbers, "")) for path in list_files(ROOT)
             if path.suffix in (".py", ".md", ".toml", ".ipynb")}
    for exercise in find_exercises():
        lines = read(ROOT / exercise.file).split("\n")[exercise.first - 1:exercise.last]
        code = [squeeze(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]
        for three in ("".join(code[start:start + 3]) for start in range(max(1, len(code) - 2))):
            found = [str(path) for path, text in texts.items() if len(three) >= 60 and three in text]
            assert not found, f"{exercise} can be read in {found[0]}: leave the file out (LEFT_OUT) or say it differently"


def squeeze(text: str) -> str:
    return re.sub(r"\\n|[\s\",\\]", "", text)  # also as a notebook spells it


def test_what_is_left_out_by_name_exists():
    """A file that was renamed would be handed out."""
    files = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()]
    missing = [pattern for pattern in LEFT_OUT if not fnmatch.filter(files, pattern)]
    assert not missing, missing


@pytest.mark.slow
def test_part_ones_classifier_runs_once_part_one_is_solved(tmp_path):
    import subprocess
    import sys

    write_copy(tmp_path / "copy", 1)
    later = {one.number for one in find_exercises() if order(one.number)[0] > 5} - set(GIVEN)
    for file, text in sources().items():
        (tmp_path / "copy" / file).write_text(blank(text, later, file), encoding="utf-8", newline="")
    model = save_tiny_bert(tmp_path / "bert")
    done = subprocess.run([sys.executable, "classifier.py", "--option", "finetune", "--model", str(model), "--epochs", "1",
                           "--set", "max_length=40"], cwd=tmp_path / "copy", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
