"""Losses and predictions: closed forms, and labels that stay what they are."""

import math

import pytest
import torch

from multitask.objectives import LOSSES, decode, paraphrase_loss, sentiment_loss, similarity_loss
from multitask.tables import TASKS


def test_sentiment_loss_is_cross_entropy():
    loss = sentiment_loss(torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([1]))
    assert math.isclose(loss.item(), -math.log(0.75), rel_tol=1e-6)


def test_paraphrase_loss_is_binary_cross_entropy_of_a_logit():
    loss = paraphrase_loss(torch.tensor([math.log(3.0), 0.0]), torch.tensor([1.0, 0.0]))
    assert math.isclose(loss.item(), (-math.log(0.75) + math.log(2)) / 2, rel_tol=1e-6)


def test_similarity_loss_keeps_fractions_of_labels():
    loss = similarity_loss(torch.tensor([2.0, 1.0]), torch.tensor([2.4, 0.8]))
    assert math.isclose(loss.item(), (0.4**2 + 0.2**2) / 2, rel_tol=1e-5), "were the labels cast to whole numbers?"


@pytest.mark.parametrize("kind, outputs, labels", [
    ("classes", torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])),
    ("binary", torch.randn(5), torch.tensor([0.0, 1, 1, 0, 1])),
    ("score", torch.randn(5), torch.tensor([0.5, 1, 4.2, 0, 1])),
])
def test_a_loss_is_the_mean_over_rows_however_many_there_are(kind, outputs, labels):
    loss = LOSSES[kind]
    rows = torch.stack([loss(outputs[i:i + 1], labels[i:i + 1]) for i in range(5)])
    assert torch.allclose(loss(outputs, labels), rows.mean()), "a short last batch must not count less per row"


def test_predictions_are_of_the_labels_kind():
    assert decode("classes", torch.tensor([[0.1, 0.9], [2.0, 1.0]])).tolist() == [1, 0]
    assert decode("binary", torch.tensor([0.1, -0.1, 0.0])).tolist() == [1.0, 0.0, 0.0]
    assert decode("score", torch.tensor([2.4])).tolist() == pytest.approx([2.4])


def test_every_task_has_a_loss():
    assert {task.kind for task in TASKS.values()} <= set(LOSSES)
