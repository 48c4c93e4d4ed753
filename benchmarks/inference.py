"""Predictions for dev examples: ours in batches of like lengths, theirs in the file's order, each batch padded to its longest."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from benchmarks.ours import OurLoop
from benchmarks.peers import OrdinaryLoop, describe_difference, largest
from benchmarks.rows import Outcome, speed_row
from benchmarks.setting import Setting
from benchmarks.timing import interleave
from multitask.data import Example
from multitask.evaluate import predict
from multitask.model import MultitaskBert
from multitask.tables import COURSE_TASKS

SHARE = 0.05  # of every dev file, for the comparison of the predictions; what is timed is all of it
BATCH = 32  # theirs; ours go by the number of tokens
ROUNDS = 3


def measure(setting: Setting) -> Outcome:
    """Of whole dev files, for what batches of like lengths save depends on how many sentences there are to choose from."""
    from transformers import BertModel as TheirBert

    cut, dev = ({task: splits.dev for task, splits in data.items()} for data in (setting.cut(SHARE), setting.data))
    model = OurLoop(setting, setting.data, ["stages.0.schedule=round_robin"]).model
    theirs = OrdinaryLoop(setting, TheirBert.from_pretrained(setting.folder), cut, BATCH)
    copy_heads(model, theirs.heads)
    ours, others = predict_ours(model, setting, cut), predict_theirs(theirs)
    same = describe_difference(largest(np.abs(ours[task] - others[task]).max() for task in COURSE_TASKS),
                               f"predictions for {sum(map(len, cut.values()))} dev examples")
    theirs.data = dev
    tokens = sum(model.encoding(task).length(example) for task in COURSE_TASKS for example in dev[task])

    def count(work: Callable[[], object]) -> int:
        work()
        return tokens

    timing = interleave({"ours": partial(count, partial(predict_ours, model, setting, dev)),
                         "theirs": partial(count, partial(predict_theirs, theirs))}, ROUNDS, warm_up=False)
    row = speed_row(f"predictions for all {sum(map(len, dev.values())):,} dev examples", "transformers, ordinary loop", timing,
                    "ours", "theirs", "real tokens/s", 2.5)
    return Outcome((row,), same, (), timing.dropped, timing.disturbed)


def predict_ours(model: MultitaskBert, setting: Setting, dev: dict[str, list[Example]]) -> dict[str, np.ndarray]:
    """By task: an output for every example, in their order."""
    return {task: predict(model, setting.tokenizer, task, examples) for task, examples in dev.items()}


@torch.no_grad()
def predict_theirs(loop: OrdinaryLoop) -> dict[str, np.ndarray]:
    """The same of their model, BATCH examples at a time."""
    loop.model.eval()
    loop.heads.eval()
    outputs = {}
    for task, examples in loop.data.items():
        parts = [loop.output(task, examples[start : start + BATCH])[0] for start in range(0, len(examples), BATCH)]
        outputs[task] = torch.cat(parts).squeeze(-1).numpy()
    return outputs


def copy_heads(model: MultitaskBert, heads: nn.ModuleDict) -> None:
    """Gives their linear heads the weights of ours."""
    for task, head in heads.items():
        ours = next(module for module in model.heads[task].modules() if isinstance(module, nn.Linear))
        head[-1].load_state_dict(ours.state_dict())
