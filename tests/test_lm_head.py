"""The vocabulary head: equal to the reference library's, and tied to the word embedding."""

import pytest
import torch
from tiny import CONFIG, golden, tiny_bert, tiny_vocabulary_head
from torch.nn import functional as F

from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.lm_head import VocabularyHead


@pytest.mark.exercise("4.5")
def test_scores_equal_the_references():
    reference, model = golden(), tiny_bert()
    head, words, hidden = tiny_vocabulary_head(model), model.embeddings.word.weight, reference["output.hidden.2"]
    found, real = head(hidden), reference["input.mask"].bool()
    assert found.shape == (3, 9, 60), f"expected a score for every word at every token, (3, 9, 60), got {tuple(found.shape)}"
    dense = head.transform(hidden)
    right = head.norm(F.gelu(dense))
    for cause, wrong in {
        "the transform is missing: the hidden vectors meet the word vectors as they are": F.linear(hidden, words, head.bias),
        "the head's LayerNorm is missing": F.linear(F.gelu(dense), words, head.bias),
        "the head's activation is missing: transform, activation, LayerNorm": F.linear(head.norm(dense), words, head.bias),
        "LayerNorm stands before the activation: it comes after it": F.linear(F.gelu(head.norm(dense)), words, head.bias),
        "the bias of the words is missing: frequent words have a head start": F.linear(right, words),
        "these are probabilities: the softmax belongs to the loss": F.linear(right, words, head.bias).softmax(-1),
        "these are log probabilities: the softmax belongs to the loss": F.linear(right, words, head.bias).log_softmax(-1),
    }.items():
        assert not torch.allclose(found[real], wrong[real], rtol=0, atol=1e-9), cause
    difference = (found - reference["output.vocabulary"])[real].abs().max()
    assert difference < 1e-10, f"vocabulary scores differ by {difference:.2g}"


@pytest.mark.exercise("4.5")
def test_the_word_embedding_serves_both_ends():
    model = BertModel(CONFIG)
    head = VocabularyHead(CONFIG, model.embeddings.word)
    assert "weight" not in {name.split(".")[0] for name in head.state_dict()}, "the tied matrix must not be stored twice"
    head(torch.randn(1, 2, 16)).sum().backward()
    assert model.embeddings.word.weight.grad is not None, "the decoder must be the word embedding itself, not a copy"


def test_own_parameters_are_as_many_as_published():
    with torch.device("meta"):
        config = BertConfig()
        head = VocabularyHead(config, torch.nn.Embedding(config.vocab_size, config.hidden_size))
    assert sum(parameter.numel() for parameter in head.parameters()) == 622_650
