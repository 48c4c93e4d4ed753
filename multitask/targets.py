"""Targets: what a task's output means. Its loss, the prediction it stands for, and how far two outputs are apart.

Jiang et al. 2020, section 3, for the divergences. Public codes take the softmax over the one logit of a paraphrase or a
similarity: it is always 1, two outputs are never apart, and what is built on that trains nothing.
"""

# B batch, C classes

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from multitask.recipe import TaskRecipe
from multitask.tables import Task


@dataclass(frozen=True)
class Target:
    """What `columns` numbers of output, shape (B, columns), or (B,) where it is one, mean for a task."""

    columns: int
    loss: Callable[[Tensor, Tensor], Tensor]  # (output, labels) -> the mean over the batch
    decode: Callable[[Tensor], Tensor]  # output -> predictions_B on the labels' scale
    divergence: Callable[[Tensor, Tensor], Tensor]  # (output, other) -> the mean over the batch; 0 where they are equal


# Exercise 6.3: the loss of each task
def sentiment_loss(output_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Mean cross-entropy between softmax(output) and the class labels: -log p[label]."""
    return F.cross_entropy(at_least_float32(output_BC), labels_B)


# Exercise 6.3: the loss of each task
def paraphrase_loss(output_B: Tensor, labels_B: Tensor) -> Tensor:
    """Mean binary cross-entropy of one logit per pair: -y log s(z) - (1 - y) log(1 - s(z))."""
    output_B = at_least_float32(output_B)
    return F.binary_cross_entropy_with_logits(output_B, labels_B.to(output_B.dtype))


# Exercise 6.3: the loss of each task
def similarity_loss(output_B: Tensor, labels_B: Tensor) -> Tensor:
    """Mean squared error on the labels' own scale; labels stay fractions (2.4 is not 2)."""
    output_B = at_least_float32(output_B)
    return F.mse_loss(output_B, labels_B.to(output_B.dtype))


def one_hot_loss(output_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Mean squared error, over rows and classes, to 1 for the label's class and 0 for the others."""
    output_BC = at_least_float32(output_BC)
    return F.mse_loss(output_BC, F.one_hot(labels_B, output_BC.shape[-1]).to(output_BC.dtype))


# Exercise 6.4: symmetric KL
def symmetric_kl(logits_BC: Tensor, other_BC: Tensor) -> Tensor:
    """KL(P || Q) + KL(Q || P) of two softmax distributions: summed over classes, the mean over rows.

    Steps: log-softmax of both over the classes; weigh the difference of the logs with the difference of the
    probabilities; sum over classes; mean over rows.

    Raises ValueError for a single column, whose softmax is always 1, and for a single axis, which would be the batch's.
    """
    if logits_BC.shape != other_BC.shape or logits_BC.dim() != 2 or logits_BC.shape[1] < 2:
        raise ValueError(f"symmetric_kl: logits of shapes {tuple(logits_BC.shape)} and {tuple(other_BC.shape)}, expected "
                         "(batch, classes) twice, with two classes or more; one logit goes to bernoulli_symmetric_kl")
    logs_BC = F.log_softmax(at_least_float32(logits_BC), dim=-1)
    other_logs_BC = F.log_softmax(at_least_float32(other_BC), dim=-1)
    # KL(P || Q) + KL(Q || P) = sum_c (p_c - q_c)(log p_c - log q_c)
    return ((logs_BC.exp() - other_logs_BC.exp()) * (logs_BC - other_logs_BC)).sum(dim=-1).mean()


# Exercise 6.5: symmetric KL of one logit
def bernoulli_symmetric_kl(logits_B: Tensor, other_B: Tensor) -> Tensor:
    """KL(P || Q) + KL(Q || P) of yes and no, each given by the one logit of yes: the mean over rows.

    Steps: sigmoid of both; weigh the difference of the logits with the difference of the probabilities; mean.
    """
    logits_B, other_B = at_least_float32(logits_B), at_least_float32(other_B)
    # with p = s(z): log p - log(1 - p) = z, so that the sum over yes and no is (p - q)(z_p - z_q)
    return ((logits_B.sigmoid() - other_B.sigmoid()) * (logits_B - other_B)).mean()


def squared_error(output: Tensor, other: Tensor) -> Tensor:
    """The mean of (p - q)^2, for outputs that are numbers on the labels' scale or near 0 and 1."""
    return (at_least_float32(output) - at_least_float32(other)).square().mean()


def at_least_float32(output: Tensor) -> Tensor:
    """Small differences would drown in bfloat16's rounding; float64 stays what it is."""
    return output.to(torch.promote_types(output.dtype, torch.float32))


def round_half_up(values: Tensor) -> Tensor:
    """Not torch.round, which rounds halves to even numbers: 0.5 to 0 and 2.5 to 2."""
    return (values + 0.5).floor()


def scores_to_classes(labels_B: Tensor, count: int, low: int, high: int) -> Tensor:
    """classes_B, int64: the nearest of `count` classes, spread evenly from low to high; halves go up."""
    return round_half_up((labels_B - low) * (count - 1) / (high - low)).long()


def classes_to_scores(output_BC: Tensor, by: str, low: int, high: int) -> Tensor:
    """scores_B from low to high: of the likeliest class, or the mean of all, weighed by their probabilities."""
    last = output_BC.shape[-1] - 1
    if by == "argmax":
        place_B = output_BC.argmax(dim=-1).to(output_BC.dtype)
    else:  # sum_c p_c c
        place_B = output_BC.softmax(dim=-1) @ torch.arange(last + 1, dtype=output_BC.dtype, device=output_BC.device)
    return low + place_B * (high - low) / last


def most_likely(output_BC: Tensor) -> Tensor:
    return output_BC.argmax(dim=-1)


def target_labels(task: Task, recipe: TaskRecipe) -> Target:
    """The labels as they are: classes, yes or no by one logit, or a score."""
    if task.kind == "classes":
        return Target(task.classes, sentiment_loss, most_likely, symmetric_kl)
    if task.kind == "binary":  # a logit of exactly 0 means no
        return Target(1, paraphrase_loss, lambda output_B: (output_B > 0).float(), bernoulli_symmetric_kl)

    def decode(output_B: Tensor) -> Tensor:
        # not in the loss: outputs beyond the scale would get no gradient
        return output_B.clamp(task.low, task.high) if recipe.output_range == "clamp" else output_B

    return Target(1, similarity_loss, decode, squared_error)


def target_score_classes(task: Task, recipe: TaskRecipe) -> Target:
    """A score as one of five or six classes."""
    count = {"classes5": 5, "classes6": 6}[recipe.target]

    def loss(output_BC: Tensor, labels_B: Tensor) -> Tensor:
        return sentiment_loss(output_BC, scores_to_classes(labels_B, count, task.low, task.high))

    return Target(count, loss, partial(classes_to_scores, by=recipe.decode, low=task.low, high=task.high), symmetric_kl)


def target_regression(task: Task, recipe: TaskRecipe) -> Target:
    """Classes as points on a line: one number, whose nearest class is the prediction."""
    def decode(output_B: Tensor) -> Tensor:
        return round_half_up(output_B).clamp(task.low, task.high).long()

    return Target(1, similarity_loss, decode, squared_error)


def target_one_hot(task: Task, recipe: TaskRecipe) -> Target:
    """Classes by squared error: one number for each, near 1 for the right one."""
    return Target(task.classes, one_hot_loss, most_likely, squared_error)


def find_target(task: Task, recipe: TaskRecipe) -> Target:
    """What the recipe has this task's output mean."""
    return TARGETS[recipe.target](task, recipe)


TARGETS = {
    "labels": target_labels, "classes5": target_score_classes, "classes6": target_score_classes,
    "regression": target_regression, "one_hot": target_one_hot,
}
