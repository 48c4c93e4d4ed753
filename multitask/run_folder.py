"""What a finished run left behind: its results, its recipe, and its predictions of every example."""

# N examples, C columns of the output

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit, softmax

from minbert.files import MinbertError, read_table
from multitask.outputs import read_outputs
from multitask.recipe import Recipe
from multitask.recipe_files import load_recipe
from multitask.tables import TASKS, Task
from multitask.targets import find_target

RUN_FOLDER = "a run folder holds recipe.toml and results.json; a folder of several seeds holds such folders named seed-*"


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
    """Raises MinbertError where results.json or recipe.toml is missing or broken, or they do not belong together."""
    path = folder / "results.json"
    if not path.exists():
        what = "holds no finished run" if folder.is_dir() else "is no folder"
        raise MinbertError(f"{folder} {what}", RUN_FOLDER)
    results = read_table(path, RUN_FOLDER)
    if missing := list(find_missing(results)):
        raise MinbertError(f"{path}: lacks {', '.join(missing)}", "only a finished run can be read")
    recipe = None if "members" in results else load_recipe(str(folder / "recipe.toml"))
    if unknown := set(results["dev"]["tasks"]) - set(recipe.tasks if recipe else TASKS):
        raise MinbertError(f"{path}: {', '.join(sorted(unknown))}: not a task of the run's recipe", "the folder mixes two runs")
    return Run(folder, results, recipe)


def find_missing(results: dict) -> Iterator[str]:
    """What is not in results.json, or is not what a run writes there."""
    kinds = {"recipe": str, "facts": dict, "seconds": (int, float), "dev": dict}
    yield from (name for name, kind in kinds.items() if not isinstance(results.get(name), kind))
    dev = results.get("dev")
    if not isinstance(dev, dict):
        return
    scores = {name: dev.get(name) for name in ("overall_raw", "overall_normalised")}
    tasks, counts = dev.get("tasks"), dev.get("examples")
    if not isinstance(tasks, dict) or not tasks or not isinstance(counts, dict) or counts.keys() != tasks.keys():
        yield "dev scores"
        return
    for task, measures in tasks.items():
        scores |= {f"{task} {name}": score for name, score in measures.items()} if isinstance(measures, dict) else {task: None}
        if measures == {}:
            yield f"dev scores of {task}"
    for name, score in scores.items():
        if not isinstance(score, dict) or not isinstance(score.get("value", ""), (int, float, type(None))):
            yield f"dev score {name}"


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
                               "the folder mixes two runs")
        predictions_N = target.decode(torch.from_numpy(saved.outputs)).double().numpy()
    return Predicted(path, saved.ids, np.array(saved.labels, dtype=np.float64), saved.outputs, predictions_N)


def find_probabilities(run: Run, task: Task, predicted: Predicted) -> np.ndarray:
    """probabilities_NC; a model that gives none (classes as points on a line) puts all on its answer."""
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
