"""Predictions for dev examples: ours in batches of like lengths, theirs in the file's order, each batch padded to its longest."""

import numpy as np
import torch
from torch import nn

from benchmarks.ours import OurLoop
from benchmarks.peers import OrdinaryLoop, describe_difference
from benchmarks.rows import Outcome, speed_row
from benchmarks.setting import Setting
from benchmarks.timing import interleave
from multitask.data import Example
from multitask.evaluate import predict
from multitask.model import MultitaskBert
from multitask.tables import COURSE_TASKS

SHARE = 0.2  # of every dev file
BATCH = 32  # theirs; ours go by the number of tokens


def measure(setting: Setting) -> Outcome:
    from transformers import BertModel as TheirBert

    data = setting.cut(SHARE)
    dev = {task: splits.dev for task, splits in data.items()}
    model = OurLoop(setting, data, ["stages.0.schedule=round_robin"]).model
    theirs = OrdinaryLoop(setting, TheirBert.from_pretrained(setting.folder), dev, BATCH)
    copy_heads(model, theirs.heads)
    difference = max(float(np.abs(predict_ours(model, setting, dev)[task] - predict_theirs(theirs)[task]).max())
                     for task in COURSE_TASKS)
    tokens = sum(model.encoding(task).length(example) for task in COURSE_TASKS for example in dev[task])

    def ours() -> int:
        predict_ours(model, setting, dev)
        return tokens

    def ordinary() -> int:
        predict_theirs(theirs)
        return tokens

    timing = interleave({"ours": ours, "theirs": ordinary}, rounds=7)
    row = speed_row("predictions for dev examples", "transformers, ordinary loop", timing, "ours", "theirs", "real tokens/s", 2.5)
    same = describe_difference(difference, f"predictions for {sum(map(len, dev.values()))} dev examples")
    return Outcome((row,), same, (), timing.dropped, timing.disturbed)


def predict_ours(model: MultitaskBert, setting: Setting, dev: dict[str, list[Example]]) -> dict[str, np.ndarray]:
    return {task: predict(model, setting.tokenizer, task, examples) for task, examples in dev.items()}


@torch.no_grad()
def predict_theirs(loop: OrdinaryLoop) -> dict[str, np.ndarray]:
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
