"""Recipe files: strict TOML below recipes/ or of the user's own, read into the dataclasses of `multitask.recipe`.

A file inherits the settings of the one it `extends`, but not what speaks of one table's row.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from minbert.files import MinbertError
from multitask.closest import closest, offer
from multitask.recipe import ENCODINGS, Recipe
from multitask.recipe_rules import find_conflicts
from multitask.strict_toml import (
    UNKNOWN,
    Fault,
    Place,
    build,
    list_places,
    merge,
    read_setting,
    show,
    speaks_of,
    spell,
    write_keys,
)
from multitask.tab_separated import read_bytes

RECIPES = Path(__file__).parent / "recipes"
VALUES = 'values are such as "abc", 3, 0.1, true and ["abc", "xyz"]'
NOT_INHERITED = ("name", "source", "description", "expected", "reported")


def load_recipe(name_or_file: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """The recipe of that name below recipes/, or in a file ending in .toml, with `settings` such as "stages.0.epochs=3"
    put in: a TOML value or plain text; an empty one takes the key out. Raises MinbertError."""
    files = read_layers(find_recipe(str(name_or_file)))
    layers = [*files, *((f"--set {setting}", read_setting(setting)) for setting in settings)]
    table = {}
    try:
        for _, layer in layers:
            merge(table, layer)
        for name, task in table["tasks"].items() if isinstance(table.get("tasks"), dict) else ():
            if name in ENCODINGS and isinstance(task, dict):
                task.setdefault("encoding", ENCODINGS[name][0])
        recipe = build(Recipe, table, (), {})
        for conflict in find_conflicts(recipe):
            raise Fault(*conflict)
        return recipe
    except Fault as fault:
        place, wrong, hint = fault.args
        # a key that is missing from a stage is the matter of whoever made the stage
        asked = place[:2] if place[:1] == ("stages",) and wrong == "this key is missing" else place
        origin = next((label for label, layer in reversed(layers) if speaks_of(layer, asked)), files[-1][0])
        hint = (find_key(origin, place) if wrong == UNKNOWN else "") or hint
        raise MinbertError(f"{origin}: {spell(place)}: {wrong}", hint) from None


def find_key(origin: str, place: Place) -> str:
    """`did you mean stages.0.epochs?` for a key that is mistyped or in the wrong table; nothing where no key is like it."""
    is_setting = origin.startswith("--set ")
    typed = [str(part) for part in place]
    if is_setting:  # smart.weight=5: the unknown key is smart, the one that was meant stages.0.smart.weight
        typed = max(typed, origin.removeprefix("--set ").partition("=")[0].strip().split("."), key=len)
    entry = next(filter(str.isdigit, typed), "0")
    names = [".".join(one) for one in list_places(Recipe, entry)] + ["extends"] * (not is_setting)
    near = next(filter(None, (closest(".".join(typed[start:]), names) for start in range(len(typed)))), [])
    return offer(near if is_setting else [re.sub(r"\.(\d+)", r"[\1]", name) for name in near])


def list_recipes() -> list[Recipe]:
    """Every recipe that comes with minBERT, by name."""
    return sorted(map(load_recipe, RECIPES.rglob("*.toml")), key=lambda recipe: recipe.name)


def to_toml(recipe: Recipe) -> str:
    """The recipe with its defaults spelled out; `load_recipe` reads it back to an equal Recipe."""
    return "\n".join(write_keys(recipe)) + "\n"


def find_recipe(name: str, folder: Path = Path(), asker: str = "") -> Path:
    if name.endswith(".toml"):
        return folder / name
    files = {path.relative_to(RECIPES).with_suffix("").as_posix(): path for path in RECIPES.rglob("*.toml")}
    if name not in files:
        hint = f"{offer(closest(name, files))} --list_recipes lists them all; a file of your own must end in .toml"
        raise MinbertError(f"{asker}no recipe is called {show(name)}", hint.strip())
    return files[name]


def read_layers(path: Path, seen: tuple[Path, ...] = ()) -> list[tuple[str, dict]]:
    """(label, table) of the file, and before it what it inherits from all that it extends."""
    label = path.as_posix().removeprefix(f"{RECIPES.as_posix()}/")
    try:
        table = tomllib.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # tomllib names the line
        raise MinbertError(f"{label}: not valid TOML: {error}", VALUES) from None
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
