"""Going on with an earlier run: what it left in its folder, and whether what is asked for now is still the same run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path

import torch

from minbert.files import MinbertError, read_table, verify_manifest
from multitask import processes
from multitask.progress import Setting
from multitask.recipe import Recipe
from multitask.recipe_files import load_recipe
from multitask.state_files import load_state

RESUME = "--resume takes a run folder, such as runs/quick/1, or auto"
# what may differ when a run goes on: how it is saved, and words about it
FREE = ("source", "description", "expected", "reported", "save_minutes", "save_steps")


@dataclass(frozen=True)
class Earlier:
    """What a run left in its folder so far. `results` is None until it is complete."""

    folder: Path
    recipe: Recipe
    environment: dict
    commands: str  # that began it and went on with it, a line each
    results: dict | None

    @cached_property  # it may be gigabytes: only the run that goes on is asked for it
    def loaded(self) -> tuple[dict | None, list[str]]:
        return load_state(self.folder / "last")

    @property
    def state(self) -> dict | None:
        """The newest state that is whole; None where none was saved yet. Raises MinbertError where all are damaged."""
        return self.loaded[0]

    @property
    def notes(self) -> list[str]:
        """A sentence on each state that is damaged."""
        return self.loaded[1]


def read_earlier(folder: Path) -> Earlier | None:
    """None where no run was begun in the folder. Raises MinbertError where what it holds is damaged, or no run."""
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    if all(name.startswith(".") and name.endswith(".tmp") for name in names):  # at most what a killed process left half written
        return None
    if not (folder / "environment.json").exists():  # written last, before training begins
        if (folder / "command.txt").exists():
            return None
        raise MinbertError(f"{folder} holds no run that could go on", RESUME)
    path = folder / "results.json"
    return Earlier(folder, load_recipe(folder / "recipe.toml"), read_table(folder / "environment.json"),
                   (folder / "command.txt").read_text(encoding="utf-8").strip(),
                   read_table(path) if path.exists() else None)


def check_same(earlier: Earlier, recipe: Recipe, setting: Setting) -> None:
    """Raises MinbertError, which lists the differences, unless this is the same run on the same data and model."""
    differences = find_differences(earlier, recipe)
    for name, before in earlier.environment["data_sha256"].items():
        if setting.facts["data_sha256"].get(name) != before:
            differences.append(f"the data of {name} differ from the run's")
    differences += [f"the data of {name} were no part of the run" for name in setting.facts["data_sha256"]
                    if name not in earlier.environment["data_sha256"]]
    if earlier.state and (before := earlier.state["processes"]) != processes.count():
        differences.append(f"it ran in {before} processes, these are {processes.count()}: "
                           f"begin the command with {processes.launcher(before)}")
    if setting.facts["model_sha256"] != earlier.environment["model_sha256"]:
        differences.append(f"the model is not the run's, {earlier.environment['model']}")
    if differences:
        raise MinbertError(f"{earlier.folder} cannot go on: {'; '.join(differences)}",
                           "leave out what differs, or start a new run without --resume")


def find_differences(earlier: Earlier, recipe: Recipe) -> list[str]:
    """The settings in which `recipe` is another than the run's, a sentence each. The epochs of its last stages may grow."""
    before, now = flatten(earlier.recipe), flatten(recipe)
    differing = [key for key in sorted(before | now) if before.get(key) != now.get(key) and key.split(".")[0] not in FREE]
    growing = [f"stages.{index}.epochs" for index in range(len(recipe.stages))]
    if differing and set(differing) <= set(growing):
        reached = earlier.state["run"]["stage"] if earlier.state else 0
        differing = [key for key in differing if growing.index(key) < reached or now[key] < before[key]]
    return [f"{key} is {now.get(key, 'left out')} and was {before.get(key, 'left out')}" for key in differing]


def flatten(value: object, place: str = "") -> dict[str, object]:
    """Every setting by its dotted name, as --set spells it."""
    if is_dataclass(value):
        value = {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, tuple) and any(map(is_dataclass, value)):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {place: value}
    parts = [flatten(entry, f"{place}.{key}".removeprefix(".")) for key, entry in value.items()]
    return {key: entry for part in parts for key, entry in part.items()}


def check_best(folder: Path) -> None:
    """Raises MinbertError where the best checkpoint is not whole: else a run that finds no better one would fail at its end."""
    try:
        verify_manifest(folder)
    except MinbertError as error:
        raise MinbertError(f"the run's best checkpoint is missing or damaged: {error}",
                           "put it back, or start a new run without --resume") from error


def describe_going_on(earlier: Earlier, device: torch.device) -> list[str]:
    """Sentences on where the run goes on, and on what may keep it from the very same bits."""
    lines, state = list(earlier.notes), earlier.state
    if not state:
        return [*lines, f"no state was saved in {earlier.folder} yet: the run starts over"]
    lines.append(f"going on after step {state['run']['steps']} of {earlier.folder}")
    for name, now in (("threads", torch.get_num_threads()), ("device", device.type)):
        if state[name] != now:
            lines.append(f"{name}: {state[name]} before, {now} now: the last bits of the results may differ")
    return lines


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Inside, no second run can use the folder. The lock ends with the process, however that ends.

    Windows and some network drives have no such locks: there nothing is checked.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MinbertError(f"another run is at work in {folder}", "wait until it ends, or choose another folder") from None
        except OSError:
            pass  # no locks on this drive
        yield
    finally:
        os.close(descriptor)
