"""The sizes of a BERT under the starter's names; any other keyword becomes an attribute as well."""

from utils import CONFIG_NAME


class BertConfig:
    file_name = CONFIG_NAME

    def __init__(self, vocab_size=30522, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                 intermediate_size=3072, hidden_act="gelu", hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1,
                 max_position_embeddings=512, type_vocab_size=2, initializer_range=0.02, layer_norm_eps=1e-12,
                 pad_token_id=0, **others):
        for name, value in {**locals(), **others}.items():
            if name not in ("self", "others"):
                setattr(self, name, value)
