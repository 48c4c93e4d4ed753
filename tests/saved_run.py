"""Run folders as `multitask.run` leaves them, made from chosen outputs, for the tests of what reads them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from small_run import recipe

from minbert.files import write_text
from multitask.evaluate import score_task, summarise
from multitask.outputs import write_outputs
from multitask.recipe import Expected, Recipe
from multitask.recipe_files import to_toml
from multitask.record import main_score, to_json
from multitask.run_folder import Run, read_predictions
from multitask.tables import TASKS

FACTS = {"model": "bert-base-uncased", "model_note": "", "data": "the user's files"}


def make_run(folder: Path, outputs: dict[str, tuple[list, list]], *, test: dict[str, tuple[list, list]] | None = None,
             some_recipe: Recipe | None = None, expected: Expected | None = None, seed: int = 1, facts: dict | None = None,
             seconds: float = 60.0) -> Path:
    """`outputs` and `test`: task -> (labels, the model's raw outputs). Example ids are 0, 1, ..."""
    some_recipe = replace(some_recipe or recipe(), seed=seed, expected=expected or Expected())
    some_recipe = replace(some_recipe, tasks={name: some_recipe.tasks[name] for name in outputs})
    stage = replace(some_recipe.stages[0], objectives=tuple(outputs), budget=None)
    some_recipe = replace(some_recipe, stages=(stage,), select_by=next(iter(outputs)))
    write_text(folder / "recipe.toml", to_toml(some_recipe))
    for split, tasks in (("dev", outputs), ("test", test or {})):
        for name, (labels, rows) in tasks.items():
            ids = [f"{name}{number}" for number in range(len(labels))]
            write_outputs(folder / "outputs" / f"{name}-{split}.csv", ids, labels, np.array(rows, dtype=float))
    write_results(folder, some_recipe, outputs, facts or FACTS, seconds)
    return folder


def write_results(folder: Path, some_recipe: Recipe, outputs: dict, facts: dict, seconds: float) -> None:
    results = {"recipe": some_recipe.name, "source": some_recipe.source, "seed": some_recipe.seed, "facts": facts,
               "dev": {"tasks": dict.fromkeys(outputs), "examples": {name: len(labels) for name, (labels, _) in outputs.items()}},
               "seconds": seconds, "hardware": {"hardware": "a machine"}}
    run = Run(folder, results, some_recipe)
    predicted = {name: read_predictions(run, name, "dev") for name in outputs}
    scores = {name: score_task(TASKS[name], one.predictions_N, one.labels_N) for name, one in predicted.items()}
    results["dev"] |= {"tasks": scores, **summarise({name: main_score(score) for name, score in scores.items()})}
    write_text(folder / "results.json", to_json(results))


def add_report_keys(folder: Path) -> None:
    """What else a finished run writes into results.json, and its report reads."""
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    results |= {"best_stage": 1, "best_epoch": 1, "select_by": "sst"}
    results["dev"]["majority"] = dict.fromkeys(results["dev"]["tasks"])
    write_text(folder / "results.json", to_json(results))


def logits(classes: list[int], count: int = 5, margin: float = 2.0) -> list[list[float]]:
    """Outputs of a model that is sure of these classes."""
    return (margin * np.eye(count)[classes]).tolist()
