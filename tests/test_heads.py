"""Pooling and heads: hand-worked numbers, published sizes, and batches of one."""

import pytest
import torch

from multitask.heads import HEADS, concat_features, difference_features, mean_pool
from multitask.recipe import TaskRecipe
from multitask.tables import TASKS


def make_head(task: str, width: int = 768, **settings):
    return HEADS[settings.get("head", "linear")](TASKS[task], TaskRecipe(**settings), width)


def test_the_mean_leaves_padding_out():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]]])
    pooled = mean_pool(hidden, torch.tensor([[1, 1, 0]]))
    assert pooled.tolist() == [[2.0, 3.0]], "padding must neither be summed nor counted"
    assert mean_pool(hidden, torch.zeros(1, 3)).tolist() == [[0.0, 0.0]], "a sentence without tokens must stay finite"


def test_pair_features_in_the_papers_order():
    u, v = torch.tensor([[1.0, 5.0]]), torch.tensor([[4.0, 3.0]])
    assert difference_features(u, v).tolist() == [[1, 5, 3, 2, 4, 3]], "[u, |u - v|, v]"
    assert concat_features(u, v).tolist() == [[1, 5, 4, 3]]


@pytest.mark.parametrize("task, settings, count", [
    ("sst", {"encoding": "single"}, 3_845),
    ("sst", {"encoding": "single", "head": "mlp"}, 396_293),
    ("para", {"encoding": "independent", "head": "mlp", "features": "difference"}, 1_180_673),
    ("sts", {"encoding": "pair", "head": "mlp"}, 394_241),
    ("para", {"encoding": "independent", "features": "concat"}, 1_537),
    ("sts", {"encoding": "pair", "head": "mlp", "hidden": 32, "activation": "none"}, 24_641),
    ("sts", {"encoding": "pair"}, 769),
    ("sts", {"encoding": "independent", "head": "cosine"}, 0),
])
def test_parameter_counts_are_those_of_the_reports(task, settings, count):
    assert sum(parameter.numel() for parameter in make_head(task, **settings).parameters()) == count


@pytest.mark.parametrize("rows", [1, 3])
def test_a_batch_of_one_keeps_its_shape(rows):
    u, v = torch.randn(rows, 8), torch.randn(rows, 8)
    assert make_head("sst", 8, encoding="single")(u).shape == (rows, 5)
    assert make_head("para", 8, encoding="independent")(u, v).shape == (rows, 1)
    assert make_head("sts", 8, encoding="independent", head="cosine")(u, v).shape == (rows, 1)


def test_the_cosine_head_spans_the_labels_range():
    head = make_head("sts", 4, encoding="independent", head="cosine").eval()
    u = torch.tensor([[1.0, 2.0, -1.0, 0.5]])
    assert torch.allclose(torch.cat([head(u, 3 * u), head(u, -u)]), torch.tensor([[5.0], [0.0]]), atol=1e-6), \
        "cosine 1 is similarity 5 and cosine -1 is 0"


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    head, u = make_head("sst", 8, encoding="single", dropout=0.5), torch.randn(2, 8)
    assert not torch.equal(head(u), head(u))
    assert torch.equal(head.eval()(u), head(u))
