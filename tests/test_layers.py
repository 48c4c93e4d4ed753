"""What tasks add to BERT's layers: hand-worked numbers, published sizes, no effect where it is neutral, no dead start."""

import math

import pytest
import torch

from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.files import MinbertError
from multitask.encoders import PartsEncoder
from multitask.layers import LAYERS, PARTS, SIZES, Adapter, LowRank, ProjectedAttention
from multitask.recipe import EncoderRecipe

KINDS = sorted(PARTS)
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


def config(dropout: float = 0.0, **settings) -> BertConfig:
    return BertConfig(**{"vocab_size": 20, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
                         "intermediate_size": 16, "max_position_embeddings": 8, "initializer_range": 0.3,
                         "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": dropout} | settings)


def make_encoder(kind: str, dropout: float = 0.0, **settings) -> PartsEncoder:
    """With parts for the tasks one and two."""
    torch.manual_seed(0)
    recipe = EncoderRecipe(kind=kind, size=6, **({"heads": 2} if kind in ("pal", "concat_pal") else {}), **settings)
    parts = {task: PARTS[kind](config(dropout), recipe, 6) for task in ("one", "two")}
    return PartsEncoder(BertModel(config(dropout), LAYERS[kind]), parts).eval()


def plain_bert(encoder: PartsEncoder) -> BertModel:
    bert = BertModel(encoder.config).eval()
    bert.load_state_dict(encoder.bert.state_dict())
    return bert


def embedded() -> torch.Tensor:
    return torch.randn(2, 4, 12, generator=torch.Generator().manual_seed(1))


def gelu(number: float) -> float:
    return number * 0.5 * (1 + math.erf(number / math.sqrt(2)))


@pytest.mark.exercise("9.1")
@torch.no_grad()
def test_projected_attention_on_paper():
    part = ProjectedAttention(config(hidden_size=2, num_attention_heads=1), EncoderRecipe(kind="pal", heads=1), 1)
    for parameter in part.parameters():
        parameter.zero_()
    part.down.weight.copy_(torch.tensor([[1.0, 0.0]]))
    part.up.weight.copy_(torch.tensor([[1.0], [-2.0]]))
    part.layers[1].value.weight.fill_(1.0)  # query and key are 0: every real token counts the same
    hidden = torch.tensor([[[1.0, 9.0], [3.0, 9.0], [50.0, 9.0]], [[7.0, 9.0], [7.0, 9.0], [7.0, 9.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()[:, None, None, :]
    extra = part(1, hidden, mask)
    first = extra[0, 0].tolist()
    assert first != pytest.approx([2, -4], abs=1e-6) and first != pytest.approx([gelu(2), -2 * gelu(2)], abs=1e-6), \
        "the GELU is the last step, behind the projection up: it is missing, or stands before it"
    assert first != pytest.approx([gelu(18), gelu(-36)], abs=1e-3), "padding was attended to: is the mask handed on?"
    assert first != pytest.approx([gelu(1), gelu(-2)], abs=1e-6), "the token's own value, 1, alone: where is the attention?"
    assert first == pytest.approx([gelu(2), gelu(-4)], abs=1e-6), (
        f"the mean of the sentence's two real tokens is 2, so GELU(2), GELU(-4), got {first}: attend to the sentence's own "
        "tokens, after the projection down, and not to the batch's other sentences; each layer has an attention of its own")
    assert extra[1, 2].tolist() == pytest.approx([gelu(7), gelu(-14)], abs=1e-6), "a sentence attends to its own tokens alone"
    assert part(0, hidden, mask).abs().max() == 0, "each layer has a query, key and value of its own: is one used for all?"
    assert torch.allclose(part(1, hidden, mask, slice(0, 1)), extra[:, :1], atol=1e-6), \
        "where the first token alone asks, it still attends to all tokens"


@torch.no_grad()
def test_low_rank_on_paper():
    part = LowRank(config(hidden_size=2, num_attention_heads=1, num_hidden_layers=1), EncoderRecipe(kind="low_rank"), 1)
    part.layers[0]["down"].weight.copy_(torch.tensor([[1.0, 1.0]]))
    part.layers[0]["up"].weight.copy_(torch.tensor([[1.0], [-2.0]]))
    extra = part(0, torch.tensor([[[1.0, 0.5]]]), None)[0, 0].tolist()
    assert extra == pytest.approx([gelu(1.5), -2 * gelu(1.5)], abs=1e-6), "the GELU stands between the two matrices"


@pytest.mark.exercise("9.2")
@torch.no_grad()
def test_an_adapter_on_paper():
    adapter = Adapter(2, 1)
    adapter.down.weight.copy_(torch.tensor([[1.0, 1.0]]))
    adapter.up.weight.copy_(torch.tensor([[1.0], [-2.0]]))
    found = adapter(torch.tensor([1.0, 0.5])).tolist()
    assert found != pytest.approx([gelu(1.5), -2 * gelu(1.5)], abs=1e-6), "without the bypass the input, 1 and 0.5, is missing"
    assert found == pytest.approx([1 + gelu(1.5), 0.5 - 2 * gelu(1.5)], abs=1e-6), \
        f"x + W_up GELU(W_down x), got {found}: the GELU, and no other function, stands between the two matrices"


@pytest.mark.parametrize("kind, count", [
    ("pal", 1_819_836),  # the paper's: with eight tasks BERT has 1.13 times its parameters
    ("low_rank", 12 * (768 * 100 + 100 + 100 * 768 + 768)),
    ("adapters", 12 * 2 * (768 * 64 + 64 + 64 * 768 + 768)),
    ("concat_pal", 1_819_836 + 12 * (1536 * 768 + 768)),
])
def test_sizes_for_bert_base_are_those_of_the_papers(kind, count):
    with torch.device("meta"):
        part = PARTS[kind](BertConfig(), EncoderRecipe(kind=kind), SIZES[kind])
    assert sum(parameter.numel() for parameter in part.parameters()) == count, \
        "V_E and V_D are one for all layers, with biases; there is no output matrix"


def test_heads_that_do_not_divide_the_size_are_refused():
    with pytest.raises(MinbertError, match="encoder: size 100 is not a multiple of heads 12") as caught:
        ProjectedAttention(config(), EncoderRecipe(kind="pal"), 100)
    assert caught.value.hint == "--set encoder.size=96"


@pytest.mark.parametrize("kind, silenced", [("pal", "one.up."), ("low_rank", ".up."), ("adapters", ".up.")])
def test_with_its_last_projection_at_zero_a_part_changes_no_bit(kind, silenced):
    encoder = make_encoder(kind)
    for name, parameter in encoder.parts.named_parameters():
        if silenced in name:
            parameter.data.zero_()
    for first_only in (False, True):
        found = encoder.encode("one", embedded(), MASK, first_only)
        assert torch.equal(found, plain_bert(encoder).encode(embedded(), MASK, first_only=first_only))


def test_the_concatenating_variant_starts_as_bert():
    encoder = make_encoder("concat_pal")
    expected = plain_bert(encoder).encode(embedded(), MASK)
    assert torch.allclose(encoder.encode("one", embedded(), MASK), expected, atol=1e-6), "W = [I 0] passes BERT's own on"
    encoder = make_encoder("concat_pal", start="random")
    assert not torch.allclose(encoder.encode("one", embedded(), MASK), expected, atol=0.1), "start = random is no identity"


def test_adapters_start_close_to_bert_but_not_as_bert():
    encoder = make_encoder("adapters")
    change = (encoder.encode("one", embedded(), MASK) - plain_bert(encoder).encode(embedded(), MASK)).abs().max()
    assert 0 < change < 0.02, "near-identity: weights of standard deviation 0.01, not all zero at the start, and not large"


@pytest.mark.parametrize("kind", KINDS)
def test_each_task_has_its_own_part(kind):
    encoder = make_encoder(kind, **({"start": "random"} if kind == "concat_pal" else {}))
    one = encoder.encode("one", embedded(), MASK)
    two = encoder.encode("two", embedded(), MASK)
    assert not torch.equal(one, two) and not torch.equal(one, plain_bert(encoder).encode(embedded(), MASK))
    assert torch.equal(encoder.encode("one", embedded(), MASK), one), "the last task's part must not stay in use"


def test_other_tasks_weights_do_not_matter():
    for kind in KINDS:
        encoder = make_encoder(kind, **({"start": "random"} if kind == "concat_pal" else {}))
        before = [encoder.encode(task, embedded(), MASK) for task in ("one", "two")]
        for parameter in encoder.parts["one"].parameters():
            parameter.data.add_(0.5)
        assert torch.equal(encoder.encode("two", embedded(), MASK), before[1]), f"{kind}: a task reads another task's part"
        assert not torch.equal(encoder.encode("one", embedded(), MASK), before[0]), f"{kind}: a task does not read its own part"


@torch.no_grad()
def test_projected_attention_reads_the_layers_input_and_enters_its_last_sum():
    encoder = make_encoder("pal")
    encoder.encode("one", embedded(), MASK)
    layer, hidden, mask = encoder.bert.layers[0], embedded(), MASK.bool()[:, None, None, :]
    attended = layer.attend(hidden, mask)
    widened = layer.output(layer.activation(layer.intermediate(attended)))
    expected = layer.output_norm(attended + widened + encoder.parts["one"](0, hidden, mask))
    assert torch.allclose(layer(hidden, mask), expected, atol=1e-6), "y = LN(a + FFN(a) + TS(h)): h, not a, and before LN"


@torch.no_grad()
def test_adapters_stand_before_the_sum():
    encoder = make_encoder("adapters")
    encoder.encode("one", embedded(), MASK)
    for parameter in encoder.parts.parameters():
        parameter.mul_(30)  # no longer almost an identity
    layer, hidden, mask = encoder.bert.layers[1], embedded(), MASK.bool()[:, None, None, :]
    adapters = encoder.parts["one"].layers[1]
    attended = layer.attention_norm(hidden + adapters["attention"](layer.attention_output(layer.attention(hidden, mask))))
    widened = layer.output(layer.activation(layer.intermediate(attended)))
    expected = layer.output_norm(attended + adapters["feed_forward"](widened))
    assert torch.allclose(layer(hidden, mask), expected, atol=1e-6), "LN(x + adapter(sublayer(x))), in both halves"


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_token_alone_is_the_same_as_with_the_others(kind):
    encoder = make_encoder(kind, **({"start": "random"} if kind == "concat_pal" else {}))
    alone = encoder.encode("one", embedded(), MASK, first_only=True)
    assert alone.shape == (2, 1, 12)
    assert torch.allclose(alone, encoder.encode("one", embedded(), MASK)[:, :1], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_padding_nor_the_batchs_other_sentences_matter(kind):
    encoder = make_encoder(kind, **({"start": "random"} if kind == "concat_pal" else {}))
    hidden = embedded()
    alone = encoder.encode("one", hidden[1:, :2], MASK[1:, :2])
    hidden[1, 2:] = 1000.0
    assert torch.allclose(encoder.encode("one", hidden, MASK)[1:, :2], alone, atol=1e-5), \
        "the part's attention needs the mask, and runs over tokens, not over the batch"


def test_projected_attention_drops_what_bert_attention_drops():
    encoder = make_encoder("pal", dropout=0.4)
    assert all(layer.dropout.p == 0.4 for layer in encoder.parts["one"].layers), "dropout as in the encoder's own attention"
    part = encoder.parts["one"]
    assert torch.equal(part(0, embedded(), None), part(0, embedded(), None))
    part.train()
    assert not torch.equal(part(0, embedded(), None), part(0, embedded(), None)), "in training it is to be applied"


@pytest.mark.parametrize("kind", KINDS)
def test_after_two_steps_every_parameter_of_a_part_has_learnt(kind):
    encoder = make_encoder(kind)
    before = {name: parameter.clone() for name, parameter in encoder.parts.named_parameters()}
    optimizer = torch.optim.SGD(encoder.parts.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        encoder.encode("one", embedded(), MASK)[:, 0, :3].square().sum().backward()
        optimizer.step()
    for name, parameter in encoder.parts.named_parameters():
        if name.startswith("two."):
            assert parameter.grad is None, f"{name} is another task's"
        elif not name.endswith("key.bias"):  # softmax does not feel it
            assert not torch.equal(parameter, before[name]), f"{name}: no gradient (are both projections zero at the start?)"


def test_adapters_start_from_a_normal_distribution_cut_at_two_standard_deviations():
    torch.manual_seed(0)
    adapter = Adapter(200, 100)
    for linear in (adapter.down, adapter.up):
        assert 0.019 < linear.weight.abs().max() <= 0.02, "Houlsby et al.: standard deviation 0.01, cut at 0.02"
        assert linear.weight.std().item() == pytest.approx(0.0088, rel=0.03), "the cut takes 12% off the 0.01"
        assert not linear.bias.any()


@pytest.mark.parametrize("kind, half, expected", [
    ("adapters", "attend", "dense dropout part"),
    ("adapters", "feed_forward", "dense dropout part"),
    ("concat_pal", "attend", "dense part dropout"),
    ("concat_pal", "feed_forward", "dense dropout"),
    ("pal", "attend", "dense dropout"),
    ("low_rank", "feed_forward", "dense dropout"),
])
def test_dropout_comes_once_and_in_its_place(kind, half, expected):
    encoder = make_encoder(kind)
    encoder.encode("one", embedded(), MASK)
    layer, part = encoder.bert.layers[0], encoder.parts["one"].layers[0]
    dense = layer.attention_output if half == "attend" else layer.output
    if kind == "adapters":
        part = part["attention" if half == "attend" else "feed_forward"]
    steps = []
    for name, module in (("dense", dense), ("dropout", layer.dropout), ("part", part)):
        module.register_forward_hook(lambda module, inputs, output, name=name: steps.append(name))
    getattr(layer, half)(embedded())
    assert " ".join(steps) == expected
