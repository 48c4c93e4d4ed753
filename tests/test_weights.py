"""Weights: every tensor used exactly once, under whichever of its names; every misfit one sentence; and back."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from minbert.bert import BertLayer, BertModel
from minbert.config import BertConfig
from minbert.files import MinbertError, write_text
from minbert.lm_head import VocabularyHead
from minbert.tensor_files import read_tensors, write_tensors
from minbert.tensor_names import ECOSYSTEM, NAMES, OURS, rename, translate
from minbert.tokenizer import read_vocabulary
from minbert.weights import (
    WithoutRandomStart,
    load_encoder,
    load_folder,
    load_vocabulary_head,
    read_folder,
    save_model,
    to_ecosystem,
)

CONFIG = BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
                    max_position_embeddings=10)
VOCABULARY = [f"word{i}" for i in range(50)]
COUNT = 5 + 16 * 2 + 2
LINES_OF_BASE = {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                 "intermediate_size": 3072}


def random_model(seed: int = 0) -> BertModel:
    """A tiny BERT in which no two tensors are alike, so that a mix-up shows."""
    torch.manual_seed(seed)
    model = BertModel(CONFIG).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def checkpoint() -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in to_ecosystem(random_model()).items()}


def changed(**tensors: Tensor | None) -> dict[str, Tensor]:
    """The checkpoint with some tensors set, or taken out (None); in the keywords `__` stands for a dot."""
    table = checkpoint() | {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in table.items() if tensor is not None}


def assert_same(model: BertModel, other: BertModel) -> None:
    for (name, tensor), expected in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        square = tensor.dim() == 2 and tensor.shape[0] == tensor.shape[1]
        assert not (square and torch.equal(tensor.T, expected)), \
            f"{name} is transposed: torch's Linear keeps (out, in), as the files do"
        alike = [one for one, saved in other.state_dict().items() if saved.shape == tensor.shape and torch.equal(saved, tensor)]
        assert torch.equal(tensor, expected), f"{name} is not what was saved, it is {alike[0] if alike else 'none of the saved'}"


def rename_layer_norms(name: str) -> str:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def to_starter(name: str) -> str:
    return rename(name, {ours: starter for ours, _, starter in NAMES})


STYLES: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {
    "as published": lambda tensors: tensors,
    "with the names of 2018": lambda tensors: {rename_layer_norms(name): t for name, t in tensors.items()},
    "with bert. in front": lambda tensors: {f"bert.{name}": t for name, t in tensors.items()},
    "with both": lambda tensors: {f"bert.{rename_layer_norms(name)}": t for name, t in tensors.items()},
    "with our names": lambda tensors: {ours: tensors[theirs] for theirs, ours in translate(tensors).items()},
    "with the starter's names": lambda tensors: {
        f"bert.{to_starter(ours)}": tensors[theirs] for theirs, ours in translate(tensors).items()},
}


BY_HAND = {
    "embeddings.word_embeddings": "embeddings.word", "embeddings.position_embeddings": "embeddings.position",
    "embeddings.token_type_embeddings": "embeddings.token_type", "embeddings.LayerNorm": "embeddings.norm",
    "encoder.layer.1.attention.self.query": "layers.1.attention.query",
    "encoder.layer.1.attention.self.key": "layers.1.attention.key",
    "encoder.layer.1.attention.self.value": "layers.1.attention.value",
    "encoder.layer.1.attention.output.dense": "layers.1.attention_output",
    "encoder.layer.1.attention.output.LayerNorm": "layers.1.attention_norm",
    "encoder.layer.1.intermediate.dense": "layers.1.intermediate", "encoder.layer.1.output.dense": "layers.1.output",
    "encoder.layer.1.output.LayerNorm": "layers.1.output_norm", "pooler.dense": "pooler",
}


def test_every_ecosystem_name_means_what_it_says():
    """By hand: two names swapped in the table would be swapped on the way out as well, and show in no round trip."""
    for theirs, ours in BY_HAND.items():
        found = translate([f"{theirs}.weight"])[f"{theirs}.weight"]
        assert found == f"{ours}.weight", f"{theirs}.weight is our {ours}.weight, not {found}: are two lines of NAMES swapped?"
    assert len(BY_HAND) == len(NAMES)


@pytest.mark.exercise("4.6")
def test_a_name_is_taken_apart_looked_up_and_put_together():
    assert rename("embeddings.LayerNorm.bias", OURS) == "embeddings.norm.bias", "weight stays weight and bias stays bias"
    for layer in (0, 1, 10, 11):
        found = rename(f"encoder.layer.{layer}.output.dense.weight", OURS)
        assert found == f"layers.{layer}.output.weight", f"layer {layer} became {found}: a layer's number may have two digits, " \
            "it is cut out whole, put in {i}'s place again and changes nothing else"
        assert rename(f"bert_layers.{layer}.out_dense.bias", OURS) == f"layers.{layer}.output.bias", "the starter's names too"
        assert rename(f"layers.{layer}.output.bias", ECOSYSTEM) == f"encoder.layer.{layer}.output.dense.bias", "and the way back"
    for name in ("pooler.dense.kernel.weight", "my.pooler.dense.weight", "pooler.dense", "encoder.layer.x.output.dense.bias"):
        assert rename(name, OURS) == name, f"{name} is in no table and must stay: names are looked up whole, not replaced in part"


@pytest.mark.exercise("4.6")
@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_names_loads_the_same_weights(style):
    extras = {"bert.embeddings.position_ids": torch.arange(10)[None], "cls.seq_relationship.bias": torch.zeros(2)}
    model = random_model(seed=1)
    report = load_encoder(model, STYLES[style](checkpoint()) | extras)
    assert_same(model, random_model())
    assert (report.loaded, report.initialised, report.notes) == (COUNT, (), [])
    assert set(report.ignored) == set(extras), "what is left over must be named"


@pytest.mark.exercise("4.6")
def test_the_starters_names_are_the_courses_own():
    given = ["word_embedding.weight", "pos_embedding.weight", "tk_type_embedding.weight", "embed_layer_norm.bias",
             "bert_layers.11.self_attention.query.weight", "bert_layers.0.attention_dense.bias",
             "bert_layers.0.attention_layer_norm.weight", "bert_layers.0.interm_dense.weight",
             "bert_layers.0.out_dense.weight", "bert_layers.0.out_layer_norm.bias", "pooler_dense.weight"]
    assert list(translate(given).values()) == [
        "embeddings.word.weight", "embeddings.position.weight", "embeddings.token_type.weight", "embeddings.norm.bias",
        "layers.11.attention.query.weight", "layers.0.attention_output.bias", "layers.0.attention_norm.weight",
        "layers.0.intermediate.weight", "layers.0.output.weight", "layers.0.output_norm.bias", "pooler.weight"]


@pytest.mark.exercise("4.6")
@pytest.mark.parametrize("name", ["head.beta", "encoder.beta.gamma", "LayerNorm.gamma.weight", "betaLayerNorm.delta",
                                  "my.bert.pooler.dense.weight", "encoder.layer.x.output.dense.weight"])
def test_names_that_only_resemble_a_rule_survive_it(name):
    assert translate([name]) == {name: name}


def test_one_leading_bert_is_stripped_and_no_more():
    assert translate(["bert.bert.pooler.dense.weight"])["bert.bert.pooler.dense.weight"] == "bert.pooler.dense.weight"


def test_a_bert_base_has_199_tensors_in_the_ecosystems_names():
    with torch.device("meta"), WithoutRandomStart():
        names = to_ecosystem(BertModel(BertConfig()))
    assert len(names) == 199
    assert {"embeddings.LayerNorm.weight", "encoder.layer.11.attention.output.LayerNorm.bias",
            "encoder.layer.0.attention.self.query.weight", "pooler.dense.bias"} <= set(names)


# made in the test: where exercise 4.6 is open, only the tests that need it fail
NOT_LOADABLE = {
    "a missing tensor": (lambda: changed(encoder__layer__1__output__dense__bias=None),
                         "missing from the checkpoint: encoder.layer.1.output.dense.bias"),
    "a missing layer": (lambda: {name: t for name, t in checkpoint().items() if "layer.1." not in name},
                        "missing from the checkpoint: encoder.layer.1.attention.self.query.weight, "
                        "encoder.layer.1.attention.self.query.bias, encoder.layer.1.attention.self.key.weight, "
                        "encoder.layer.1.attention.self.key.bias, encoder.layer.1.attention.self.value.weight and 11 more"),
    "a misspelt tensor": (lambda: changed(pooler__dense__weight=None, embeddings__word_embedings__weight=torch.zeros(50, 8),
                                          embeddings__word_embeddings__weight=None, pooler__dense__bias=None),
                          "missing from the checkpoint: embeddings.word_embeddings.weight "
                          "(closest to the first: embeddings.word_embedings.weight)"),
    "an unknown tensor": (lambda: changed(classifier__weight=torch.zeros(2, 8)),
                          "unexpected in the checkpoint: classifier.weight"),
    "a third layer": (lambda: changed(encoder__layer__2__output__dense__bias=torch.zeros(8)),
                      "unexpected in the checkpoint: encoder.layer.2.output.dense.bias"),
    "half a pooler": (lambda: changed(pooler__dense__bias=None), "missing from the checkpoint: pooler.dense.bias"),
    "one tensor under two names": (lambda: changed(bert__pooler__dense__bias=torch.zeros(8)),
                                   "pooler.dense.bias and bert.pooler.dense.bias are the same tensor (pooler.bias)"),
    "a turned matrix": (lambda: changed(encoder__layer__0__intermediate__dense__weight=torch.zeros(8, 12)),
                        "encoder.layer.0.intermediate.dense.weight has shape (8, 12), the model's is (12, 8)"),
    "one number": (lambda: changed(pooler__dense__bias=torch.tensor(1.0)), "pooler.dense.bias has shape (), the model's is (8,)"),
    "a cased vocabulary": (lambda: changed(embeddings__word_embeddings__weight=torch.zeros(28996, 8)),
                           "checkpoint is for a cased vocabulary (28996): embeddings.word_embeddings.weight is (28996, 8), "
                           "the model's is (50, 8)"),
    "NaN": (lambda: changed(pooler__dense__bias=torch.tensor([0, 0, 0, 0, 0, 0, 0, torch.nan])),
            "pooler.dense.bias holds NaN or infinity"),
    "infinity": (lambda: changed(embeddings__LayerNorm__bias=torch.tensor([0, 0, 0, 0, torch.inf, 0, 0, 0])),
                 "embeddings.LayerNorm.bias holds NaN or infinity"),
    "minus infinity": (lambda: changed(embeddings__LayerNorm__bias=torch.tensor([0, 0, 0, 0, -torch.inf, 0, 0, 0])),
                       "embeddings.LayerNorm.bias holds NaN or infinity"),
    "a float64 that float32 has not": (lambda: changed(pooler__dense__bias=torch.full((8,), 1e300, dtype=torch.float64)),
                                       "pooler.dense.bias holds NaN or infinity"),
    "whole numbers": (lambda: changed(pooler__dense__bias=torch.zeros(8, dtype=torch.int8)),
                      "pooler.dense.bias holds torch.int8, not floating-point weights"),
    "nothing": (dict, "missing from the checkpoint: embeddings.word_embeddings.weight"),
}


@pytest.mark.parametrize("case", NOT_LOADABLE)
def test_what_does_not_fit_is_named_and_never_passed_over(case):
    make_tensors, expected = NOT_LOADABLE[case]
    tensors = make_tensors()
    with pytest.raises(MinbertError) as caught:
        load_encoder(random_model(), tensors)
        pytest.fail(f"{case} was loaded in silence: what is missing, left over or misshapen must be an error")
    assert expected in str(caught.value)
    assert caught.value.hint


def test_a_checkpoint_without_pooler_gets_a_random_one_and_says_so():
    model = random_model(seed=1)
    report = load_encoder(model, changed(pooler__dense__weight=None, pooler__dense__bias=None))
    assert report.initialised == ("pooler.weight", "pooler.bias")
    assert report.notes == ["not in the checkpoint, started at random: pooler.weight, pooler.bias"]
    assert 0.01 < model.pooler.weight.std() < 0.03 and model.pooler.bias.abs().sum() == 0, "BERT's own start: N(0, 0.02)"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_widened_and_that_is_said(dtype):
    model = random_model(seed=1)
    report = load_encoder(model, {name: tensor.to(dtype) for name, tensor in checkpoint().items()})
    name = str(dtype).removeprefix("torch.")
    assert report.cast_from == name and name in report.notes[0]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.equal(model.pooler.weight, random_model().pooler.weight.to(dtype).float())


@pytest.fixture
def folder(tmp_path) -> Path:
    save_model(tmp_path / "model", CONFIG, random_model(), VOCABULARY)
    return tmp_path / "model"


def without_manifest(folder: Path) -> Path:
    (folder / "manifest.json").unlink()
    return folder


def test_a_saved_folder_loads_back_bit_for_bit_and_in_eval_mode(folder):
    model, report = load_folder(folder)
    assert_same(model, random_model())
    assert report.loaded == COUNT and not model.training and model.config == CONFIG
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.safetensors", "config.json", "vocab.txt", "tokenizer_config.json", "manifest.json"}
    assert (folder / "vocab.txt").read_text(encoding="utf-8").splitlines() == VOCABULARY


def test_from_pretrained_is_the_same_and_shows_the_notes(folder):
    assert_same(BertModel.from_pretrained(folder), random_model())
    headless = changed(pooler__dense__weight=None, pooler__dense__bias=None)
    write_tensors(without_manifest(folder) / "model.safetensors", headless)
    with pytest.warns(UserWarning, match="started at random: pooler.weight"):
        BertModel.from_pretrained(folder)


def test_a_bin_file_serves_where_there_is_no_safetensors_file(folder):
    torch.save(read_tensors(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (without_manifest(folder) / "model.safetensors").unlink()
    assert_same(load_folder(folder)[0], random_model())


def test_loading_draws_no_random_number(folder):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_folder(folder)
    assert torch.equal(torch.get_rng_state(), before), "the seed's numbers belong to the new heads"


class AdapterLayer(BertLayer):
    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.adapter = nn.Linear(config.hidden_size, 2)


def test_a_layers_own_parts_keep_their_start_and_are_named(folder):
    with pytest.warns(UserWarning, match="started at random: layers.0.adapter.weight"):
        model = BertModel.from_pretrained(folder, layer=AdapterLayer)
    assert torch.equal(model.pooler.weight, random_model().pooler.weight)
    assert 0.005 < model.layers[0].adapter.weight.std() < 0.05, "the adapter was left without a start"


def test_a_layers_own_parts_are_saved_and_loaded_with_the_rest(tmp_path):
    model = BertModel(CONFIG, AdapterLayer)
    save_model(tmp_path, CONFIG, model, VOCABULARY)
    loaded, report = load_folder(tmp_path, AdapterLayer)
    assert_same(loaded, model)
    assert report.initialised == ()
    with pytest.raises(MinbertError, match="unexpected in the checkpoint: layers.0.adapter.bias, layers"):
        load_folder(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.txt", "tokenizer_config.json"])
def test_a_flipped_bit_in_any_saved_file_is_seen(folder, name):
    damaged = bytearray((folder / name).read_bytes())
    damaged[-2] ^= 1
    (folder / name).write_bytes(damaged)
    with pytest.raises(MinbertError, match=f"SHA-256 mismatch for {name}|{name}: is not JSON"):
        load_folder(folder)


def edit_config(folder: Path, **settings: object) -> Path:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write_text(folder / "config.json", json.dumps(config | settings))
    return without_manifest(folder)


@pytest.mark.parametrize("settings, expected", [
    ({"hidden_size": 10**9}, "config.json: hidden_size 1000000000 is not"),
    ({"num_hidden_layers": -1}, "config.json: num_hidden_layers -1"),
    ({"hidden_dropout_prob": 2}, "config.json: hidden_dropout_prob 2"),
    ({"num_attention_heads": 3}, "config.json: hidden_size 8 is not a multiple of num_attention_heads 3"),
    ({"model_type": "roberta"}, "model_type is 'roberta'"),
    ({"vocab_size": 2_000_000, "hidden_size": 16_384, "num_hidden_layers": 200}, "missing from the checkpoint"),
    ({"vocab_size": 2_000_000}, "checkpoint is for another vocabulary (50)"),
    ({"hidden_size": 16_384}, "has shape (50, 8), the model's is (50, 16384)"),
    ({"intermediate_size": 131_072}, "has shape (12, 8), the model's is (131072, 8)"),
    ({"num_hidden_layers": 1}, "unexpected in the checkpoint: encoder.layer.1."),
    ({"vocab_size": 49}, "vocab.txt: has 50 words, config.json's vocab_size is 49"),
])
def test_a_config_that_is_absurd_or_another_models_is_refused_before_memory_is_taken(folder, settings, expected):
    with pytest.raises(MinbertError) as caught:
        load_folder(edit_config(folder, **settings))
    assert expected in str(caught.value) and str(folder) in str(caught.value)


def test_a_config_that_is_missing_or_no_config_is_refused(folder):
    for text in ("", "[]", "{", "null", "{}"):
        write_text(folder / "config.json", text)
        with pytest.raises(MinbertError, match="config.json"):
            load_folder(folder)
    (without_manifest(folder) / "config.json").unlink()
    with pytest.raises(MinbertError, match="cannot read .*config.json: No such file"):
        load_folder(folder)



@pytest.mark.parametrize("name", ["model.safetensors.index.json", "tf_model.h5", "notes.txt"])
def test_weights_in_another_form_are_refused_and_the_hint_says_which_are_read(folder, name):
    (without_manifest(folder) / "model.safetensors").rename(folder / name)
    with pytest.raises(MinbertError, match="holds neither model.safetensors nor pytorch_model.bin") as caught:
        load_folder(folder)
    assert "shards" in caught.value.hint and "TensorFlow" in caught.value.hint


def test_blank_lines_at_the_end_of_a_vocabulary_are_no_words(folder):
    write_text(folder / "vocab.txt", "\n".join(VOCABULARY) + "\n\n")
    assert load_folder(without_manifest(folder))[1].loaded == COUNT
    assert len(read_vocabulary(folder / "vocab.txt")) == len(VOCABULARY)


def test_a_cased_vocabulary_beside_an_uncased_model_is_refused(tmp_path):
    write_text(tmp_path / "config.json", json.dumps(LINES_OF_BASE))
    write_text(tmp_path / "vocab.txt", "word\n" * 28996)
    write_tensors(tmp_path / "model.safetensors", checkpoint())
    with pytest.raises(MinbertError, match="vocab.txt: has 28996 words, config.json's vocab_size is 30522"):
        load_folder(tmp_path)


def head_checkpoint(**tensors: Tensor | None) -> dict[str, Tensor]:
    """A checkpoint as bert-base-uncased's: encoder with prefix, vocabulary head, tied decoder, old names."""
    generator = torch.Generator().manual_seed(1)
    table = {f"bert.{name}": tensor for name, tensor in checkpoint().items()}
    shapes = {"transform.dense.weight": (8, 8), "transform.dense.bias": (8,), "transform.LayerNorm.gamma": (8,),
              "transform.LayerNorm.beta": (8,), "bias": (50,)}
    table |= {f"cls.predictions.{name}": torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    table["cls.predictions.decoder.weight"] = table["bert.embeddings.word_embeddings.weight"].clone()
    table["cls.seq_relationship.weight"] = torch.zeros(2, 8)
    table |= {f"cls.predictions.{name.replace('__', '.')}": tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in table.items() if tensor is not None}


def load_head(tensors: dict[str, Tensor]):
    model = random_model(seed=1)
    load_encoder(model, tensors)
    head = VocabularyHead(CONFIG, model.embeddings.word)
    return head, load_vocabulary_head(head, tensors, model.embeddings.word)


@pytest.mark.parametrize("decoder", ["tied and stored", "left out", "with its bias", "with the only bias"])
def test_the_vocabulary_head_loads_however_its_decoder_is_stored(decoder):
    bias = head_checkpoint()["cls.predictions.bias"]
    changes = {"tied and stored": {}, "left out": {"decoder__weight": None}, "with its bias": {"decoder__bias": bias},
               "with the only bias": {"decoder__bias": bias, "bias": None}}
    tensors = head_checkpoint(**changes[decoder])
    head, report = load_head(tensors)
    assert torch.equal(head.bias, bias)
    assert torch.equal(head.transform.weight, tensors["cls.predictions.transform.dense.weight"])
    assert torch.equal(head.norm.weight, tensors["cls.predictions.transform.LayerNorm.gamma"])
    assert torch.equal(head.norm.bias, tensors["cls.predictions.transform.LayerNorm.beta"])
    assert report.loaded == 5 and report.ignored == ("cls.seq_relationship.weight",)


@pytest.mark.parametrize("changes, expected", [
    ({"decoder__weight": torch.zeros(50, 8)}, "cls.predictions.decoder.weight differs from the tensor it should be tied to"),
    ({"decoder__bias": torch.zeros(50)}, "cls.predictions.decoder.bias differs"),
    ({"transform__dense__bias": None}, "vocabulary head: cls.predictions.transform.dense.bias"),
    ({"bias": torch.zeros(49)}, "cls.predictions.bias has shape (49,), the model's is (50,)"),
    ({"bias": torch.full((50,), torch.nan)}, "cls.predictions.bias holds NaN"),
])
def test_a_vocabulary_head_that_does_not_fit_is_refused(changes, expected):
    with pytest.raises(MinbertError) as caught:
        load_head(head_checkpoint(**changes))
    assert expected in str(caught.value)


def test_a_saved_head_loads_back(tmp_path):
    head, _ = load_head(head_checkpoint())
    save_model(tmp_path, CONFIG, random_model(), VOCABULARY, head)
    _, tensors = read_folder(tmp_path)
    again, report = load_head(tensors)
    assert all(torch.equal(a, b) for a, b in zip(head.state_dict().values(), again.state_dict().values(), strict=True))
    assert report.ignored == ()


def test_no_name_of_ours_is_an_ecosystem_name():
    """to_ecosystem and the missing-tensor check rest on it: a part of the model's own is one the table leaves alone."""
    assert all(ours != ecosystem for ours, ecosystem in ECOSYSTEM.items())


@pytest.mark.oracle  # for its time
def test_loading_imports_nothing_heavy(folder):
    code = ("import sys, torch; before = set(sys.modules); import minbert; minbert.BertModel.from_pretrained(sys.argv[1]);"
            "print(*(set(sys.modules) - before))")
    run = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True,
                         cwd=Path(__file__).parents[1])
    heavy = {"torch._dynamo", "sympy", "scipy", "huggingface_hub", "transformers", "tokenizers", "urllib.request", "ssl"}
    assert not heavy & set(run.stdout.split()), "loading would take seconds longer"


SENTENCES = ["A gripping, funny film.", "dull", "How do I learn to cook? Where can I learn cooking quickly, and cheaply?"]


def outputs_of(model: nn.Module, folder: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Mask, last hidden state and pooler output on three sentences, one batch with padding."""
    from transformers import AutoTokenizer

    batch = AutoTokenizer.from_pretrained(folder)(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        result = model.eval()(**batch)
    return batch["attention_mask"].bool(), result["last_hidden_state"], result["pooler_output"]


def assert_equal_outputs(ours: nn.Module, reference: nn.Module, folder: Path) -> None:
    mask, hidden, pooled = outputs_of(ours, folder)
    _, expected, expected_pooled = outputs_of(reference, folder)
    assert (hidden - expected)[mask].abs().max() < 1e-5
    assert (pooled - expected_pooled).abs().max() < 1e-5


@pytest.mark.oracle
def test_minilm_loads_whole_and_gives_the_references_numbers(minilm):
    from transformers import BertModel as Reference

    model, report = load_folder(minilm)
    assert (report.loaded, report.ignored, report.notes) == (5 + 16 * 6 + 2, ("embeddings.position_ids",), [])
    assert_equal_outputs(model, Reference.from_pretrained(minilm), minilm)


@pytest.mark.oracle
def test_minilm_with_old_names_and_prefix_in_a_bin_file_loads_identically(minilm, tmp_path):
    tensors = {f"bert.{rename_layer_norms(name)}": t for name, t in read_tensors(minilm / "model.safetensors").items()}
    assert sum(name.endswith(("gamma", "beta")) for name in tensors) == 26
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    write_text(tmp_path / "config.json", (minilm / "config.json").read_text(encoding="utf-8"))
    assert_same(load_folder(tmp_path)[0], load_folder(minilm)[0])


@pytest.mark.oracle
def test_what_we_save_the_reference_loads_with_no_key_missing(minilm, tmp_path):
    from transformers import BertModel as Reference

    model, _ = load_folder(minilm)
    with torch.no_grad():
        model.pooler.weight.mul_(1.5)  # not the file as it came
    save_model(tmp_path, model.config, model, (minilm / "vocab.txt").read_text(encoding="utf-8").splitlines())
    reference, loading = Reference.from_pretrained(tmp_path, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"] and not loading["mismatched_keys"], loading
    assert_equal_outputs(model, reference, tmp_path)


@pytest.mark.oracle
def test_the_saved_tokenizer_files_give_the_reference_the_same_ids(minilm, tmp_path):
    from transformers import AutoTokenizer

    words = (minilm / "vocab.txt").read_text(encoding="utf-8").splitlines()
    for lowercase in (True, False):
        save_model(tmp_path, CONFIG, random_model(), words, lowercase=lowercase)
        tokens = AutoTokenizer.from_pretrained(tmp_path).tokenize("An Octopus")
        assert tokens == (["an", "octopus"] if lowercase else ["[UNK]", "[UNK]"])


@pytest.mark.oracle
@pytest.mark.parametrize("safe", [True, False])
def test_a_bert_base_with_vocabulary_head_written_by_the_reference_loads_in_ours(tmp_path, minilm, safe):
    from transformers import BertConfig as ReferenceConfig
    from transformers import BertForMaskedLM, BertForPreTraining, BertModel

    torch.manual_seed(0)
    reference = BertForPreTraining(ReferenceConfig()).eval()
    torch.nn.init.normal_(reference.cls.predictions.bias)
    reference.save_pretrained(tmp_path)
    if not safe:
        torch.save(reference.state_dict(), tmp_path / "pytorch_model.bin")  # with both decoder tensors
        (tmp_path / "model.safetensors").unlink()
    model, report = load_folder(tmp_path)
    assert report.loaded == 199 and report.initialised == ()
    assert sum(parameter.numel() for parameter in model.parameters()) == 109_482_240
    assert_equal_outputs(model, reference.bert, minilm)

    head = VocabularyHead(model.config, model.embeddings.word).eval()
    load_vocabulary_head(head, read_folder(tmp_path)[1], model.embeddings.word)
    ids = torch.tensor([[101, 7592, 103, 102]])
    with torch.no_grad():
        ours, expected = head(model(ids)["last_hidden_state"]), reference(ids).prediction_logits
    assert (ours - expected).abs().max() < 1e-4

    save_model(tmp_path / "ours", model.config, model, (minilm / "vocab.txt").read_text(encoding="utf-8").splitlines(), head)
    again, loading = BertForMaskedLM.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not loading["missing_keys"], loading
    with torch.no_grad():
        assert (again.eval()(ids).logits - expected).abs().max() < 1e-4
    _, loading = BertModel.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not loading["missing_keys"], loading


@pytest.mark.parametrize("settings", [{"num_attention_heads": 4}, {"hidden_act": "gelu_new"}, {"layer_norm_eps": 1e-5}])
def test_a_setting_that_no_shape_shows_is_guarded_by_the_manifest(folder, settings):
    save_model(folder, CONFIG, BertModel(CONFIG), [f"w{number}" for number in range(50)])
    table = json.loads((folder / "config.json").read_text())
    write_text(folder / "config.json", json.dumps(table | settings))
    with pytest.raises(MinbertError, match="SHA-256 mismatch for config.json"):
        load_folder(folder)


def test_the_same_model_is_saved_as_the_same_bytes(tmp_path):
    model = BertModel(CONFIG)
    for name in "abcd":
        save_model(tmp_path / name, CONFIG, model, [f"w{number}" for number in range(50)])
    assert len({(tmp_path / name / "model.safetensors").read_bytes() for name in "abcd"}) == 1
