"""Every name a user types, with one slip in it: it must be refused, and the right name offered (FAULTS section 3)."""

import dataclasses
import importlib
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints
from unittest.mock import patch

from minbert.files import MinbertError
from multitask.flags import Parser
from multitask.recipe import PRETRAINING, Recipe
from multitask.recipe_files import RECIPES, load_recipe
from multitask.tables import TASKS
from tests.torture.outcome import Outcome

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # of the keyboard
NEIGHBOURS = {letter: row[max(0, at - 1):at] + row[at + 1:at + 2] for row in ROWS for at, letter in enumerate(row)}
KINDS = ("letter left out", "letter put in", "letter replaced", "two letters swapped")
SHARE = 0.95  # of the slips in each group that must get the right name, among three at most
BASE = str(RECIPES / "quick.toml")


@dataclass(frozen=True)
class Name:
    """A name as the user types it, all that would be right in its place, and how a slip in it is tried. `offered` is how a
    hint spells it."""

    group: str
    meant: str
    valid: frozenset[str]
    attempt: Callable[[str], object]
    offered: str = ""


def make_slips(name: str, kind: str, generator: random.Random) -> list[str]:
    """Every place of the name with a slip of that kind; letters put in or replaced are one of the alphabet, one a neighbour
    on the keyboard. Points, slashes and a list's numbers stay."""
    slips = []
    for at, letter in enumerate(name):
        others = [generator.choice(LETTERS), generator.choice(NEIGHBOURS.get(letter.lower(), LETTERS))]
        if letter in "./" or (letter.isdigit() and f".{letter}." in name):
            continue
        if kind == "letter left out":
            slips.append(name[:at] + name[at + 1:])
        if kind == "letter put in":
            slips += [name[:at] + other + name[at:] for other in others] + [name + others[0]] * (at == len(name) - 1)
        if kind == "letter replaced":
            slips += [name[:at] + other + name[at + 1:] for other in others]
        if kind == "two letters swapped" and name[at + 1:at + 2] not in ("", ".", "/", letter):
            slips.append(name[:at] + name[at + 1] + letter + name[at + 2:])
    return slips


def walk_recipe(kind: object = Recipe, place: str = "") -> Iterator[tuple[str, object, dataclasses.Field]]:
    """(place, type, field) of every key of a recipe. The only list of tables is stages; tables by name are tasks'."""
    for one in dataclasses.fields(kind):
        wanted = get_type_hints(kind)[one.name]
        wanted = get_args(wanted)[0] if type(None) in get_args(wanted) else wanted
        yield f"{place}{one.name}", wanted, one
        tables = {f"{place}{one.name}.": wanted}
        if get_origin(wanted) is tuple:
            tables = {f"{place}{one.name}.0.": get_args(wanted)[0]}
        if names := one.metadata.get("names"):
            for name in names:
                yield f"{place}{one.name}.{name}", get_args(wanted)[1], one
            tables = {f"{place}{one.name}.{name}.": get_args(wanted)[1] for name in names}
        for start, table in tables.items():
            if is_dataclass(table):
                yield from walk_recipe(table, start)


def find_parsers() -> dict[str, Parser]:
    """Command -> its parser, of both command lines and every `python -m multitask.X`."""
    modules = [f"multitask.{path.stem}" for path in sorted(Path("multitask").glob("*.py"))
               if "Parser(prog" in path.read_text(encoding="utf-8")]
    parsers: dict[str, Parser] = {}

    def stop(parser: Parser, arguments: object) -> None:
        parsers[parser.prog] = parser
        raise StopIteration

    with patch.object(Parser, "parse_args", stop):
        for module in ["multitask_classifier", "classifier", *modules]:
            try:
                importlib.import_module(module).main([])
            except StopIteration:
                continue
    return parsers


def list_flags() -> Iterator[Name]:
    """Every flag, and every value that a flag has a list of."""
    for parser in find_parsers().values():
        flags = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]
        for flag in flags:
            def attempt(typed: str, parser: Parser = parser) -> object:
                return parser.parse_args([f"--{typed}"])
            yield Name("flags", flag[2:], frozenset(one[2:] for one in flags), attempt, flag)
        for action in parser._actions:
            for choice in action.choices or ():
                def attempt(typed: str, parser: Parser = parser, flags: list = action.option_strings[-1:]) -> object:
                    return parser.parse_args([*flags, typed])
                spelled = " ".join([*action.option_strings[-1:], choice])
                yield Name("values of flags", choice, frozenset(action.choices), attempt, spelled)


def list_keys(folder: Path) -> Iterator[Name]:
    """Every key of a recipe, in a file of the user's own and in --set, and the names of recipes."""
    places = frozenset(place for place, _, _ in walk_recipe())
    for place in sorted(places):
        table, _, key = place.rpartition(".")
        siblings = frozenset(other.rpartition(".")[2] for other in places if other.rpartition(".")[0] == table)
        spelled = re.sub(r"\.(\d+)", r"[\1]", place)

        def attempt(typed: str, table: str = table) -> object:
            path = folder / "mine.toml"
            header = f"[{table}]\n" if table else ""
            path.write_text(f'name = "mine"\nsource = "me"\nextends = "quick"\n{header}{typed} = 1\n', encoding="utf-8")
            return load_recipe(path.as_posix())
        yield Name("keys in a recipe file", key, siblings if table else siblings | {"extends"}, attempt, spelled)
        yield Name("keys in --set", place, places, lambda typed: load_recipe(BASE, [f"{typed}=1"]), place)
    names = frozenset(path.relative_to(RECIPES).with_suffix("").as_posix() for path in RECIPES.rglob("*.toml"))
    for name in sorted(names):
        yield Name("recipe names", name, names, load_recipe, name)


def list_values() -> Iterator[Name]:
    """Every value that a key has a list of, and every place where a task or another objective is named."""
    named = {"stages.0.objectives": (*TASKS, *PRETRAINING)}
    named |= {place: ("sst", "para", "sts") for place, _, _ in walk_recipe() if place.endswith(".tasks")}  # quick's
    for place, kind, one in walk_recipe():
        start, before = f"{place}=", []
        choices = get_args(kind) if get_origin(kind) is Literal else named.get(place, ())
        if place in named:
            start = f"{place}=[%s]"
        if get_origin(kind) is dict and "names" not in one.metadata:  # by task, such as weights
            choices = ("sst", "para", "sts")
            value = {int: 1, float: 0.5}.get(get_args(kind)[1], [0, 0.5])
            start = f"{place}.%s={value}"
            before = [f"stages.0.{other}={fit[0]}" for other, fit in one.metadata.get("only_with", {}).items()]
            before += [f"{place}.{name}={value}" for name in choices]
        for choice in choices:
            def attempt(typed: str, start: str = start, before: list = before) -> object:
                typed = f'"{typed}"' if "[%s]" in start else typed
                return load_recipe(BASE, [*before, start % typed if "%s" in start else start + typed])
            yield Name("values in a recipe", choice, frozenset(choices), attempt, choice)


def judge(name: Name, typed: str) -> str:
    """`right` where the slip is refused and the name offered; else what happened."""
    try:
        name.attempt(typed)
    except MinbertError as error:
        offers = re.match(r"did you mean (.+?)\?", error.hint)
        names = re.split(r", | or ", offers[1]) if offers else []
        if len(names) > 3 or "\n" in error.message + error.hint or error.exit_code != 2:
            return f"was told too much: {error.message!r}, {error.hint!r}"
        return "right" if name.offered in names else "refused"
    except Exception as error:
        return f"ended in {type(error).__name__}: {error}"
    return "was accepted"


def measure(full: bool) -> Outcome:
    """All slips of all names (full), or one in each name."""
    generator = random.Random(0)
    counts: Counter[tuple[str, str]] = Counter()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for name in [*list_flags(), *list_keys(Path(folder)), *list_values()]:
            for kind in generator.sample(KINDS, len(KINDS) if full else 1):
                slips = sorted(set(make_slips(name.meant, kind, generator)) - name.valid - {""})
                for typed in slips if full else generator.sample(slips, min(1, len(slips))):
                    verdict = judge(name, typed)
                    counts[name.group, verdict if verdict in ("right", "refused") else "failed"] += 1
                    if verdict not in ("right", "refused"):
                        failures.append(f"{name.group}: {typed!r} for {name.meant!r} {verdict}")
    details = ["| names | slips | refused | right name offered |", "|---|---|---|---|"]
    for group in dict.fromkeys(group for group, _ in counts):
        right, refused, failed = (counts[group, verdict] for verdict in ("right", "refused", "failed"))
        tried = right + refused + failed
        details.append(f"| {group} | {tried:,} | {(right + refused) / tried:.1%} | {right / tried:.1%} |")
        if right < SHARE * tried:
            failures.append(f"{group}: the right name is offered for {right} of {tried} slips")
    claim = f"every flag, recipe key, value and recipe name with one slip is refused, {SHARE:.0%} with the right name offered"
    return Outcome(claim, counts.total(), tuple(failures), tuple(details))
