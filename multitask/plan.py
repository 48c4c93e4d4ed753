"""What a recipe would do, without doing it: `--dry_run`."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import torch

from minbert.tokenizer import BertTokenizer
from multitask.checkpoint import build_model
from multitask.progress import Setting
from multitask.recipe import Recipe
from multitask.recipe_files import to_toml
from multitask.run import add_features
from multitask.stage import Parts, count_steps, start_stage
from multitask.train import Step, run_stage


def describe_plan(recipe: Recipe, setting: Setting) -> str:
    """The resolved recipe, each stage's steps, the model's size, and the training time, taken from a few real steps."""
    torch.manual_seed(recipe.seed)
    tokenizer = BertTokenizer.from_pretrained(setting.model_folder)
    model = build_model(recipe, setting.model_folder, tokenizer).to(setting.device)
    lines, seconds = [to_toml(recipe)], 0.0
    parts = Parts(model, tokenizer, add_features(recipe, setting.data, model, tokenizer), setting.model_folder)
    # a frozen encoder's vectors are computed once; here only those of a few batches
    stages = tuple(replace(stage, frozen_dropout=stage.train == "last-linear-layer") for stage in recipe.stages)
    for index, stage in enumerate(recipe.stages):
        state, schedule = start_stage(replace(recipe, stages=stages), index, parts)
        steps = count_steps(schedule, stage)
        computed = steps if stages[index] == stage else steps / stage.epochs
        seconds += computed * time_step(run_stage(state, schedule, stage.epochs, recipe.optimizer.clip), steps)
        learning = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        lines.append(f"stage {index + 1}: {steps} steps, {learning:,} weights learn")
    size = sum(parameter.numel() for parameter in model.parameters())
    return "\n".join([*lines, f"model: {size:,} weights",
                      f"training: about {max(1, round(seconds / 60))} min on this machine (from a few steps a stage, "
                      "evaluation not counted)"])


def time_step(steps: Iterator[Step], total: int, timed: int = 6) -> float:
    """Seconds of one of `total` steps: the mean of `timed` after a first one, which warms up."""
    next(steps)
    started, count = time.perf_counter(), min(timed, total - 1)
    for _ in islice(steps, count):
        pass
    return (time.perf_counter() - started) / max(1, count)
