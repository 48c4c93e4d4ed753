"""Which task is next: every step of an epoch as a list of task names.

A schedule is a function of (seed, epoch) alone, so training can be entered again at any step of any epoch.
"""

from collections.abc import Callable
from itertools import cycle, islice

import torch

from multitask.recipe import StageRecipe

Schedule = Callable[[int], list[tuple[str, ...]]]  # epoch (from 1) -> the objectives of each step


# Exercise 7.1: round robin
def round_robin(batches: dict[str, int], length: str) -> list[str]:
    """The tasks in turn, one batch each: sst, para, sts, sst, para, ...

    `batches` is the number of batches in one pass over each task. The epoch ends with the largest task ("max": smaller
    ones start over), with the smallest ("min"), or drops each task when it is through ("until_exhausted").
    """
    rounds = min(batches.values()) if length == "min" else max(batches.values())
    return [name for turn in range(rounds) for name in batches if length != "until_exhausted" or turn < batches[name]]


def one_after_the_other(batches: dict[str, int]) -> list[str]:
    """A full pass over each task, in the recipe's order."""
    return [name for name, count in batches.items() for _ in range(count)]


# Exercise 7.2: proportional sampling without replacement
def shuffled(batches: dict[str, int], generator: torch.Generator) -> list[str]:
    """Every task's batches exactly once, in random order: at each step a task is as likely as its share of what is left."""
    tasks = one_after_the_other(batches)
    return [tasks[index] for index in torch.randperm(len(tasks), generator=generator).tolist()]


def make_schedule(stage: StageRecipe, batches: dict[str, int], seed: int) -> Schedule:
    """The schedule of a stage; `batches` is the number of batches in one pass over each of its objectives."""
    batches = {name: batches[name] for name in stage.objectives}

    def budgeted(epoch: int) -> list[str]:
        return shuffled(batches, torch.Generator().manual_seed(seed * 100_003 + epoch))

    def sequential_tasks(epoch: int) -> list[str]:
        # `epochs` passes over the first task, then as many over the second, ...
        every = [name for name, count in batches.items() for _ in range(count * stage.epochs)]
        size = sum(batches.values())
        return every[(epoch - 1) * size: epoch * size]

    orders = {
        "round_robin": lambda epoch: [(name,) for name in round_robin(batches, stage.length)],
        "sequential_epoch": lambda epoch: [(name,) for name in one_after_the_other(batches)],
        "sequential_tasks": lambda epoch: [(name,) for name in sequential_tasks(epoch)],
        "budgeted": lambda epoch: [(name,) for name in budgeted(epoch)],
        # one batch of every task in each step, as many steps as the smallest task has batches; the larger ones go on
        # in the next epoch where they stopped
        "joint_min": lambda epoch: [tuple(batches)] * min(batches.values()),
    }
    order = orders[stage.schedule]

    def schedule(epoch: int) -> list[tuple[str, ...]]:
        steps = order(epoch)
        return list(islice(cycle(steps), stage.steps_per_epoch or len(steps)))

    return schedule
