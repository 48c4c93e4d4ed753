"""A tiny BERT with the reference library's own numbers (tests/make_golden.py), for the model's tests.

Its weights are copied by a table of its own, so that a mistake in minbert/tensor_names.py shows in that module's tests only.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file

from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.lm_head import VocabularyHead
from minbert.weights import load_vocabulary_head

CONFIG = BertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
                    max_position_embeddings=24)
# ours, the reference's; the first that fits
PLACES = (("embeddings.word.", "embeddings.word_embeddings."), ("embeddings.position.", "embeddings.position_embeddings."),
          ("embeddings.token_type.", "embeddings.token_type_embeddings."), ("embeddings.norm.", "embeddings.LayerNorm."),
          (".attention_output.", ".attention.output.dense."), (".attention_norm.", ".attention.output.LayerNorm."),
          (".attention.", ".attention.self."), (".intermediate.", ".intermediate.dense."), (".output.", ".output.dense."),
          (".output_norm.", ".output.LayerNorm."), ("pooler.", "pooler.dense."))


def golden() -> dict[str, torch.Tensor]:
    return load_file(Path(__file__).parent / "golden" / "tiny_bert.safetensors")


def reference_weights() -> dict[str, torch.Tensor]:
    """The checkpoint as the reference library names its tensors."""
    return {name.removeprefix("weight."): tensor for name, tensor in golden().items() if name.startswith("weight.")}


def tiny_bert() -> BertModel:
    """The tiny BERT with the golden weights, float64, eval mode."""
    model = BertModel(CONFIG).double()
    weights = reference_weights()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            ours, theirs = next(pair for pair in PLACES if pair[0] in name)
            name = name.replace(ours, theirs)
            tensor.copy_(weights["bert." + ("encoder.layer." + name[7:] if name.startswith("layers.") else name)])
    return model.eval()


def tiny_vocabulary_head(model: BertModel) -> VocabularyHead:
    head = VocabularyHead(CONFIG, model.embeddings.word).double()
    load_vocabulary_head(head, reference_weights(), model.embeddings.word)
    return head.eval()
