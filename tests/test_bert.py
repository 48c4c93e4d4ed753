"""The encoder: equal to the reference library to ten digits, indifferent to padding, and dropout where it belongs."""

import json
import math
from pathlib import Path

import pytest
import torch
from tiny import CONFIG, golden, tiny_bert
from torch import nn

from minbert.bert import BertLayer, BertModel, gelu, gelu_tanh
from minbert.config import BertConfig
from minbert.tensor_names import ECOSYSTEM, rename


def run_golden(model: BertModel, **options):
    reference = golden()
    return reference, model(reference["input.ids"], reference["input.mask"], reference["input.segment"], **options)


def test_gelu_is_the_exact_one():
    assert math.isclose(gelu(torch.tensor(1.0, dtype=torch.double)).item(), 0.8413447460685429), \
        "GELU(1) = Phi(1) = 0.84134...; 0.84119 is the tanh approximation"
    z = torch.linspace(-5, 5, 10_001, dtype=torch.double)
    assert 4e-4 < (gelu(z) - gelu_tanh(z)).abs().max() < 5e-4


def test_hidden_states_and_pooler_equal_the_references_in_float64():
    reference, result = run_golden(tiny_bert(), output_hidden_states=True)
    real = reference["input.mask"].bool()
    assert len(result["hidden_states"]) == CONFIG.num_hidden_layers + 1
    for index, hidden in enumerate(result["hidden_states"]):
        difference = (hidden - reference[f"output.hidden.{index}"])[real].abs().max()
        assert difference < 1e-10, f"hidden state {index} differs by {difference:.2g} (0 is the embeddings)"
    difference = (result["pooler_output"] - reference["output.pooler"]).abs().max()
    assert difference < 1e-10, f"the pooler differs by {difference:.2g}: tanh of a linear layer on the FIRST token"


def test_gradients_equal_the_references_in_float64():
    model = tiny_bert()
    reference, result = run_golden(model)
    loss = (result["last_hidden_state"] * reference["input.mask"][..., None]).pow(3).sum() + result["pooler_output"].sin().sum()
    loss.backward()
    ours = {rename(name, ECOSYSTEM): parameter.grad for name, parameter in model.named_parameters()}
    gradients = {name.removeprefix("gradient."): tensor for name, tensor in reference.items() if name.startswith("gradient.")}
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    assert set(ours) == set(gradients)
    for name, gradient in gradients.items():
        # the key bias's true gradient is 0 (softmax does not see a shift), so its own size is no measure
        scale = max(gradient.abs().max(), 1e-4 * norm)
        assert (ours[name] - gradient).abs().max() < 1e-10 * scale, f"the gradient of {name} differs"


def test_padding_and_batch_mates_never_change_a_real_token():
    model = tiny_bert()
    torch.manual_seed(1)
    ids = torch.randint(5, 60, (1, 6))
    alone = model(ids)
    padded = torch.cat([ids, torch.randint(5, 60, (1, 8))], dim=1)  # what stands in the padding must not matter
    mates = torch.randint(5, 60, (3, 14))
    mask = torch.ones(4, 14, dtype=torch.long)
    mask[0, 6:] = 0
    together = model(torch.cat([padded, mates]), mask)
    assert (together["last_hidden_state"][0, :6] - alone["last_hidden_state"][0]).abs().max() < 1e-10, \
        "a sentence's vectors depend on its padding: does the mask reach every layer?"
    assert (together["pooler_output"][0] - alone["pooler_output"][0]).abs().max() < 1e-10


def test_the_first_token_alone_is_the_same_as_with_all_others():
    model, reference = tiny_bert(), golden()
    embedded = model.embed(reference["input.ids"], reference["input.segment"])
    whole = model.encode(embedded, reference["input.mask"])
    first = model.encode(embedded, reference["input.mask"], first_only=True)
    assert first.shape[1] == 1 and (first[:, 0] - whole[:, 0]).abs().max() < 1e-12


def test_a_missing_mask_means_all_tokens_are_real():
    ids = torch.randint(5, 60, (2, 6))
    model = tiny_bert()
    assert torch.equal(model(ids)["last_hidden_state"], model(ids, torch.ones_like(ids))["last_hidden_state"])


@pytest.mark.parametrize("half, linear", [("attend", "attention_output"), ("feed_forward", "output")])
def test_dropout_comes_after_the_dense_layer_and_before_the_sum(half, linear):
    layer = BertLayer(CONFIG).double().train()
    order = []
    getattr(layer, linear).register_forward_hook(lambda module, inputs, output: order.append(("dense", output)))
    layer.dropout.register_forward_hook(lambda module, inputs, output: order.append(("dropout", inputs[0])))
    getattr(layer, half)(torch.randn(2, 3, 16, dtype=torch.double))
    assert [name for name, _ in order] == ["dense", "dropout"] and torch.equal(order[0][1], order[1][1]), \
        "dropout belongs on the dense layer's output: dropout(dense(x)), not dense(dropout(x))"


def test_layer_norm_comes_after_the_sum():
    layer = BertLayer(CONFIG).double().eval()
    for module in (layer.attention_norm, layer.output_norm):
        nn.init.normal_(module.weight)
        seen = []
        module.register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(output))
        output = layer(torch.randn(1, 3, 16, dtype=torch.double))
        module.seen = seen[0]
    assert torch.equal(output, layer.output_norm.seen), "the layer's output must be what its last LayerNorm gives (post-LN)"


def test_feed_forward_adds_the_extra_inside_the_last_sum():
    layer = BertLayer(CONFIG).double().eval()
    attended = torch.randn(1, 3, 16, dtype=torch.double)
    assert torch.equal(layer.feed_forward(attended), layer.feed_forward(attended, torch.zeros_like(attended)))
    assert not torch.allclose(layer.feed_forward(attended), layer.feed_forward(attended, torch.ones_like(attended).cumsum(-1)))


def test_a_layer_class_can_be_given():
    class Loud(BertLayer):
        def feed_forward(self, attended_BTD, extra_BTD=None):
            return super().feed_forward(attended_BTD, extra_BTD) + 1

    assert all(isinstance(layer, Loud) for layer in BertModel(CONFIG, layer=Loud).layers)


def test_parameter_counts_are_those_of_the_published_model():
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in BertModel(BertConfig()).parameters())
    assert count == 109_482_240


def test_a_fresh_model_starts_as_bert_did():
    torch.manual_seed(0)
    model = BertModel(CONFIG)
    assert abs(model.embeddings.word.weight.std().item() - 0.02) < 0.002
    assert model.layers[0].output.bias.abs().max() == 0 and model.layers[0].output_norm.weight.min() == 1


def test_bert_base_gives_the_values_that_the_reference_library_publishes(bert_base):
    ids = torch.tensor([[0, 345, 232, 328, 740, 140, 1695, 69, 6078, 1588, 2]])
    mask = torch.ones_like(ids)
    mask[0, 0] = 0
    expected = torch.tensor([[0.4249, 0.1008, 0.7531], [0.3771, 0.1188, 0.7467], [0.4152, 0.1098, 0.7108]])
    with torch.no_grad():
        found = BertModel.from_pretrained(bert_base)(ids, mask)["last_hidden_state"][0, 1:4, 1:4]
    assert (found - expected).abs().max() < 1e-4


def test_bert_base_passes_the_courses_sanity_check(bert_base):
    course = json.loads((Path(__file__).parent / "golden" / "bert_base_course.json").read_text())
    mask = torch.tensor(course["attention_mask"])
    with torch.no_grad():
        result = BertModel.from_pretrained(bert_base)(torch.tensor(course["input_ids"]), mask)
    for row, (first, norms) in enumerate(zip(course["last_hidden_state_first_8_dims"], course["last_hidden_state_norm"],
                                             strict=True)):
        hidden = result["last_hidden_state"][row][mask[row].bool()]
        assert torch.allclose(hidden[:, :8], torch.tensor(first), atol=1e-5, rtol=1e-3)
        assert torch.allclose(hidden.norm(dim=-1), torch.tensor(norms), atol=1e-4, rtol=1e-4)
    assert torch.allclose(result["pooler_output"][:, :16], torch.tensor(course["pooler_output_first_16_dims"]),
                          atol=1e-5, rtol=1e-3)
