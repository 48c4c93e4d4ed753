"""What can be trained: examples in batches, an output, a loss, and how far two outputs are apart."""

from typing import Protocol

from torch import Tensor

from multitask.batches import BatchStream
from multitask.data import Batch
from multitask.model import MultitaskBert
from multitask.targets import Target


class Objective(Protocol):
    """Everything that can be trained. A stage names its objectives; the loop knows no more of them than this."""

    name: str
    stream: BatchStream  # its length is a pass; its state_dict the place in it

    def next_batch(self) -> Batch: ...
    def output(self, model: MultitaskBert, batch: Batch) -> Tensor: ...
    def loss(self, output: Tensor, batch: Batch) -> Tensor: ...


class Supervised:
    """An objective with labelled examples of one task; the one kind that penalties are for. They put `embedded_BTD` in the
    place of what the model makes of the tokens, and ask how far two outputs are apart."""

    def __init__(self, name: str, target: Target, stream: BatchStream) -> None:
        self.name, self.target, self.stream = name, target, stream

    def next_batch(self) -> Batch:
        return self.stream.next_batch()

    def output(self, model: MultitaskBert, batch: Batch, embedded_BTD: Tensor | None = None) -> Tensor:
        return model.output(self.name, batch.tokens, embedded_BTD)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return self.target.loss(output, batch.labels)

    def divergence(self, output: Tensor, other: Tensor) -> Tensor:
        return self.target.divergence(output, other)
