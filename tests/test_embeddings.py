"""Embeddings: what is added up, where positions start, and the reference library's numbers."""

import pytest
import torch
from tiny import CONFIG, golden, tiny_bert

from minbert.embeddings import BertEmbeddings


@pytest.mark.exercise("2.1")
@pytest.mark.course
def test_token_types_change_the_embedding():
    model, ids = tiny_bert(), torch.tensor([[7, 8, 9]])
    zeros, ones = model.embed(ids, torch.zeros_like(ids)), model.embed(ids, torch.ones_like(ids))
    assert not torch.allclose(zeros, ones), \
        "token types are ignored: [CLS] A [SEP] B [SEP] reads the same with types 0 and 1 (embed() must pass them on, " \
        "and the embedding of the types be added)"
    assert torch.equal(zeros, model.embed(ids)), "missing token types mean zeros"


@pytest.mark.exercise("2.1")
@pytest.mark.course
def test_the_first_position_is_zero():
    model, ids = tiny_bert(), torch.tensor([[7, 8, 9]])
    before = model.embed(ids)
    with torch.no_grad():
        model.embeddings.position.weight[3:].neg_()  # a shift by 1 would not do: LayerNorm takes it out
    assert torch.equal(before, model.embed(ids)), "three tokens must use positions 0, 1 and 2: do positions start at 1?"


@pytest.mark.exercise("2.1")
@pytest.mark.course
def test_every_sentence_counts_its_own_positions():
    model, ids = tiny_bert(), torch.tensor([[7, 8, 9], [7, 8, 9], [9, 8, 7]])
    embedded = model.embed(ids)
    assert embedded.shape == (3, 3, 16), f"expected (batch, tokens, hidden) = (3, 3, 16), got {tuple(embedded.shape)}"
    assert torch.allclose(embedded[0], embedded[1]), \
        "the same sentence twice in a batch must get the same vectors: do positions count along the batch?"
    assert torch.allclose(embedded[0], model.embed(ids[:1])[0]), "a sentence's vectors depend on its batch mates"


@pytest.mark.exercise("2.1")
@pytest.mark.course
def test_without_positions_the_order_of_tokens_does_not_matter():
    model, ids = tiny_bert(), torch.tensor([[7, 8, 9]])
    assert not torch.allclose(model.embed(ids)[:, 0], model.embed(ids.flip(1))[:, 2]), \
        "positions are ignored: a token has the same vector wherever it stands"
    with torch.no_grad():
        model.embeddings.position.weight.zero_()
    assert torch.allclose(model.embed(ids), model.embed(ids.flip(1)).flip(1)), \
        "with equal positions a token's vector must not depend on where it stands: does it mix with its neighbours'?"


@pytest.mark.exercise("2.1")
@pytest.mark.course
def test_the_three_vectors_are_added_as_they_are():
    torch.manual_seed(0)
    embeddings = BertEmbeddings(CONFIG).double().eval()
    words = torch.randn(2, 5, 16, dtype=torch.double)
    types = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 0, 0]])
    total = words + embeddings.token_type.weight[types] + embeddings.position.weight[:5]
    expected = (total - total.mean(-1, keepdim=True)) / total.std(-1, keepdim=True, unbiased=False)
    for scaled in (16**0.5, 16.0):
        alone = words * scaled + (total - words)
        wrong = (alone - alone.mean(-1, keepdim=True)) / alone.std(-1, keepdim=True, unbiased=False)
        assert not torch.allclose(embeddings(words, types), wrong), \
            "the word vectors are scaled by the hidden size or its root: BERT adds them as they are"
    assert torch.allclose(embeddings(words, types), expected, rtol=1e-9, atol=1e-9), \
        "expected LayerNorm(word + position 0..T-1 + token type), each added once, nothing after the LayerNorm"


@pytest.mark.exercise("2.1")
@pytest.mark.course
def test_layer_norm_gives_mean_zero_and_variance_one():
    model = tiny_bert()
    torch.nn.init.ones_(model.embeddings.norm.weight)
    torch.nn.init.zeros_(model.embeddings.norm.bias)
    embedded = model.embed(torch.tensor([[7, 8, 9]]))
    assert embedded.mean(-1).abs().max() < 1e-12 and (embedded.var(-1, unbiased=False) - 1).abs().max() < 1e-9, \
        "each token's vector must have mean 0 and variance 1: is LayerNorm missing, or something added after it?"


@pytest.mark.course
def test_the_eps_of_layer_norm_is_the_configurations():
    small = 1e-5 * torch.linspace(-1, 1, 16, dtype=torch.double).expand(1, 3, 16)
    embeddings = BertEmbeddings(CONFIG).double().eval()
    with torch.no_grad():
        embeddings.position.weight.zero_()
        embeddings.token_type.weight.zero_()
    spread = embeddings(small, torch.zeros(1, 3, dtype=torch.long)).std(unbiased=False).item()
    assert spread > 0.9, \
        f"vectors of size 1e-5 come out with spread {spread:.2g}, not 1: the eps of BERT's LayerNorm is 1e-12, not 1e-5"


@pytest.mark.exercise("2.1")
@pytest.mark.course
def test_dropout_comes_last():
    model = tiny_bert().train()
    ids = torch.full((8, 20), 7)
    share = (model.embed(ids) == 0).double().mean().item()
    assert share > 0, "nothing is dropped in training: is dropout missing, or before LayerNorm (which moves its zeros)?"
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


@pytest.mark.exercise("2.1")
@pytest.mark.course
def test_embeddings_equal_the_references():
    reference, model = golden(), tiny_bert()
    embedded = model.embed(reference["input.ids"], reference["input.segment"])
    real = reference["input.mask"].bool()
    difference = (embedded - reference["output.hidden.0"])[real].abs().max()
    assert difference < 1e-12, f"embeddings differ by {difference:.2g}: word + position + token type, then LayerNorm (eps 1e-12)"
