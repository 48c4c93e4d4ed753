"""A project of five exercises with our tools and plugin, for the tests of assignment, report and grades."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = ("tests/exercise_report.py", "tools/__init__.py", "tools/exercises.py", "tools/grade_run.py")
FILES = {
    ".gitignore": "__pycache__/\ndata/\n*.tmp\n# a remark\n",
    "pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = ["."]\naddopts = "-ra --strict-markers"\n'
                      'markers = ["exercise(number): an exercise"]\n',
    "README.md": "# Small\n<!-- for teachers -->\npython -m tools.grade DIR\n<!-- end for teachers -->\nThe end.\n",
    "handout.md": "Halve it.\n<!-- for teachers -->\nMake a copy.\n<!-- end for teachers -->\n"
                  "<!-- solution 3.3 -->\nquery * key / 2\n<!-- end of solution -->\nThen:\n"
                  "<!-- solution 8.1 -->\nright / all\n<!-- end of solution -->\nWhy?\n<details>Because.</details>\n",
    "docs/MISTAKES.md": "the scale is forgotten\n",
    "minbert/__init__.py": "from minbert.attention import Layer\n",
    "minbert/attention.py": '''"""Attention to one key."""

import math


# Exercise 3.3: "scaled" scores
def scores(query, key):
    """Steps: multiply, then halve."""
    # the secret formula
    product = query * key
    return product / math.sqrt(4)


class Layer:
    # Exercise 3.4: the layer
    @staticmethod
    def attend(query, key):
        """Steps: the scores, plus 1.

        Gives a number.
        """

        def more(value):
            return value + 1

        return more(scores(query, key))
        # the end of the secret
''',
    "optim/__init__.py": "",
    "optim/step.py": '# Exercise 5.1: the step\ndef step(weight):\n    """Half of it."""\n    return weight / 2\n',
    "multitask/__init__.py": "",
    "multitask/evaluate.py": '# Exercise 8.1: accuracy\ndef accuracy(right, all):\n    """A share."""\n    return right / all\n',
    "multitask/report.py": 'from multitask.evaluate import accuracy\n\n\n# Exercise 10.2: a line\ndef line(right, all):\n'
                           '    """Steps: the share, as text."""\n    return f"{accuracy(right, all):.2f}"\n\n\n'
                           'if __name__ == "__main__":\n    print(line(1, 2))\n',
    "tests/conftest.py": 'pytest_plugins = ["exercise_report"]\n',
    "tests/test_attention.py": '''import pytest
from minbert.attention import Layer, scores


@pytest.mark.exercise("3.3")
def test_scores_are_halved():
    assert scores(2, 3) == 3, f"scores are {scores(2, 3) / 3:g} times what they should be: was the scale forgotten?"


@pytest.mark.exercise("3.3")
def test_scores_of_nothing_are_nothing():
    assert scores(0, 3) == 0


@pytest.mark.exercise("3.4")
def test_attention_is_scores_plus_one():
    assert Layer.attend(2, 3) == 4


@pytest.mark.exercise("3.4")
def test_the_layer_can_be_made():
    assert Layer()


def test_attention_grows():
    assert Layer.attend(2, 3) < Layer.attend(3, 3)


def test_nothing_is_needed():
    assert True
''',
    "tests/test_step.py": '''import pytest


@pytest.mark.exercise("5.1")
def test_a_step_halves():
    from optim.step import step

    assert step(4) == 2


@pytest.mark.skip(reason="slow")
@pytest.mark.exercise("5.1")
def test_many_steps():
    assert False
''',
    "tests/test_report.py": '''import subprocess
import sys

import pytest
from multitask.evaluate import accuracy
from multitask.report import line

pytestmark = pytest.mark.exercise("10.2")


@pytest.fixture
def half():
    return line(1, 2)


def test_a_line_by_fixture(half):
    assert half == "0.50"


def test_a_line_by_command():
    done = subprocess.run([sys.executable, "-m", "multitask.report"], capture_output=True, text=True, check=True)
    assert done.stdout == "0.50\\n"


def test_a_line_by_command_that_is_allowed_to_fail():
    done = subprocess.run([sys.executable, "-m", "multitask.report"])
    assert done.returncode == 0
''',
    "tests/test_evaluate.py": '''import pytest
from multitask.evaluate import accuracy


@pytest.mark.exercise("8.1")
@pytest.mark.parametrize("right, all, expected", [(1, 2, 0.5), (3, 4, 0.75)])
def test_accuracy_is_the_share_that_is_right(right, all, expected):
    assert accuracy(right, all) == expected
''',
}


def write_course(folder: Path) -> Path:
    for name, text in FILES.items():
        write(folder / name, text)
    for name in OURS:
        write(folder / name, (ROOT / name).read_text(encoding="utf-8"))
    return folder


def copy_course(folder: Path, target: Path) -> Path:
    """A student's folder in which everything is solved."""
    return Path(shutil.copytree(folder, target))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    write(path, text.replace(old, new))


def run_pytest(folder: Path, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess:
    """pytest in that folder, as a student calls it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds)
