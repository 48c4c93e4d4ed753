"""The sizes of a BERT, with bert-base-uncased as the default (Devlin et al. 2019; field names as in config.json)."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from minbert.files import MinbertError, read_table

FORMAT = 1  # of the folders we write
ACTIVATIONS = ("gelu", "gelu_tanh")
OTHER_NAMES = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}  # in other programs' config.json
SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
LARGEST = {
    "vocab_size": 2_000_000, "hidden_size": 16_384, "num_hidden_layers": 200, "num_attention_heads": 512,
    "intermediate_size": 131_072, "max_position_embeddings": 131_072, "type_vocab_size": 1_000,
}


@dataclass(frozen=True)
class BertConfig:
    """Sizes and dropout rates of one BERT; checked when made.

    Raises MinbertError for a value no BERT can have, e.g. a hidden size that the heads do not divide.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0

    def __post_init__(self) -> None:
        for name, largest in LARGEST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
                raise MinbertError(f"{name} {value!r} is not a whole number from 1 to {largest}")
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            may_be_0 = name.endswith("dropout_prob")
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (is_number and 0 <= value < 1 and (value > 0 or may_be_0)):
                raise MinbertError(f"{name} {value!r} is not a number {'from' if may_be_0 else 'above'} 0 and below 1")
        if self.hidden_size % self.num_attention_heads:
            raise MinbertError(f"hidden_size {self.hidden_size} is not a multiple of "
                               f"num_attention_heads {self.num_attention_heads}")
        if self.hidden_act not in ACTIVATIONS:
            raise MinbertError(f"hidden_act {self.hidden_act!r} is not one of {', '.join(ACTIVATIONS)}")
        pad = self.pad_token_id
        if isinstance(pad, bool) or not isinstance(pad, int) or not 0 <= pad < self.vocab_size:
            raise MinbertError(f"pad_token_id {pad!r} is not an id of a vocabulary of {self.vocab_size}")

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def from_json(cls, path: str | Path) -> "BertConfig":
        """The configuration in a config.json; keys that a BERT encoder does not need are passed over.

        Raises MinbertError where the file is missing, is not JSON, belongs to another architecture or has absurd values.
        """
        table = read_table(path)
        if table.get("model_type", "bert") != "bert":
            raise MinbertError(f"{path}: model_type is {table['model_type']!r}; minBERT loads 'bert' only",
                               "choose a BERT model, for example bert-base-uncased")
        if table.get("position_embedding_type", "absolute") != "absolute":
            raise MinbertError(f"{path}: position_embedding_type {table['position_embedding_type']!r} is not 'absolute'")
        if table.get("minbert_format", FORMAT) != FORMAT:
            raise MinbertError(f"{path}: written by a newer minBERT (format {table['minbert_format']!r}, this one "
                               f"knows {FORMAT})", "upgrade minBERT")
        known = {field.name for field in dataclasses.fields(cls)}
        values = {name: value for name, value in table.items() if name in known}
        if missing := [name for name in SIZES if name not in values]:
            raise MinbertError(f"{path}: lacks {', '.join(missing)}", "is this the config.json of a BERT?")
        if isinstance(values.get("hidden_act"), str):
            values["hidden_act"] = OTHER_NAMES.get(values["hidden_act"], values["hidden_act"])
        try:
            return cls(**values)
        except MinbertError as error:
            raise MinbertError(f"{path}: {error}", "is this the config.json of a BERT?") from error

    def to_json(self) -> str:
        """The config.json of a BertModel in the ecosystem's format."""
        table = {"architectures": ["BertModel"], "model_type": "bert", "minbert_format": FORMAT}
        table |= dataclasses.asdict(self)
        if self.hidden_act == "gelu_tanh":
            table["hidden_act"] = "gelu_new"
        return json.dumps(table, indent=2, sort_keys=True) + "\n"
