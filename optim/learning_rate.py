"""The learning rate's course: what each optimizer step's base rate is multiplied by; and each layer's share of it.

Source: get_linear_schedule_with_warmup of the usual library, Google's BERT and, for halving after
rises, the report "Jack of All Trades, Master of Some"; Sun et al. 2019 for the layers' shares. Where we
differ: an impossible length is an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from torch.optim import Optimizer

Factor = Callable[[int], float]


# Exercise 5.2: warm-up
def warm_up(total_steps: int, warmup_steps: int, afterwards: Factor) -> Factor:
    """Up to 1 in equal parts over the warm-up, then `afterwards`. The steps count from 0, so a warm-up's very first
    step moves nothing, as in the usual library.

    Raises ValueError for lengths that are impossible.
    """
    if not isinstance(total_steps, int) or total_steps < 1:
        raise ValueError(f"total_steps {total_steps!r} is not a whole number of at least 1")
    if not isinstance(warmup_steps, int) or not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warmup_steps {warmup_steps!r} is not a whole number from 0 to total_steps {total_steps}")
    return lambda step: step / warmup_steps if step < warmup_steps else afterwards(step)


def constant(total_steps: int, warmup_steps: int = 0) -> Factor:
    """1 after the warm-up."""
    return warm_up(total_steps, warmup_steps, lambda step: 1.0)


# Exercise 5.3: linear decay
def linear(total_steps: int, warmup_steps: int = 0) -> Factor:
    """Down in equal parts after the warm-up, from 1 to 0 at `total_steps`; 0 from there."""
    falling_steps = max(1, total_steps - warmup_steps)
    return warm_up(total_steps, warmup_steps, lambda step: max(0, total_steps - step) / falling_steps)


def google(total_steps: int, warmup_steps: int = 0) -> Factor:
    """As `linear`, but down along 1 - step / total_steps: the factor jumps at the warm-up's end."""
    return warm_up(total_steps, warmup_steps, lambda step: max(0.0, 1 - step / total_steps))


# Exercise 5.4: layer-wise decay
def layer_factor(name: str, layers: int, decay: float, head_factor: float = 1.0) -> float:
    """What a parameter's learning rate is multiplied by: less, the nearer to the input it lies (layer-wise decay).

    `decay` to the power of the layers above it, which for the embeddings are all `layers`; everything behind the last
    layer has 1, the heads `head_factor`. Names are such as encoder.bert.layers.0.output.weight (layers count from 0),
    encoder.bert.embeddings.word.weight, heads.NAME.weight.
    """
    if name.startswith("heads."):
        return head_factor  # asked first: a head may have layers of its own
    # layer l = 1..L: q^(L - l); the embeddings: q^L
    place = re.match(r"encoder\.(.*?\.)?layers\.(\d+)\.", name)
    if place:
        return decay ** (layers - 1 - int(place[2]))
    return decay**layers if re.match(r"encoder\.(.*?\.)?embeddings\.", name) else 1.0


class HalveOnRise:
    """A factor that halves whenever an epoch's loss has risen `patience` times in a row; then it counts anew.

    The owner calls `observe` after each epoch and, if it answers True, `LearningRate.apply`.
    """

    def __init__(self, patience: int = 3) -> None:
        if not isinstance(patience, int) or patience < 1:
            raise ValueError(f"patience {patience!r} is not a whole number of at least 1")
        self.patience = patience
        self.rises = 0
        self.multiplier = 1.0
        self.previous_loss = None

    def __call__(self, step: int) -> float:
        return self.multiplier

    def observe(self, loss: float) -> bool:
        """Takes in an epoch's total training loss; returns whether the factor was halved. An equal loss is no rise.

        Raises ValueError if the loss is nan or infinite, and counts nothing.
        """
        if not math.isfinite(loss):
            raise ValueError(f"the epoch's loss is {loss}: stop, a smaller learning rate cannot mend it")
        rose = self.previous_loss is not None and loss > self.previous_loss
        self.previous_loss = loss
        self.rises = self.rises + 1 if rose else 0
        if self.rises < self.patience:
            return False
        self.multiplier *= 0.5
        self.rises = 0
        return True

    def state_dict(self) -> dict:
        return {"rises": self.rises, "multiplier": self.multiplier, "previous_loss": self.previous_loss}

    def load_state_dict(self, state: dict) -> None:
        self.rises, self.multiplier, self.previous_loss = state["rises"], state["multiplier"], state["previous_loss"]


class LearningRate:
    """Sets each group's "lr" to its "initial_lr" times factor(optimizer steps taken), from the start on.

    A group's initial_lr is the lr it had when it was first seen here. It lies in the group, so that the
    optimizer's state_dict carries it, and the two state_dicts may be loaded in either order. Call `step`
    after `optimizer.step`.
    """

    def __init__(self, optimizer: Optimizer, factor: Factor) -> None:
        self.optimizer = optimizer
        self.factor = factor
        self.steps = 0
        self.apply()

    @property
    def current(self) -> list[float]:
        """The learning rate that the next optimizer step will use, one for each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        self.steps += 1
        self.apply()

    def apply(self) -> None:
        """Sets the rates anew: for when the factor itself changed, or a group was added."""
        multiplier = self.factor(self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * multiplier

    def state_dict(self) -> dict:
        """The steps taken and, where the factor has a state of its own (HalveOnRise), that state."""
        factor = self.factor.state_dict() if hasattr(self.factor, "state_dict") else {}
        return {"steps": self.steps, "factor": factor}

    def load_state_dict(self, state: dict) -> None:
        self.steps = state["steps"]
        if state["factor"]:
            self.factor.load_state_dict(state["factor"])
        self.apply()


# (total_steps, warmup_steps) -> factor(step). HalveOnRise is not here: it needs the losses.
SCHEDULES = {"constant": constant, "linear": linear, "google": google}
