"""Which task is next: every step of an epoch as a list of task names.

A schedule is a function of (seed, epoch) alone, so training can be entered again at any step of any epoch. All come from
three shapes: `passes` over the data, tasks `sampled` anew at every step, and `joint` steps on all tasks at once.
Sources: Stickland and Murray 2019 (proportional, sqrt, annealed) and the course reports. Where public code divides by
zero, in annealing over a single epoch, that epoch is the first one here.
"""

import math
from collections.abc import Callable, Iterable
from itertools import cycle, islice

import torch

from minbert.files import MinbertError
from multitask.recipe import StageRecipe

Schedule = Callable[[int], list[tuple[str, ...]]]  # epoch (from 1) -> the objectives of each step
CHANCES = {"sst": 1 / 2, "para": 1 / 3, "sts": 9 / 10}  # of a pass in an epoch of epoch_dropout; every other task 1/2


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


def drawn_by_budget(batches: dict[str, int], generator: torch.Generator) -> list[str]:
    """Every task's batches exactly once; at each step an unfinished task is as likely as its share of the first budgets."""
    left, order = dict(batches), []
    while left:
        names = list(left)
        shares = torch.tensor([batches[name] for name in names], dtype=torch.float64)
        order.append(names[int(torch.multinomial(shares, 1, generator=generator))])
        left[order[-1]] -= 1
        left = {name: count for name, count in left.items() if count}
    return order


# Exercise 7.6: annealed sampling
def annealed(sizes: dict[str, int], epoch: int, epochs: int) -> dict[str, float]:
    """Each task's probability in this epoch (from 1 to `epochs`); `sizes` is the number of examples of each.

    Steps: 1. alpha falls in equal parts from 1 in the first epoch to 0.2 in the last; a single epoch has alpha 1.
    2. A task is as likely as its size to the power of alpha: first by size, towards the end almost equal.
    """
    # alpha = 1 - 0.8 (e - 1) / (E - 1)
    # p_i = N_i^alpha / sum_j N_j^alpha
    alpha = 1 - 0.8 * (epoch - 1) / max(1, epochs - 1)
    return shares_of_powers(sizes, alpha)


def shares_of_powers(sizes: dict[str, int], alpha: float) -> dict[str, float]:
    """Each size to the power of alpha, as a share of their sum."""
    powers = {name: size**alpha for name, size in sizes.items()}
    return {name: power / sum(powers.values()) for name, power in powers.items()}


def epoch_dropout(batches: dict[str, int], chances: dict[str, float], generator: torch.Generator) -> list[str]:
    """The tasks in random order, each with its chance a full pass or none; were all skipped, they are drawn again."""
    if not any(chances[name] for name in batches):
        raise MinbertError("epoch_dropout would skip every task: all have probability 0", "give one a probability above 0")
    order = []
    while not order:
        tasks = [list(batches)[place] for place in torch.randperm(len(batches), generator=generator).tolist()]
        draws = torch.rand(len(tasks), generator=generator).tolist()
        order = [name for name, draw in zip(tasks, draws, strict=True) if draw < chances[name] for _ in range(batches[name])]
    return order


def count_resampled(stage: StageRecipe, sizes: dict[str, int]) -> int:
    """How many examples of each task `equal_resample` draws, with replacement, for an epoch."""
    return stage.resample or min(size for size in sizes.values() if size)


def sampled(probabilities: Callable[[int], dict[str, float]], steps: int, seed: int) -> Schedule:
    """One task a step, each drawn by its probability in the epoch, whatever was drawn before."""
    def schedule(epoch: int) -> list[tuple[str, ...]]:
        names, chances = zip(*probabilities(epoch).items(), strict=True)
        draws = torch.multinomial(torch.tensor(chances, dtype=torch.float64), steps, True, generator=seeded(seed, epoch))
        return [(names[draw],) for draw in draws.tolist()]

    return schedule


def passes(order: Callable[[int], list[str]], steps: int = 0) -> Schedule:
    """One task a step, in the epoch's order; with `steps` the epoch is cut there, or goes on with the order's beginning."""
    def schedule(epoch: int) -> list[tuple[str, ...]]:
        names = order(epoch)
        return [(name,) for name in islice(cycle(names), steps or len(names))]

    return schedule


def joint(names: Iterable[str], steps: int) -> Schedule:
    """Every task in each step; the larger ones go on in the next epoch where they stopped."""
    return lambda epoch: [tuple(names)] * steps


def make_budgeted(stage: StageRecipe, batches: dict[str, int], seed: int) -> Callable[[int], list[str]]:
    """epoch -> its tasks: one pass over each, or a part of the passes that the budget allows in the whole stage."""
    draw = {"remaining": shuffled, "fixed": drawn_by_budget}[stage.budget_draw]
    if not stage.budget:
        return lambda epoch: draw(batches, seeded(seed, epoch))
    whole = draw({name: count * stage.budget[name] for name, count in batches.items()}, seeded(seed, 0))
    return lambda epoch: cut(whole, epoch, stage.epochs)


def cut(order: list[str], part: int, parts: int) -> list[str]:
    """Part number `part` (from 1) of nearly equal ones."""
    return order[len(order) * (part - 1) // parts: len(order) * part // parts]


def seeded(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 100_003 + epoch)


def make_schedule(stage: StageRecipe, batches: dict[str, int], sizes: dict[str, int], seed: int) -> Schedule:
    """The schedule of a stage; `batches` is the number of batches in one pass over each of its objectives, `sizes` that
    of its examples. An objective without examples is left out. Raises MinbertError where none has any."""
    sizes = {name: sizes[name] for name in stage.objectives if sizes[name]}
    if not sizes:
        raise MinbertError(f"there is not one training example for {', '.join(stage.objectives)}")
    # a pass of 7 batches is one of 4 steps of 2 batches: the last of them has one
    batches = {name: math.ceil(batches[name] / stage.accumulate) for name in sizes}
    resampled = math.ceil(math.ceil(count_resampled(stage, sizes) / stage.batch_size) / stage.accumulate)
    every = {name: count * stage.epochs for name, count in batches.items()}
    chances = {name: CHANCES.get(name, 1 / 2) for name in batches} | (stage.probabilities or {})
    steps = stage.steps_per_epoch
    return {
        "round_robin": passes(lambda epoch: round_robin(batches, stage.length), steps),
        "sequential_epoch": passes(lambda epoch: one_after_the_other(batches), steps),
        "sequential_tasks": passes(lambda epoch: cut(one_after_the_other(every), epoch, stage.epochs), steps),
        "budgeted": passes(make_budgeted(stage, batches, seed), steps),
        "epoch_dropout": passes(lambda epoch: epoch_dropout(batches, chances, seeded(seed, epoch))),
        "joint_min": joint(batches, min(batches.values())),
        "equal_resample": joint(batches, resampled),
        "proportional": sampled(lambda epoch: shares_of_powers(sizes, 1.0), steps, seed),
        "sqrt": sampled(lambda epoch: shares_of_powers(sizes, 0.5), steps, seed),
        "annealed": sampled(lambda epoch: annealed(sizes, epoch, stage.epochs), steps, seed),
    }[stage.schedule]
