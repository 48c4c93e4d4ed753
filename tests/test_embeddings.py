"""Embeddings: what is added up, where positions start, and the reference library's numbers."""

import pytest
import torch
from tiny import golden, tiny_bert


def test_embeddings_equal_the_references():
    reference, model = golden(), tiny_bert()
    embedded = model.embed(reference["input.ids"], reference["input.segment"])
    real = reference["input.mask"].bool()
    difference = (embedded - reference["output.hidden.0"])[real].abs().max()
    assert difference < 1e-12, f"embeddings differ by {difference:.2g}: word + position + token type, then LayerNorm (eps 1e-12)"


def test_token_types_change_the_embedding():
    model, ids = tiny_bert(), torch.tensor([[7, 8, 9]])
    zeros, ones = model.embed(ids, torch.zeros_like(ids)), model.embed(ids, torch.ones_like(ids))
    assert not torch.allclose(zeros, ones), "token types are ignored"
    assert torch.equal(zeros, model.embed(ids)), "missing token types mean zeros"


def test_the_first_position_is_zero():
    model, ids = tiny_bert(), torch.tensor([[7, 8, 9]])
    before = model.embed(ids)
    with torch.no_grad():
        model.embeddings.position.weight[3:] += 1
    assert torch.equal(before, model.embed(ids)), "three tokens must use positions 0, 1 and 2: do positions start at 1?"


def test_without_positions_the_order_of_tokens_does_not_matter():
    model, ids = tiny_bert(), torch.tensor([[7, 8, 9]])
    assert not torch.allclose(model.embed(ids)[:, 0], model.embed(ids.flip(1))[:, 2]), "positions are ignored"
    with torch.no_grad():
        model.embeddings.position.weight.zero_()
    assert torch.allclose(model.embed(ids), model.embed(ids.flip(1)).flip(1))


def test_layer_norm_gives_mean_zero_and_variance_one():
    model = tiny_bert()
    torch.nn.init.ones_(model.embeddings.norm.weight)
    torch.nn.init.zeros_(model.embeddings.norm.bias)
    embedded = model.embed(torch.tensor([[7, 8, 9]]))
    assert embedded.mean(-1).abs().max() < 1e-12 and (embedded.var(-1, unbiased=False) - 1).abs().max() < 1e-9


def test_dropout_comes_last():
    model = tiny_bert().train()
    ids = torch.full((8, 20), 7)
    share = (model.embed(ids) == 0).double().mean().item()
    assert 0.05 < share < 0.16, f"{share:.0%} of the embedding is dropped, expected about 10%: is dropout before LayerNorm?"


def test_the_padding_row_gets_no_gradient_and_keeps_its_value():
    model = tiny_bert()
    assert model.embeddings.word.weight[0].abs().sum() > 0, "the loaded vector of [PAD] must be kept"
    model.embed(torch.tensor([[7, 0, 0]])).pow(3).sum().backward()
    assert model.embeddings.word.weight.grad[0].abs().sum() == 0


def test_given_word_vectors_replace_the_word_term_only():
    model, ids = tiny_bert(), torch.tensor([[7, 8, 9]])
    words = model.embeddings.word(ids)
    assert torch.equal(model.embed(inputs_embeds=words), model.embed(ids))


@pytest.mark.parametrize("arguments, message", [
    ({"input_ids": torch.ones(1, 25, dtype=torch.long)}, "25 tokens are more than the 24 positions"),
    ({}, "either input_ids or inputs_embeds"),
    ({"input_ids": torch.tensor([1, 2])}, r"input_ids has shape \(2,\), expected \(batch, tokens\)"),
])
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny_bert().embed(**arguments)
