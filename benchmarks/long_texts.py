"""Training on CFIMDB's film reviews, of several hundred tokens each: batches whole, and in parts whose gradients add up.

On a CPU every tensor of more than 32 MB is new memory that the system has to clear, and attention over 512 tokens makes many of
them. Two reviews at a time (`batch_size = 2`, `accumulate = 4`) stay below that, and there are as many in a step.
"""

import random
import statistics
from collections.abc import Sequence

from benchmarks.ours import OurLoop
from benchmarks.peers import ENCODINGS, OrdinaryLoop, describe_difference, largest_difference
from benchmarks.rows import Outcome, speed_row
from benchmarks.setting import Setting
from benchmarks.steps import ORDINARY, UNIT, describe_padding
from benchmarks.timing import interleave
from multitask.command_line import describe_sources, find_files
from multitask.data import Example, tokenise
from multitask.stage import TaskData
from multitask.tables import TASKS, read_table

TASK, BATCH, PARTS = "cfimdb", 8, 4  # the batch is the course's
REVIEWS = 64  # in a round
WHAT = f"steps of {BATCH} film reviews"


def measure(setting: Setting) -> Outcome:
    """The setting's model."""
    from transformers import BertModel as TheirBert

    file = find_files([TASK], setting.data_dir, {})[0][TASK, "train"]
    examples = tokenise(read_table(file, TASKS[TASK], "train"), setting.tokenizer)
    train = random.Random(0).sample(examples, min(REVIEWS, len(examples)))
    whole, parts = make_loop(setting, train, 1), make_loop(setting, train, PARTS)
    theirs = OrdinaryLoop(setting, TheirBert.from_pretrained(setting.folder), {TASK: train}, BATCH)
    same = describe_difference(largest_difference(whole.model.encoder.bert, theirs.model, setting, {TASK: train[:BATCH]}),
                               f"vectors of {BATCH} reviews")
    steps = len(train) // BATCH
    timing = interleave({"whole": lambda: whole.step(steps), "parts": lambda: parts.step(steps),
                         "theirs": lambda: sum(theirs.step([TASK]) for _ in range(steps))}, rounds=5)
    rows = (
        speed_row(WHAT, ORDINARY, timing, "whole", "theirs", UNIT),
        speed_row(f"{WHAT} in {PARTS} parts", ORDINARY, timing, "parts", "theirs", UNIT),
        speed_row(f"{WHAT} in {PARTS} parts", "ours, whole", timing, "parts", "whole", UNIT),
    )
    length = statistics.mean(map(ENCODINGS[TASK].length, train))
    details = (f"{describe_sources({(TASK, 'train'): file})}: {len(train)} reviews of {length:.0f} tokens on average",
               *describe_padding(whole, theirs), f"in parts, padding is {1 - parts.read / parts.padded:.1%} of our tokens")
    return Outcome(rows, same, details, timing.dropped, timing.disturbed)


def make_loop(setting: Setting, train: Sequence[Example], parts: int) -> OurLoop:
    """Our steps on batches of `BATCH`, each in so many parts."""
    return OurLoop(setting, {TASK: TaskData(train, [], None)}, [
        f"max_length={ENCODINGS[TASK].max_length}", f"tasks.{TASK}.encoding=single", f"tasks.{TASK}.pooling=pooler",
        "stages.0.schedule=round_robin", f'stages.0.objectives=["{TASK}"]', f"stages.0.batch_size={BATCH // parts}",
        f"stages.0.accumulate={parts}"])
