"""Which BERT serves which task: what one task learns and another does not see, and checkpoints of every kind."""

import copy
import dataclasses
import json

import pytest
import torch
from torch import nn

from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.files import MinbertError, verify_manifest
from minbert.tensor_files import read_tensors, write_tensors
from minbert.tokenizer import BertTokenizer
from minbert.weights import save_model
from multitask.checkpoint import build_model, find_own_tensors, load_checkpoint, save_checkpoint
from multitask.data import Tokens
from multitask.encoders import make_encoder
from multitask.recipe import EncoderRecipe, OptimizerRecipe, Recipe, StageRecipe, TaskRecipe
from multitask.recipe_files import to_toml

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmno"]
CONFIG = BertConfig(vocab_size=20, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=16,
                    max_position_embeddings=16, initializer_range=0.3)
KINDS = {
    "shared": EncoderRecipe(),
    "separate": EncoderRecipe(kind="separate"),
    "pal": EncoderRecipe(kind="pal", size=6, heads=2),
    "low_rank": EncoderRecipe(kind="low_rank", size=5),
    "concat_pal": EncoderRecipe(kind="concat_pal", size=6, heads=2, start="random"),
    "one concat_pal": EncoderRecipe(kind="concat_pal", size=6, heads=2, start="random", per_task=False),
    "adapters": EncoderRecipe(kind="adapters", size=4),
}
WITH_PARTS = [kind for kind in KINDS if kind not in ("shared", "separate")]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
TASKS = ("sst", "para", "sts")
TOKENS = Tokens(torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]), torch.zeros(2, 4).long())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(1)
    save_model(folder, CONFIG, BertModel(CONFIG), VOCABULARY)
    return folder


def make(kind, folder):
    torch.manual_seed(2)
    return make_encoder(KINDS[kind], TASKS, folder).eval()


def encode(encoder, task, tokens=TOKENS):
    return encoder.encode(task, encoder.embed(task, tokens), tokens.mask_BT)


def make_recipe(kind: str) -> Recipe:
    pair = TaskRecipe(encoding="pair")
    return Recipe(name="test", source="a test", max_length=16, encoder=KINDS[kind],
                  tasks={"sst": TaskRecipe(encoding="single", pooling="pooler"), "para": pair, "sts": pair},
                  optimizer=OptimizerRecipe(learning_rate=1e-3),
                  stages=(StageRecipe(objectives=TASKS, schedule="round_robin", epochs=1, batch_size=2),))


def make_model(kind, folder):
    """As after training: no tensor is as it was drawn, and no two BERTs are the same."""
    torch.manual_seed(3)
    model = build_model(make_recipe(kind), folder, BertTokenizer(VOCABULARY)).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def save(kind, folder, target):
    model = make_model(kind, folder)
    save_checkpoint(target, make_recipe(kind), model, BertTokenizer(VOCABULARY), "# a card\n")
    return model


@EVERY_KIND
def test_embedding_may_take_in_something_more(kind, folder):
    encoder = make(kind, folder)
    bert = next(iter(encoder.berts().values()))
    assert encoder.config == CONFIG and encoder.hidden_size == 12
    plain = encoder.embed("sts", TOKENS)
    assert torch.equal(plain, bert.embed(TOKENS.ids_BT, TOKENS.segment_BT))
    extra = torch.randn(2, 4, 12)
    expected = bert.embed(inputs_embeds=bert.embeddings.word(TOKENS.ids_BT) + extra, token_type_ids=TOKENS.segment_BT)
    assert torch.equal(encoder.embed("sts", TOKENS, extra), expected), "it belongs to the word vectors, before the LayerNorm"
    assert torch.equal(encoder.embed("sts", TOKENS, torch.zeros(2, 4, 12)), plain)


def test_separate_encoders_start_equal_and_apart(folder):
    berts = make("separate", folder).berts()
    assert list(berts) == list(TASKS)
    for name, parameter in berts["sst"].named_parameters():
        other = berts["sts"].get_parameter(name)
        assert torch.equal(parameter, other), f"{name}: all start from the pretrained weights"
        assert parameter.data_ptr() != other.data_ptr(), f"{name}: two tasks' encoders have the same memory, and are one encoder"


def test_training_one_separate_encoder_leaves_the_others_bitwise_as_they_were(folder):
    encoder = make("separate", folder)
    before = encode(encoder, "sst"), encode(encoder, "sts")
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    encoder.pool("sst", encode(encoder, "sst")).sum().backward()
    for task, bert in encoder.berts().items():
        touched = {parameter.grad is not None for parameter in bert.parameters()}
        assert touched == {task == "sst"}, f"a step on sst and the gradients of {task}'s encoder"
    optimizer.step()
    assert torch.equal(encode(encoder, "sts"), before[1]) and not torch.equal(encode(encoder, "sst"), before[0])


@pytest.mark.parametrize("kind", ["pal", "low_rank", "concat_pal", "adapters"])
def test_a_task_gives_no_gradient_to_another_tasks_part(kind, folder):
    encoder = make(kind, folder)
    one, other = encode(encoder, "sst"), encode(encoder, "para")
    one.square().sum().backward()  # after another task's pass: a graph remembers its own part
    touched = {name.split(".")[0] for name, parameter in encoder.parts.named_parameters() if parameter.grad is not None}
    assert touched == {"sst"} and not torch.equal(one, other), "a task learns in another task's part, or has not its own part"


def test_what_tasks_share_is_what_surgery_may_touch(folder):
    plain = {f"bert.{name}" for name, _ in BertModel(CONFIG).named_parameters()}
    for kind in ("shared", "pal", "low_rank", "concat_pal"):
        assert make(kind, folder).shared_parameters().keys() == plain, f"{kind}: the plain BERT's and no task's part"
    assert make("separate", folder).shared_parameters() == {}
    assert make("adapters", folder).shared_parameters().keys() == {name for name in plain if "norm" in name}
    one_part = make("one concat_pal", folder)
    assert one_part.shared_parameters().keys() == {name for name, _ in one_part.named_parameters()}
    one_part.set_trainable(False)
    assert one_part.shared_parameters() == {}, "what is frozen has no gradient"


def test_one_part_for_all_tasks_gives_all_the_same_vectors(folder):
    encoder = make("one concat_pal", folder)
    assert torch.equal(encode(encoder, "sst"), encode(encoder, "sts"))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(encode(encoder, "sst"), encode(make("shared", folder), "sst"))


def test_with_adapters_only_they_and_the_layer_norms_ever_learn(folder):
    encoder = make("adapters", folder)
    for _ in range(2):
        learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
        assert learning == {name for name, _ in encoder.named_parameters() if name.startswith("parts.") or "norm" in name}, \
            "only the adapters and BERT's LayerNorms learn: the rest of BERT stays as it was pretrained"
        encoder.set_trainable(False)
        assert not any(parameter.requires_grad for parameter in encoder.parameters())
        encoder.set_trainable(True)  # as after a stage that trained the heads alone


@pytest.mark.parametrize("kind", WITH_PARTS)
def test_a_copy_of_an_encoder_uses_its_own_parts(kind, folder):
    encoder = make(kind, folder)
    expected = encode(encoder, "sst")
    teacher = copy.deepcopy(encoder)
    for parameter in encoder.parameters():
        parameter.data.fill_(0.5)
    hidden = teacher.bert.encode(teacher.embed("sst", TOKENS), TOKENS.mask_BT)
    assert torch.equal(hidden, expected) and torch.equal(encode(teacher, "sst"), expected)


@EVERY_KIND
def test_a_checkpoint_gives_back_every_bit(kind, folder, tmp_path):
    model = save(kind, folder, tmp_path / "best")
    loaded = load_checkpoint(tmp_path / "best")
    assert not loaded.model.training and loaded.recipe == make_recipe(kind)
    state = loaded.model.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, state[name])] == []
    for task in TASKS:
        assert torch.equal(loaded.model.output(task, TOKENS), model.output(task, TOKENS))


@EVERY_KIND
def test_what_a_checkpoint_says_of_bert_is_plain_bert(kind, folder, tmp_path):
    model = save(kind, folder, tmp_path / "best")
    names = read_tensors(folder / "model.safetensors").keys()
    for task, bert in model.encoder.berts().items():
        assert read_tensors(tmp_path / "best" / task / "model.safetensors").keys() == names, "other programs know no parts"
        found = BertModel.from_pretrained(tmp_path / "best" / task).state_dict()
        assert all(torch.equal(tensor, found[name]) for name, tensor in bert.state_dict().items())
        verify_manifest(tmp_path / "best" / task)
    assert {"heads.safetensors", "recipe.toml"} <= json.loads((tmp_path / "best" / "manifest.json").read_text())["files"].keys()
    parts = {name for name in read_tensors(tmp_path / "best" / "heads.safetensors") if name.startswith("encoder.")}
    assert parts == {f"encoder.{name}" for name in model.encoder.state_dict() if name.startswith("parts.")}


def test_a_checkpoint_holds_what_the_model_adds_but_not_the_heads_of_pretraining(folder):
    model = make_model("shared", folder)
    before = find_own_tensors(model).keys()
    assert all(name.startswith(TASKS) for name in before), "a head goes by its task's name"
    model.pretraining = nn.ModuleDict({"masked_lm": nn.Linear(2, 2)})
    model.something_new = nn.Embedding(3, 2)
    assert find_own_tensors(model).keys() - before == {"something_new.weight"}


def change_part(best):
    tensors = read_tensors(best / "heads.safetensors")
    tensors["encoder.parts.sst.down.bias"] = torch.zeros(7)
    (best / "manifest.json").unlink()
    write_tensors(best / "heads.safetensors", tensors)


@pytest.mark.parametrize("kind, harm, message", [
    ("pal", change_part, r"encoder.parts.sst.down.bias is \(7,\), the recipe beside it needs \(6,\)"),
    ("separate", lambda best: (best / "heads.safetensors").write_bytes(b"junk" * 50), "SHA-256 mismatch for heads.safetensors"),
    ("separate", lambda best: (best / "sts" / "model.safetensors").write_bytes(b"junk" * 50), "SHA-256 mismatch for .*sts"),
    ("separate", lambda best: (best / "sts" / "config.json").unlink(), "config.json"),
])
def test_a_damaged_checkpoint_is_refused(kind, harm, message, folder, tmp_path):
    save(kind, folder, tmp_path / "best")
    harm(tmp_path / "best")
    with pytest.raises(MinbertError, match=message):
        load_checkpoint(tmp_path / "best")


def test_a_checkpoint_of_another_kind_is_refused(folder, tmp_path):
    save("pal", folder, tmp_path / "best")
    (tmp_path / "best" / "recipe.toml").write_text(to_toml(make_recipe("low_rank")))
    (tmp_path / "best" / "manifest.json").unlink()
    with pytest.raises(MinbertError, match=r"heads.safetensors: encoder\.parts\.para\.down\.bias .* needs no such tensor"):
        load_checkpoint(tmp_path / "best")


def test_sentences_longer_than_the_model_are_refused_at_the_start(folder):
    recipe = dataclasses.replace(make_recipe("separate"), max_length=17)
    with pytest.raises(MinbertError, match="max_length 17 is more than the model's 16 positions"):
        build_model(recipe, folder, BertTokenizer(VOCABULARY))


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["pal", "adapters", "separate"])
def test_the_saved_bert_opens_in_transformers(kind, folder, tmp_path):
    import transformers

    model = save(kind, folder, tmp_path / "best")
    for task, bert in model.encoder.berts().items():
        theirs, report = transformers.AutoModel.from_pretrained(tmp_path / "best" / task, output_loading_info=True)
        assert not report["unexpected_keys"] and not report["missing_keys"]
        plain = BertModel(CONFIG).eval()
        plain.load_state_dict(bert.state_dict())
        expected = plain(TOKENS.ids_BT, TOKENS.mask_BT)["pooler_output"]
        found = theirs(input_ids=TOKENS.ids_BT, attention_mask=TOKENS.mask_BT).pooler_output
        assert torch.allclose(found, expected, atol=1e-6)
