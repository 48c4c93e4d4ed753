"""TrainState: everything that the next training step depends on.

A run that is stopped after any step, and entered again with this state, goes on to the same weights bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from multitask.model import MultitaskBert
from multitask.objectives import Objective
from optim.adamw import AdamW
from optim.gradient_surgery import GradientRows, GradVac
from optim.learning_rate import LearningRate


@dataclass
class TrainState:
    """The live parts of one stage and the place reached in it: `step` steps of epoch `epoch` (from 1) are done."""

    model: MultitaskBert
    optimizer: AdamW
    learning_rate: LearningRate
    objectives: dict[str, Objective]
    combine: Callable[..., Tensor] | None = None  # grads_NP -> grad_P; None: the gradient of the summed loss
    rows: GradientRows | None = None  # where combine's gradients are gathered
    epoch: int = 1
    step: int = 0

    def state_dict(self) -> dict:
        """The state as tensors and plain values; the tensors are the live ones, so copy them to keep them."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "learning_rate": self.learning_rate.state_dict(),
            "objectives": {name: objective.stream.state_dict() for name, objective in self.objectives.items()},
            "combine": self.combine.state_dict() if isinstance(self.combine, GradVac) else {},
            # dropout and PCGrad's meetings draw from torch's global generators
            "generators": {"cpu": torch.get_rng_state()} | ({"cuda": torch.cuda.get_rng_state()}
                                                             if torch.cuda.is_initialized() else {}),
        }

    def load_state_dict(self, saved: dict) -> None:
        """Goes to the place that `saved` was taken at."""
        self.epoch, self.step = saved["epoch"], saved["step"]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.learning_rate.load_state_dict(saved["learning_rate"])
        for name, objective in self.objectives.items():
            objective.stream.load_state_dict(saved["objectives"][name])
        if isinstance(self.combine, GradVac):
            self.combine.load_state_dict(saved["combine"])
        torch.set_rng_state(saved["generators"]["cpu"])
        if "cuda" in saved["generators"]:
            torch.cuda.set_rng_state(saved["generators"]["cuda"])
