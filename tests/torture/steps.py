"""Runs stopped after each of their 30 steps, as by a signal: each goes on to the very bits of a run left alone."""

import contextlib
import io
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch

from minbert.files import MinbertError
from multitask.interrupt import Stopped
from multitask.recipe import RDropRecipe, Recipe, SmartRecipe, StageRecipe
from multitask.run import run
from tests.same_run import StopAfter
from tests.torture.faults import RECIPE, STAGES, TASKS, judge, make_model, make_setting
from tests.torture.outcome import Outcome

STEPS = 30
ANNEALED = StageRecipe(objectives=TASKS, schedule="annealed", epochs=4, steps_per_epoch=5, batch_size=4,
                       smart=SmartRecipe(mode="sign"), patience=3)
SAVED = replace(RECIPE, save_steps=5)
RECIPES = {
    "PCGrad, a Bregman teacher, end with the best; then one head alone": SAVED,
    "GradVac, averaged weights (ema)": replace(
        SAVED, stages=(replace(STAGES[0], combine="gradvac", bregman=None, end_with="last", epochs=10),),
        optimizer=replace(SAVED.optimizer, average="ema", average_decay=0.9)),
    "annealed sampling, SMART; then proportional sampling, R-Drop, a halved learning rate": replace(SAVED, stages=(
        ANNEALED, replace(ANNEALED, schedule="proportional", epochs=2, smart=None, r_drop=RDropRecipe(),
                          learning_rate_schedule="halve_on_rise"))),
}


def stop_and_go_on(some_recipe: Recipe, step: int, folder: Path) -> str:
    """What went wrong, or ""."""
    setting = make_setting(folder)
    torch.manual_seed(step)  # no two processes start with the same random numbers
    try:
        run(some_recipe, setting, StopAfter(step))
        return "it was not stopped"
    except Stopped:
        torch.manual_seed(STEPS + step)
    try:
        run(some_recipe, setting)
    except MinbertError as error:
        return str(error)
    return judge(folder.parent / "whole", folder)


def measure(full: bool) -> Outcome:
    """Three recipes stopped after every step (full), or 5 of these."""
    tried, failures, details = 0, [], []
    for number, (title, some_recipe) in enumerate(RECIPES.items()):
        steps = range(1, STEPS + 1) if full else ((1, 16, 30), (17,), (22,))[number]
        with (tempfile.TemporaryDirectory() as name, mock.patch.dict(sys.modules, {"matplotlib.figure": None}),
              contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())):
            make_model(Path(name))
            run(some_recipe, make_setting(Path(name, "whole")))
            faults = {}
            for step in steps:
                faults[step] = stop_and_go_on(some_recipe, step, Path(name, "run"))
                shutil.rmtree(Path(name, "run"))
        wrong = [f"{title}, step {step}: {fault}" for step, fault in faults.items() if fault]
        tried, failures = tried + len(faults), failures + wrong
        details.append(f"{title}: {len(faults) - len(wrong)} of {len(faults)}")
    return Outcome("A run of 30 steps that is stopped after any one of them goes on to the same bits.", tried, tuple(failures),
                   tuple(details))
