"""Penalties: what a step adds to a task's loss. SMART, Bregman's proximal point and R-Drop.

Jiang et al. 2020 (SMART and Bregman: equations 1 to 3, algorithm 1), Liang et al. 2021 (R-Drop). The public codes of
SMART rescale the perturbation instead of clipping it (mode "normalize"; its size is then near 1, whatever epsilon is) and
leave dropout on, which moves the output more than the perturbation does; here the default is the paper's, dropout off.
"""

# B sequences (an independent pair is two of them), T tokens, D hidden, 1 broadcast

import copy
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn

from minbert.files import MinbertError
from multitask.data import Batch
from multitask.model import MultitaskBert, dropout_off
from multitask.objectives import Supervised
from multitask.recipe import BregmanRecipe, RDropRecipe, SmartRecipe, StageRecipe
from multitask.targets import symmetric_kl as symmetric_kl  # what classes diverge by; offered here too


class Penalty(Protocol):
    """A term that is added to the loss of each of `tasks`. What is kept from step to step is its state."""

    name: str
    tasks: tuple[str, ...]

    def __call__(self, model: MultitaskBert, objective: Supervised, batch: Batch, output: Tensor) -> Tensor:
        """A scalar, its weight included; `output` is the training pass's for this batch."""

    def after_step(self, model: MultitaskBert) -> None:
        """To be called after every step of the optimizer."""

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, saved: dict) -> None:
        """Goes back to where `state_dict` was taken."""


def fork_random_numbers(device: torch.device) -> AbstractContextManager:
    """A context that leaves torch's generators as it found them: what comes after it draws the same numbers again."""
    if device.type not in ("cpu", "cuda"):
        raise MinbertError(f"SMART's dropout = 'shared_masks' works on cpu and cuda, not on {device.type}", "take 'off'")
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


# Exercise 10.1: SMART's perturbation
def perturbation(noise_BTD: Tensor, gradient_BTD: Tensor, mode: str, epsilon: float, step_size: float) -> Tensor:
    """delta_BTD: from the noise, one step along the gradient of the divergence at it; where that is 0 the noise remains.

    Steps, by mode: "paper": divide each sequence's gradient by its largest absolute element; step; clip to epsilon.
    "normalize": step along the raw gradient; divide each token's vector by its largest absolute element plus epsilon.
    "sign": go to epsilon in the gradient's direction, in every coordinate.
    """
    if mode == "paper":
        # delta = clip(nu + eta g / |g|_inf, -eps, eps);   0 / tiny is 0, and nan stays nan for the loop to see
        largest_B11 = gradient_BTD.abs().amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(gradient_BTD.dtype).tiny)
        return (noise_BTD + step_size * (gradient_BTD / largest_B11)).clamp(-epsilon, epsilon)
    if mode == "normalize":
        # delta = s / (|s|_inf + eps) with s = nu + eta g
        moved_BTD = noise_BTD + step_size * gradient_BTD
        return moved_BTD / (moved_BTD.abs().amax(dim=-1, keepdim=True) + epsilon)
    # delta = eps sign(g);   torch's sign of nan is 0, the quotient stays nan
    return torch.where(gradient_BTD == 0, noise_BTD, epsilon * (gradient_BTD / gradient_BTD.abs())).clamp(-epsilon, epsilon)


class Smart(Penalty):
    """How far a small change of the embedded tokens, chosen to do harm, moves the output: lambda R of equation 1.

    R's gradient is the true one, through the clean and the perturbed output; the perturbation itself is a constant.
    """

    name = "smart"

    def __init__(self, recipe: SmartRecipe, tasks: tuple[str, ...]) -> None:
        self.recipe, self.tasks = recipe, tasks
        epsilon, noise_std = DEFAULTS[recipe.mode]
        self.epsilon = epsilon if recipe.epsilon is None else recipe.epsilon
        self.noise_std = noise_std if recipe.noise_std is None else recipe.noise_std

    def __call__(self, model: MultitaskBert, objective: Supervised, batch: Batch, output: Tensor) -> Tensor:
        device = batch.tokens.ids_BT.device
        off, shared, on = (self.recipe.dropout == choice for choice in ("off", "shared_masks", "on"))

        def forward(embedded_BTD: Tensor, last: bool = False) -> Tensor:
            # shared masks: every pass begins at the same random numbers, and only the last one uses them up
            with fork_random_numbers(device) if shared and not last else nullcontext():
                return objective.output(model, batch, embedded_BTD=embedded_BTD)

        # bfloat16 would round the noise away
        with dropout_off(model) if off else nullcontext(), torch.autocast(device.type, enabled=False):
            embedded_BTD = model.embed(objective.name, batch.tokens)
            noise_BTD = self.noise_std * torch.randn_like(embedded_BTD) * batch.tokens.mask_BT[:, :, None]
            clean = output if on else forward(embedded_BTD)
            probe_BTD = noise_BTD.requires_grad_()
            probed = forward(embedded_BTD.detach() + probe_BTD)
            # to the perturbation alone: no weight's gradient is computed, none is touched
            gradient_BTD, = torch.autograd.grad(objective.divergence(probed, clean.detach()), probe_BTD)
            delta_BTD = perturbation(noise_BTD.detach(), gradient_BTD, self.recipe.mode, self.epsilon, self.recipe.step_size)
            value = objective.divergence(forward(embedded_BTD + delta_BTD, last=True), clean)
        # of several processes each has a part of the batch; a sum counts all of it
        return self.recipe.weight * value * (len(batch.ids) / objective.stream.own if self.recipe.reduction == "sum" else 1)


# Exercise 10.2: Bregman's teacher
@torch.no_grad()
def move_teacher(teacher: nn.Module, student: nn.Module, beta: float) -> None:
    """Takes the teacher's weights towards the student's, in place.

    Steps: mix every parameter; copy every buffer.
    """
    # theta~ <- (1 - beta) theta + beta theta~
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.mul_(beta).add_(fast, alpha=1 - beta)
    for slow, fast in zip(teacher.buffers(), student.buffers(), strict=True):
        slow.copy_(fast)


class Bregman(Penalty):
    """How far the output is from that of a teacher, which follows the model's weights slowly: mu D of equations 2 and 3.

    The teacher starts as a copy of the model, so that the penalty starts at 0 (but for dropout).
    """

    name = "bregman"

    def __init__(self, recipe: BregmanRecipe, tasks: tuple[str, ...], model: MultitaskBert, total_steps: int) -> None:
        self.recipe, self.tasks, self.total_steps = recipe, tasks, total_steps
        # only ever used without gradients; requires_grad stays as it is, for by it torch chooses between two roundings of a
        # linear layer, and a teacher with the model's weights must give the model's output bit for bit
        self.teacher = copy.deepcopy(model).eval()
        self.step = 0  # steps of the optimizer that are done

    def __call__(self, model: MultitaskBert, objective: Supervised, batch: Batch, output: Tensor) -> Tensor:
        if self.recipe.student_dropout == "off":
            with dropout_off(model):
                output = objective.output(model, batch)
        with torch.no_grad():
            taught = objective.output(self.teacher, batch)
        return self.recipe.weight * objective.divergence(output, taught)

    def after_step(self, model: MultitaskBert) -> None:
        self.step += 1
        if self.step % self.recipe.steps == 0:
            move_teacher(self.teacher, model, self.beta())

    def beta(self) -> float:
        """The teacher's inertia at this step; it trails the model by about 1 / (1 - beta) moves."""
        if self.recipe.beta is not None:
            return self.recipe.beta
        return 0.99 if self.step <= 0.1 * self.total_steps else 0.999

    def state_dict(self) -> dict:
        """The tensors are the live ones, so copy them to keep them."""
        return {"teacher": self.teacher.state_dict(), "step": self.step}

    def load_state_dict(self, saved: dict) -> None:
        self.teacher.load_state_dict(saved["teacher"])
        self.step = saved["step"]


class RDrop(Penalty):
    """The loss of a second pass, and how far two passes with different dropout masks are apart."""

    name = "r_drop"

    def __init__(self, recipe: RDropRecipe, tasks: tuple[str, ...]) -> None:
        self.recipe, self.tasks = recipe, tasks

    # Exercise 10.3: R-Drop
    def __call__(self, model: MultitaskBert, objective: Supervised, batch: Batch, output: Tensor) -> Tensor:
        """What makes the first pass's loss the whole of R-Drop's.

        Steps: a second pass with dropout on; the divergence of the two outputs; the second pass's loss. In the form
        "mean" the two losses are averaged, so that half of the first, which the caller adds, is taken off.
        """
        # l1 + l2 + alpha / 2 (KL(1 || 2) + KL(2 || 1)),   mean: (l1 + l2) / 2 + the same
        second = objective.output(model, batch)
        agreement = self.recipe.weight / 2 * objective.divergence(output, second)
        if self.recipe.form == "mean":
            return (objective.loss(second, batch) - objective.loss(output, batch)) / 2 + agreement
        return objective.loss(second, batch) + agreement


def make_penalties(stage: StageRecipe, model: MultitaskBert, total_steps: int) -> list[Penalty]:
    """Those that the stage switches on. `total_steps` of the optimizer are in the stage; a teacher is copied from `model`
    as it is now, so its heads must be in place and its weights those that the stage starts from."""
    penalties: list[Penalty] = []
    if stage.smart:
        penalties.append(Smart(stage.smart, stage.smart.tasks or stage.objectives))
    if stage.bregman:
        penalties.append(Bregman(stage.bregman, stage.bregman.tasks or stage.objectives, model, total_steps))
    if stage.r_drop:
        penalties.append(RDrop(stage.r_drop, stage.r_drop.tasks or stage.objectives))
    return penalties


# mode of SMART: (epsilon, the noise's standard deviation) where the recipe gives none
DEFAULTS = {"paper": (1e-5, 1e-5), "normalize": (1e-6, 1e-5), "sign": (0.02, 1e-3)}
