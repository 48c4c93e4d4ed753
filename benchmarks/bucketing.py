"""Batches of similar length against batches in random order: time, padding, and whether the model learns as well.

Which sentences share a batch changes no sentence's output, but it changes the steps. So the same cut of the data is trained
both ways, with several seeds, and the dev scores are compared with what seeds alone do to them.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import torch

from benchmarks.ours import OurLoop
from benchmarks.rows import Outcome, speed_row
from benchmarks.setting import Setting
from benchmarks.timing import Timing, interleave
from minbert.files import MinbertError
from multitask import batches
from multitask.checkpoint import build_model
from multitask.data import Example, find_encoding, make_generator, take_part
from multitask.evaluate import Score, predict, summarise
from multitask.model import MultitaskBert
from multitask.recipe import Recipe
from multitask.recipe_files import load_recipe
from multitask.record import main_score, score_outputs
from multitask.stage import Parts, TaskData, start_stage
from multitask.tables import COURSE_TASKS, TASKS
from multitask.train import run_stage

POOLS = {"similar length": batches.POOL, "random order": 1}  # batches that are sorted together
SEEDS, ROUNDS = 3, 5
TRAIN, DEV = 500, 1200  # examples of a task at most: all of the course's dev sets but for Quora's, of which this is 60%
# far enough for scores to be more than luck: after half as many steps STS has anything from .3 to .7
SETTINGS = ["stages.0.batch_size=8", "stages.0.epochs=2", "optimizer.learning_rate=2e-4"]
LIMIT = 0.03  # of a batch's tokens, for padding
SIZES = (16, 32)


@dataclass(frozen=True)
class Comparison:
    """Dev scores overall, one for each seed, both ways. `noise` is how far the means of so many seeds lie apart by chance:
    19 times of 20 less than that. `sampling` is the dev sets' own 95% interval, half of it: other sentences, other scores."""

    similar: list[float]
    random: list[float]
    sampling: float

    @property
    def difference(self) -> float:
        return statistics.mean(self.similar) - statistics.mean(self.random)

    @property
    def noise(self) -> float:
        from scipy.stats import t  # here: to import it takes half a second

        count = len(self.similar)  # the pooled standard deviation of the two has 2 (count - 1) degrees of freedom
        pooled = math.sqrt((statistics.variance(self.similar) + statistics.variance(self.random)) / 2)
        return float(t.ppf(0.975, 2 * (count - 1))) * pooled * math.sqrt(2 / count)

    def __str__(self) -> str:
        similar, random = map(statistics.mean, (self.similar, self.random))
        place = "within" if abs(self.difference) <= self.noise else "beyond"
        return (f"the mean overall dev score of {len(self.similar)} seeds is {similar:.4f} after training in batches of similar "
                f"length, {random:.4f} in random order: {self.difference:+.4f}, {place} the noise of seeds, ±{self.noise:.4f} at "
                f"95% (the dev sets' own interval: ±{self.sampling:.4f})")


def measure(setting: Setting) -> Outcome:
    """Raises MinbertError where batches of similar length train a worse model, or hold too much padding."""
    table, timing = check_padding(setting), time_steps(setting)
    data, recipe = cut_data(setting), load_recipe("baseline", SETTINGS)
    scores = {name: [] for name in POOLS}
    for number, name in product(range(SEEDS), POOLS):
        with pools_of(POOLS[name]):
            model = train(replace(recipe, seed=recipe.seed + number), setting, data)
        scores[name].append(score(model, setting, data))
    overall = {name: [each["overall_normalised"] for each in scores[name]] for name in POOLS}
    found = Comparison(*([each.value for each in values] for values in overall.values()),
                       max(each.half_width for values in overall.values() for each in values))
    if not found.difference >= -found.noise:
        raise MinbertError(f"batches of similar length train a worse model: {found}", "multitask/batches.py makes them")
    row = speed_row("training steps in batches of similar length", "batches in random order", timing, *POOLS, "real tokens/s")
    return Outcome((row,), str(found), (*table, *describe(scores, data, recipe)), timing.dropped, timing.disturbed)


def time_steps(setting: Setting) -> Timing:
    """`baseline`'s batches of 32, two of each task."""
    loops = {}

    def take_steps(name: str) -> int:
        with pools_of(POOLS[name]):  # a pass is planned where it begins
            if name not in loops:
                loops[name] = OurLoop(setting, setting.data, ["stages.0.schedule=round_robin"])
            return loops[name].step(2 * len(COURSE_TASKS))

    return interleave({name: partial(take_steps, name) for name in POOLS}, ROUNDS)


@contextmanager
def pools_of(count: int) -> Iterator[None]:
    """Inside, training sorts so many batches together; one alone is in random order."""
    before, batches.POOL = batches.POOL, count
    try:
        yield
    finally:
        batches.POOL = before


def check_padding(setting: Setting) -> list[str]:
    """A table of the padding in one pass over each task's whole training data."""
    recipe = load_recipe("baseline")
    lines = ["Padding in a pass over the whole training data:",
             "| task | examples | batch | " + " | ".join(POOLS) + " |", "|---" * (3 + len(POOLS)) + "|"]
    for name, task in setting.data.items():
        lengths = [find_encoding(recipe, name).length(example) for example in task.train]
        for size in SIZES:
            shares = [find_padding(lengths, size, pool) for pool in POOLS.values()]
            lines.append(f"| {name} | {len(lengths)} | {size} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
            if len(lengths) >= batches.POOL * size and shares[0] >= LIMIT:  # fewer examples have fewer neighbours
                raise MinbertError(f"{name}: {shares[0]:.1%} of the tokens in batches of {size} are padding: expected less than "
                                   f"{LIMIT:.0%}", "multitask/batches.py makes them")
    return lines


def find_padding(lengths: Sequence[int], batch_size: int, pool: int) -> float:
    """The share of padding among the tokens of one pass."""
    with pools_of(pool):
        plan = batches.plan_pass(lengths, batch_size, make_generator("padding"))
    return 1 - sum(lengths) / sum(len(batch) * max(lengths[place] for place in batch) for batch in plan)


def cut_data(setting: Setting) -> dict[str, TaskData]:
    """The same part of every task's examples for all seeds, each label's share of it as in the whole."""
    def cut(examples: list[Example], name: str, count: int) -> list[Example]:
        return take_part(examples, TASKS[name], (0.0, min(1.0, count / len(examples))), seed=0)

    return {name: TaskData(cut(task.train, name, TRAIN), cut(task.dev, name, DEV), None) for name, task in setting.data.items()}


def train(recipe: Recipe, setting: Setting, data: dict[str, TaskData]) -> MultitaskBert:
    torch.manual_seed(recipe.seed)
    model = build_model(recipe, setting.folder, setting.tokenizer)
    state, schedule = start_stage(recipe, 0, Parts(model, setting.tokenizer, data))
    for _ in run_stage(state, schedule, recipe.stages[0].epochs, recipe.optimizer.clip):
        pass
    return model


def score(model: MultitaskBert, setting: Setting, data: dict[str, TaskData]) -> dict[str, Score]:
    """Each task's main score on dev, and the overall ones."""
    outputs = {name: predict(model, setting.tokenizer, name, task.dev) for name, task in data.items()}
    scores = {name: score_outputs(name, model.targets[name], output, data[name].dev) for name, output in outputs.items()}
    main = {name: main_score(each) for name, each in scores.items()}
    return main | summarise(main)


def describe(scores: dict[str, list[dict[str, Score]]], data: dict[str, TaskData], recipe: Recipe) -> list[str]:
    """What was trained, and a table of the dev scores."""
    names = [*data, "overall_normalised"]
    sizes = ", ".join(f"{name} {len(task.train)} and {len(task.dev)}" for name, task in data.items())
    lines = [f"Trained: {recipe.stages[0].epochs} epochs in batches of {recipe.stages[0].batch_size}, learning rate "
             f"{recipe.optimizer.learning_rate:g}, else as `baseline`; training and dev examples: {sizes}",
             "| batches | seed | " + " | ".join(name.partition("_")[0] for name in names) + " |", "|---" * (2 + len(names)) + "|"]
    for batching, runs in scores.items():
        lines += [f"| {batching} | {recipe.seed + number} | " + " | ".join(f"{run[name].value:.4f}" for name in names) + " |"
                  for number, run in enumerate(runs)]
    return lines
