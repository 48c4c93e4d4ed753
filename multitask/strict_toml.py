"""TOML tables into frozen dataclasses, strictly: every mistake is one line that names place, value and rule.

One dataclass field is one key: its type, default and limits in a line; `build` reads them all, `write_keys` writes them.
"""

import json
import math
import operator
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, field, fields, is_dataclass
from typing import Literal, get_args, get_origin, get_type_hints

from minbert.files import MinbertError
from multitask.closest import closest, offer

LIMITS = {"at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt}
WANTED = {str: 'one line of plain text such as "abc"', bool: "true or false", int: "a whole number such as 3",
          float: "a number such as 0.1 or 1e-5"}
EXAMPLES = {str: '"sst"', bool: "true", int: "3", float: "0.1"}
UNKNOWN = "unknown key"
TOO_LARGE = 2**63  # TOML's whole numbers have 64 bits; tomllib reads longer ones
Place = tuple[str | int, ...]  # ("stages", 0, "epochs"), written stages[0].epochs


def key(default=MISSING, **rules):
    """A field with limits on its numbers; `names` for a table's keys; `only_with={"head": ("mlp",)}`: to be given only
    where `head` is this."""
    return field(default=default, metadata=rules)


class Fault(Exception):
    """(place, what is wrong there, a hint or ""); `load_recipe` adds which file or setting it came from."""

    def __init__(self, place: Place, wrong: str, hint: str = "") -> None:
        super().__init__(place, wrong, hint)


def build(kind: object, value: object, place: Place, rules: Mapping[str, object]) -> object:
    """`value` as the type hint `kind` wants it, checked by its field's `rules`. Raises Fault."""
    outer, inner = get_origin(kind), get_args(kind)
    if type(None) in inner:  # X | None; TOML has no null
        return build(inner[0], value, place, rules)
    if is_dataclass(kind):
        return build_dataclass(kind, value, place)
    if outer is dict:
        check_names(value, rules.get("names", value), place)
        return {name: build(inner[1], entry, (*place, name), rules) for name, entry in value.items()}
    if outer is tuple:
        size = "1 or more" if inner[1] is ... else len(inner)
        if not isinstance(value, list) or not value or size not in ("1 or more", len(value)):
            raise Fault(place, f"{show(value)} is not a list of {size}, such as {example(kind)}")
        return tuple(build(inner[0], entry, (*place, index), rules) for index, entry in enumerate(value))
    if outer is Literal and value not in inner:
        near = closest(value, inner) if isinstance(value, str) else ()
        raise Fault(place, f"{show(value)} is not one of {listed(inner)}", offer(near))
    return value if outer is Literal else build_scalar(kind, value, place, rules)


def build_dataclass(kind: type, table: object, place: Place) -> object:
    """A table as the dataclass `kind`; keys that are left out have its defaults. Raises Fault."""
    hints, known = get_type_hints(kind), {one.name: one for one in fields(kind)}
    check_names(table, known, place)
    values = {}
    for name, one in known.items():
        if name not in table and one.default is MISSING:
            raise Fault((*place, name), "this key is missing")
        given = name in table
        values[name] = build(hints[name], table[name], (*place, name), one.metadata) if given else one.default
    for name in table:
        if other := ruled_out_by(known[name].metadata, values):
            fitting = " or ".join(map(show, known[name].metadata["only_with"][other]))
            wrong = f"only goes with {other} = {fitting}, and {other} is {show(values[other])}"
            raise Fault((*place, name), f'{wrong}; leave it out ({name} = "" takes out an inherited one)')
    return kind(**values)


def check_names(table: object, names: Iterable[str], place: Place) -> None:
    if not isinstance(table, dict):
        raise Fault(place, f"{show(table)} is not a table, such as {{key = value}}")
    for name in table:
        if name not in names:
            raise Fault((*place, name), UNKNOWN, f"known are {listed(names)}")


def ruled_out_by(rules: Mapping[str, object], values: Mapping[str, object]) -> str | None:
    """The key whose value leaves a field with these rules without a meaning."""
    return next((name for name, fit in rules.get("only_with", {}).items() if values[name] not in fit), None)


def build_scalar(kind: type, value: object, place: Place, rules: Mapping[str, object]) -> object:
    """A number, text or truth value, within its limits. Raises Fault."""
    if kind is float and type(value) is int and abs(value) < TOO_LARGE:
        value = float(value)
    if (type(value) is not kind or (kind is int and abs(value) >= TOO_LARGE) or (kind is float and not math.isfinite(value))
            or (kind is str and not value.isprintable())):
        raise Fault(place, f"{show(value)} is not {WANTED[kind]}")
    limits = {name: rules[name] for name in LIMITS if name in rules}
    if not all(LIMITS[name](value, limit) for name, limit in limits.items()):
        wanted = " and ".join(f"{name.replace('_', ' ')} {limit}" for name, limit in limits.items())
        raise Fault(place, f"{show(value)} is out of range: it must be {wanted}")
    return value


def example(kind: object) -> str:
    """A value of that kind, as TOML writes it."""
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        return f"[{', '.join(example(one) for one in inner if one is not ...)}]"
    return EXAMPLES.get(kind, "{key = value}")


def list_places(kind: object, entry: str, place: tuple[str, ...] = (), names: Iterable[str] = ()) -> Iterator[tuple[str, ...]]:
    """Every place in a value of that kind, with `entry` for the number in a list of tables."""
    if type(None) in get_args(kind):
        kind = get_args(kind)[0]
    inner = get_args(kind)
    if place:
        yield place
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        for one in fields(kind):
            yield from list_places(hints[one.name], entry, (*place, one.name), one.metadata.get("names", ()))
    elif get_origin(kind) is tuple and is_dataclass(inner[0]):
        yield from list_places(inner[0], entry, (*place, entry))
    for name in names:
        yield from list_places(inner[1], entry, (*place, name))


def listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def spell(place: Place) -> str:
    """stages[0].epochs, as it stands in error messages."""
    names = (part if isinstance(part, int) or part.isprintable() else show(part) for part in place)
    return "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in names).removeprefix(".")


def show(value: object) -> str:
    """`value` for a message, at most 60 characters."""
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else f"a list of {len(value)}"
    if isinstance(value, int) and abs(value) >= TOO_LARGE:
        return "a number of more than 64 bits"
    text = repr(value) if isinstance(value, str) else str(value).lower()
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_setting(setting: str) -> dict:
    """{"stages": {"0": {"epochs": 3}}} from "stages.0.epochs=3"."""
    match = re.fullmatch(r"([\w-]+(?:\.[\w-]+)*)\s*=(.*)", setting, re.ASCII)
    if not match or not setting.isprintable():
        raise MinbertError(f"--set {show(setting)}: a setting is KEY=VALUE, such as stages.0.epochs=3")
    try:
        return tomllib.loads(setting)
    except (ValueError, RecursionError):  # plain text, such as head=cosine
        return tomllib.loads(f"{match[1]} = {json.dumps(match[2].strip(), ensure_ascii=False)}")


def merge(table: dict | list, layer: dict, place: Place = ()) -> None:
    """Puts `layer` into `table`: tables key by key, lists as a whole or at a number (their length: one more entry); ""
    takes a key out."""
    for name, value in layer.items():
        if isinstance(table, list):
            if name not in map(str, range(len(table) + 1)):
                if not name.isdigit():
                    raise Fault((*place, name), UNKNOWN, "the entries of a list go by number, from 0")
                raise Fault(place, f"{show(table)}; there is no {show(name)} in it")
            name = int(name)
            table += [None] * (name == len(table))
        old = table[name] if isinstance(table, list) or name in table else None
        if isinstance(value, dict) and isinstance(old, (dict, list)):
            merge(old, value, (*place, name))
        elif value == "" and old is not None:
            del table[name]
        else:
            table[name] = value


def speaks_of(layer: object, place: Place) -> bool:
    """Whether this layer set what stands at `place`, or a list or value that holds it."""
    for part in place:
        if not isinstance(layer, dict):
            return True
        if str(part) not in layer:
            return False
        layer = layer[str(part)]
    return True


def write_keys(item: object, prefix: str = "") -> Iterator[str]:
    """Lines `optimizer.clip = 1.0`, without keys that mean nothing; a list of tables, [[stages]], is last."""
    rules = {one.name: one.metadata for one in fields(item)} if is_dataclass(item) else {}
    values = vars(item) if is_dataclass(item) else item
    for name, value in values.items():
        if is_dataclass(value) or isinstance(value, dict):
            yield from write_keys(value, f"{prefix}{name}.")
        elif isinstance(value, tuple) and is_dataclass(value[0]):
            for entry in value:
                yield from ("", f"[[{name}]]", *write_keys(entry))
        elif value is not None and not ruled_out_by(rules.get(name, {}), values):
            yield f"{prefix}{name} = {json.dumps(value, ensure_ascii=False)}"  # JSON writes these values as TOML does
