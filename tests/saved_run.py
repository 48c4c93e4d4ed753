"""Run folders as `multitask.run` leaves them, made from chosen outputs, for the tests of what reads them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from minbert.files import write_text
from multitask.outputs import write_outputs
from multitask.recipe import Expected, Recipe
from multitask.recipe_files import to_toml
from multitask.record import to_json
from multitask.run_folder import Run, describe_outputs
from tests.small_run import recipe

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
    write_results(folder, some_recipe, outputs, test or {}, facts or FACTS, seconds)
    return folder


def write_results(folder: Path, some_recipe: Recipe, outputs: dict, test: dict, facts: dict, seconds: float) -> None:
    labelled = {name: rows for name, rows in test.items() if None not in rows[0]}
    results = {"recipe": some_recipe.name, "source": some_recipe.source, "seed": some_recipe.seed, "facts": facts,
               "best_stage": 1, "best_epoch": 1, "select_by": some_recipe.select_by,
               **{split: {"tasks": tasks} for split, tasks in (("dev", outputs), ("test", labelled)) if tasks},
               "seconds": seconds, "hardware": {"hardware": "a machine"}}
    run = Run(folder, results, some_recipe)
    write_text(folder / "results.json", to_json(results | {
        split: describe_outputs(run, split) for split in ("dev", "test") if split in results}))


def logits(classes: list[int], count: int = 5, margin: float = 2.0) -> list[list[float]]:
    """Outputs of a model that is sure of these classes."""
    return (margin * np.eye(count)[classes]).tolist()
