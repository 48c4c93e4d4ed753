"""Recipe files: strict TOML below recipes/ or of the user's own, read into the dataclasses of `multitask.recipe`.

A file inherits the settings of the one it `extends`, but not what speaks of one table's row.
"""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path

from minbert.files import MinbertError
from multitask.recipe import ENCODINGS, Recipe
from multitask.recipe_rules import find_conflicts
from multitask.strict_toml import Fault, build, listed, merge, read_setting, show, speaks_of, spell, write_keys
from multitask.tab_separated import read_bytes

RECIPES = Path(__file__).parent / "recipes"
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
        for place, wrong in find_conflicts(recipe):
            raise Fault(place, wrong)
        return recipe
    except Fault as fault:
        place, wrong = fault.args
        # a key that is missing from a stage is the matter of whoever made the stage
        asked = place[:2] if place[:1] == ("stages",) and wrong == "this key is missing" else place
        origin = next((label for label, layer in reversed(layers) if speaks_of(layer, asked)), files[-1][0])
        raise MinbertError(f"{origin}: {spell(place)}: {wrong}") from None


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
