"""What backward() needs is made again instead of kept: the gradients are the same to the last bit, the memory is less."""

import copy
import gc
import weakref
from dataclasses import replace

import pytest
import torch
from small_run import config, data, recipe, save_tiny_bert, tokenizer
from torch.autograd.graph import saved_tensors_hooks

from minbert.bert import BertModel
from multitask import train
from multitask.checkpoint import build_model
from multitask.recipe import BregmanRecipe, EncoderRecipe, RDropRecipe, SmartRecipe
from multitask.spare_memory import making_again, pack
from multitask.stage import Parts, start_stage

SETTINGS = {
    "plain": {},
    **{f"SMART, dropout {dropout}": {"smart": SmartRecipe(mode="sign", dropout=dropout)}
       for dropout in ("on", "shared_masks", "off")},
    "R-Drop": {"r_drop": RDropRecipe()},
    "Bregman": {"bregman": BregmanRecipe()},
    "PCGrad": {"combine": "pcgrad"},
    "accumulated": {"accumulate": 2},
    "bf16": {},
    "masked words": {"objectives": ("masked_lm",), "schedule": "sequential_epoch"},
    "projected attention": {},
    "adapters": {},
    "[CLS] alone": {},
    "frozen, with dropout": {"train": "last-linear-layer", "frozen_dropout": True},
}
ENCODERS = {"projected attention": EncoderRecipe(kind="pal", size=8, heads=2), "adapters": EncoderRecipe(kind="adapters", size=8)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("model"))


def one_step(settings: str, folder, monkeypatch, spare: bool) -> dict[str, torch.Tensor]:
    """Every weight's gradient of a joint step."""
    if not spare:
        monkeypatch.setattr(train, "making_again", lambda: saved_tensors_hooks(lambda x: x, lambda x: x))
    some_recipe = recipe(**{"schedule": "joint_min"} | SETTINGS[settings])
    some_recipe = replace(some_recipe, encoder=ENCODERS.get(settings, some_recipe.encoder))
    if settings == "[CLS] alone":
        tasks = {name: replace(task, pooling="cls") for name, task in some_recipe.tasks.items()}
        some_recipe = replace(some_recipe, tasks=tasks)
    torch.manual_seed(0)
    parts = Parts(build_model(some_recipe, folder, tokenizer()), tokenizer(), data(), folder)
    state = start_stage(some_recipe, 0, parts)[0]
    state.bf16 = settings == "bf16"
    torch.manual_seed(3)
    train.take_gradient(state, some_recipe.stages[0].objectives)
    return {name: parameter.grad for name, parameter in state.model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_gradient_is_the_same_to_the_last_bit(settings, folder, monkeypatch):
    spared, usual = (one_step(settings, folder, monkeypatch, spare) for spare in (True, False))
    assert spared.keys() == usual.keys() and len(usual) >= 6
    for name, gradient in usual.items():
        assert torch.equal(spared[name], gradient), f"{name}: what is made again is not what was there"


def run(model: BertModel, context) -> torch.Tensor:
    torch.manual_seed(0)
    with context:
        ids = torch.randint(5, 20, (6, 30))
        mask = torch.ones(6, 30)
        mask[3:, 20:] = 0
        return model(ids, mask)["pooler_output"].square().sum()


def count_made_again(model: BertModel) -> int:
    """How many tensors of a forward pass backward() will make again."""
    made = []

    def watch(tensor):
        made.extend([tensor] if callable(pack(tensor)) else [])
        return tensor

    run(model, saved_tensors_hooks(watch, lambda x: x)).backward()
    return len(made)


def test_of_each_layer_the_wide_vectors_and_the_dropped_probabilities_are_not_kept():
    model = BertModel(config()).train()
    layers = len(model.layers)
    assert count_made_again(model) == 2 * layers
    without = copy.deepcopy(model)
    for layer in without.layers:
        layer.attention.dropout.p = 0.0  # then the probabilities themselves are what the product keeps
    assert count_made_again(without) == layers
    assert count_made_again(model.eval()) == layers


def test_what_is_made_again_is_not_in_memory_meanwhile():
    wide, layer = torch.randn(2, 3, requires_grad=True), torch.nn.Linear(3, 3)
    with making_again():
        hidden = torch.nn.functional.gelu(wide)
        output = layer(hidden)
    alive = weakref.ref(hidden)
    del hidden
    assert alive() is None and output.grad_fn is not None


def test_the_gradient_of_the_gradient_is_the_same():
    model = BertModel(config()).train()

    def second(context) -> torch.Tensor:
        loss = run(model, context)
        gradient, = torch.autograd.grad(loss, model.embeddings.word.weight, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), model.layers[0].intermediate.weight)[0]

    torch.testing.assert_close(second(making_again()), second(saved_tensors_hooks(lambda x: x, lambda x: x)))


def test_nothing_is_left_when_a_pass_is_over_or_is_given_up():
    model = BertModel(config()).train()

    def tensors() -> int:
        return sum(type(one) is torch.Tensor for one in gc.get_objects())

    run(model, making_again()).backward()
    gc.collect()
    gc.disable()  # what only the collector would free counts as left
    try:
        before = tensors()
        for _ in range(3):
            run(model, making_again()).backward()
            run(model, making_again())  # no backward() after it
        assert tensors() == before
    finally:
        gc.enable()


def test_a_tensor_that_is_changed_in_place_is_noticed_as_without_it():
    layer, input = torch.nn.Linear(3, 3), torch.ones(2, 3)
    with making_again():
        hidden = layer(input)
        output = layer(hidden)
        hidden.mul_(2)  # the second product's input, for the weight's gradient
    with pytest.raises(RuntimeError, match=r"shape \(2, 3\).*modified by an inplace operation"):
        output.sum().backward()


def test_what_was_changed_before_it_was_kept_is_not_made_again():
    layer, wide = torch.nn.Linear(3, 3), torch.randn(2, 3, requires_grad=True)

    def weight_gradient(context) -> torch.Tensor:
        with context:
            output = torch.nn.functional.gelu(wide)
            with torch.no_grad():
                output.clamp_(max=0.1)
            layer.weight.grad = None
            layer(output).sum().backward()
        return layer.weight.grad

    assert torch.equal(weight_gradient(making_again()), weight_gradient(saved_tensors_hooks(lambda x: x, lambda x: x)))
