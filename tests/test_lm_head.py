"""The vocabulary head: equal to the reference library's, and tied to the word embedding."""

import torch
from tiny import CONFIG, golden, tiny_bert, tiny_vocabulary_head

from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.lm_head import VocabularyHead


def test_scores_equal_the_references():
    reference, model = golden(), tiny_bert()
    hidden = model(reference["input.ids"], reference["input.mask"], reference["input.segment"])["last_hidden_state"]
    difference = (tiny_vocabulary_head(model)(hidden) - reference["output.vocabulary"])[reference["input.mask"].bool()]
    assert difference.abs().max() < 1e-10, f"vocabulary scores differ by {difference.abs().max():.2g}"


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
