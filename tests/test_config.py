"""BertConfig: defaults are bert-base-uncased's, and no absurd configuration comes into being."""

import json

import pytest

from minbert.config import BertConfig
from minbert.files import MinbertError


def test_defaults_are_those_of_bert_base_uncased():
    config = BertConfig()
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (30522, 768, 12)
    assert config.head_size == 64
    assert config.layer_norm_eps == 1e-12, "BERT's LayerNorm uses eps 1e-12, not torch's 1e-5"


@pytest.mark.parametrize("change, message", [
    ({"hidden_size": 770}, "hidden_size 770 is not a multiple of num_attention_heads 12"),
    ({"hidden_size": 10**9}, "hidden_size 1000000000"),
    ({"num_hidden_layers": -1}, "num_hidden_layers -1"),
    ({"num_hidden_layers": 2.0}, "num_hidden_layers 2.0"),
    ({"vocab_size": True}, "vocab_size True"),
    ({"hidden_dropout_prob": 2}, "hidden_dropout_prob 2"),
    ({"hidden_dropout_prob": float("nan")}, "hidden_dropout_prob nan"),
    ({"attention_probs_dropout_prob": "0.1"}, "attention_probs_dropout_prob '0.1'"),
    ({"layer_norm_eps": 0}, "layer_norm_eps 0"),
    ({"layer_norm_eps": 10**400}, "layer_norm_eps 1000"),
    ({"initializer_range": -0.02}, "initializer_range -0.02 is not a number above 0"),
    ({"hidden_act": "relu"}, "hidden_act 'relu' is not one of"),
    ({"pad_token_id": 30522}, "pad_token_id 30522"),
])
def test_an_impossible_value_is_named(change, message):
    with pytest.raises(MinbertError, match="^" + message.replace(".", r"\.")):
        BertConfig(**change)


def test_a_configuration_survives_its_own_file(tmp_path):
    config = BertConfig(hidden_size=48, num_attention_heads=4, hidden_act="gelu_tanh", layer_norm_eps=1e-7)
    (tmp_path / "config.json").write_text(config.to_json())
    assert BertConfig.from_json(tmp_path / "config.json") == config


@pytest.mark.parametrize("text, message", [
    ("{", "is not JSON"),
    ("[1]", "holds list"),
    ("[" * 100_000, "is not JSON"),
    ('{"minbert_format": 2}', "written by a newer minBERT (format 2, this one knows 1)"),
    ('{"model_type": "roberta"}', "model_type is 'roberta'"),
    ('{"hidden_size": 48}', "lacks vocab_size"),
    (json.dumps({"vocab_size": 10, "hidden_size": 50, "num_hidden_layers": 1, "num_attention_heads": 4,
                 "intermediate_size": 8}), "hidden_size 50 is not a multiple"),
])
def test_a_bad_config_file_gives_one_line_that_names_it(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(MinbertError) as caught:
        BertConfig.from_json(path)
    assert str(path) in str(caught.value) and message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_config_file_is_named(tmp_path):
    with pytest.raises(MinbertError, match="cannot read .*config.json: No such file"):
        BertConfig.from_json(tmp_path / "config.json")
