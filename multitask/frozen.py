"""A frozen encoder's sentence vectors, computed once: an epoch then costs the heads alone.

Right because nothing before the heads is random or changes: the encoder does not learn and its dropout is off.
"""

# N examples, V vectors of an example (2 for pairs that are encoded independently, else 1), B batch, D hidden

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from minbert.tokenizer import BertTokenizer
from multitask.batches import BatchStream
from multitask.data import Example, Tokens
from multitask.evaluate import run_model
from multitask.model import MultitaskBert, dropout_off
from multitask.objectives import Supervised
from multitask.tables import TASKS
from multitask.targets import Target


@dataclass(frozen=True)
class FrozenBatch:
    """As data.Batch, with the sentence vectors in the tokens' place (independent pairs: B first ones, B second ones)."""

    ids: tuple[str, ...]
    vectors_ND: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> "FrozenBatch":
        return replace(self, vectors_ND=self.vectors_ND.to(device), labels=self.labels.to(device))


class FrozenSupervised(Supervised):
    """A task's objective on vectors computed beforehand: by `encode`, or with the first batch."""

    def __init__(self, name: str, target: Target, stream: BatchStream, encode: Callable[[], Tensor]) -> None:
        super().__init__(name, target, stream)
        self.encode = encode

    def output(self, model: MultitaskBert, batch: FrozenBatch, embedded_BTD: None = None) -> Tensor:
        return model.read_out(self.name, batch.vectors_ND)


def encode_once(model: MultitaskBert, tokenizer: BertTokenizer, task: str, examples: Sequence[Example]) -> Tensor:
    """vectors_NVD of all examples, in their order, on the CPU."""
    views = 2 if model.tasks[task].encoding == "independent" else 1

    def compute(tokens: Tokens) -> Tensor:
        return torch.stack(model.sentence(task, tokens).chunk(views), dim=1)

    return run_model(model, tokenizer, task, examples, compute)


def frozen_objective(objective: Supervised, model: MultitaskBert, tokenizer: BertTokenizer) -> FrozenSupervised:
    """The same objective on vectors: its batches hold the same examples in the same order."""
    stream = objective.stream

    @cache  # not at once: when it is called the weights are those that the stage starts from, after a resume too
    def vectors() -> Tensor:
        return encode_once(model, tokenizer, objective.name, stream.examples)

    dtype = torch.int64 if TASKS[objective.name].kind == "classes" else torch.float32

    def collate(places: Sequence[int]) -> FrozenBatch:
        rows = [stream.examples[place] for place in places]
        vectors_BVD = vectors()[list(places)]
        return FrozenBatch(tuple(row.id for row in rows), torch.cat(vectors_BVD.unbind(dim=1)),
                           torch.tensor([row.label for row in rows], dtype=dtype))

    places = BatchStream(range(len(stream.examples)), stream.batch_size, stream.seed, collate, stream.name,
                         stream.lengths.__getitem__, stream.resample)
    return FrozenSupervised(objective.name, objective.target, places, vectors)


def predict_frozen(model: MultitaskBert, task: str, *views_NVD: Tensor) -> np.ndarray:
    """As evaluate.predict, from vectors; two views, of (a, b) and of (b, a), are averaged."""
    device = next(model.parameters()).device
    with dropout_off(model), torch.inference_mode():
        outputs = [model.read_out(task, torch.cat(view.unbind(dim=1)).to(device)).float() for view in views_NVD]
    return torch.stack(outputs).mean(dim=0).cpu().numpy()
