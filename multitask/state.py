"""TrainState: everything that the next training step depends on.

A run that is stopped after any step, and entered again with this state, goes on to the same weights bit for bit.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from multitask.model import MultitaskBert
from multitask.objectives import Objective
from multitask.penalties import Penalty
from multitask.recipe import StageRecipe
from multitask.word_gradient import WordGradient
from optim.adamw import AdamW
from optim.averaging import WeightAverage
from optim.gradient_surgery import GradientRows, GradVac
from optim.learning_rate import HalveOnRise, LearningRate


@dataclass
class TrainState:
    """The live parts of one stage and the place reached in it: `step` steps of epoch `epoch` (from 1) are done."""

    stage: StageRecipe
    model: MultitaskBert
    optimizer: AdamW
    learning_rate: LearningRate
    objectives: dict[str, Objective]
    penalties: list[Penalty] = field(default_factory=list)
    combine: Callable[..., Tensor] | None = None  # grads_NP -> grad_P; None: the gradient of the summed loss
    rows: GradientRows | None = None  # where combine's gradients are gathered
    generator: torch.Generator = field(default_factory=torch.Generator)  # of combine; the same numbers in every process
    average: WeightAverage | None = None
    bf16: bool = False
    epoch: int = 1
    step: int = 0
    epoch_loss: float = 0.0  # of the epoch's steps so far, penalties not counted
    word_gradient: WordGradient | None = None  # made here; a copy by dataclasses.replace has the same one

    def __post_init__(self) -> None:
        self.word_gradient = self.word_gradient or WordGradient(self.model.encoder)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def end_step(self, losses: dict[str, Tensor], ends_epoch: bool) -> None:
        """What follows the optimizer: rates, teachers, averages and the place move on."""
        self.learning_rate.step()
        for penalty in self.penalties:
            penalty.after_step(self.model)
        if self.average:
            self.average.after_step()
        self.step += 1
        halving = self.learning_rate.factor if isinstance(self.learning_rate.factor, HalveOnRise) else None
        if halving:
            self.epoch_loss += sum(float(loss) for loss in losses.values())
        if not ends_epoch:
            return
        if self.average:
            self.average.after_epoch()
        if halving and halving.observe(self.epoch_loss):
            self.learning_rate.apply()
        self.epoch_loss = 0.0

    def state_dict(self) -> dict:
        """The state as tensors and plain values; the tensors are the live ones, so copy them to keep them."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "epoch_loss": self.epoch_loss,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "learning_rate": self.learning_rate.state_dict(),
            "objectives": {name: objective.stream.state_dict() for name, objective in self.objectives.items()},
            "penalties": {penalty.name: penalty.state_dict() for penalty in self.penalties},
            "combine": self.combine.state_dict() if isinstance(self.combine, GradVac) else {},
            "average": self.average.state_dict() if self.average else {},
            # dropout and noise draw from torch's global generators
            "generators": {"combine": self.generator.get_state(), "cpu": torch.get_rng_state()} | (
                {"cuda": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {}),
        }

    def load_state_dict(self, saved: dict) -> None:
        """Goes to the place that `saved` was taken at."""
        self.epoch, self.step, self.epoch_loss = saved["epoch"], saved["step"], saved["epoch_loss"]
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))  # it would keep the tensors it is given
        self.learning_rate.load_state_dict(saved["learning_rate"])
        for name, objective in self.objectives.items():
            objective.stream.load_state_dict(saved["objectives"][name])
        for penalty in self.penalties:
            penalty.load_state_dict(saved["penalties"][penalty.name])
        if isinstance(self.combine, GradVac):
            self.combine.load_state_dict(saved["combine"])
        if self.average:
            self.average.load_state_dict(saved["average"])
        self.generator.set_state(saved["generators"]["combine"])
        torch.set_rng_state(saved["generators"]["cpu"])
        if "cuda" in saved["generators"]:
            torch.cuda.set_rng_state(saved["generators"]["cuda"], self.device)
