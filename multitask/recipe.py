"""Reads recipes: strict TOML files that say how a model is built and trained, turned into frozen dataclasses.

One dataclass field is one key: its type, default and limits in a line; `build` reads
them all. A file inherits the settings of the one it `extends`, but not what speaks of one table's row.
"""

import difflib
import json
import math
import operator
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from minbert.files import MinbertError
from multitask.tab_separated import read_bytes
from multitask.tables import TASKS

RECIPES = Path(__file__).parent / "recipes"
# task -> how it may be encoded; the first is the default
ENCODINGS = {name: ("pair", "independent") if task.is_pair else ("single",) for name, task in TASKS.items()}
NOT_INHERITED = ("name", "source", "description", "expected")
LIMITS = {"at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt}
WANTED = {str: "one line of plain text", bool: "true or false", int: "a whole number", float: "a number such as 0.1 or 1e-5"}
Place = tuple[str | int, ...]  # ("stages", 0, "epochs"), written stages[0].epochs


def key(default=MISSING, **rules):
    """A field with limits on its numbers, or `only_with={"head": ("mlp",)}`: to be given only where `head` is this."""
    return field(default=default, metadata=rules)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The scores a report prints for this row; None where it prints none."""
    sst: float | None = key(None, at_least=0, at_most=1)
    para: float | None = key(None, at_least=0, at_most=1)
    sts: float | None = key(None, at_least=-1, at_most=1)
    sts_scale: Literal["r", "normalised"] | None = None  # normalised: (r + 1) / 2. The reports differ
    overall: float | None = key(None, at_least=-1, at_most=1)


@dataclass(frozen=True, kw_only=True)
class TaskRecipe:
    """How one task's text becomes a vector, and the vector an output."""
    encoding: Literal["single", "pair", "independent"]  # left out: single for tasks of one text, else pair
    token_types: Literal["bert", "zeros"] = key("bert", only_with={"encoding": ("pair",)})
    pooling: Literal["cls", "pooler", "mean"] = "cls"
    head: Literal["linear", "mlp", "cosine"] = "linear"
    hidden: int = key(512, at_least=1, only_with={"head": ("mlp",)})
    activation: Literal["gelu", "relu", "none"] = key("gelu", only_with={"head": ("mlp",)})
    features: Literal["concat", "difference"] = key(
        "difference", only_with={"encoding": ("independent",), "head": ("linear", "mlp")})
    dropout: float = key(0.1, at_least=0, below=1)


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe:
    """AdamW, the course of the learning rate, and clipping."""
    learning_rate: float = key(above=0, at_most=1)
    frozen_learning_rate: float = key(1e-3, above=0, at_most=1)  # instead, where the encoder is frozen
    weight_decay: float = key(0.01, at_least=0, at_most=1)
    betas: tuple[float, float] = key((0.9, 0.999), at_least=0, below=1)
    eps: float = key(1e-8, above=0, below=1)
    form: Literal["torch", "cs224n"] = "torch"
    amsgrad: bool = False
    decay_all: bool = False  # bias and LayerNorm decay too, as in the course's code
    schedule: Literal["constant", "linear", "google"] = "linear"
    warmup: float = key(0.1, at_least=0, at_most=1, only_with={"schedule": ("linear", "google")})  # share of steps
    clip: float = key(1.0, above=0)  # the largest global L2 norm a gradient may have


@dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """One stretch of training: what is trained, on which objectives, in which order, for how long."""
    objectives: tuple[str, ...]
    schedule: Literal["round_robin", "sequential_epoch", "sequential_tasks", "budgeted", "joint_min"]
    length: Literal["max", "min", "until_exhausted"] = key(
        "max", only_with={"schedule": ("round_robin",), "steps_per_epoch": (0,)})
    epochs: int = key(at_least=1)
    batch_size: int = key(at_least=1)
    steps_per_epoch: int = key(0, at_least=0)  # 0: as the schedule says
    combine: Literal["sum", "pcgrad", "gradvac"] = key("sum", only_with={"schedule": ("joint_min",)})
    gradvac_beta: float = key(0.01, at_least=0, at_most=1, only_with={"combine": ("gradvac",)})
    gradvac_groups: Literal["whole_model", "all_layer", "all_matrix"] = key(
        "whole_model", only_with={"combine": ("gradvac",)})
    train: Literal["full-model", "last-linear-layer"] = "full-model"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole experiment: what `load_recipe` returns and the run folder keeps."""
    name: str  # its path below recipes/ without .toml; run folders are named after it
    source: str  # report, table and row, or who chose the settings
    description: str = ""
    expected: Expected = Expected()
    seed: int = key(11711, at_least=0, below=2**32)
    model: str = ""  # empty: the command line's default
    max_length: int = key(128, at_least=3, at_most=512)
    preprocess: Literal["raw", "cs224n"] = "raw"
    # picks the best checkpoint
    select_by: Literal["overall_normalised", "overall_raw", "minimum", *TASKS] = "overall_normalised"
    tasks: dict[str, TaskRecipe]
    optimizer: OptimizerRecipe
    stages: tuple[StageRecipe, ...]


def find_conflicts(recipe: Recipe) -> Iterator[tuple[Place, str]]:
    """(place, what is wrong) for the rules that look at more than one key."""
    in_tasks = f"one of the recipe's tasks {listed(recipe.tasks)}"
    if not re.fullmatch(r"[a-z0-9_-]+(/[a-z0-9_-]+)*", recipe.name):
        yield ("name",), f"{show(recipe.name)} is not made of a-z, 0-9, _ and -, with / between the parts"
    if (recipe.expected.sts is None) != (recipe.expected.sts_scale is None):
        yield ("expected", "sts_scale"), "sts and its scale ('r', or 'normalised': (r + 1) / 2) go together"
    if recipe.select_by in TASKS and recipe.select_by not in recipe.tasks:
        yield ("select_by",), f"{show(recipe.select_by)} is not {in_tasks}"
    for name, task in recipe.tasks.items():
        if task.encoding not in ENCODINGS[name]:
            yield ("tasks", name, "encoding"), f"'{task.encoding}' is not one of {listed(ENCODINGS[name])}"
        if task.head == "cosine" and (TASKS[name].kind != "score" or task.encoding != "independent"):
            yield ("tasks", name, "head"), "'cosine' is for sts with encoding = 'independent'"
    for number, stage in enumerate(recipe.stages):
        if stage.steps_per_epoch and stage.schedule.startswith("sequential") and len(stage.objectives) > 1:
            yield ("stages", number, "steps_per_epoch"), f"'{stage.schedule}' is a full pass over every task"
        if stage.combine != "sum" and (len(stage.objectives) < 2 or stage.train == "last-linear-layer"):
            yield ("stages", number, "combine"), f"'{stage.combine}' needs two tasks or more that share a trained encoder"
        for index, name in enumerate(stage.objectives):
            if name not in recipe.tasks or name in stage.objectives[:index]:
                wrong = "is in the list twice" if name in recipe.tasks else f"is not {in_tasks}"
                yield ("stages", number, "objectives", index), f"{show(name)} {wrong}"


def load_recipe(name_or_file: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """The recipe of that name below recipes/, or in a file ending in .toml, with `settings` such as "stages.0.epochs=3"
    put in: a TOML value or plain text; an empty one takes the key out. Raises MinbertError."""
    files = read_layers(find_recipe(str(name_or_file)))
    layers = [*files, *((f"--set {setting}", read_setting(setting)) for setting in settings)]
    table = {}
    try:
        for _, layer in layers:
            merge(table, layer)
        recipe = build(Recipe, table, (), {})
        for place, wrong in find_conflicts(recipe):
            raise Fault(place, wrong)
        return recipe
    except Fault as fault:
        place, wrong = fault.args
        origin = next((label for label, layer in reversed(layers) if speaks_of(layer, place)), files[-1][0])
        raise MinbertError(f"{origin}: {spell(place)}: {wrong}") from None


def list_recipes() -> list[Recipe]:
    """Every recipe that comes with minBERT, by name."""
    return sorted(map(load_recipe, RECIPES.rglob("*.toml")), key=lambda recipe: recipe.name)


def to_toml(recipe: Recipe) -> str:
    """The recipe with its defaults spelled out; `load_recipe` reads it back to an equal Recipe."""
    return "\n".join(write_keys(recipe)) + "\n"


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
        elif value is not None and not ruled_out_by(rules[name], values):
            yield f"{prefix}{name} = {json.dumps(value, ensure_ascii=False)}"  # JSON writes these values as TOML does


def find_recipe(name: str, folder: Path = Path(), asker: str = "") -> Path:
    if name.endswith(".toml"):
        return folder / name
    files = {path.relative_to(RECIPES).with_suffix("").as_posix(): path for path in RECIPES.rglob("*.toml")}
    if name not in files:
        close = listed(difflib.get_close_matches(name, files, 3, cutoff=0))
        raise MinbertError(f"{asker}no recipe is called {show(name)}; closest: {close}",
                           "--list_recipes lists them all; a file of your own must end in .toml")
    return files[name]


def read_layers(path: Path, seen: tuple[Path, ...] = ()) -> list[tuple[str, dict]]:
    """(label, table) of the file, and before it what it inherits from all that it extends."""
    label = path.as_posix().removeprefix(f"{RECIPES.as_posix()}/")
    try:
        table = tomllib.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # tomllib names the line
        raise MinbertError(f"{label}: not valid TOML: {error}") from None
    if "extends" not in table:
        return [(label, table)]
    if path.resolve() in seen:
        raise MinbertError(f"{label}: extends: the files extend each other in a circle")
    parent = find_recipe(str(table.pop("extends")), path.parent, f"{label}: extends: ")
    layers = read_layers(parent, (*seen, path.resolve()))
    for _, inherited in layers:
        for name in NOT_INHERITED:
            inherited.pop(name, None)
    return [*layers, (label, table)]


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
    """Puts `layer` into `table`: tables key by key, lists as a whole or at a number; "" takes a key out."""
    for name, value in layer.items():
        if isinstance(table, list) and name not in map(str, range(len(table))):
            raise Fault(place, f"{show(table)}; there is no {show(name)} in it")
        name = int(name) if isinstance(table, list) else name
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


class Fault(Exception):
    """(place, what is wrong there); `load_recipe` adds which file or setting it came from."""


def build(kind: object, value: object, place: Place, rules: Mapping[str, object]) -> object:
    """`value` as the type hint `kind` wants it, checked by its field's `rules`. Raises Fault."""
    outer, inner = get_origin(kind), get_args(kind)
    if type(None) in inner:  # X | None; TOML has no null
        return build(inner[0], value, place, rules)
    if is_dataclass(kind):
        return build_dataclass(kind, value, place)
    if outer is dict:
        check_names(value, ENCODINGS, place)
        return {name: build(inner[1], {"encoding": ENCODINGS[name][0], **entry} if isinstance(entry, dict) else entry,
                            (*place, name), {}) for name, entry in value.items()}
    if outer is tuple:
        size = "1 or more" if inner[1] is ... else len(inner)
        if not isinstance(value, list) or not value or size not in ("1 or more", len(value)):
            raise Fault(place, f"{show(value)} is not a list of {size}")
        return tuple(build(inner[0], entry, (*place, index), rules) for index, entry in enumerate(value))
    if outer is Literal and value not in inner:
        raise Fault(place, f"{show(value)} is not one of {listed(inner)}")
    return value if outer is Literal else build_scalar(kind, value, place, rules)


def build_dataclass(kind: type, table: object, place: Place) -> object:
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
        raise Fault(place, f"{show(table)} is not a table")
    for name in table:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            way_out = f"did you mean '{close[0]}'?" if close else f"known are {listed(names)}"
            raise Fault((*place, name), f"unknown key; {way_out}")


def ruled_out_by(rules: Mapping[str, object], values: Mapping[str, object]) -> str | None:
    """The key whose value leaves a field with these rules without a meaning."""
    return next((name for name, fit in rules.get("only_with", {}).items() if values[name] not in fit), None)


def build_scalar(kind: type, value: object, place: Place, rules: Mapping[str, object]) -> object:
    if kind is float and type(value) is int:
        value = float(value)
    if (type(value) is not kind or (kind is float and not math.isfinite(value))
            or (kind is str and not value.isprintable())):
        raise Fault(place, f"{show(value)} is not {WANTED[kind]}")
    limits = {name: rules[name] for name in LIMITS if name in rules}
    if not all(LIMITS[name](value, limit) for name, limit in limits.items()):
        wanted = " and ".join(f"{name.replace('_', ' ')} {limit}" for name, limit in limits.items())
        raise Fault(place, f"{show(value)} is out of range: it must be {wanted}")
    return value


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
    text = repr(value) if isinstance(value, str) else str(value).lower()
    return text if len(text) <= 60 else f"{text[:57]}..."
