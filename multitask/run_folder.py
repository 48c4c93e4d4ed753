"""What a finished run left behind: its results, its recipe, and its predictions of every example."""

# N examples, C columns of the output

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from minbert.files import MinbertError, read_table
from multitask.evaluate import Score, score_task
from multitask.outputs import read_outputs
from multitask.recipe import Recipe
from multitask.recipe_files import load_recipe
from multitask.record import describe_split, to_json
from multitask.tab_separated import show
from multitask.tables import TASKS, Task
from multitask.targets import find_target

RUN_FOLDER = "a run folder holds recipe.toml and results.json; a folder of several seeds holds such folders named seed-*"
MIXED = "the folder mixes two runs, or a file was altered: run again"
WORDS = {"facts": ("model", "model_note", "data"), "hardware": ("hardware",), "notes": ("dev",)}  # what tables and reports print


@dataclass(frozen=True)
class Run:
    """A finished run. An ensemble has no recipe: its outputs are its predictions."""

    folder: Path
    results: dict  # results.json
    recipe: Recipe | None

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.results["dev"]["tasks"])


@dataclass(frozen=True)
class Predicted:
    """What a run answered for one task and split; `labels_N` is nan where an example has no label."""

    path: Path
    ids: list[str]
    labels_N: np.ndarray
    outputs: np.ndarray  # (N,) or (N, C), as the model gave them
    predictions_N: np.ndarray


def find_runs(folder: Path) -> list[Run]:
    """The run in the folder, or those in its subfolders seed-*: of one recipe, by seed.

    Raises MinbertError where there is none, one is not finished, or the seeds' recipes differ in more than the seed.
    """
    folders = [folder] if (folder / "results.json").exists() else [path for path in folder.glob("seed-*") if path.is_dir()]
    runs = [read_run(path) for path in folders or [folder]]
    if len(runs) == 1:
        return runs
    runs.sort(key=lambda run: (run.recipe.seed if run.recipe else 0, run.folder.name))
    for run in runs:
        if None in (run.recipe, runs[0].recipe) or replace(run.recipe, seed=0) != replace(runs[0].recipe, seed=0):
            raise MinbertError(f"{run.folder} and {runs[0].folder} differ in more than the seed",
                               "name the folders one by one")
    return runs


def read_run(folder: Path) -> Run:
    """Raises MinbertError where results.json or recipe.toml is missing or broken, or does not fit the other or outputs/.

    A record, which has no outputs/, is believed as long as it has the form that a run writes.
    """
    path = folder / "results.json"
    if not path.exists():
        what = "holds no finished run" if folder.is_dir() else "is no folder"
        raise MinbertError(f"{folder} {what}", RUN_FOLDER)
    results = read_table(path, RUN_FOLDER)
    if missing := list(find_missing(results)):
        raise MinbertError(f"{path}: lacks {', '.join(missing)}", "only a finished run can be read")
    recipe = None if "members" in results else load_recipe(str(folder / "recipe.toml"))
    if unknown := set(results["dev"]["tasks"]) - set(recipe.tasks if recipe else TASKS):
        raise MinbertError(f"{path}: {', '.join(map(show, sorted(unknown)))}: not a task of the run's recipe", MIXED)
    run = Run(folder, results, recipe)
    known = {} if recipe is None else {"recipe": recipe.name, "seed": recipe.seed, "select_by": recipe.select_by}
    wrong = list(find_differences({name: results[name] for name in known}, known))
    for split in ("dev", "test"):
        if split in results and (folder / "outputs").is_dir():
            wrong += find_differences(results[split], describe_outputs(run, split), split)
        elif split in results and not has_form(results[split], describe_nothing(tuple(results[split]["tasks"]))):
            wrong.append(f"{split} is not what a run writes")
    if wrong:
        raise MinbertError(f"{path}: {wrong[0]} by recipe.toml and outputs/", MIXED)
    return run


def find_missing(results: dict) -> Iterator[str]:
    """What is not in results.json, or is not what a run writes there. An ensemble ("members") has no training."""
    of_run = {"seed": int, "best_stage": int, "best_epoch": int, "select_by": str, "hardware": dict}
    kinds = {"recipe": str, "facts": dict, "seconds": float, "dev": dict}
    kinds |= {"notes": dict} if "members" in results else of_run
    for name, kind in kinds.items():
        value = results.get(name)
        if type(value) is not kind or (kind is float and not 0 <= value < math.inf):
            yield name
        elif any(type(value.get(word, "" if name == "facts" else None)) is not str for word in WORDS.get(name, ())):
            yield f"words in {name}"
    for split in ("dev", "test"):
        table = results.get(split, {})
        tasks = table.get("tasks") if isinstance(table, dict) else None
        if split in results and (not isinstance(tasks, dict) or not tasks):
            yield f"{split} scores"


def describe_outputs(run: Run, split: str) -> dict:
    """What results.json has to say of a split, computed anew from outputs/. Raises MinbertError for a label that is none."""
    predicted = {name: read_predictions(run, name, split) for name in run.results[split]["tasks"]}
    for name, one in predicted.items():
        task, labels_N = TASKS[name], one.labels_N  # nan, no label, fits nowhere
        fits_N = (labels_N >= task.low) & (labels_N <= task.high) & ((task.kind == "score") | (labels_N % 1 == 0))
        if not fits_N.all():
            place = int(fits_N.argmin())
            wrong = f"{show(one.ids[place])} has label {labels_N[place]:g}, which is none of {name}'s"
            raise MinbertError(f"{one.path}: {wrong}", MIXED)
    scores = {name: score_task(TASKS[name], one.predictions_N, one.labels_N) for name, one in predicted.items()}
    return json.loads(to_json(describe_split(scores, {name: one.labels_N for name, one in predicted.items()})))


def describe_nothing(tasks: Sequence[str]) -> dict:
    """The form of a split's part of results.json: that of two examples."""
    two_N = np.zeros(2)
    return describe_split({name: score_task(TASKS[name], two_N, two_N) for name in tasks}, dict.fromkeys(tasks, two_N))


def has_form(saved: object, form: object) -> bool:
    """Whether `saved` has the names of `form`, and numbers or null for its values."""
    if isinstance(form, Score):
        form = asdict(form)
    if isinstance(form, dict):
        return isinstance(saved, dict) and saved.keys() == form.keys() and all(has_form(saved[name], form[name]) for name in form)
    return saved is None or (type(saved) in (int, float) and -1e300 < saved < 1e300)


def find_differences(saved: object, right: object, place: str = "") -> Iterator[str]:
    """Where `saved` is not `right`, but for rounding: "dev.tasks.sst.accuracy.value is 0.5, but must be 0.4"."""
    if isinstance(right, dict) and isinstance(saved, dict):
        for name in right | saved:
            inside = f"{place}.{name}".removeprefix(".")
            yield from find_differences(saved.get(name, "missing"), right.get(name, "missing"), inside)
    elif type(saved) is not type(right) or not (
            math.isclose(saved, right, abs_tol=1e-6) if isinstance(right, float) else saved == right):
        yield f"{show(place)} is {show(str(saved))}, but must be {show(str(right))}"


def read_predictions(run: Run, task: str, split: str) -> Predicted:
    """Raises MinbertError where the run has no such outputs, or they are not what its recipe's model gives."""
    path = run.folder / "outputs" / f"{task}-{split}.csv"
    if not path.exists():
        raise MinbertError(f"{path}: this run has no outputs for {task}, {split}", "was there a file for it when it ran?")
    saved = read_outputs(path)
    predictions_N = saved.outputs
    if run.recipe:
        target = find_target(TASKS[task], run.recipe.tasks[task])
        columns = 1 if saved.outputs.ndim == 1 else saved.outputs.shape[1]
        if columns != target.columns:
            raise MinbertError(f"{path}: {columns} columns of output, but by recipe.toml the model gives {target.columns}",
                               MIXED)
        predictions_N = target.decode(torch.from_numpy(saved.outputs)).double().numpy()
    return Predicted(path, saved.ids, np.array(saved.labels, dtype=np.float64), saved.outputs, predictions_N)


def find_probabilities(run: Run, task: Task, predicted: Predicted) -> np.ndarray:
    """probabilities_NC; a model that gives none (classes as points on a line) puts all on its answer."""
    from scipy.special import expit, softmax  # here: to import it takes a fifth of a second

    target = run.recipe.tasks[task.name].target if run.recipe else "answers"
    if target == "one_hot":  # trained by squared error to be probabilities
        return predicted.outputs
    if target == "labels" and task.kind == "binary":
        return np.stack([expit(-predicted.outputs), expit(predicted.outputs)], axis=-1)
    if target == "labels":
        return softmax(predicted.outputs, axis=-1)
    return np.eye(task.classes)[predicted.predictions_N.astype(int)]


def check_same_examples(predicted: Sequence[Predicted]) -> None:
    """Raises MinbertError unless all have the same ids in the same order with the same labels."""
    first = predicted[0]
    for other in predicted[1:]:
        what = ""
        if len(first.ids) != len(other.ids):
            what = f"{len(first.ids)} and {len(other.ids)} examples"
        elif first.ids != other.ids:
            place = next(place for place, (a, b) in enumerate(zip(first.ids, other.ids, strict=True)) if a != b)
            what = f"example {place + 1} is {first.ids[place]!r} and {other.ids[place]!r}"
        else:
            a_N, b_N = first.labels_N, other.labels_N
            differs_N = (a_N != b_N) & ~(np.isnan(a_N) & np.isnan(b_N))  # nan, no label, is not equal to itself
            if differs_N.any():
                place = int(differs_N.argmax())
                what = f"the label of {first.ids[place]!r} is {a_N[place]:g} and {b_N[place]:g}"
        if what:
            raise MinbertError(f"{first.path} and {other.path} are not on the same examples: {what}",
                               "only runs on the same files can be set side by side")
