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


def test_heads_are_cut_from_the_hidden_vector_and_joined_again():
    hidden_BTD = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    heads_BHTK = split_heads(hidden_BTD, 4)
    assert heads_BHTK.shape == (2, 4, 3, 2), f"expected (batch, heads, tokens, size per head), got {tuple(heads_BHTK.shape)}"
    assert heads_BHTK[1, 2, 0].tolist() == [28.0, 29.0], \
        "head 2 of sentence 1, token 0 must hold that token's numbers 4 and 5: was the view taken without a transpose?"
    assert torch.equal(join_heads(heads_BHTK), hidden_BTD), "joining must undo splitting"


def test_scores_are_divided_by_the_square_root_of_the_head_size():
    query = torch.zeros(1, 2, 1, 4, dtype=torch.double)  # two heads of size 4: the hidden size is 8
    query[..., 0] = 2.0
    key = torch.zeros(1, 2, 2, 4, dtype=torch.double)
    key[0, :, 0, 0] = 3.0
    # score 2 * 3 / sqrt(4) = 3 against 0
    share = attention_probabilities(query, key, None)[0, 0, 0, 0].item()
    assert share < 1, "two keys must share the attention: softmax runs over the keys, the last axis"
    ratio = math.log(share / (1 - share)) / 3
    assert math.isclose(ratio, 1), (f"scores are {ratio:.3g} times too large: was the division by sqrt(head size) forgotten, "
                                    "or done with the hidden size?")


def test_every_row_of_probabilities_sums_to_one():
    torch.manual_seed(0)
    rows = attention_probabilities(torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4), None).sum(dim=-1)
    assert torch.allclose(rows, torch.ones_like(rows)), "softmax must run over the keys (the last axis)"


def test_masked_keys_get_no_attention_and_masked_queries_still_work():
    torch.manual_seed(0)
    mask = torch.tensor([[True, True, False]])[:, None, None, :]
    probabilities = attention_probabilities(torch.randn(1, 2, 3, 4), torch.randn(1, 2, 3, 4), mask)
    assert probabilities[..., 2].abs().max() == 0, "padding receives attention: is the mask inverted, or added after softmax?"
    assert torch.allclose(probabilities.sum(-1), torch.ones(1, 2, 3)), "masking must happen before the softmax"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_a_sentence_of_padding_alone_stays_finite(dtype):
    mask = torch.zeros(1, 1, 1, 3, dtype=torch.bool)
    probabilities = attention_probabilities(torch.randn(1, 1, 3, 4).to(dtype), torch.randn(1, 1, 3, 4).to(dtype), mask)
    assert torch.isfinite(probabilities).all(), "masking with -inf makes a row without any key nan"


def test_attention_dropout_acts_on_the_probabilities():
    layer = attention(attention_probs_dropout_prob=0.5)
    seen = []
    layer.dropout.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    hidden = torch.randn(1, 4, 8, dtype=torch.double)
    layer.train()
    first, second = layer(hidden), layer(hidden)
    assert not torch.equal(first, second), "attention dropout is built but not applied"
    assert torch.allclose(seen[0].sum(-1), torch.ones(1, 2, 4, dtype=torch.double)), \
        "dropout must get the probabilities, after the softmax"
    layer.eval()
    assert torch.equal(layer(hidden), layer(hidden)), "in eval mode there is no dropout"


def test_each_head_mixes_only_its_own_part_of_the_values():
    layer = attention().eval()
    hidden = torch.randn(1, 3, 8, dtype=torch.double)
    before = layer(hidden)
    with torch.no_grad():
        layer.value.weight[4:] += 1.0  # head 1's values
    after = layer(hidden)
    assert torch.equal(before[..., :4], after[..., :4]), "head 1's values reached head 0's part of the output"
    assert not torch.allclose(before[..., 4:], after[..., 4:]), "the values are not used: were the keys mixed instead?"


def test_the_output_mixes_the_values():
    layer, hidden = attention().eval(), torch.randn(1, 3, 8, dtype=torch.double)
    with torch.no_grad():
        layer.query.weight.zero_()
        layer.query.bias.zero_()
    # all scores are 0, so every token gets the mean of all values
    difference = (layer(hidden) - layer.value(hidden).mean(dim=1, keepdim=True)).abs().max()
    assert difference < 1e-12, "with equal scores the output must be the mean of the VALUES (not of keys or inputs)"


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


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_whoever_asks_gets_what_it_gets_among_all(mask, fused):
    layer = attention().eval()
    layer.fused = fused
    hidden = torch.randn(3, 5, 8, dtype=torch.double)
    together = layer(hidden, MASKS[mask])
    for asking in (slice(0, 1), slice(1, 2), slice(2, 5)):
        found = layer(hidden, MASKS[mask], asking=asking)
        assert found.shape == together[:, asking].shape and torch.allclose(found, together[:, asking], atol=1e-12), \
            "a mask of one row serves every token that asks: was it cut to nothing?"
