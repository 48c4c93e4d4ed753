"""Self-attention: hand-worked numbers, the reference library's maps, and what dropout, mask and heads must do."""

import math

import pytest
import torch
from tiny import CONFIG, golden, tiny_bert

from minbert.attention import SelfAttention, attention_probabilities, join_heads, split_heads
from minbert.config import BertConfig


def attention(**changes) -> SelfAttention:
    torch.manual_seed(0)
    sizes = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    return SelfAttention(BertConfig(**sizes | changes)).double()


@pytest.mark.exercise("3.1")
def test_heads_are_cut_from_the_hidden_vector():
    hidden_BTD = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    heads_BHTK = split_heads(hidden_BTD, 4)
    assert heads_BHTK.shape == (2, 4, 3, 2), f"expected (batch, heads, tokens, size per head), got {tuple(heads_BHTK.shape)}"
    part = heads_BHTK[1, 2, 0].tolist()  # sentence 1, token 0 is 24 to 31
    assert part != [26.0, 30.0], \
        "head 2 holds every fourth number of the token: the heads are interleaved, each must be a run of neighbours"
    assert part == [28.0, 29.0], \
        "head 2 of sentence 1, token 0 must hold that token's numbers 4 and 5: was the view taken without a transpose?"


@pytest.mark.exercise("3.2")
def test_joining_lays_the_heads_side_by_side():
    hidden_BTD = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    mixed_BTD = join_heads(hidden_BTD.view(2, 3, 4, 2).transpose(1, 2))
    assert mixed_BTD.shape == (2, 3, 8), f"expected (batch, tokens, heads * size), got {tuple(mixed_BTD.shape)}"
    assert mixed_BTD[0, 0].tolist() != [0, 2, 4, 6, 1, 3, 5, 7], \
        "the heads are interleaved: each head's numbers must stay together, head 0's first"
    assert torch.equal(mixed_BTD, hidden_BTD), \
        "joining must undo splitting: was the tensor reshaped without bringing the token axis back in front of the heads?"


@pytest.mark.exercise("3.3")
@pytest.mark.course
def test_scores_are_divided_by_the_square_root_of_the_head_size():
    heads, size = 3, 16
    query = torch.zeros(1, heads, 1, size, dtype=torch.double)
    query[..., 0] = 1.0
    key = torch.zeros(1, heads, 2, size, dtype=torch.double)
    key[0, :, 0, 0] = 2.0
    # score 1 * 2 / sqrt(16) = 1/2 against 0
    share = attention_probabilities(query, key, None)[0, 0, 0, 0].item()
    assert share < 1, "two keys must share the attention: softmax runs over the keys, the last axis"
    ratio = math.log(share / (1 - share)) / 0.5
    causes = {size**0.5: "was the division by sqrt(head size) forgotten?", size: "multiplied by sqrt(head size), not divided?",
              size**-0.5: "divided by the head size and not by its root, or by sqrt(head size) twice?",
              heads**-0.5: "divided by the root of the hidden size? Each head has its own, smaller size: sqrt(head size)",
              (size / 2) ** 0.5: "divided by the root of the number of tokens? It is sqrt(head size)"}
    cause = next((cause for wrong, cause in causes.items() if math.isclose(ratio, wrong)), "divide by sqrt(head size), once")
    assert math.isclose(ratio, 1, rel_tol=1e-9), f"scores are {ratio:.3g} times what they should be: {cause}"


@pytest.mark.exercise("3.3")
@pytest.mark.course
def test_every_row_of_probabilities_sums_to_one():
    torch.manual_seed(0)
    probabilities = attention_probabilities(torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4), None)
    for axis, name in enumerate(("sentences of the batch", "heads", "queries")):
        sums = probabilities.sum(dim=axis)
        assert not torch.allclose(sums, torch.ones_like(sums)), \
            f"softmax runs over the {name}: it must run over the keys (the last axis)"
    sums = probabilities.sum(dim=-1)
    assert torch.allclose(sums, torch.ones_like(sums)), \
        "every token's attention must sum to 1: softmax over the keys (the last axis)"


@pytest.mark.exercise("3.3")
@pytest.mark.course
def test_masked_keys_get_no_attention():
    torch.manual_seed(0)
    query, key = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 3, 4)
    mask = torch.tensor([[True, True, False]])[:, None, None, :]
    free, found = attention_probabilities(query, key, None), attention_probabilities(query, key, mask)
    zeroed = (query @ key.transpose(-2, -1) / 2).masked_fill(~mask, 0).softmax(-1)
    assert not torch.allclose(found, free), "the mask is ignored: padding receives as much attention as without it"
    assert found[..., :2].max() > 0, "the mask is inverted: attention falls on padding alone (True means: may be seen)"
    assert not torch.allclose(found, zeroed), \
        "masked scores are 0 and exp(0) = 1 is not nothing: a mask must make them hugely negative, not multiply them away"
    assert not torch.allclose(found[..., :2, :], free[..., :2, :]), \
        "real tokens attend to padding as if there were no mask: it must hide keys (columns of scores), not queries (rows)"
    assert found[..., 2].max() == 0, \
        f"padding still receives {found[..., 2].max():.2g} of the attention: masked scores must be hugely negative, not a little"
    assert torch.allclose(found.sum(-1), torch.ones(1, 2, 3)), \
        "the rows no longer sum to 1: masking must happen before the softmax, not after it"
    assert torch.allclose(found[..., :2], free[..., :2] / free[..., :2].sum(-1, keepdim=True)), \
        "the real keys must share the attention as they would without the padding"


@pytest.mark.parametrize("dtype", [pytest.param(torch.float64, marks=pytest.mark.exercise("3.3")),
                                   pytest.param(torch.float32, marks=pytest.mark.exercise("3.3")),
                                   torch.bfloat16, torch.float16])
@pytest.mark.course
def test_a_sentence_of_padding_alone_stays_finite(dtype):
    mask = torch.zeros(1, 1, 1, 3, dtype=torch.bool)
    probabilities = attention_probabilities(torch.randn(1, 1, 3, 4).to(dtype), torch.randn(1, 1, 3, 4).to(dtype), mask)
    assert torch.isfinite(probabilities).all(), "masking with -inf makes a row without any key nan"


@pytest.mark.exercise("3.4")
@pytest.mark.course
def test_attention_dropout_acts_on_the_probabilities():
    layer, hidden = attention(attention_probs_dropout_prob=0.5), torch.randn(1, 6, 8, dtype=torch.double)
    layer.eval()
    assert torch.equal(layer(hidden), layer(hidden)), "in eval mode there is no dropout"
    layer.train()
    assert not torch.equal(layer(hidden), layer(hidden)), "attention dropout is built but not applied"
    with torch.no_grad():  # every value is 1, so each number of the output is the sum of the probabilities that dropout left
        layer.value.weight.zero_()
        layer.value.bias.fill_(1)
    assert torch.allclose(layer.eval()(hidden), torch.ones_like(hidden)), \
        "where every value is 1 every mixture must be 1: are the VALUES mixed, and not keys or inputs?"
    left_BTHK = layer.train()(hidden).view(1, 6, 2, 4)
    assert torch.allclose(left_BTHK, left_BTHK[..., :1]), \
        "dropout must act on the probabilities: it acts on the values or on the mixture, for the numbers of one head differ"
    assert not torch.allclose(left_BTHK, torch.ones_like(left_BTHK)), \
        "dropout must act on the probabilities, after the softmax: the rows still sum to 1, so it acts on scores or inputs"


@pytest.mark.exercise("3.4")
@pytest.mark.course
def test_each_head_mixes_only_its_own_part_of_the_values():
    layer = attention().eval()
    hidden = torch.randn(1, 3, 8, dtype=torch.double)
    before = layer(hidden)
    with torch.no_grad():
        layer.value.weight[4:] += 1.0  # head 1's values
    after = layer(hidden)
    assert torch.equal(before[..., :4], after[..., :4]), "head 1's values reached head 0's part of the output"
    assert not torch.allclose(before[..., 4:], after[..., 4:]), "the values are not used: were the keys mixed instead?"


@pytest.mark.exercise("3.4")
@pytest.mark.course
def test_the_output_mixes_the_values():
    layer, hidden = attention().eval(), torch.randn(1, 3, 8, dtype=torch.double)
    with torch.no_grad():
        layer.query.weight.zero_()
        layer.query.bias.zero_()
    # all scores are 0, so every token gets the mean of all values
    difference = (layer(hidden) - layer.value(hidden).mean(dim=1, keepdim=True)).abs().max()
    assert difference < 1e-12, "with equal scores the output must be the mean of the VALUES (not of keys or inputs)"


@pytest.mark.exercise("3.4")
@pytest.mark.course
def test_the_first_layers_attention_is_the_references():
    """Against the maps recorded from the reference library; what is written wrong most often is looked for by name."""
    reference, layer, maps = golden(), tiny_bert().layers[0].attention, []
    hidden, mask = reference["output.hidden.0"], reference["input.mask"].bool()
    mixed = layer(hidden, mask[:, None, None, :], maps)
    query, key, value = (part(hidden).view(3, 9, 4, 4).transpose(1, 2) for part in (layer.query, layer.key, layer.value))

    def probabilities(one, other, scale=2.0, mask=mask[:, None, None, :]):
        return (one @ other.transpose(-2, -1) / scale).masked_fill(~mask, torch.finfo(torch.double).min).softmax(-1)

    def mix(weights, values):
        return (weights @ values).transpose(1, 2).reshape(3, 9, 16)[mask]

    right, anything = probabilities(query, key), torch.ones_like(mask)[:, None, None, :]
    for cause, wrong in {
        "query and key are swapped: every row belongs to the token that asks": mix(probabilities(key, query), value),
        "queries and keys are the same projection, query's": mix(probabilities(query, query), value),
        "queries and keys are the same projection, key's": mix(probabilities(key, key), value),
        "the scale is applied twice: attention_probabilities divides already": mix(probabilities(query, key, 4.0), value),
        "the mask is not handed on to attention_probabilities": mix(probabilities(query, key, mask=anything), value),
        "the KEYS are mixed: it must be the values": mix(right, key),
        "the inputs are mixed and not the VALUES": mix(right, hidden.view(3, 9, 4, 4).transpose(1, 2)),
        "the probabilities are transposed before they mix the values": mix(right.transpose(-2, -1), value),
    }.items():
        assert not torch.allclose(mixed[mask], wrong), cause
    assert len(maps) == 1, "where `maps` is a list, the probabilities are added to it, once"
    difference = (maps[0] - reference["output.attention.0"]).transpose(1, 2)[mask].abs().max()
    assert difference < 1e-10, f"the first layer's attention map differs by {difference:.2g}"
    assert torch.allclose(mixed[mask], mix(right, value), rtol=0, atol=1e-10), \
        "the output must be the values, mixed by the probabilities, head by head"


def test_attention_maps_equal_the_references():
    reference = golden()
    result = tiny_bert()(reference["input.ids"], reference["input.mask"], reference["input.segment"], output_attentions=True)
    real = reference["input.mask"].bool()
    for layer in range(CONFIG.num_hidden_layers):
        difference = (result["attentions"][layer] - reference[f"output.attention.{layer}"]).transpose(1, 2)[real]
        assert difference.abs().max() < 1e-10, f"layer {layer}'s attention maps differ by {difference.abs().max():.2g}"


MASKS = {
    "none": None,
    "padding": (torch.arange(5) < torch.tensor([[5], [3], [1]]))[:, None, None, :],
    "a mask for every token": torch.ones(5, 5).tril().bool().expand(3, 1, 5, 5),
}


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize("mask", MASKS)
def test_the_fused_path_equals_the_hand_written_one(mask, dtype, tolerance):
    layer = attention().to(dtype).eval()
    hidden = torch.randn(3, 5, 8, dtype=dtype)
    for asking in (slice(None), slice(0, 1), slice(1, 3)):
        layer.fused = False
        by_hand = layer(hidden, MASKS[mask], asking=asking)
        layer.fused = True
        difference = (layer(hidden, MASKS[mask], asking=asking) - by_hand).abs().max()
        assert difference < tolerance, f"the hand-written attention differs from torch's own by {difference:.2g}"


def test_without_any_key_the_two_paths_differ_as_the_docstring_says():
    layer = attention().eval()
    hidden, mask = torch.randn(1, 3, 8, dtype=torch.double), torch.zeros(1, 1, 1, 3, dtype=torch.bool)
    assert torch.allclose(layer(hidden, mask), layer.value(hidden).mean(dim=1, keepdim=True))
    layer.fused = True
    assert not layer(hidden, mask).any()


@pytest.mark.exercise("3.4")
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_whoever_asks_gets_what_it_gets_among_all(mask, fused):
    layer = attention().eval()
    layer.fused = fused
    hidden = torch.randn(3, 5, 8, dtype=torch.double)
    together = layer(hidden, MASKS[mask])
    for asking in (slice(0, 1), slice(1, 2), slice(2, 5)):
        found = layer(hidden, MASKS[mask], asking=asking)
        assert found.shape == together[:, asking].shape, \
            f"{asking} asks for {together[:, asking].shape[1]} tokens and gets {found.shape[1]}: only those that ask have a query"
        assert torch.equal(found, layer(hidden, MASKS[mask], asking=asking)), "in eval mode there is no dropout, fused or not"
        assert torch.allclose(found, together[:, asking], atol=1e-12), \
            "a token that asks alone gets another vector than among all: keys and values are those of ALL tokens" + (
                ", and of a mask with a row for each token only the rows of those that ask count; a single row serves all"
                if MASKS[mask] is not None else "")
