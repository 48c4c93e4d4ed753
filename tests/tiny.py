"""A tiny BERT with the reference library's own numbers (tests/make_golden.py), for the model's tests."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.lm_head import VocabularyHead
from minbert.weights import load_encoder, load_vocabulary_head

CONFIG = BertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
                    max_position_embeddings=24)


def golden() -> dict[str, torch.Tensor]:
    return load_file(Path(__file__).parent / "golden" / "tiny_bert.safetensors")


def reference_weights() -> dict[str, torch.Tensor]:
    """The checkpoint as the reference library names its tensors."""
    return {name.removeprefix("weight."): tensor for name, tensor in golden().items() if name.startswith("weight.")}


def tiny_bert() -> BertModel:
    """The tiny BERT with the golden weights, float64, eval mode."""
    model = BertModel(CONFIG).double()
    load_encoder(model, reference_weights())
    return model.double().eval()


def tiny_vocabulary_head(model: BertModel) -> VocabularyHead:
    head = VocabularyHead(CONFIG, model.embeddings.word).double()
    load_vocabulary_head(head, reference_weights(), model.embeddings.word)
    return head.eval()
