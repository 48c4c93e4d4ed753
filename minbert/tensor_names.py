"""One table of three sets of names: ours, the ecosystem's and the CS224N starter's; and the rules to rename by it."""

import re
from collections.abc import Iterable, Mapping

LAYER, STARTER = "encoder.layer.{i}.", "bert_layers.{i}."
# ours, the ecosystem's, the CS224N starter's; {i} is the layer's number, and .weight or .bias follows
NAMES = (
    ("embeddings.word", "embeddings.word_embeddings", "word_embedding"),
    ("embeddings.position", "embeddings.position_embeddings", "pos_embedding"),
    ("embeddings.token_type", "embeddings.token_type_embeddings", "tk_type_embedding"),
    ("embeddings.norm", "embeddings.LayerNorm", "embed_layer_norm"),
    ("layers.{i}.attention.query", LAYER + "attention.self.query", STARTER + "self_attention.query"),
    ("layers.{i}.attention.key", LAYER + "attention.self.key", STARTER + "self_attention.key"),
    ("layers.{i}.attention.value", LAYER + "attention.self.value", STARTER + "self_attention.value"),
    ("layers.{i}.attention_output", LAYER + "attention.output.dense", STARTER + "attention_dense"),
    ("layers.{i}.attention_norm", LAYER + "attention.output.LayerNorm", STARTER + "attention_layer_norm"),
    ("layers.{i}.intermediate", LAYER + "intermediate.dense", STARTER + "interm_dense"),
    ("layers.{i}.output", LAYER + "output.dense", STARTER + "out_dense"),
    ("layers.{i}.output_norm", LAYER + "output.LayerNorm", STARTER + "out_layer_norm"),
    ("pooler", "pooler.dense", "pooler_dense"),
)
# the vocabulary head, which the starter has not: ours, the ecosystem's
HEAD_NAMES = {
    "transform.weight": "cls.predictions.transform.dense.weight",
    "transform.bias": "cls.predictions.transform.dense.bias",
    "norm.weight": "cls.predictions.transform.LayerNorm.weight",
    "norm.bias": "cls.predictions.transform.LayerNorm.bias",
    "bias": "cls.predictions.bias",
}
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids", "position_ids")  # 0, 1, 2, ...: nothing learnt
OURS = {name: ours for ours, *theirs in NAMES for name in (ours, *theirs)}
ECOSYSTEM = {ours: ecosystem for ours, ecosystem, _ in NAMES}


def translate(names: Iterable[str]) -> dict[str, str]:
    """Each name -> ours. A name that the table does not know stays, less a leading `bert.`."""
    return {name: rename(modernise(name.removeprefix("bert.")), OURS) for name in names}


def modernise(name: str) -> str:
    """LayerNorm's gamma and beta of 2018 -> weight and bias; any other gamma or beta stays."""
    return re.sub(r"(?<=LayerNorm\.)gamma$", "weight", re.sub(r"(?<=LayerNorm\.)beta$", "bias", name))


# Exercise 4.6: the names of pretrained weights
def rename(name: str, table: Mapping[str, str]) -> str:
    """The name that `table` (OURS or ECOSYSTEM) gives; `name` itself where it gives none.

    Steps: take off the last part, weight or bias; in what is left, put {i} in the place of a layer's number; look that
    up in the table; put number and last part back.
    """
    stem, _, kind = name.rpartition(".")
    layer = re.match(r"(?:encoder\.layer|bert_layers|layers)\.([0-9]+)\.", stem)
    number = layer[1] if layer else ""
    if layer:
        stem = f"{stem[: layer.start(1)]}{{i}}{stem[layer.end(1) :]}"
    return f"{table[stem]}.{kind}".replace("{i}", number) if stem in table else name
