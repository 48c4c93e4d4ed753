"""Averages of the weights over training, to evaluate and to save instead of the last ones.

Source: Polyak and Juditsky 1992, Izmailov et al. 2018 (stochastic weight averaging, "swa"), and for the warm start of the
moving average ("ema") the usual libraries. Where we differ: swa takes every epoch's end, without a cyclic learning rate.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of `parameters`: "ema" moves a little after each step, "swa" is the mean of the epochs' ends.

    The owner calls `after_step` after each optimizer step and `after_epoch` after each epoch's last one. Before the
    first move the average is the weights as they were found.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], kind: str, decay: float = 0.999) -> None:
        if kind not in ("ema", "swa"):
            raise ValueError(f"WeightAverage: kind {kind!r} is not 'ema' or 'swa'")
        if not 0 <= decay < 1:
            raise ValueError(f"WeightAverage: decay {decay!r} is not a number of at least 0 and below 1")
        self.parameters, self.kind, self.decay = list(parameters), kind, decay
        self.averages = [parameter.detach().clone() for parameter in self.parameters]
        self.moves = 0

    def after_step(self) -> None:
        if self.kind == "ema":
            # d_t = min(d, (1 + t) / (10 + t)), so that the first weights are soon forgotten
            moves = self.moves + 1
            self.move(1 - min(self.decay, (1 + moves) / (10 + moves)))

    def after_epoch(self) -> None:
        if self.kind == "swa":
            self.move(1 / (self.moves + 1))  # the mean of n values from that of n - 1

    @torch.no_grad()
    def move(self, share: float) -> None:
        # a <- (1 - share) a + share theta; lerp gives exactly theta for a share of 1
        for average, parameter in zip(self.averages, self.parameters, strict=True):
            average.lerp_(parameter, share)
        self.moves += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside `with average.applied():` the model has the averaged weights, afterwards its own again, to the last bit."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        for average, parameter in zip(self.averages, self.parameters, strict=True):
            own = parameter.clone()
            parameter.copy_(average)
            average.copy_(own)

    def state_dict(self) -> dict:
        """The live tensors and the number of moves; not to be taken inside `applied`."""
        return {"moves": self.moves, "averages": self.averages}

    def load_state_dict(self, state: dict[str, int | list[Tensor]]) -> None:
        self.moves = state["moves"]
        for average, saved in zip(self.averages, state["averages"], strict=True):
            average.copy_(saved)
