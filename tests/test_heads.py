"""Pooling and heads: hand-worked numbers, published sizes, dropout in its place, and batches of one."""

import pytest
import torch
from torch import nn

from multitask.heads import (
    COSINE_RANGES,
    HEADS,
    concat_features,
    difference_features,
    make_projection,
    mean_pool,
    square_features,
)
from multitask.recipe import TaskRecipe
from multitask.tables import TASKS

MT_PARAPHRASE = {"encoding": "independent", "projection": "relu", "features": "squares"}
MT_SENTIMENT = {"encoding": "single", "pooling": "mixed", "head": "mlp", "hidden": (768,), "activation": "relu", "norm": True,
                "dropout_at": "last"}
PROJECTED_COSINE = {"encoding": "independent", "projection": "linear", "head": "cosine"}
INDEPENDENT = {"encoding": "independent"}
PAIR, SINGLE = {"encoding": "pair"}, {"encoding": "single"}


def make_head(task: str, width: int = 768, **settings):
    return HEADS[settings.get("head", "linear")](TASKS[task], TaskRecipe(**settings), width)


@pytest.mark.exercise("6.1")
def test_the_mean_leaves_padding_out():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert mean_pool(hidden, mask).abs().max() < 10, "padding was summed: its vectors must be set to zero by the mask first"
    assert torch.allclose(mean_pool(hidden, mask), torch.tensor([[2.0, 3.0]])), \
        "padding was counted: divide by the number of real tokens, not by T"
    hidden[0, 2] = -7.0
    assert torch.allclose(mean_pool(hidden, mask), torch.tensor([[2.0, 3.0]])), "padding changes the mean: no mask?"


@pytest.mark.exercise("6.1")
def test_each_sentence_of_a_batch_has_a_mean_of_its_own():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [0.0, 0.0]]])
    found = mean_pool(hidden, torch.tensor([[1, 1], [1, 0]]))
    assert found.shape == (2, 2), f"expected one vector for each sentence of the batch, (B, D) = (2, 2), got {tuple(found.shape)}"
    assert torch.allclose(found, torch.tensor([[2.0, 3.0], [5.0, 6.0]])), \
        "the mean is over one sentence's tokens: is it over the batch, or divided by the same number for all?"


@pytest.mark.exercise("6.1")
def test_a_sentence_without_tokens_has_a_finite_mean():
    found = mean_pool(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.zeros(1, 2))
    assert found.tolist() == [[0.0, 0.0]], "a sentence without tokens must stay finite: divide by at least 1, not by 0"


@pytest.mark.exercise("6.2")
def test_features_of_a_pair_are_both_vectors_around_how_far_they_are_apart():
    u, v = torch.tensor([[1.0, 5.0], [0.0, 2.0]]), torch.tensor([[4.0, 3.0], [1.0, 1.0]])
    found = difference_features(u, v)
    assert found.shape == (2, 6), f"expected (B, 3 D) = (2, 6), got {tuple(found.shape)}: joined along the last axis?"
    assert sorted(found[0].abs().tolist()) == [1, 2, 3, 3, 4, 5], "what is to be between u and v is |u - v|: is it a product?"
    assert (found >= 0).all(), "the absolute value is missing: |u - v| is the same for (u, v) and (v, u)"
    assert found.tolist() == [[1, 5, 3, 2, 4, 3], [0, 2, 1, 1, 1, 1]], "another order than [u, |u - v|, v]"


@pytest.mark.exercise("6.2")
def test_the_other_features_come_in_the_papers_order():
    u, v = torch.tensor([[1.0, 5.0]]), torch.tensor([[4.0, 3.0]])
    assert concat_features(u, v).tolist() == [[1, 5, 4, 3]], "first u, then v, along the last axis"
    assert square_features(u, v).tolist() == [[1, 5, 4, 3, 9, 4, 3, 2]], "the order is [u, v, (u - v)^2, |u - v|]"


@pytest.mark.parametrize("name, task, settings, count", [
    ("linear5", "sst", SINGLE, 3_845),
    ("ffn512", "sst", SINGLE | {"head": "mlp"}, 396_293),
    ("pair_diff512", "para", INDEPENDENT | {"head": "mlp", "features": "difference"}, 1_180_673),
    ("cross512", "sts", PAIR | {"head": "mlp"}, 394_241),
    ("lim256", "sst", SINGLE | {"head": "mlp", "hidden": (256,)}, 198_149),
    ("concat1", "para", INDEPENDENT | {"features": "concat"}, 1_537),
    ("concat1 of classes", "sts", INDEPENDENT | {"features": "concat", "target": "classes5"}, 7_685),
    ("cosproj", "sts", PROJECTED_COSINE, 590_592),
    ("cross32", "sts", PAIR | {"head": "mlp", "hidden": (32,), "activation": "none", "output_range": "sigmoid"}, 24_641),
    ("crosslinear", "sts", PAIR | {"dropout": 0.0}, 769),
    ("hlh_sst", "sst", SINGLE | {"head": "mlp", "hidden": (768,), "activation": "relu"}, 594_437),
    ("hlh_sst regression", "sst", SINGLE | {"head": "mlp", "hidden": (768,), "target": "regression"}, 591_361),
    ("hlh_sst one_hot", "sst", SINGLE | {"head": "mlp", "hidden": (768,), "target": "one_hot"}, 594_437),
    ("hlh_pair", "para", INDEPENDENT | {"head": "mlp", "hidden": (768, 192), "features": "concat"}, 1_328_257),
    ("hlh_pair of classes", "sts", PAIR | {"head": "mlp", "hidden": (768, 192), "target": "classes5"}, 739_205),
    ("hlh_pair of classes", "sts", PAIR | {"head": "mlp", "hidden": (768, 192), "target": "classes6"}, 739_398),
    ("mt_sst", "sst", MT_SENTIMENT, 595_973),
    ("mt_cos", "sts", INDEPENDENT | {"head": "cosine", "cosine_range": "times5"}, 0),
    ("mt_pd", "para", MT_PARAPHRASE, 593_665),
])
def test_parameter_counts_are_those_of_the_reports(name, task, settings, count):
    with torch.device("meta"):
        head = make_head(task, **settings)
    assert sum(parameter.numel() for parameter in head.parameters()) == count, name


def steps_of(head: nn.Module, *sentences: torch.Tensor) -> str:
    """The layers that a pass goes through, in order; dropout only where it drops something."""
    steps = []
    for module in head.modules():
        if not list(module.children()) and not isinstance(module, nn.Sequential) and getattr(module, "p", 1) > 0:
            module.register_forward_hook(lambda module, inputs, output: steps.append(type(module).__name__))
    head(*sentences)
    return " ".join(steps)


@pytest.mark.parametrize("task, settings, expected", [
    ("sst", SINGLE, "Dropout Linear"),
    ("sst", SINGLE | {"dropout_at": "last"}, "Dropout Linear"),
    ("sst", SINGLE | {"head": "mlp", "hidden": (8, 4)}, "Dropout Linear GELU Linear GELU Linear"),
    ("sst", MT_SENTIMENT, "Linear LayerNorm ReLU Dropout Linear"),
    ("sts", PAIR | {"head": "mlp", "activation": "none", "output_range": "sigmoid"},
     "Dropout Linear Identity Linear ScaledSigmoid"),
    ("para", MT_PARAPHRASE, "Linear ReLU Dropout Linear ReLU Dropout Linear"),
    ("para", MT_PARAPHRASE | {"dropout_at": "last"}, "Linear ReLU Linear ReLU Dropout Linear"),
    ("para", INDEPENDENT | {"projection": "linear"}, "Dropout Linear Dropout Linear Linear"),
    ("sts", PROJECTED_COSINE, "Dropout Linear Dropout Linear"),
    ("sts", INDEPENDENT | {"head": "cosine"}, "Dropout Dropout"),
])
def test_the_layers_come_in_the_reports_order_with_dropout_once(task, settings, expected):
    sentences = [torch.randn(2, 8)] * (2 if settings["encoding"] == "independent" else 1)
    found = steps_of(make_head(task, 8, **settings), *sentences)
    assert found.count("Dropout") == expected.count("Dropout"), f"dropout must act once for each vector: {found}"
    assert found == expected, "another order of the layers; without an activation between them two linear layers are one"


@pytest.mark.parametrize("rows", [1, 3])
def test_a_batch_of_one_keeps_its_shape(rows):
    u, v = torch.randn(rows, 8), torch.randn(rows, 8)
    assert make_head("sst", 8, **SINGLE)(u).shape == make_head("sst", 8, **MT_SENTIMENT)(u).shape == (rows, 5)
    assert make_head("para", 8, **INDEPENDENT)(u, v).shape == make_head("para", 8, **MT_PARAPHRASE)(u, v).shape == (rows, 1)
    assert make_head("sts", 8, **INDEPENDENT, head="cosine")(u, v).shape == (rows, 1)
    assert make_head("sts", 8, **PAIR, target="classes6")(u).shape == (rows, 6)


@pytest.mark.parametrize("cosine_range, ends", [("affine", [5.0, 2.5, 0.0]), ("positive", [5.0, 0.0, 0.0]),
                                                ("times5", [5.0, 0.0, -5.0])])
def test_equal_orthogonal_and_opposite_sentences_in_each_range(cosine_range, ends):
    head = make_head("sts", 4, **INDEPENDENT, head="cosine", cosine_range=cosine_range).eval()
    u, across = torch.tensor([[1.0, 2.0, -1.0, 0.5]]), torch.tensor([[2.0, -1.0, 0.0, 0.0]])
    found = torch.cat([head(u, 3 * u), head(u, across), head(u, -u)])
    assert torch.allclose(found[:, 0], torch.tensor(ends), atol=1e-6), "2.5 (cos + 1), or 5 max(cos, 0), or 5 cos"
    assert set(COSINE_RANGES) == {"affine", "positive", "times5"}


def test_a_sentence_of_zeros_has_a_finite_cosine_and_gradient():
    u = torch.zeros(1, 4, requires_grad=True)
    value = make_head("sts", 4, **INDEPENDENT, head="cosine", cosine_range="times5").eval()(u, torch.randn(1, 4))
    value.sum().backward()
    assert value.item() == 0 and torch.isfinite(u.grad).all()


def test_a_projection_is_the_same_for_both_sentences():
    torch.manual_seed(0)
    linear, relu = make_projection("linear", 6, 0.1).eval(), make_projection("relu", 6, 0.1).eval()
    u = torch.randn(3, 6)
    assert torch.allclose(linear(u), u @ linear[1].weight.T + linear[1].bias)
    assert torch.allclose(relu(u), (u @ relu[0].weight.T + relu[0].bias).clamp(min=0))
    head = make_head("sts", 6, **PROJECTED_COSINE).eval()
    v = torch.randn(3, 6)
    expected = 2.5 * (torch.cosine_similarity(head.project(u), head.project(v)) + 1)
    assert torch.allclose(head(u, v)[:, 0], expected, atol=1e-6), "the cosine is that of the projected sentences"
    assert torch.allclose(head(u, v), head(v, u), atol=1e-6)
    paraphrase = make_head("para", 6, **MT_PARAPHRASE).eval()
    features = square_features(paraphrase.project(u), paraphrase.project(v))
    assert torch.allclose(paraphrase(u, v), paraphrase.layers(features))


def test_no_projection_adds_nothing():
    u = torch.randn(2, 6)
    assert make_projection("none", 6, 0.9)(u) is u


def test_the_sigmoid_is_part_of_the_output_and_free_is_not():
    torch.manual_seed(0)
    free = make_head("sts", 8, **PAIR).eval()
    squeezed = make_head("sts", 8, **PAIR, output_range="sigmoid").eval()
    squeezed.load_state_dict(free.state_dict())
    u = 50 * torch.randn(4, 8)
    assert torch.allclose(squeezed(u), 5 * free(u).sigmoid())
    clamped = make_head("sts", 8, **PAIR, output_range="clamp").eval()
    clamped.load_state_dict(free.state_dict())
    assert torch.equal(clamped(u), free(u)), "a clamp belongs to predictions: here it would stop the gradient"


def test_layer_norm_stands_before_the_activation():
    torch.manual_seed(0)
    head = make_head("sst", 8, **MT_SENTIMENT | {"hidden": (6,)}).eval()
    u = torch.randn(3, 8)
    inner = torch.nn.functional.layer_norm(head.layers[0](u), (6,)).clamp(min=0)
    assert torch.allclose(head(u), head.layers[-1](inner), atol=1e-5)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    u = torch.randn(2, 8)
    for head, sentences in ((make_head("sst", 8, **SINGLE, dropout=0.5), (u,)),
                            (make_head("para", 8, **MT_PARAPHRASE | {"dropout": 0.5}), (u, u + 1)),
                            (make_head("sts", 8, **PROJECTED_COSINE | {"dropout": 0.5}), (u, u + 1))):
        assert not torch.equal(head(*sentences), head(*sentences))
        assert torch.equal(head.eval()(*sentences), head(*sentences))


@pytest.mark.parametrize("task, settings", [("sst", SINGLE), ("sst", MT_SENTIMENT), ("para", MT_PARAPHRASE),
                                            ("sts", PROJECTED_COSINE)])
def test_heads_start_as_bert_did(task, settings):
    torch.manual_seed(0)
    linears = [module for module in make_head(task, **settings).modules() if isinstance(module, nn.Linear)]
    assert linears and not any(linear.bias.any() for linear in linears), "biases start at 0"
    for linear in linears:
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.1) and linear.weight.abs().max() > 0.045, \
            "a normal distribution of standard deviation 0.02, and not torch's own start"
