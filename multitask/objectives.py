"""What a task asks of the model: an output, a loss, and how an output becomes a prediction."""

# B batch, C classes

from typing import Protocol

from torch import Tensor
from torch.nn import functional as F

from multitask.data import Batch, BatchStream
from multitask.model import MultitaskBert


class Objective(Protocol):
    """Everything that can be trained. A stage names its objectives; the loop knows no more of them than this."""

    name: str

    def next_batch(self) -> Batch: ...
    def output(self, model: MultitaskBert, batch: Batch, embedded_BTD: Tensor | None = None) -> Tensor: ...
    def loss(self, output: Tensor, batch: Batch) -> Tensor: ...


# Exercise 6.3: the loss of each task
def sentiment_loss(output_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Mean cross-entropy between softmax(output) and the class labels: -log p[label]."""
    return F.cross_entropy(output_BC.float(), labels_B)


def paraphrase_loss(output_B: Tensor, labels_B: Tensor) -> Tensor:
    """Mean binary cross-entropy of one logit per pair: -y log s(z) - (1 - y) log(1 - s(z))."""
    return F.binary_cross_entropy_with_logits(output_B.float(), labels_B)


def similarity_loss(output_B: Tensor, labels_B: Tensor) -> Tensor:
    """Mean squared error on the labels' own scale; labels stay fractions (2.4 is not 2)."""
    return F.mse_loss(output_B.float(), labels_B)


def decode(kind: str, output: Tensor) -> Tensor:
    """Predictions (B,): the likeliest class; 1.0 where a logit is above 0, else 0.0; a score as it is."""
    if kind == "classes":
        return output.argmax(dim=-1)
    return (output > 0).float() if kind == "binary" else output.float()


class Supervised:
    """An objective with labelled examples of one task."""

    def __init__(self, name: str, kind: str, stream: BatchStream) -> None:
        self.name = name
        self.stream = stream
        self._loss = LOSSES[kind]

    def next_batch(self) -> Batch:
        return self.stream.next_batch()

    def output(self, model: MultitaskBert, batch: Batch, embedded_BTD: Tensor | None = None) -> Tensor:
        return model.output(self.name, batch.tokens, embedded_BTD)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return self._loss(output, batch.labels)


LOSSES = {"classes": sentiment_loss, "binary": paraphrase_loss, "score": similarity_loss}
