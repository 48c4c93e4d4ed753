"""SMART, Bregman's proximal point and R-Drop against numbers worked out by hand, and what may not happen to the model."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_run import examples, make_model, recipe, tokenizer
from torch import nn

from minbert.files import MinbertError
from multitask import penalties
from multitask.data import Tokens, collate, find_encoding
from multitask.objectives import Supervised
from multitask.penalties import (
    Bregman,
    RDrop,
    Smart,
    dropout_off,
    fork_random_numbers,
    make_penalties,
    move_teacher,
    perturbation,
    symmetric_kl,
)
from multitask.recipe import BregmanRecipe, RDropRecipe, SmartRecipe
from multitask.tables import TASKS

MODES = ("paper", "normalize", "sign")
TASK_NAMES = ("sst", "para", "sts")


class Line(nn.Module):
    """f(x) = w . x on a batch of one sequence of one token, in float64."""

    def __init__(self, weight, token=(0.7, -0.2, 0.4)):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
        self.token_BTD = torch.tensor(token, dtype=torch.float64)[None, None]

    def embed(self, task, tokens):
        return self.token_BTD


class LineObjective:
    name = "line"

    def output(self, model, batch, embedded_BTD=None):
        return (model.embed(self.name, batch.tokens) if embedded_BTD is None else embedded_BTD)[:, 0] @ model.weight

    def divergence(self, output, other):
        return ((output - other) ** 2).mean()


def make_tokens(rows: int = 1, columns: int = 1) -> SimpleNamespace:
    ones_BT = torch.ones(rows, columns, dtype=torch.int64)
    return SimpleNamespace(ids=tuple(map(str, range(rows))), tokens=Tokens(ones_BT, ones_BT, ones_BT), labels=None)


def smart_on_a_line(monkeypatch, **settings):
    """(R, model) with w = (1, -2, .5) and, before its factor noise_std, noise (.3, -.4, .2)."""
    monkeypatch.setattr(torch, "randn_like", lambda like: torch.tensor([[[0.3, -0.4, 0.2]]], dtype=torch.float64))
    model, objective, batch = Line((1, -2, 0.5)), LineObjective(), make_tokens()
    value = Smart(SmartRecipe(**settings), ("line",))(model, objective, batch, objective.output(model, batch))
    value.backward()
    return value, model


def make_small(some_recipe, dropout: float, seed: int = 0):
    """A small BERT in training mode; its heads drop as much as its encoder."""
    model = make_model(some_recipe, dropout, seed).train()
    for module in model.heads.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    return model


def setting(task: str = "sst", encoding: str = "pair", dropout: float = 0.1, rows: int = 4):
    """A small BERT in training mode, one task's objective, one of its batches, and the training pass's output."""
    some_recipe = recipe(encoding)
    model = make_small(some_recipe, dropout)
    objective = Supervised(task, model.targets[task], None)
    batch = collate(examples(task, rows), TASKS[task], tokenizer(), find_encoding(some_recipe, task))
    return model, objective, batch, objective.output(model, batch)


def record_perturbations(monkeypatch) -> list[tuple[torch.Tensor, ...]]:
    """Fills up with (noise, gradient, delta) of every perturbation from now on."""
    seen, original = [], penalties.perturbation

    def recorded(noise_BTD, gradient_BTD, *settings):
        seen.append((noise_BTD, gradient_BTD, original(noise_BTD, gradient_BTD, *settings)))
        return seen[-1][-1]

    monkeypatch.setattr(penalties, "perturbation", recorded)
    return seen


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


# SMART: numbers


def step_along(gradient: list, noise: list, mode: str, epsilon: float = 1.0, step_size: float = 0.25) -> list:
    """One perturbation of sequences of tokens, as nested lists, in float64."""
    return perturbation(torch.tensor(noise, dtype=torch.float64), torch.tensor(gradient, dtype=torch.float64), mode, epsilon,
                        step_size).tolist()


@pytest.mark.exercise("10.1")
def test_one_step_of_the_papers_mode_by_hand():
    # the largest element is 4: (.5, -1) times .25
    found, = step_along([[[2.0, -4.0]]], [[[0.5, 0.25]]], "paper")
    assert found != [[pytest.approx(0.375), pytest.approx(0.5)]], \
        "against the gradient: the step must go along the gradient, uphill, where the output changes most"
    assert found != [[pytest.approx(0.125), pytest.approx(-0.25)]], "the noise is missing: the step starts from it"
    assert found != [[pytest.approx(1.0), pytest.approx(-0.75)]], \
        "the raw gradient: divide it by its largest absolute element, or a small gradient makes no step"
    assert found != [[pytest.approx(0.5 + 0.5 / 20**0.5), pytest.approx(0.25 - 1 / 20**0.5)]], \
        "divided by the Euclidean norm: the largest absolute element is the norm of the paper's ball"
    assert found == [[pytest.approx(0.625), pytest.approx(0.0)]], \
        f"expected noise + .25 gradient / 4 = (.625, 0), got {found}: nothing is larger than epsilon = 1, so nothing is clipped"


@pytest.mark.exercise("10.1")
def test_each_sequence_is_divided_by_its_own_maximum():
    gradient = [[[2.0, -4.0], [1.0, 0.0]], [[0.02, 0.01], [0.0, 0.04]]]
    found = step_along(gradient, [[[0.0, 0.0]] * 2] * 2, "paper")
    expected = [[[0.125, -0.25], [0.0625, 0.0]], [[0.125, 0.0625], [0.0, 0.25]]]
    assert torch.allclose(torch.tensor(found), torch.tensor(expected)), \
        f"each sequence by its own maximum, 4 and .04: not by the batch's, nor each token by its own; got {found}"


@pytest.mark.exercise("10.1")
def test_one_step_of_the_public_codes_mode_by_hand():
    found = step_along([[[2.0, -4.0], [0.0, 0.25]]], [[[0.5, 0.0], [0.0, 0.0]]], "normalize", epsilon=0.5)
    # s = (1, -1) and (0, .0625), divided by 1 + .5 and .0625 + .5
    assert torch.allclose(torch.tensor(found), torch.tensor([[[2 / 3, -2 / 3], [0.0, 1 / 9]]])), \
        f"each token by its own largest element plus epsilon, got {found}: is it divided by the sequence's largest?"


@pytest.mark.exercise("10.1")
def test_one_step_of_the_sign_mode_by_hand():
    found, = step_along([[[2.0, -0.004]]], [[[0.125, 0.25]]], "sign", epsilon=0.5)
    assert found == [[pytest.approx(0.5), pytest.approx(-0.5)]], f"epsilon times the sign, for any size, got {found}"


@pytest.mark.exercise("10.1")
def test_the_papers_mode_on_a_line_is_worked_out_by_hand(monkeypatch):
    value, _ = smart_on_a_line(monkeypatch, mode="paper")  # every coordinate ends at epsilon: (1e-5 (1 + 2 + .5))^2
    assert value.item() == pytest.approx(1.225e-9, rel=1e-9, abs=0), "is the step normalised, then clipped to epsilon?"


@pytest.mark.exercise("10.1")
@pytest.mark.parametrize("step_size", [1e-3, 0.4])
def test_the_public_codes_mode_on_a_line_is_worked_out_by_hand(monkeypatch, step_size):
    value, model = smart_on_a_line(monkeypatch, mode="normalize", step_size=step_size, weight=3.0)
    weight, noise = np.array([1, -2, 0.5]), 1e-5 * np.array([0.3, -0.4, 0.2])
    moved = noise + step_size * 2 * (weight @ noise) * weight
    delta = moved / (abs(moved).max() + 1e-6)
    assert value.item() == pytest.approx(3 * (weight @ delta) ** 2, rel=1e-9), \
        "lambda R: is the weight a factor, and R measured at the perturbation, not at the noise?"
    # with delta constant, d/dw (w . (x + delta) - w . x)^2 = 2 (w . delta) delta, whatever x is
    assert model.weight.grad.numpy() == pytest.approx(3 * 2 * (weight @ delta) * delta, rel=1e-6), (
        "delta must be a constant, the clean output must not, and the probe must leave nothing in the weights' gradients")


@pytest.mark.exercise("10.1")
def test_the_sign_mode_on_a_line_is_worked_out_by_hand(monkeypatch):
    value, _ = smart_on_a_line(monkeypatch, mode="sign")  # (.02 (1 + 2 + .5))^2
    assert value.item() == pytest.approx(0.0049, rel=1e-9)


class Network(nn.Module):
    """Logits tanh(x A) C, summed over tokens, in float64."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.embedded_BTD, self.first, self.second = (
            nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64)) for shape in ((3, 2, 4), (4, 5), (5, 3)))

    def embed(self, task, tokens):
        return self.embedded_BTD


class NetworkObjective:
    name = "network"

    def output(self, model, batch, embedded_BTD=None):
        return (embedded_BTD @ model.first).tanh().sum(1) @ model.second

    def divergence(self, output, other):
        p, q = output.log_softmax(-1), other.log_softmax(-1)
        return ((p.exp() - q.exp()) * (p - q)).sum(-1).mean()


def transcribed(model: Network, noise: np.ndarray, mode: str, epsilon: float, eta: float) -> float:
    """R from the published algorithm in numpy, with its gradient derived by hand."""
    x, first, second = (tensor.detach().numpy() for tensor in (model.embedded_BTD, model.first, model.second))

    def log_softmax(at):
        logits = np.tanh(at @ first).sum(1) @ second
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    clean, probed = log_softmax(x), log_softmax(x + noise)
    outer = np.exp(probed) * (probed - clean) + np.exp(probed) - np.exp(clean)  # of the symmetric KL, to log p
    to_logits = (outer - np.exp(probed) * outer.sum(-1, keepdims=True)) / len(x)
    gradient = ((to_logits @ second.T)[:, None, :] * (1 - np.tanh((x + noise) @ first) ** 2)) @ first.T
    if mode == "paper":
        largest = np.array([abs(row).max() for row in gradient])[:, None, None]
        delta = np.minimum(np.maximum(noise + eta * gradient / largest, -epsilon), epsilon)
    elif mode == "normalize":
        moved = noise + eta * gradient
        delta = moved / (abs(moved).max(-1, keepdims=True) + epsilon)
    else:
        delta = epsilon * np.sign(gradient)
    moved = log_softmax(x + delta)
    return float((np.exp(moved) * (moved - clean) + np.exp(clean) * (clean - moved)).sum(-1).mean())


@pytest.mark.exercise("10.1")
@pytest.mark.parametrize("mode, epsilon, step_size", [("paper", 1e-2, 1e-3), ("paper", 1e-2, 1.0), ("normalize", 1e-6, 1e-3),
                                                      ("normalize", 1e-2, 5.0), ("sign", 0.02, 0.0)])
def test_every_mode_equals_the_algorithm_written_out_with_its_gradient_by_hand(mode, epsilon, step_size):
    step = {} if mode == "sign" else {"step_size": step_size}
    smart, model = Smart(SmartRecipe(mode=mode, epsilon=epsilon, noise_std=1e-3, **step), ()), Network()
    torch.manual_seed(5)
    value = smart(model, NetworkObjective(), make_tokens(3, 2), None)
    torch.manual_seed(5)
    noise = 1e-3 * torch.randn_like(model.embedded_BTD).detach().numpy()
    assert value.item() == pytest.approx(transcribed(model, noise, mode, epsilon, step_size), rel=1e-8)


def test_the_gradient_is_the_true_one_at_a_constant_perturbation(monkeypatch):
    model, other, objective, seen = Network(), Network(), NetworkObjective(), record_perturbations(monkeypatch)
    Smart(SmartRecipe(mode="sign"), ())(model, objective, make_tokens(3, 2), None).backward()
    x_BTD, delta_BTD = other.embedded_BTD, seen[0][-1]
    objective.divergence(objective.output(other, None, x_BTD + delta_BTD), objective.output(other, None, x_BTD)).backward()
    for name, parameter in other.named_parameters():
        assert torch.allclose(gradients(model)[name], parameter.grad, rtol=1e-9, atol=1e-15), (
            f"{name}: neither the embedding nor either output may be detached")


def test_the_symmetric_kl_of_two_coins_is_worked_out_by_hand():
    fair, loaded = torch.log(torch.tensor([[0.5, 0.5]])), torch.log(torch.tensor([[0.9, 0.1]]))
    assert symmetric_kl(fair, loaded).item() == pytest.approx(0.5108 + 0.3681, abs=1e-4)


@pytest.mark.parametrize("mode, epsilon, noise_std", [("paper", 1e-5, 1e-5), ("normalize", 1e-6, 1e-5), ("sign", 0.02, 1e-3)])
def test_epsilon_and_noise_left_out_are_each_modes_own(mode, epsilon, noise_std):
    assert (Smart(SmartRecipe(mode=mode), ()).epsilon, Smart(SmartRecipe(mode=mode), ()).noise_std) == (epsilon, noise_std)
    given = Smart(SmartRecipe(mode=mode, epsilon=0.5, noise_std=0.25), ())
    assert (given.epsilon, given.noise_std) == (0.5, 0.25)


# SMART: the perturbation


@pytest.mark.exercise("10.1")
@pytest.mark.parametrize("mode", ["paper", "sign"])
def test_no_coordinate_is_moved_by_more_than_epsilon(mode):
    torch.manual_seed(0)
    noise_BTD, gradient_BTD = torch.randn(2, 3, 3, 8)
    delta_BTD = perturbation(noise_BTD, gradient_BTD, mode, 0.1, 0.5)
    assert delta_BTD.abs().max() <= 0.1 + 1e-6, "beyond the ball of radius epsilon: clip every coordinate to -epsilon, epsilon"
    assert delta_BTD.abs().max() == pytest.approx(0.1)


@pytest.mark.exercise("10.1")
def test_what_is_within_the_ball_is_not_scaled_up_to_its_edge():
    found, = step_along([[[1.0, -1.0]]], [[[0.125, 0.0]]], "paper", epsilon=1.0, step_size=0.25)
    assert found == [[pytest.approx(0.375), pytest.approx(-0.25)]], "clip to epsilon, do not scale up to it: small steps stay"


@pytest.mark.exercise("10.1")
@pytest.mark.parametrize("mode", ["paper", "sign"])
def test_where_the_gradient_is_zero_the_noise_remains_clipped(mode):
    noise_BTD = torch.tensor([[[0.05, -0.3, 0.2]]])
    delta_BTD = perturbation(noise_BTD, torch.zeros(1, 1, 3), mode, 0.1, 1.0)
    assert delta_BTD.tolist() == [[pytest.approx([0.05, -0.1, 0.1])]], \
        "where the gradient is 0 the noise remains, clipped; 0 / 0 is nan, and a constant model must not break"


@pytest.mark.parametrize("mode", MODES)
def test_a_gradient_that_is_no_number_is_not_hidden(mode):
    gradient_BTD = torch.tensor([[[float("nan"), 1.0]]])
    assert perturbation(torch.zeros(1, 1, 2), gradient_BTD, mode, 0.1, 1.0).isnan().any(), "the loop must get to see it"


@pytest.mark.exercise("10.1")
@pytest.mark.parametrize("encoding", ["pair", "independent"])
def test_every_sequence_takes_a_full_step_of_its_own(monkeypatch, encoding):
    model, objective, batch, output = setting("sts", encoding)
    seen = record_perturbations(monkeypatch)
    Smart(SmartRecipe(step_size=1e-6), ("sts",))(model, objective, batch, output)
    (noise_BTD, _, delta_BTD), = seen
    assert len(noise_BTD) == (8 if encoding == "independent" else 4), "both sentences of a pair are perturbed"
    kept_BTD = noise_BTD.abs() < 9e-6  # where the clip takes nothing off
    reached_B = ((delta_BTD - noise_BTD).abs() * kept_BTD).amax(dim=(1, 2))
    assert torch.allclose(reached_B, torch.full_like(reached_B, 1e-6), rtol=0.5), (
        "one example's large gradient must not shrink the others' steps: divide by each sequence's own maximum")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("task", TASK_NAMES)
def test_padding_is_never_perturbed(monkeypatch, mode, task):
    model, objective, batch, output = setting(task)
    seen = record_perturbations(monkeypatch)
    Smart(SmartRecipe(mode=mode), (task,))(model, objective, batch, output)
    (noise_BTD, _, delta_BTD), = seen
    padding_BT = batch.tokens.mask_BT == 0
    assert padding_BT.any()
    assert not noise_BTD[padding_BT].any() and not delta_BTD[padding_BT].any(), "padding was perturbed: the mask is for the noise"
    assert noise_BTD[~padding_BT].all(), "every real token gets noise"


# SMART: dropout


@pytest.mark.parametrize("dropout", ["off", "shared_masks", "on"])
def test_without_a_perturbation_only_other_dropout_masks_make_a_difference(monkeypatch, dropout):
    model, objective, batch, output = setting()
    monkeypatch.setattr(penalties, "perturbation", lambda noise_BTD, *_: torch.zeros_like(noise_BTD))
    value = Smart(SmartRecipe(dropout=dropout), ("sst",))(model, objective, batch, output)
    if dropout == "on":
        assert value > 1e-3, "with dropout on, two passes differ without any perturbation"
    else:
        assert value == 0.0, "the clean and the perturbed pass must drop the same elements"


def test_shared_masks_begin_every_pass_at_the_same_random_numbers_and_then_move_on(monkeypatch):
    model, objective, batch, output = setting()
    states, original = [], objective.output
    objective.output = lambda *args, **kwargs: states.append(torch.get_rng_state()) or original(*args, **kwargs)
    Smart(SmartRecipe(dropout="shared_masks"), ("sst",))(model, objective, batch, output)
    assert len(states) == 3 and all(torch.equal(state, states[0]) for state in states)
    assert not torch.equal(torch.get_rng_state(), states[0]), "the next step would drop the same elements again"


def test_a_device_whose_random_numbers_are_not_set_back_is_refused():
    with pytest.raises(MinbertError, match="shared_masks.*not on mps"):
        fork_random_numbers(torch.device("mps"))


def test_dropout_off_restores_every_modules_own_mode_also_after_an_error():
    model = setting()[0]
    model.encoder.bert.layers[0].eval()
    model.heads["sst"].eval()
    modes = [module.training for module in model.modules()]
    with dropout_off(model):
        with dropout_off(model):
            assert not any(module.training for module in model.modules())
        assert not any(module.training for module in model.modules()), "each module is to go back to its own mode, off here"
    assert [module.training for module in model.modules()] == modes, "every module must be in its own mode again, as it was"
    with pytest.raises(KeyError), dropout_off(model):
        raise KeyError
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("name", ["smart", "bregman"])
def test_the_fused_attention_drops_nothing_in_a_clean_pass(monkeypatch, name):
    model, objective, batch, output = setting()
    for layer in model.encoder.bert.layers:
        layer.attention.fused = True
    monkeypatch.setattr(penalties, "perturbation", lambda noise_BTD, *_: torch.zeros_like(noise_BTD))
    clean = {"smart": Smart(SmartRecipe(), ("sst",)),
             "bregman": Bregman(BregmanRecipe(student_dropout="off"), ("sst",), model, 10)}
    assert clean[name](model, objective, batch, output) == 0.0, "the fused attention reads its own module's mode"


# SMART: what it costs and what it may touch


@pytest.mark.parametrize("dropout, forwards", [("off", 3), ("shared_masks", 3), ("on", 2)])
def test_the_passes_are_as_few_as_they_can_be(dropout, forwards):
    model, objective, batch, output = setting()
    calls, original = [], model.encoder.encode
    model.encoder.encode = lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs)
    Smart(SmartRecipe(dropout=dropout), ("sst",))(model, objective, batch, output)
    assert len(calls) == forwards, "forward passes besides the training pass: (clean,) probe, perturbed"


@pytest.mark.parametrize("dropout", ["off", "shared_masks", "on"])
def test_the_probe_computes_no_weights_gradient(dropout):
    model, objective, batch, output = setting()
    touched = []
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
        parameter.register_hook(lambda gradient: touched.append(1))
    value = Smart(SmartRecipe(dropout=dropout), ("sst",))(model, objective, batch, output)
    assert not touched, "only the gradient to the perturbation is needed"
    assert all((parameter.grad == 7.0).all() for parameter in model.parameters()), (
        "the probe must leave the weights' gradients alone: they may hold what earlier batches added up")
    assert all(parameter.requires_grad for parameter in model.parameters())
    value.backward()
    assert touched


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("task", TASK_NAMES)
@pytest.mark.parametrize("encoding", ["pair", "independent"])
def test_smart_gives_every_task_a_value_and_the_whole_encoder_a_gradient(mode, task, encoding):
    model, objective, batch, output = setting(task, encoding)
    value = Smart(SmartRecipe(mode=mode), (task,))(model, objective, batch, output)
    assert value > 0, "softmax over one logit is always 1: such a penalty is 0 for ever"
    value.backward()
    found = gradients(model)
    for name in ("bert.embeddings.word.weight", "bert.layers.0.attention.query.weight", "bert.layers.1.output.weight"):
        assert found[f"encoder.{name}"].any(), name


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("task", TASK_NAMES)
def test_a_constant_model_has_no_penalty(mode, task):
    model, objective, batch, _ = setting(task)
    for module in model.heads[task].modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.weight)
    value = Smart(SmartRecipe(mode=mode), (task,))(model, objective, batch, objective.output(model, batch))
    value.backward()
    assert value == 0.0 and not any(gradient.any() for gradient in gradients(model).values())


def test_the_weight_is_a_factor_and_a_sum_counts_every_example():
    model, objective, batch, output = setting("para", "independent")
    assert Smart(SmartRecipe(), ("para",))(model, objective, batch, output).requires_grad, \
        "the penalty has no gradient: it never changes what is learned"
    values = {}
    for name, settings in {"one": {}, "five": {"weight": 5.0}, "sum": {"reduction": "sum"}, "half": {"reduction": "sum"}}.items():
        torch.manual_seed(1)
        objective.stream = SimpleNamespace(own=0.5 if name == "half" else 1.0)
        values[name] = Smart(SmartRecipe(mode="sign", **settings), ("para",))(model, objective, batch, output).item()
    assert values["five"] == pytest.approx(5 * values["one"]), "the weight is not applied"
    assert values["sum"] == pytest.approx(4 * values["one"]), "4 pairs are 8 sequences, but 4 examples"
    assert values["half"] == pytest.approx(8 * values["one"]), "the other 4 of 8 examples are another process's"


def test_half_precision_does_not_round_the_perturbation_away():
    model, objective, batch, output = setting("sts")
    values = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            values.append(Smart(SmartRecipe(), ("sts",))(model, objective, batch, output).item())
    assert values[0] == values[1] > 0, "a change of 1e-5 is nothing in bfloat16: SMART's passes need float32"


# Bregman


def train(penalty_recipe: BregmanRecipe | None, dropout: float, steps: int = 10, stop: int | None = None):
    """The model after `steps` of plain gradient descent; at step `stop` everything is saved and taken up by new objects."""
    model, objective, batch, _ = setting(dropout=dropout)
    penalty = penalty_recipe and Bregman(penalty_recipe, ("sst",), model, steps)
    torch.manual_seed(9)
    for step in range(steps):
        if step == stop:
            saved, weights = copy.deepcopy(penalty.state_dict()), copy.deepcopy(model.state_dict())
            state = torch.get_rng_state()
            model = make_small(recipe(), dropout, seed=4)
            penalty = Bregman(penalty_recipe, ("sst",), model, steps)
            model.load_state_dict(weights)
            penalty.load_state_dict(saved)
            torch.set_rng_state(state)
        output = objective.output(model, batch)
        loss = objective.loss(output, batch)
        if penalty:
            loss = loss + penalty(model, objective, batch, output)
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
                parameter.grad = None
        if penalty:
            penalty.after_step(model)
    return model


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("student_dropout, dropout", [("on", 0.0), ("off", 0.1)])
def test_a_teacher_that_follows_at_once_is_no_penalty(student_dropout, dropout):
    plain = train(None, dropout)
    followed = train(BregmanRecipe(weight=3.0, beta=0.0, student_dropout=student_dropout), dropout)
    assert same_weights(plain, followed), "the divergence from oneself is exactly 0, and so is its gradient, bit for bit"


def test_a_slow_teacher_changes_the_training():
    assert not same_weights(train(None, 0.0), train(BregmanRecipe(weight=3.0, beta=0.9), 0.0))


@pytest.mark.parametrize("stop", [1, 4, 9])
def test_a_run_taken_up_again_has_the_same_teacher(stop):
    slow = BregmanRecipe(weight=3.0, steps=2)
    assert same_weights(train(slow, 0.1), train(slow, 0.1, stop=stop)), "teacher and step count belong to the state"


@pytest.mark.exercise("10.2")
def test_bregman_on_a_line_is_worked_out_by_hand():
    model, objective, batch = Line((2.0,), token=(3.0,)), LineObjective(), make_tokens()
    penalty = Bregman(BregmanRecipe(weight=5.0, beta=0.75), ("line",), model, 10)
    with torch.no_grad():
        model.weight.fill_(4.0)
    value = penalty(model, objective, batch, objective.output(model, batch))
    value.backward()
    assert value.item() != 0, "the teacher shares the model's memory and moves with it: it must be a copy"
    assert value.item() == 5 * (12 - 6) ** 2, "mu D: is the weight a factor?"
    assert penalty.teacher.weight.grad is None, "the teacher gets a gradient: only the student learns"
    assert model.weight.grad.item() == 5 * 2 * (12 - 6) * 3, "only the student learns: d/dw of mu (3 w - 6)^2"
    penalty.after_step(model)
    assert penalty.teacher.weight.item() == 0.25 * 4 + 0.75 * 2, "beta is the teacher's own share"


@pytest.mark.exercise("10.2")
def test_one_move_of_the_teacher_by_hand():
    teacher, student = Line((2.0,)), Line((4.0,))
    move_teacher(teacher, student, 0.75)
    found = teacher.weight.item()
    assert student.weight.item() == 4, "the student was moved: only the teacher follows"
    assert found != 2, "the teacher stays where it was: change its weights in place, not a variable beside them"
    assert teacher.weight.data_ptr() != student.weight.data_ptr(), "the teacher shares the student's memory and moves with it"
    assert found == pytest.approx(2.5), f"beta = .75 is the teacher's own share: .75 * 2 + .25 * 4 = 2.5, got {found}"
    assert teacher.weight.requires_grad and teacher.weight.grad is None and teacher.weight.grad_fn is None


@pytest.mark.exercise("10.2")
def test_the_teacher_moves_after_every_so_many_steps():
    model = Line((0.0,))
    penalty = Bregman(BregmanRecipe(beta=0.5, steps=3), ("line",), model, 10)
    with torch.no_grad():
        model.weight.fill_(8.0)
    places = []
    for _ in range(7):
        penalty.after_step(model)
        places.append(penalty.teacher.weight.item())
    assert places == [0, 0, 4, 4, 4, 6, 6], f"every 3 steps half of the way to 8, got {places}: the recipe's `steps`, in place"


def test_a_teacher_with_beta_one_stays_where_it_began():
    model = setting()[0]
    first = copy.deepcopy(model.state_dict())
    penalty = Bregman(BregmanRecipe(beta=1.0), ("sst",), model, 10)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    penalty.after_step(model)
    assert all(torch.equal(first[name], tensor) for name, tensor in penalty.teacher.state_dict().items()), (
        "a teacher that shares the model's memory moves with it")


def test_the_papers_beta_is_slower_after_a_tenth_of_the_steps():
    penalty = Bregman(BregmanRecipe(), ("sst",), Line((1.0,)), 20)
    betas = []
    for _ in range(4):
        penalty.after_step(Line((1.0,)))
        betas.append(penalty.beta())
    assert betas == [0.99, 0.99, 0.999, 0.999]


@pytest.mark.exercise("10.2")
def test_buffers_are_copied_whatever_beta_is():
    student, teacher = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    student.running_mean.fill_(3.0)
    student.num_batches_tracked.fill_(5)
    move_teacher(teacher, student, 1.0)
    assert teacher.running_mean.tolist() == [3.0, 3.0] and teacher.num_batches_tracked == 5, \
        "buffers are no parameters: copy every buffer, whatever beta is"
    assert teacher.running_mean.data_ptr() != student.running_mean.data_ptr(), "a buffer is shared: the same memory"


def test_the_teacher_drops_nothing_learns_nothing_and_is_no_part_of_the_model():
    model, objective, batch, output = setting()
    names = list(model.state_dict())
    penalty = Bregman(BregmanRecipe(), ("sst",), model, 10)
    value = penalty(model, objective, batch, output)
    assert value.requires_grad, "the student is detached: the penalty teaches nobody"
    value.backward()
    assert not any(module.training for module in penalty.teacher.modules()), "the teacher drops nothing: eval mode, no dropout"
    assert all(parameter.grad is None for parameter in penalty.teacher.parameters())
    assert all(module.training for module in model.modules()) and list(model.state_dict()) == names
    own = {parameter.data_ptr() for parameter in model.parameters()}
    assert not own & {parameter.data_ptr() for parameter in penalty.teacher.parameters()}


@pytest.mark.parametrize("task", TASK_NAMES)
def test_another_teacher_is_a_penalty_for_every_task(task):
    model, objective, batch, _ = setting(task, dropout=0.0)
    penalty = Bregman(BregmanRecipe(), (task,), model, 10)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    assert penalty(model, objective, batch, objective.output(model, batch)) > 1e-6, (
        "softmax over one logit, or over the batch, is no measure of a single output")


# R-Drop


class Given:
    """An objective whose passes give these outputs, one after the other."""

    def __init__(self, *outputs):
        self.outputs = list(outputs)

    def output(self, model, batch, embedded_BTD=None):
        return self.outputs.pop(0)

    def loss(self, output, batch):
        return nn.functional.cross_entropy(output, torch.tensor([0]))

    divergence = staticmethod(symmetric_kl)


LACKING = {"paper": "in full", "mean": "half of the first, which the caller adds in full, is taken off"}


@pytest.mark.exercise("10.3")
@pytest.mark.parametrize("form, expected", [("paper", 0.6931 + 0.1054 + 0.8789), ("mean", (0.6931 + 0.1054) / 2 + 0.8789)])
def test_r_drop_of_two_coins_is_worked_out_by_hand(form, expected):
    first, second = (torch.log(torch.tensor([p])).requires_grad_() for p in ([0.5, 0.5], [0.9, 0.1]))
    objective = Given(second)
    total = objective.loss(first, None) + RDrop(RDropRecipe(weight=2.0, form=form), ("sst",))(None, objective, None, first)
    assert objective.outputs == [], "a second pass is needed: the first one's output says nothing about dropout"
    assert total.item() == pytest.approx(expected, abs=1e-4), (
        f"expected {expected:.4f}, got {total.item():.4f}: the two losses ({LACKING[form]}) plus alpha / 2, half the weight, "
        "times the symmetric KL, which makes passes that are apart cost more; is the second pass's loss in it?")
    total.backward()
    assert second.grad is not None and second.grad.any(), "both passes must learn: the second has no gradient"
    # the logits are log p, so softmax gives p back: d CE = p - y, d symmetric KL = p (log p/q - KL(p||q)) + p - q, times 1
    half = 2 if form == "mean" else 1
    for one, p, q in ((first, [0.5, 0.5], [0.9, 0.1]), (second, [0.9, 0.1], [0.5, 0.5])):
        p, q = np.array(p), np.array(q)
        expected_gradient = (p - [1, 0]) / half + p * (np.log(p / q) - (p * np.log(p / q)).sum()) + p - q
        assert one.grad[0].numpy() == pytest.approx(expected_gradient, abs=1e-5), "both passes must learn from both terms"


@pytest.mark.exercise("10.3")
@pytest.mark.parametrize("task", TASK_NAMES)
def test_r_drop_without_dropout_is_the_loss_once_more_or_nothing(task):
    model, objective, batch, output = setting(task, dropout=0.0)
    assert RDrop(RDropRecipe(), (task,))(model, objective, batch, output).item() == pytest.approx(
        objective.loss(output, batch).item(), abs=1e-6), "without dropout both passes are the same: the second pass's loss alone"
    assert RDrop(RDropRecipe(form="mean"), (task,))(model, objective, batch, output).item() == pytest.approx(0, abs=1e-6), \
        "without dropout the mean of two equal losses is the first, which the caller adds: half of the first is taken off"


@pytest.mark.exercise("10.3")
@pytest.mark.parametrize("task", TASK_NAMES)
def test_r_drop_weighs_how_far_two_masks_are_apart(task):
    model, objective, batch, output = setting(task)
    passes, original = [output], objective.output
    objective.output = lambda *arguments, **more: passes.append(original(*arguments, **more)) or passes[-1]
    value = RDrop(RDropRecipe(weight=4.0), (task,))(model, objective, batch, output).item()
    assert len(passes) == 2, "one second pass through the model; the first one is handed in"
    assert passes[1].requires_grad, "both passes must learn: the second has no gradient"
    assert not torch.allclose(passes[1], original(model.eval(), batch)), "the second pass must have dropout on, as the first"
    apart = objective.divergence(output, passes[1])
    assert apart > 0, "two passes with dropout on must differ: is it the same dropout mask twice?"
    assert value == pytest.approx((objective.loss(passes[1], batch) + 2 * apart).item(), rel=1e-5), \
        "the second pass's loss plus half the weight times how far the two passes are apart"


# a stage's penalties


def test_a_stage_without_penalties_has_none():
    assert make_penalties(recipe().stages[0], setting()[0], 10) == []


def test_a_stage_has_the_penalties_that_it_switches_on_each_for_its_tasks():
    stage = replace(recipe().stages[0], smart=SmartRecipe(tasks=("sst", "sts")), bregman=BregmanRecipe(),
                    r_drop=RDropRecipe(tasks=("para",)))
    made = {penalty.name: penalty for penalty in make_penalties(stage, setting()[0], 10)}
    assert {name: penalty.tasks for name, penalty in made.items()} == {
        "smart": ("sst", "sts"), "bregman": ("sst", "para", "sts"), "r_drop": ("para",)}
    assert made["bregman"].total_steps == 10
    for penalty in made.values():
        penalty.after_step(setting()[0])
    assert made["smart"].state_dict() == made["r_drop"].state_dict() == {}
    assert made["bregman"].state_dict()["step"] == 1
