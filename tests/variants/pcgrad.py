"""PCGrad written in three other ways, all correct: what a test of the exercise must accept. Each draws its orders differently."""

# N tasks, P parameters

import random

import torch
from torch import Tensor


def on_the_vectors(grads_NP: Tensor, generator: torch.Generator | None = None, visit_self: bool = False,
                   merge: str = "sum") -> Tensor:
    """Algorithm 1 as it is printed."""
    check(merge)
    count, total = len(grads_NP), torch.zeros_like(grads_NP[0])
    for task in range(count):
        others = [other for other in range(count) if visit_self or other != task]
        projected = grads_NP[task].clone()
        for place in torch.randperm(len(others), generator=generator):
            other = grads_NP[others[place]]
            if projected.dot(other) < 0:
                projected -= projected.dot(other) / other.dot(other) * other
        total += projected
    return total / count if merge == "mean" else total


def on_all_tasks_at_once(grads_NP: Tensor, generator: torch.Generator | None = None, visit_self: bool = False,
                         merge: str = "sum") -> Tensor:
    """Through the Gram matrix: all tasks take their n-th meeting together; row i of the matrix is g'_i's combination."""
    check(merge)
    gram_NN, combinations_NN = grads_NP @ grads_NP.T, torch.eye(len(grads_NP), dtype=grads_NP.dtype)
    keys_NN = torch.rand(len(grads_NP), len(grads_NP), generator=generator)
    rows = torch.arange(len(grads_NP))
    for others_N in keys_NN.argsort(dim=1).T:
        products_N = (combinations_NN @ gram_NN)[rows, others_N]
        meets_N = (products_N < 0) & ((others_N != rows) | visit_self)
        lengths_N = gram_NN.diagonal()[others_N].clamp(min=torch.finfo(grads_NP.dtype).tiny)
        combinations_NN[rows, others_N] -= torch.where(meets_N, products_N / lengths_N, 0)
    corrected_NP = combinations_NN @ grads_NP
    return corrected_NP.mean(dim=0) if merge == "mean" else corrected_NP.sum(dim=0)


def on_lists_of_pieces(grads_NP: Tensor, generator: torch.Generator | None = None, visit_self: bool = False,
                       merge: str = "sum") -> Tensor:
    """Each gradient is a list of pieces, as of a model's parameters, and never one long vector."""
    check(merge)
    draw = random.Random(int(torch.randint(2**31, (), generator=generator)))
    originals = [list(row.split(max(1, len(row) // 3))) for row in grads_NP]
    corrected = []
    for task, original in enumerate(originals):
        pieces, meetings = [piece.clone() for piece in original], list(enumerate(originals))
        draw.shuffle(meetings)
        for number, other in meetings:
            product = sum((piece * its).sum() for piece, its in zip(pieces, other, strict=True))
            if product < 0 and (visit_self or number != task):
                square = sum(its.square().sum() for its in other)
                pieces = [piece - product / square * its for piece, its in zip(pieces, other, strict=True)]
        corrected.append(torch.cat(pieces))
    stacked_NP = torch.stack(corrected)
    return stacked_NP.mean(0) if merge == "mean" else stacked_NP.sum(0)


def check(merge: str) -> None:
    if merge not in ("sum", "mean"):
        raise ValueError(f"pcgrad: merge {merge!r} is not 'sum' or 'mean'")


PLACE = "optim.gradient_surgery."
VARIANTS = {
    "on the vectors, as printed": {"pcgrad": on_the_vectors},
    "through the Gram matrix": {"pcgrad": on_all_tasks_at_once},
    "on lists of pieces": {"pcgrad": on_lists_of_pieces},
}
