"""Do the tasks agree? The cosines of their gradients over the weights they share, in all and layer by layer.

Yu et al. 2020, section 2.2: below 0 two tasks conflict. Measured on the same few training examples every time, with dropout off
and penalties left out, so that what changes from epoch to epoch is the weights alone. Training does not notice: no random number
is drawn, no stream moves on, `.grad` stays as it is.
"""

# N tasks, P parameters

import math
import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor

from multitask.data import Batch
from multitask.model import MultitaskBert, dropout_off
from multitask.objectives import Supervised
from multitask.recipe import JOINT
from multitask.state import TrainState

ROWS = 16  # in a batch
EXAMPLES, SHARE = 32, 64  # of each task: so many, but at most a 64th of all, which bounds the cost to a few percent of an epoch
ALL = "all"


def fixed_batches(objective: Supervised, count: int = EXAMPLES, rows: int = ROWS) -> list[Batch]:
    """`count` training examples from all over the list, similar lengths together; the objective's stream stays where it is."""
    stream = objective.stream
    count = min(count, len(stream.examples))
    places = sorted((place * len(stream.examples) // count for place in range(count)), key=stream.lengths.__getitem__)
    return [stream.collate([stream.examples[place] for place in places[start:start + rows]]) for start in range(0, count, rows)]


def conflict_batches(state: TrainState) -> dict[str, list[Batch]]:
    """What to measure on in this stage: none unless its steps hold several tasks, with an encoder that learns from them all."""
    tasks = {name: one for name, one in state.objectives.items() if isinstance(one, Supervised)}
    if state.stage.schedule not in JOINT or len(tasks) < 2 or not state.model.encoder.shared_parameters():
        return {}
    smallest = min(len(objective.stream.examples) for objective in tasks.values())
    return {name: fixed_batches(objective, max(1, min(EXAMPLES, smallest // SHARE))) for name, objective in tasks.items()}


def measure_conflict(model: MultitaskBert, objectives: Mapping[str, Supervised], batches: Mapping[str, Sequence[Batch]]
                     ) -> dict[str, dict[str, float]]:
    """Cosines by pair of tasks ("sst, para") and part of the encoder: "all", "embeddings", "layer 0", ...

    A part where one of the two has no gradient is left out. The model is left as it was.
    """
    shared = model.encoder.shared_parameters()
    with dropout_off(model):
        gradients = {name: task_gradient(model, objectives[name], some, list(shared.values())) for name, some in batches.items()}
    parts: dict[str, list[int]] = {ALL: list(range(len(shared)))}
    for place, name in enumerate(shared):
        parts.setdefault(name_part(name), []).append(place)
    result = {}
    for first, second in combinations(gradients, 2):
        values = {part: cosine(gradients[first], gradients[second], places) for part, places in parts.items()}
        result[f"{first}, {second}"] = {part: value for part, value in values.items() if not math.isnan(value)}
    return result


def task_gradient(model: MultitaskBert, objective: Supervised, batches: Sequence[Batch], parameters: Sequence[Tensor]
                  ) -> list[Tensor | None]:
    """The gradient of the summed losses for each parameter; None where the task does not use it."""
    device = parameters[0].device
    total = 0.0
    for batch in (batch.to(device) for batch in batches):
        total = total + objective.loss(objective.output(model, batch), batch)
    return list(torch.autograd.grad(total, parameters, allow_unused=True))  # unlike backward(), leaves .grad alone


def cosine(first: Sequence[Tensor | None], second: Sequence[Tensor | None], places: Sequence[int]) -> float:
    """g_i . g_j / (|g_i| |g_j|) over the parameters at `places`; nan where one of the two is 0."""
    # one tensor after the other: the joined vectors would need the memory of two more models
    pairs = [(first[place], second[place]) for place in places]
    product = sum(float((one * other).sum()) for one, other in pairs if one is not None and other is not None)
    lengths = [math.sqrt(sum(float(one.square().sum()) for one in side if one is not None)) for side in zip(*pairs, strict=True)]
    return product / math.prod(lengths) if all(lengths) else math.nan


def name_part(parameter: str) -> str:
    """The part of the encoder that a parameter belongs to."""
    layer = re.search(r"layers\.(\d+)\.", parameter)
    if layer:
        return f"layer {layer[1]}"
    return next((part for part in ("embeddings", "pooler") if part in parameter), "added parts")
