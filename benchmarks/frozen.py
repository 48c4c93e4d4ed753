"""Ten epochs of `--option pretrain`, where only the heads learn: our features are computed once, theirs in every epoch."""

from functools import partial

from torch import nn

from benchmarks.ours import POOLERS
from benchmarks.peers import OrdinaryLoop, describe_difference, largest_difference, task_loss
from benchmarks.rows import Outcome, speed_row
from benchmarks.setting import Setting
from benchmarks.timing import interleave
from minbert.files import MinbertError
from multitask.checkpoint import build_model
from multitask.recipe import Recipe
from multitask.recipe_files import load_recipe
from multitask.stage import Parts, start_stage
from multitask.train import run_stage

SHARE, FEWEST, EPOCHS, ROUNDS = 0.01, 250, 10, 3  # a larger share where it would be fewer examples


def measure(setting: Setting) -> Outcome:
    """Raises MinbertError where a side did not read every example in every epoch."""
    from transformers import BertModel

    # as `--option pretrain --epochs 10` has it, but pooled as theirs is
    recipe = load_recipe("baseline", [f"stages.0.epochs={EPOCHS}", "stages.0.train=last-linear-layer",
                                      *POOLERS])
    share = min(1.0, max(SHARE, FEWEST / sum(len(splits.train) for splits in setting.data.values())))
    data = setting.cut(share)
    parts = Parts(build_model(recipe, setting.folder, setting.tokenizer), setting.tokenizer, data)
    loop = OrdinaryLoop(setting, BertModel.from_pretrained(setting.folder), {task: data[task].train for task in data},
                        recipe.stages[0].batch_size, freeze=True)
    same = describe_difference(largest_difference(parts.model.encoder.bert, loop.model, setting))
    timing = interleave({"ours": partial(train_ours, recipe, parts), "theirs": partial(train_theirs, loop),
                         "without dropout": partial(train_without_dropout, loop)}, ROUNDS, warm_up=False)
    examples = sum(len(splits.train) for splits in data.values())
    check_examples({sample.work for each in timing.rounds for sample in each.samples.values()}, EPOCHS * examples)
    what, against = f"{EPOCHS} epochs of `pretrain`", "transformers, encoder frozen, ordinary loop"
    rows = (speed_row(what, against, timing, "ours", "theirs", "examples/s", goal=15),
            speed_row(what, f"{against}, its dropout off, as ours is", timing, "ours", "without dropout", "examples/s"))
    details = (f"a stratified cut of {share:.0%}, {examples} examples; ours encodes each once, within the time, theirs "
               "in every epoch",
               "tokens are made beforehand and dev is scored on neither side; ours is `baseline` with the pooler in place of "
               "[CLS], as theirs; theirs runs the frozen encoder in model.train(), as tutorials do, or in model.eval()")
    return Outcome(rows, f"{same}; both sides read every example {EPOCHS} times", details, timing.dropped, timing.disturbed)


def check_examples(counts: set[float], expected: int) -> None:
    """Raises MinbertError unless every variant has read as many examples as expected."""
    if counts != {expected}:
        raise MinbertError(f"{sorted(counts)} examples were read, expected {expected} on both sides", exit_code=1)


def train_ours(recipe: Recipe, parts: Parts) -> int:
    """How many examples the stage's steps have read."""
    state, schedule = start_stage(recipe, 0, parts)
    return sum(step.rows for step in run_stage(state, schedule, recipe.stages[0].epochs, recipe.optimizer.clip))


def train_without_dropout(loop: OrdinaryLoop) -> int:
    """The same with the frozen encoder in model.eval()."""
    loop.model.eval()
    try:
        return train_theirs(loop)
    finally:
        loop.model.train()


def train_theirs(loop: OrdinaryLoop) -> int:
    """As many steps: in each epoch a pass over each task, one after the other, in random order."""
    rows = 0
    for _ in range(EPOCHS):
        for task, examples in loop.data.items():
            order = loop.random.sample(examples, len(examples))
            for start in range(0, len(order), loop.batch_size):
                batch = order[start: start + loop.batch_size]
                task_loss(task, *loop.output(task, batch)).backward()
                nn.utils.clip_grad_norm_(loop.parameters, 1.0)
                loop.optimizer.step()
                loop.optimizer.zero_grad()
                rows += len(batch)
    return rows
