"""The exercises in the source: where each `# Exercise N.M: title` stands, and a module's text with their bodies left open.

Imports none of the packages: in a student's copy they may not be importable.
"""

import ast
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("minbert", "optim", "multitask")
MARKER = re.compile(r"^ *# Exercise ([0-9]+\.[0-9]+): (\S.*?)\s*$")
OPEN = re.compile(r"NotImplementedError\(\"Exercise ([0-9]+\.[0-9]+): ")


@dataclass(frozen=True)
class Exercise:
    """A function to be written, of which an exercise has one or more; its body, after the docstring, is lines `first` to `last`
    of `file` (from 1)."""

    number: str
    title: str
    file: str
    name: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"Exercise {self.number}: {self.title}"


def order(number: str) -> tuple[int, ...]:
    """What exercise numbers sort by: 10.1 stands behind 9.2."""
    return tuple(int(part) for part in number.split("."))


def sources(root: Path = ROOT) -> dict[str, str]:
    """File -> text of every module in which exercises may stand."""
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return {path.relative_to(root).as_posix(): path.read_bytes().decode("utf-8", errors="replace") for path in paths}


def read_titles(root: Path = ROOT) -> dict[str, str]:
    """Number -> title of every exercise. Works on source that Python cannot parse, as a student's may be."""
    lines = [line for text in sources(root).values() for line in text.split("\n")]
    found = [marker.groups() for line in lines if (marker := MARKER.match(line))]
    return dict(sorted(found, key=lambda pair: order(pair[0])))


def read_open(root: Path = ROOT) -> set[str]:
    """The numbers of the exercises whose body is still the line that `blank` writes."""
    return {number for text in sources(root).values() for number in OPEN.findall(text)}


def find_exercises(root: Path = ROOT) -> list[Exercise]:
    """All exercises, in the order of their numbers.

    Raises ValueError for a marker that cannot be read or does not stand directly above a def, for a function without
    docstring or body, and for a number that two exercises have. An exercise may be several functions of one module.
    """
    found = [exercise for file, text in sources(root).items() for exercise in find_in(text, file)]
    first: dict[str, Exercise] = {}
    for exercise in found:
        other = first.setdefault(exercise.number, exercise)
        if (other.file, other.title) != (exercise.file, exercise.title):
            raise ValueError(f"exercise {exercise.number} is {other.title!r} in {other.file} and {exercise.title!r} in "
                             f"{exercise.file}: give each exercise a number of its own")
    return sorted(found, key=lambda exercise: order(exercise.number))


def find_in(source: str, file: str) -> Iterator[Exercise]:
    """The exercises of one module, from top to bottom."""
    try:
        functions = dict(functions_by_line(ast.parse(source)))
    except SyntaxError as error:
        raise ValueError(f"{file}: line {error.lineno}: {error.msg}") from error
    lines = source.split("\n")
    for number, line in enumerate(lines, start=1):
        if not re.match(r" *# Exercise\b", line):
            continue
        marker, (name, function) = MARKER.match(line), functions.get(number + 1, ("", None))
        if marker is None:
            raise ValueError(f"{file}: line {number}: {line.strip()!r} is no marker: write it as # Exercise 1.2: title")
        if function is None:
            raise ValueError(f"{file}: line {number}: exercise {marker[1]} does not stand directly above a def: put the "
                             "marker above the def and its decorators, without a blank line")
        yield Exercise(marker[1], marker[2], file, name, *body_lines(function, lines, f"{file}: {name}"))


def functions_by_line(node: ast.AST, prefix: str = "") -> Iterator[tuple[int, tuple[str, ast.FunctionDef]]]:
    """Every function's first line, decorators included, with its qualified name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min(part.lineno for part in (child, *child.decorator_list))
            yield first, (prefix + child.name, child)
        named = isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        yield from functions_by_line(child, f"{prefix}{child.name}." if named else prefix)


def body_lines(function: ast.FunctionDef, lines: list[str], place: str) -> tuple[int, int]:
    """The first and last line after the docstring; comments at the end belong to the body."""
    if ast.get_docstring(function) is None:
        raise ValueError(f"{place} is an exercise without a docstring: the docstring must hold the steps")
    first, last = function.body[0].end_lineno + 1, function.end_lineno
    if len(function.body) == 1 or function.body[1].lineno < first:
        raise ValueError(f"{place} is an exercise without a body on lines of its own below the docstring")
    indent = " " * (function.col_offset + 1)
    while last < len(lines) and lines[last].startswith(indent) and lines[last].lstrip().startswith("#"):
        last += 1
    return first, last


def blank(source: str, numbers: Collection[str], file: str = "the module") -> str:
    """The module's text with the bodies of these exercises replaced by an error that names the exercise.

    Signature, decorators and docstring stay, and so does everything outside. Numbers of other modules mean nothing here.
    """
    lines = source.split("\n")
    for exercise in reversed(list(find_in(source, file))):
        if exercise.number in numbers:
            docstring_end = lines[exercise.first - 2]
            code = next(line for line in lines[exercise.first - 1:] if line.strip() and not line.lstrip().startswith("#"))
            indent = re.match(r" *", code)[0]
            line = f"{indent}raise NotImplementedError({json.dumps(str(exercise), ensure_ascii=False)})"
            lines[exercise.first - 1:exercise.last] = [line + ("\r" if docstring_end.endswith("\r") else "")]
    return "\n".join(lines)
