"""The encoder: equal to the reference library to ten digits, indifferent to padding, and dropout where it belongs."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import CONFIG, golden, tiny_bert
from torch import Tensor, nn
from torch.nn import functional as F

from minbert.bert import BertLayer, BertModel, gelu, gelu_tanh
from minbert.config import BertConfig
from minbert.tensor_names import ECOSYSTEM, rename


def run_golden(model: BertModel, **options):
    reference = golden()
    return reference, model(reference["input.ids"], reference["input.mask"], reference["input.segment"], **options)


@pytest.mark.exercise("4.1")
@pytest.mark.course
def test_gelu_is_the_exact_one():
    z = torch.linspace(-5, 5, 10_001, dtype=torch.double)
    found, probability = gelu(z), (1 + torch.erf(z / math.sqrt(2))) / 2
    for cause, wrong in {
        "this is the tanh approximation (0.84119 at 1): BERT's GELU is the exact one, with erf (0.84134)": gelu_tanh(z),
        "this is z sigmoid(1.702 z), another approximation of GELU: BERT's is the exact one, with erf": z * (1.702 * z).sigmoid(),
        "this is z sigmoid(z), called SiLU or swish, not GELU": z * z.sigmoid(),
        "this is ReLU: GELU dips below 0 for negative inputs": z.relu(),
        "this is Phi(z) alone: GELU multiplies it by z": probability,
        "erf takes z / sqrt(2), not z": z * (1 + torch.erf(z)) / 2,
    }.items():
        assert not torch.allclose(found, wrong, rtol=0, atol=1e-6), cause
    assert math.isclose(gelu(torch.tensor(1.0, dtype=torch.double)).item(), 0.8413447460685429), "GELU(1) = Phi(1) = 0.84134..."
    assert torch.allclose(found, z * probability, rtol=0, atol=1e-12), "GELU(z) = z Phi(z)"


def test_the_approximation_is_as_near_as_it_says():
    z = torch.linspace(-5, 5, 10_001, dtype=torch.double)
    difference = (z * (1 + torch.erf(z / math.sqrt(2))) / 2 - gelu_tanh(z)).abs().max()
    assert 4e-4 < difference < 5e-4, "gelu_tanh must be the tanh approximation, and not the exact form"


@pytest.mark.course
def test_hidden_states_and_pooler_equal_the_references_in_float64():
    reference, result = run_golden(tiny_bert(), output_hidden_states=True)
    real = reference["input.mask"].bool()
    count = len(result["hidden_states"])
    assert count == CONFIG.num_hidden_layers + 1, \
        f"{count} hidden states of {CONFIG.num_hidden_layers} layers, not one before each and one behind: is a layer left out?"
    for index, hidden in enumerate(result["hidden_states"]):
        difference = (hidden - reference[f"output.hidden.{index}"])[real].abs().max()
        assert difference < 1e-10, \
            f"hidden state {index} differs by {difference:.2g} (0 is the embeddings): does each layer read the one before it?"
    difference = (result["pooler_output"] - reference["output.pooler"]).abs().max()
    assert difference < 1e-10, f"the pooler differs by {difference:.2g}: tanh of a linear layer on the FIRST token"


@pytest.mark.course
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


@pytest.mark.course
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
        "a sentence's vectors depend on its padding: does the mask reach every layer, and is it 1 where a token is real?"
    assert (together["pooler_output"][0] - alone["pooler_output"][0]).abs().max() < 1e-10, "the pooler reads padding"


def test_the_first_token_alone_is_the_same_as_with_all_others():
    model, reference = tiny_bert(), golden()
    embedded = model.embed(reference["input.ids"], reference["input.segment"])
    for mask in (None, reference["input.mask"]):
        whole, first = model.encode(embedded, mask), model.encode(embedded, mask, first_only=True)
        assert first.shape[1] == 1, f"first_only gave {first.shape[1]} tokens, not the first alone"
        assert (first[:, 0] - whole[:, 0]).abs().max() < 1e-12, \
            "with first_only the last layer alone may leave the other tokens out: below it every token is read again"


def test_a_missing_mask_means_all_tokens_are_real():
    ids = torch.randint(5, 60, (2, 6))
    model = tiny_bert()
    assert torch.equal(model(ids)["last_hidden_state"], model(ids, torch.ones_like(ids))["last_hidden_state"])


HALVES = [pytest.param("attend", "attention_output", "attention_norm", marks=pytest.mark.exercise("4.2")),
          pytest.param("feed_forward", "output", "output_norm", marks=pytest.mark.exercise("4.3"))]


def random_layer() -> BertLayer:
    """A layer in which no two tensors are alike, in eval mode, with much dropout once it trains."""
    torch.manual_seed(0)
    layer = BertLayer(replace(CONFIG, hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.0)).double().eval()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer


def apart(layer: BertLayer, half: str, input: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """What the half should give, its dense layer's output before it is added, and what usual mistakes give instead."""
    attention, (one, two) = layer.attention, (layer.attention_norm, layer.output_norm)
    if half == "attend":
        own, other, dense = one, two, layer.attention_output
        before = attention(input)
        branch, pre = dense(before), dense(attention(own(input)))
    else:
        own, other, dense = two, one, layer.output
        before = F.gelu(layer.intermediate(input))
        branch, pre = dense(before), dense(F.gelu(layer.intermediate(own(input))))
    wrong = {
        "LayerNorm comes before the sum (pre-LN): BERT is post-LN, LayerNorm(input + branch)": input + pre,
        "LayerNorm acts on the branch alone: it must come after the sum, LayerNorm(input + branch)": input + own(branch),
        "the residual is missing: the input must be added before LayerNorm": own(branch),
        "LayerNorm is missing": input + branch,
        f"the other half's LayerNorm is used: {'attention_norm' if half == 'attend' else 'output_norm'} is this half's":
            other(input + branch),
    }
    if half == "attend":
        wrong |= {"the attention's result is added and not the layer's input (residual of the wrong tensor)":
                      own(before + branch),
                  "the output projection (attention_output) is missing": own(input + before)}
    else:
        wrong |= {"the activation is missing: two linear layers in a row are one": own(input + dense(layer.intermediate(input))),
                  "the activation stands behind the second linear layer: it belongs between the two":
                      own(input + F.gelu(dense(layer.intermediate(input)))),
                  "the activation is ReLU, BERT's is GELU": own(input + dense(layer.intermediate(input).relu()))}
    return own(input + branch), branch, wrong


@pytest.mark.parametrize("half, linear, norm", HALVES)
@pytest.mark.course
def test_a_half_of_a_layer_is_layer_norm_of_input_plus_branch(half, linear, norm):
    layer, input = random_layer(), torch.randn(2, 3, 16, dtype=torch.double)
    found = getattr(layer, half)(input)
    expected, _, wrong = apart(layer, half, input)
    for cause, result in wrong.items():
        assert not torch.allclose(found, result, rtol=0, atol=1e-9), cause
    assert torch.allclose(found, expected, rtol=0, atol=1e-10), f"{half} must be {norm}(input + {linear}(...))"


@pytest.mark.parametrize("half, linear, norm", HALVES)
@pytest.mark.course
def test_dropout_comes_after_the_dense_layer_and_before_the_sum(half, linear, norm):
    layer, input = random_layer(), torch.randn(40, 3, 16, dtype=torch.double)
    with torch.no_grad():
        getattr(layer, norm).weight.fill_(1)
        getattr(layer, norm).bias.zero_()
        getattr(layer, linear).weight.zero_()
        getattr(layer, linear).bias.fill_(1000)  # the branch is 1000 everywhere, whatever is dropped in front of it
    layer.train()
    high_BTD = getattr(layer, half)(input) > 0  # what dropout left is 2000, what it took is 0, and the input is small
    assert not torch.equal(getattr(layer, half)(input) > 0, high_BTD), \
        f"dropout(dense(x)), not dense(dropout(x)): dropout is missing, or stands in front of the last linear layer ({linear})"
    with torch.no_grad():
        getattr(layer, linear).bias.zero_()
    assert torch.allclose(getattr(layer, half)(input), getattr(layer, norm)(input), rtol=0, atol=1e-9), \
        "with a branch of zeros only the input is left: dropout acts on the sum or the residual, it belongs on the branch alone"


@pytest.mark.exercise("4.2")
def test_the_attention_half_hands_the_mask_on():
    layer, input = random_layer(), torch.randn(1, 4, 16, dtype=torch.double)
    mask = torch.tensor([True, True, True, False])[None, None, None]
    maps = []
    assert torch.allclose(layer.attend(input, mask, maps)[:, :3], layer.attend(input[:, :3])), \
        "real tokens see the padding: hand the mask on to the attention"
    assert len(maps) == 1, "hand `maps` on to the attention, which adds its probabilities"
    one = layer.attend(input, mask, asking=slice(1, 2))
    assert torch.allclose(one, layer.attend(input, mask)[:, 1:2]), "only the tokens that ask: the residual must be theirs too"


@pytest.mark.exercise("4.3")
def test_feed_forward_adds_the_extra_inside_the_last_sum():
    layer, attended, extra = random_layer(), *torch.randn(2, 1, 3, 16, dtype=torch.double)
    found, without = layer.feed_forward(attended, extra), layer.feed_forward(attended)
    _, branch, _ = apart(layer, "feed_forward", attended)
    assert torch.equal(without, layer.feed_forward(attended, torch.zeros_like(attended))), "an extra of zeros must change nothing"
    assert not torch.allclose(found, without), "the extra is ignored: adapters and projected attention would do nothing"
    assert not torch.allclose(found, without + extra), "the extra is added after LayerNorm: it belongs inside the last sum"
    assert torch.allclose(found, layer.output_norm(attended + branch + extra)), "LayerNorm(input + branch + extra)"


def test_the_layers_constants_are_the_configurations():
    layer = BertLayer(CONFIG)
    assert (layer.attention_norm.eps, layer.output_norm.eps) == (1e-12, 1e-12), "BERT's LayerNorm has eps 1e-12, not 1e-5"
    assert layer.activation is gelu, "hidden_act gelu is the exact GELU, not the tanh approximation"
    assert layer.dropout.p == CONFIG.hidden_dropout_prob and layer.attention.dropout.p == CONFIG.attention_probs_dropout_prob
    assert BertLayer(replace(CONFIG, hidden_act="gelu_tanh")).activation is gelu_tanh


@pytest.mark.exercise("4.4")
@pytest.mark.course
def test_the_pooler_is_tanh_of_a_linear_layer_on_the_first_token():
    torch.manual_seed(0)
    model, hidden = tiny_bert(), torch.randn(3, 5, 16, dtype=torch.double)
    found, dense = model.pool(hidden), model.pooler
    assert found.shape == (3, 16), f"expected one vector a sentence, (3, 16), got {tuple(found.shape)}: the first token's"
    for cause, wrong in {
        "the pooler takes the mean of all tokens: it must take the first token, [CLS]": dense(hidden.mean(dim=1)).tanh(),
        "the pooler takes the maximum of all tokens: it must take the first token, [CLS]": dense(hidden.amax(dim=1)).tanh(),
        "the pooler takes the last token: it must take the first token, [CLS]": dense(hidden[:, -1]).tanh(),
        "the pooler takes the second token: it must take the first token, [CLS]": dense(hidden[:, 1]).tanh(),
        "the pooler's tanh is missing": dense(hidden[:, 0]),
        "the pooler's linear layer is missing": hidden[:, 0].tanh(),
        "the pooler's linear layer is missing, and its tanh": hidden[:, 0],
        "tanh comes before the linear layer: it must come after": dense(hidden[:, 0].tanh()),
        "the pooler's activation is GELU, BERT's is tanh": F.gelu(dense(hidden[:, 0])),
        "the pooler's activation is ReLU, BERT's is tanh": dense(hidden[:, 0]).relu(),
    }.items():
        assert not torch.allclose(found, wrong, rtol=0, atol=1e-9), cause
    assert torch.allclose(found, dense(hidden[:, 0]).tanh(), rtol=0, atol=1e-12), "tanh(linear(first token))"


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
