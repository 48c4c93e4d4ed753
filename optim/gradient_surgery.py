"""Several tasks' gradients into one: PCGrad and Gradient Vaccine. A matrix goes in, a vector comes out.

Yu et al. 2020 (PCGrad, algorithm 1), Wang et al. 2021 (Gradient Vaccine, equations 3 and 4). Every corrected gradient is
a combination of the original ones, g'_i = sum_j c_ij g_j, so the algorithms run on the N x N products g_i . g_j and touch
the long vectors twice: once for the products, once for the result. Where public codes differ: a task is not corrected
against itself (unless `visit_self` asks for it), and Gradient Vaccine moves its targets at every step, not only at those
it corrects.
"""

# N tasks, P parameters, G groups of parameters

import math
from collections.abc import Sequence

import torch
from torch import Tensor


# Exercise 7.4: PCGrad
def project(combination_N: Tensor, products_NN: Tensor, other: int) -> None:
    """Takes out of g' what points against g_other, in place; g' is given as its combination c of the gradients.

    Steps: g' . g_other from the products; where it is negative, subtract its projection onto the ORIGINAL g_other.
    A gradient of length 0 conflicts with nothing.
    """
    # g' . g_j = sum_k c_k g_k . g_j;   g' <- g' - (g' . g_j) / |g_j|^2 g_j   if g' . g_j < 0
    product = combination_N @ products_NN[:, other]
    if product < 0 and products_NN[other, other] > 0:
        combination_N[other] -= product / products_NN[other, other]


def pcgrad(grads_NP: Tensor, generator: torch.Generator | None = None, visit_self: bool = False,
           merge: str = "sum") -> Tensor:
    """grad_P: the sum of the tasks' gradients, each projected off those it conflicts with (Yu et al. 2020, algorithm 1).

    Every task meets the others in a random order of its own, drawn from `generator`. Without a conflict the result is
    the plain sum. Two ways of public code: `visit_self` lets a task meet its own first gradient too, which it may by then
    conflict with; `merge="mean"` divides by the number of tasks, heads not included. Raises ValueError for another `merge`.
    """
    if merge not in ("sum", "mean"):
        raise ValueError(f"pcgrad: merge {merge!r} is not 'sum' or 'mean'")
    products_NN = gradient_products(grads_NP)
    combinations_NN = torch.eye(len(grads_NP), dtype=products_NN.dtype)
    for task, other in draw_meetings(len(grads_NP), generator, visit_self):
        project(combinations_NN[task], products_NN, other)
    grad_P = combine(combinations_NN, grads_NP)
    return grad_P / len(grads_NP) if merge == "mean" else grad_P


class GradVac:
    """Gradient Vaccine: turns each task's gradient until its cosine with every other reaches a moving target.

    `beta` is the targets' speed (0: they stay at 0, which is PCGrad). `groups` cuts the parameters into consecutive
    parts of these sizes, with a target for each (default: the whole model is one part). The targets of every (task,
    other, group) are state: they start at 0 and are saved with the run. With `beta` near 1 a target may come near 1, and to
    turn a gradient that far onto another up to 700 times its length is added to it.

    Raises ValueError for a `beta` outside 0 to 1, and when called, for groups that are not the gradients' parameters in all.
    """

    def __init__(self, beta: float = 1e-2, groups: Sequence[int] | None = None) -> None:
        if not 0 <= beta <= 1:
            raise ValueError(f"GradVac: beta {beta!r} is not a number from 0 to 1")
        self.beta, self.groups = beta, None if groups is None else list(groups)
        self.targets_NNG: Tensor | None = None

    def __call__(self, grads_NP: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """grad_P: the sum of the corrected gradients."""
        sizes = self.groups or [grads_NP.shape[1]]
        if sum(sizes) != grads_NP.shape[1]:
            raise ValueError(f"GradVac: groups of {sum(sizes)} parameters in all, the gradients have {grads_NP.shape[1]}")
        parts = grads_NP.split(sizes, dim=1)
        count = len(grads_NP)
        if self.targets_NNG is None:
            self.targets_NNG = torch.zeros(count, count, len(parts), dtype=torch.float64)
        products = [gradient_products(part) for part in parts]
        combinations = [torch.eye(count, dtype=torch.float64) for _ in parts]
        for task, other in draw_meetings(count, generator):
            for group, products_NN in enumerate(products):
                self.vaccinate(combinations[group][task], products_NN, task, other, group)
        corrected = [combine(one, part) for one, part in zip(combinations, parts, strict=True)]
        return corrected[0] if len(corrected) == 1 else torch.cat(corrected)

    # Exercise 7.5: Gradient Vaccine
    def vaccinate(self, combination_N: Tensor, products_NN: Tensor, task: int, other: int, group: int) -> None:
        """Turns g' (given as a combination of the gradients, changed in place) towards g_other, and moves the target.

        Steps: the cosine of g' and g_other; where it is below the target, add just as much of g_other as lifts it to the
        target; then move the target towards the cosine that was measured BEFORE the correction. A gradient of length 0
        has no cosine: nothing happens.
        """
        square = float(combination_N @ products_NN @ combination_N)
        length, other_length = math.sqrt(max(square, 0.0)), math.sqrt(float(products_NN[other, other]))
        if length == 0 or other_length == 0:
            return
        # phi = g' . g_j / (|g'| |g_j|)
        cosine = max(-1.0, min(1.0, float(combination_N @ products_NN[:, other]) / (length * other_length)))
        target = max(-1 + 1e-6, min(1 - 1e-6, float(self.targets_NNG[task, other, group])))
        if cosine < target:
            # g' <- g' + |g'| (phi^ sqrt(1 - phi^2) - phi sqrt(1 - phi^^2)) / (|g_j| sqrt(1 - phi^^2)) g_j
            root = math.sqrt(1 - target**2)
            combination_N[other] += length * (target * math.sqrt(1 - cosine**2) - cosine * root) / (other_length * root)
        # phi^ <- (1 - beta) phi^ + beta phi
        self.targets_NNG[task, other, group] = (1 - self.beta) * target + self.beta * cosine

    def state_dict(self) -> dict:
        return {"targets": self.targets_NNG}

    def load_state_dict(self, state: dict) -> None:
        self.targets_NNG = None if state["targets"] is None else state["targets"].clone()


def gradient_products(grads_NP: Tensor) -> Tensor:
    """products_NN, g_i . g_j for every pair of tasks: summed up in the gradients' own dtype, handed on in float64."""
    return (grads_NP @ grads_NP.T).cpu().double()  # in this order: an MPS device has no float64


def draw_meetings(count: int, generator: torch.Generator | None, visit_self: bool = False) -> list[tuple[int, int]]:
    """(task, other) for every ordered pair: task by task, the others of each (with `visit_self` all) in a random order."""
    orders = [torch.randperm(count, generator=generator).tolist() for _ in range(count)]
    return [(task, other) for task, order in enumerate(orders) for other in order if visit_self or other != task]


def combine(combinations_NN: Tensor, grads_NP: Tensor) -> Tensor:
    """grad_P: the sum of the corrected gradients, sum_i sum_j c_ij g_j."""
    if torch.equal(combinations_NN, torch.eye(len(grads_NP), dtype=combinations_NN.dtype)):
        return grads_NP.sum(dim=0)  # nothing was corrected: the plain sum, to the last bit
    return combinations_NN.sum(dim=0).to(grads_NP) @ grads_NP


class GradientRows:
    """The tasks' gradients over shared parameters, one row of grads_NP each; a parameter no task uses keeps no gradient."""

    def __init__(self, parameters: Sequence[Tensor], tasks: int) -> None:
        self.parameters = list(parameters)
        first, size = self.parameters[0], sum(parameter.numel() for parameter in self.parameters)
        self.grads_NP = torch.zeros(tasks, size, dtype=first.dtype, device=first.device)
        self.used = [False] * len(self.parameters)

    def views(self, grad_P: Tensor) -> list[Tensor]:
        """grad_P cut into pieces of the parameters' shapes."""
        pieces = grad_P.split([parameter.numel() for parameter in self.parameters])
        return [piece.view_as(parameter) for piece, parameter in zip(pieces, self.parameters, strict=True)]

    def take(self, task: int) -> None:
        """Moves the parameters' gradients into the task's row; a parameter that this task does not use counts as zero."""
        for index, view in enumerate(self.views(self.grads_NP[task])):
            gradient = self.parameters[index].grad
            if gradient is None:
                view.zero_()
                continue
            view.copy_(gradient)
            self.used[index], self.parameters[index].grad = True, None

    def put(self, grad_P: Tensor) -> None:
        """Gives the combined gradient back to the parameters that some task used."""
        for index, view in enumerate(self.views(grad_P)):
            self.parameters[index].grad = view if self.used[index] else None
        self.used = [False] * len(self.parameters)
