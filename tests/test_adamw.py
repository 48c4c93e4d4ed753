"""AdamW against torch's own, against formulas in plain Python, and against numbers worked by hand."""

import copy
import io
import math

import pytest
import torch
from torch import nn

from minbert.bert import BertModel
from minbert.config import BertConfig
from optim import SCHEDULES, AdamW, LearningRate, parameter_groups
from optim.learning_rate import layer_factor

SHAPES = [(4, 3), (5,), ()]
STEPS = 100
# For both, so that a small gradient, the decay and the order of decay and step show in the twelfth digit.
COARSE = {"lr": 1e-2, "weight_decay": 0.1}
# in float32 other orders of the same operations, float64 inside among them, end up to 2.3e-6 apart
BOTH_PRECISIONS = pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])


@pytest.fixture(autouse=True, params=[False, True], ids=["by_hand", "fused"])
def both_paths(request, monkeypatch):
    """Every test runs on the text that is read and on torch's kernel."""
    monkeypatch.setattr(AdamW, "fused", request.param)


def make_parameters(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    draws = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]
    return [nn.Parameter(draw.to(dtype)) for draw in draws]


def gradients(steps, seed=2):
    """Per step one gradient a shape: sizes 1e-9 to 10 (so that eps shows), half the entries 0, some None."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [10 ** (torch.rand(shape, generator=generator, dtype=torch.float64) * 10 - 9) for shape in SHAPES]
    for step in range(steps):
        drawn = [size * torch.randn(size.shape, generator=generator, dtype=torch.float64) for size in sizes]
        drawn = [g * (torch.rand(g.shape, generator=generator, dtype=torch.float64) < 0.5) for g in drawn]
        yield [None if (step + index) % 7 == 3 else g for index, g in enumerate(drawn)]


def train(optimizer, parameters, steps=STEPS, before=None, seed=2):
    for number, step_gradients in enumerate(gradients(steps, seed), start=1):
        for parameter, gradient in zip(parameters, step_gradients, strict=True):
            parameter.grad = None if gradient is None else gradient.to(parameter.dtype)
        if before:
            before(number)
        optimizer.step()
    return [parameter.detach().clone() for parameter in parameters]


def assert_equal(ours, expected, tolerance, why):
    worst = max((a - b).abs().max().item() for a, b in zip(ours, expected, strict=True))
    assert worst <= tolerance, f"{why}: off by {worst:.1e}, allowed {tolerance:.0e}"


def by_hand(weight, gradient_list, lr, weight_decay, betas, eps, correct_bias, amsgrad, form):
    """One number through the papers' formulas, in plain Python."""
    m = v = largest = 0
    for t, g in enumerate(gradient_list, start=1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        largest = max(largest, v)
        used = largest if amsgrad else v
        c1, c2 = (1 - betas[0] ** t, 1 - betas[1] ** t) if correct_bias else (1, 1)
        if form == "torch":
            weight = (1 - lr * weight_decay) * weight - lr * (m / c1) / (math.sqrt(used / c2) + eps)
        else:
            weight = weight - lr * math.sqrt(c2) / c1 * m / (math.sqrt(used) + eps)
            weight = weight - lr * weight_decay * weight
    return weight


# what is written wrong most often, by the word that `gone_wrong` knows it by
CAUSES = {
    "coupled": "the decay goes through Adam's averages (L2): in AdamW it is decoupled, taken off the weight itself",
    "coupled and decoupled": "the decay acts twice, in the gradient (L2) and on the weight: only the second is AdamW",
    "no decay": "the weight decay is missing",
    "decay without lr": "the decay is weight_decay alone: it must be lr * weight_decay",
    "decay by the corrected rate": "the decay uses the bias-corrected rate: it must be lr * weight_decay",
    "growth": "the decay has the wrong sign: the weight grows",
    "other order": "the decay is of the wrong weight: 'torch' decays first and then steps, 'cs224n' decays the moved weight",
    "no correction": "the bias correction is missing",
    "no first correction": "m is not bias-corrected, by 1 - beta_1^t",
    "no second correction": "v is not bias-corrected, by 1 - beta_2^t",
    "correction without root": "v's bias correction must be under the root as v is: sqrt(1 - beta_2^t)",
    "t + 1": "the bias correction counts one step too many: the first step is t = 1",
    "2 t": "t grows by two in each step: count every step once",
    "eps inside": "eps is inside the root, sqrt(v + eps): it must be added to the root",
    "other eps": "eps is added at the other form's place: 'torch' adds it to the corrected root, 'cs224n' to the uncorrected one",
    "no eps": "eps is missing",
    "no root": "m is divided by v: it must be divided by the root of v",
    "swapped": "beta_1 and beta_2 are swapped: the first is m's",
    "no square": "v averages the gradient's size: it must average its SQUARE",
    "m sums": "m adds up gradients: the new one must be weighted by 1 - beta_1",
    "v sums": "v adds up squares: the new one must be weighted by 1 - beta_2",
    "m forgets": "m is not kept from step to step: is the average updated in place, or only computed?",
    "v forgets": "v is not kept from step to step: is the average updated in place, or only computed?",
    "uphill": "the step goes uphill: it must be subtracted",
}


def gone_wrong(weight, gradient_list, fault, lr, weight_decay, betas, eps, form):
    """As `by_hand`, with one fault; with a fault of "" it is right."""
    m = v = 0.0
    b1, b2 = reversed(betas) if fault == "swapped" else betas
    for number, g in enumerate(gradient_list, start=1):
        g += weight_decay * weight if fault.startswith("coupled") else 0
        m = (0 if fault == "m forgets" else b1 * m) + (1 if fault == "m sums" else 1 - b1) * g
        square = abs(g) if fault == "no square" else g * g
        v = (0 if fault == "v forgets" else b2 * v) + (1 if fault == "v sums" else 1 - b2) * square
        t = {"t + 1": number + 1, "2 t": 2 * number}.get(fault, number)
        c1 = 1 if fault in ("no correction", "no first correction") else 1 - b1**t
        c2 = 1 if fault in ("no correction", "no second correction") else 1 - b2**t
        c2 = c2**2 if fault == "correction without root" else c2
        grown = eps if (form == "torch") != (fault == "other eps") else eps / math.sqrt(c2)  # the course's eps, in torch's place
        root = {"eps inside": math.sqrt(v / c2 + grown**2 / eps), "no root": v / c2 + grown, "no eps": math.sqrt(v / c2)}.get(
            fault, math.sqrt(v / c2) + grown)
        step = lr * m / c1 / root * (-1 if fault == "uphill" else 1)
        rate = {"decay without lr": 1, "decay by the corrected rate": lr * math.sqrt(c2) / c1, "growth": -lr}.get(fault, lr)
        decay = 0 if fault in ("coupled", "no decay") else rate * weight_decay
        first = (form == "torch") != (fault == "other order")
        weight = weight * (1 - decay) - step if first else (weight - step) * (1 - decay)
    return weight


@pytest.mark.exercise("5.1")
@pytest.mark.parametrize("form", ["torch", "cs224n"])
def test_the_averages_are_kept_in_the_moments(form):
    weight = nn.Parameter(torch.tensor([0.7], dtype=torch.float64))
    optimizer = AdamW([weight], lr=0.1, betas=(0.8, 0.95), form=form)
    weight.grad = torch.tensor([2.0], dtype=torch.float64)
    optimizer.step()
    m, v = (optimizer.state[weight][name].item() for name in ("exp_avg", "exp_avg_sq"))
    assert m and v, "after a step the moments are still 0: change them in place (mul_, add_), `m = ...` makes a new tensor"
    assert m == pytest.approx(0.4) and v == pytest.approx(0.2), \
        f"after one step with gradient 2, beta 0.8 and 0.95: m = 0.2 * 2 and v = 0.05 * 4, not {m:.3g} and {v:.3g}"


@pytest.mark.exercise("5.1")
@pytest.mark.parametrize("form", ["torch", "cs224n"])
def test_four_steps_and_what_usually_goes_wrong_in_them(form):
    gradient_list = [2.0, -1.0, 0.5, 1.5]
    options = {"lr": 0.1, "weight_decay": 0.5, "betas": (0.8, 0.95), "eps": 0.05, "form": form}
    found = one_weight(0.7, gradient_list, **options)
    assert not math.isnan(found), "the root of a negative number: v averages the SQUARE of the gradient"
    for fault, cause in CAUSES.items():
        assert found != pytest.approx(gone_wrong(0.7, gradient_list, fault, **options), abs=1e-10), f"form={form!r}: {cause}"
    other = {"torch": "cs224n", "cs224n": "torch"}[form]
    assert found != pytest.approx(gone_wrong(0.7, gradient_list, "", **options | {"form": other}), abs=1e-10), \
        f"form={form!r} does what {other!r} should: they differ in the place of eps and in which weight decays"
    assert found == pytest.approx(gone_wrong(0.7, gradient_list, "", **options), abs=1e-12), f"form={form!r} left its formula"


@pytest.mark.exercise("5.1")
def test_amsgrad_divides_by_the_largest_v_so_far():
    gradient_list, options = [5.0, 0.1, 0.1], {"lr": 0.1, "betas": (0.5, 0.5), "eps": 1e-3}
    found = one_weight(1.0, gradient_list, amsgrad=True, **options)
    assert found != pytest.approx(one_weight(1.0, gradient_list, **options), abs=1e-9), \
        "amsgrad changes nothing: the largest v must be kept from step to step, and used in place of v"
    rest = {"weight_decay": 0.0, "correct_bias": True, "form": "torch"}
    assert found == pytest.approx(by_hand(1.0, gradient_list, amsgrad=True, **rest, **options), abs=1e-12), \
        "amsgrad divides by the root of the LARGEST v so far, corrected as v is"


@pytest.mark.course
def test_every_parameter_counts_its_own_steps():
    early, late = nn.Parameter(torch.zeros(1, dtype=torch.float64)), nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = AdamW([early, late], lr=0.1, eps=0.0)
    for step in range(3):
        early.grad, late.grad = torch.ones_like(early), torch.ones_like(late) if step == 2 else None
        optimizer.step()
    assert late.item() == pytest.approx(-0.1, abs=1e-12), \
        f"a parameter's first step moved it by {late.item():.3g}, not by lr: each counts its own steps, from its first gradient"


def one_weight(start, gradient_list, **options):
    weight = nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimizer = AdamW([weight], **options)
    for gradient in gradient_list:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
    return weight.item()


OPTIONS = {
    "defaults": {},
    "decay": COARSE,
    "amsgrad": {**COARSE, "amsgrad": True},
    "betas": {**COARSE, "betas": (0.5, 0.7)},
    "eps": {**COARSE, "eps": 1e-3},
    "next to no eps, no decay": {"lr": 1e-2, "eps": 1e-30},
}


@pytest.mark.exercise("5.1")
@BOTH_PRECISIONS
@pytest.mark.parametrize("name", OPTIONS)
def test_hundred_steps_equal_those_of_torch(name, dtype, tolerance):
    options = {"weight_decay": 0.0, **OPTIONS[name]}
    ours, theirs = make_parameters(dtype), make_parameters(dtype)
    result = train(AdamW(ours, **options), ours)
    expected = train(torch.optim.AdamW(theirs, **options), theirs)
    assert_equal(result, expected, tolerance, f"the torch form with {name} left torch's AdamW")


@BOTH_PRECISIONS
def test_every_parameter_group_keeps_its_own_options(dtype, tolerance):
    def groups(parameters):
        return [{"params": parameters[:1], "lr": 3e-3, "weight_decay": 0.2, "betas": (0.8, 0.9)},
                {"params": parameters[1:2], "eps": 1e-4, "amsgrad": True}, {"params": parameters[2:]}]

    ours, theirs = make_parameters(dtype), make_parameters(dtype)
    result = train(AdamW(groups(ours), **COARSE), ours)
    expected = train(torch.optim.AdamW(groups(theirs), **COARSE), theirs)
    assert_equal(result, expected, tolerance, "a group's option was not used for that group")


@pytest.mark.exercise("5.1")
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("eps", [1e-8, 1e-6, 1e-3])
def test_course_form_is_torch_with_eps_grown_by_the_correction_and_the_decay_afterwards(eps, amsgrad):
    ours, theirs = make_parameters(), make_parameters()
    result = train(AdamW(ours, eps=eps, amsgrad=amsgrad, form="cs224n", **COARSE), ours)
    # torch's Adam without decay, one per parameter, since each counts the steps in which it had a gradient
    adams = [torch.optim.Adam([p], lr=COARSE["lr"], amsgrad=amsgrad) for p in theirs]
    for step_gradients in gradients(STEPS):
        for adam, parameter, gradient in zip(adams, theirs, step_gradients, strict=True):
            if gradient is not None:
                t = int(adam.state[parameter]["step"]) + 1 if parameter in adam.state else 1
                adam.param_groups[0]["eps"] = eps / math.sqrt(1 - 0.999**t)
                parameter.grad = gradient
                adam.step()
                parameter.data *= 1 - COARSE["lr"] * COARSE["weight_decay"]
    assert_equal(result, [p.detach() for p in theirs], 1e-12, "cs224n: eps belongs to the uncorrected root, "
                 "and the decay (by lr, not by the corrected rate) comes after the step, of the moved weight")


@pytest.mark.exercise("5.1")
@pytest.mark.parametrize("form", ["torch", "cs224n"])
@pytest.mark.parametrize("correct_bias", [True, False])
@pytest.mark.parametrize("amsgrad", [True, False])
@pytest.mark.parametrize("eps", [1e-8, 0.1])
def test_fifty_steps_equal_the_formulas_in_plain_python(form, correct_bias, amsgrad, eps):
    draws = torch.randn(50, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 1e-3
    gradient_list = [0.0 if i % 3 == 1 else g for i, g in enumerate(draws.tolist())]
    options = {**COARSE, "betas": (0.9, 0.98), "eps": eps, "form": form}
    options |= {"correct_bias": correct_bias, "amsgrad": amsgrad}
    expected = by_hand(0.7, gradient_list, **options)
    assert one_weight(0.7, gradient_list, **options) == pytest.approx(expected, abs=1e-13), \
        f"another number than the formulas' with {options}"


# betas 1/2, 3/4; gradients 2, -2: m = 1, -1/2; v = 1, 7/4; sqrt(v / (1 - beta_2^t)) = 2, 2. Decay: 1 - .05
@pytest.mark.exercise("5.1")
@pytest.mark.parametrize("options, first, second", [
    # .95 - .1/.5 * 1/(2 + .5) = .87;  .8265 + .1/.75 * .5/2.5 = .8265 + .0266667
    ({}, 0.87, 0.8265 + 0.08 / 3),
    # .95 - .1 * 1/(1 + .5) = .8833333;  .95 * .8833333 + .1 * .5/(sqrt(7/4) + .5)
    ({"correct_bias": False}, 0.95 - 0.2 / 3, 0.95 * (0.95 - 0.2 / 3) + 0.05 / 1.8228756555),
    # .95 * (1 - .1 * 1/(1 + .5)) = .8866667;  .95 * (.8866667 + .1 * .6614378/.75 * .5/1.8228757)
    ({"form": "cs224n"}, 0.95 * (1 - 0.2 / 3), 0.95 * (0.95 * (1 - 0.2 / 3) + 0.0881917 * 0.5 / 1.8228757)),
], ids=["torch", "no correction", "cs224n"])
def test_two_steps_worked_by_hand(options, first, second):
    options = {"lr": 0.1, "betas": (0.5, 0.75), "eps": 0.5, "weight_decay": 0.5, **options}
    told = "correct_bias=False leaves both corrections out: does `update` look at it?" if "correct_bias" in options else \
        "follow the lines above the numbers by hand"
    assert one_weight(1.0, [2.0], **options) == pytest.approx(first, abs=1e-12), f"the first step, {options}: {told}"
    assert one_weight(1.0, [2.0, -2.0], **options) == pytest.approx(second, abs=1e-8), f"the second step, {options}: {told}"


@pytest.mark.exercise("5.1")
def test_without_correction_the_decay_stands_inside_google_s_update():
    # theta - lr (m / (sqrt(v) + eps) + lambda theta); at the first step m = .1 g, v = .001 g^2
    expected = 2 - 0.01 * (0.05 / (math.sqrt(0.00025) + 1e-6) + 0.1 * 2)
    after = one_weight(2.0, [0.5], eps=1e-6, correct_bias=False, **COARSE)
    assert after == pytest.approx(expected, abs=1e-14), "correct_bias=False must leave both corrections out"


@pytest.mark.exercise("5.1")
@pytest.mark.parametrize("form", ["torch", pytest.param("cs224n", marks=pytest.mark.course)])
def test_first_step_is_the_learning_rate_in_the_gradient_s_direction(form):
    for gradient in (-1e-4, 3e-2, 50.0):
        moved = one_weight(1.0, [gradient], lr=1e-2, eps=0.0, form=form) - 1
        assert moved == pytest.approx(-math.copysign(1e-2, gradient), abs=1e-14), \
            f"the first step is {moved:.2e}, not lr: is the bias corrected, and by which t?"


@pytest.mark.exercise("5.1")
@pytest.mark.parametrize("form", ["torch", pytest.param("cs224n", marks=pytest.mark.course)])
def test_zero_gradients_decay_in_closed_form(form):
    after = one_weight(3.0, [0.0] * 40, form=form, **COARSE)
    assert after == pytest.approx(3 * (1 - 1e-2 * 0.1) ** 40, abs=1e-13), \
        "with zero gradients a step must multiply by 1 - lr * weight_decay: the averages never see the decay"


@pytest.mark.exercise("5.1")
def test_zero_gradients_move_on_by_momentum_and_none_gradients_leave_everything_alone():
    weight = nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = AdamW([weight], **COARSE)
    optimizer.step()
    assert weight not in optimizer.state and torch.equal(weight.data, torch.ones(2, dtype=torch.float64)), \
        "a parameter without a gradient (frozen, unused task) must not decay or get a state"
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    before, state = weight.detach().clone(), copy.deepcopy(optimizer.state[weight])
    weight.grad = None
    optimizer.step()
    assert torch.equal(weight, before), "grad None: nothing moves, not even by momentum or decay"
    assert all(torch.equal(state[name], value) for name, value in optimizer.state[weight].items())
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert (weight < before * (1 - 1e-3)).all(), "grad zero: it decays and moves on by momentum"


@pytest.mark.exercise("5.1")
def test_step_counts_once_and_leaves_the_gradient_as_it_was():
    weight = nn.Parameter(torch.ones(3))
    optimizer = AdamW([weight], **COARSE)
    for count in range(1, 4):
        weight.grad = torch.tensor([1.0, -2.0, 0.0])
        optimizer.step()
        counted = int(optimizer.state[weight]["step"])
        assert counted == count, \
            f"{count} calls of step() count as {counted}: one step() must be one update, and the state must last between them"
        expected = (1 - 1e-3) ** count - 1e-2 * sum((1 - 1e-3) ** number for number in range(count))
        assert weight[0].item() == pytest.approx(expected, abs=1e-6), \
            "one step() must be one update: the weight moved by more, or less, than one"
        assert weight.grad.tolist() == [1.0, -2.0, 0.0], "the decay or a square was written into the gradient"


@pytest.mark.exercise("5.1")
@pytest.mark.parametrize("options, tolerance", [
    ({"form": "cs224n", "eps": 1e-6}, 7e-5), ({"form": "cs224n"}, 7e-5), ({"form": "torch"}, 1e-4)])
def test_the_course_s_own_check_passes(options, tolerance):
    # The published weights have four digits. Seeds: torch's and numpy's default_rng, both 0.
    numpy = pytest.importorskip("numpy", reason="the course's check draws its inputs with numpy")
    published = torch.tensor([[0.5548, 0.8667, 0.0729], [-0.4472, -0.2951, -0.2717]])
    draw = numpy.random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Linear(3, 2, bias=False)
    optimizer = AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4, correct_bias=True, **options)
    for _ in range(1000):
        x = torch.tensor(draw.uniform(size=3), dtype=torch.float32)
        target = torch.stack([x[0] + x[1], -x[2]])
        optimizer.zero_grad()
        (model(x) - target).square().sum().backward()
        optimizer.step()
    assert_equal([model.weight.detach()], [published], tolerance, "the course's optimizer check would fail")


@pytest.mark.parametrize("form", ["torch", "cs224n"])
@pytest.mark.parametrize("stop", [0, 1, 17])
def test_a_saved_state_continues_bit_for_bit(form, stop):
    options = {"form": form, "amsgrad": True, **COARSE}
    whole = make_parameters(torch.float32)
    optimizer = AdamW(whole, **options)
    train(optimizer, whole, stop)
    halfway = [nn.Parameter(p.detach().clone()) for p in whole]
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    resumed = AdamW(halfway, lr=5.0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    expected, result = train(optimizer, whole, 20, seed=9), train(resumed, halfway, 20, seed=9)
    same = all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))
    assert same, "the resumed run left the unbroken one: the state_dict lacks something"


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("first, then", [(AdamW, torch.optim.AdamW), (torch.optim.AdamW, AdamW)])
def test_states_go_to_torch_and_back(first, then, amsgrad):
    options = {"amsgrad": amsgrad, **COARSE}
    stayed = make_parameters()
    optimizer = first(stayed, **options)
    train(optimizer, stayed, 10)
    moved = [nn.Parameter(p.detach().clone()) for p in stayed]
    other = then(moved, lr=5.0)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    expected, result = train(optimizer, stayed, 10, seed=9), train(other, moved, 10, seed=9)
    assert_equal(result, expected, 1e-12, f"{then.__module__} misread a state of {first.__module__}")


@pytest.mark.parametrize("options, named", [
    ({"lr": -1e-3}, "lr -0.001"), ({"lr": math.nan}, "lr nan"), ({"lr": "1e-3"}, "lr '1e-3'"),
    ({"eps": -1e-8}, "eps -1e-08"), ({"weight_decay": math.inf}, "weight_decay inf"),
    ({"betas": (1.0, 0.999)}, r"betas \(1.0, 0.999\)"), ({"betas": (0.9, -0.1)}, r"betas \(0.9, -0.1\)"),
    ({"betas": 0.9}, "betas 0.9"),
    ({"form": "adam"}, "form 'adam' is not one of 'torch', 'cs224n'")])
def test_options_out_of_range_are_refused_by_name_also_in_a_group(options, named):
    with pytest.raises(ValueError, match=named):
        AdamW(make_parameters(), **options)
    with pytest.raises(ValueError, match=named):
        AdamW([{"params": make_parameters(), **options}])


def test_states_that_ask_for_another_algorithm_are_refused():
    for other, named in ((torch.optim.AdamW(make_parameters(), lr=5.0, maximize=True), "maximize=True"),
                         (torch.optim.Adam(make_parameters(), lr=5.0), "decoupled_weight_decay=False")):
        optimizer = AdamW(make_parameters())
        with pytest.raises(ValueError, match=named):
            optimizer.load_state_dict(other.state_dict())
        assert optimizer.param_groups[0]["lr"] == 1e-3, "a refused state was loaded in part"


def test_a_sparse_gradient_is_refused_before_any_weight_moves():
    dense, table = nn.Parameter(torch.ones(2)), nn.Embedding(4, 2, sparse=True)
    optimizer = AdamW([dense, table.weight])
    (table(torch.tensor([1])).sum() + dense.sum()).backward()
    with pytest.raises(RuntimeError, match=r"dense.*shape \(4, 2\) that is torch.sparse"):
        optimizer.step()
    assert dense.tolist() == [1.0, 1.0], "half of the weights moved before the error"


def test_it_is_an_ordinary_torch_optimizer():
    weight, late = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = AdamW([("weight", weight)], lr=0.1)
    optimizer.add_param_group({"params": [("late", late)], "weight_decay": 0.5})

    def closure():
        optimizer.zero_grad()
        loss = (weight + late).square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 8, "step(closure) must return the loss it computed"
    assert weight.tolist() == pytest.approx([0.9, 0.9]) and late.tolist() == pytest.approx([0.85, 0.85])
    halve = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    optimizer.step(closure)
    halve.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.05]
    optimizer.zero_grad()
    assert weight.grad is None


@pytest.mark.parametrize("form", ["torch", "cs224n"])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_a_step_needs_room_for_one_temporary_of_the_largest_parameter(form, amsgrad):
    parameters = [nn.Parameter(torch.ones(300, 1000)), nn.Parameter(torch.ones(200, 1000))]
    optimizer = AdamW(parameters, amsgrad=amsgrad, form=form, weight_decay=0.1)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()  # makes the averages, which stay
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        optimizer.step()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    largest = 300 * 1000 * 4
    if AdamW.fused and form == "torch":
        assert peak < 4096, "the fused path needs no room at all"
        return
    assert peak >= largest, "the profiler saw no temporary at all: this test measures nothing"
    assert peak <= largest + 4096, f"step() held {peak / largest:.2f} times the largest parameter at once"


class Block(nn.Module):
    """Every case of the rule: by type, by old and new names, a tied weight, a frozen one."""

    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(7, 4)
        self.dense = nn.Linear(4, 4)
        self.scale = nn.LayerNorm(4)  # known by its type only
        self.output_norm = nn.Module()  # known by its name only
        self.output_norm.weight = nn.Parameter(torch.ones(4))
        self.old = nn.Module()
        self.old.gamma, self.old.beta = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))
        self.in_proj_bias = nn.Parameter(torch.zeros(4))
        self.decoder = nn.Linear(4, 7)
        self.decoder.weight = self.word.weight
        self.frozen = nn.Linear(4, 4).requires_grad_(False)


def names_of(model, group):
    return {name for name, parameter in model.named_parameters() if parameter in set(group["params"])}


def test_biases_and_layer_norms_do_not_decay_and_everything_trainable_is_in_one_group():
    model = Block()
    decaying, resting = parameter_groups(model, 0.01)
    assert (decaying["weight_decay"], resting["weight_decay"]) == (0.01, 0.0)
    assert not any(name.endswith("bias") for name in names_of(model, decaying)), "biases must not decay"
    assert names_of(model, decaying) == {"word.weight", "dense.weight"}, \
        "weights of linear layers and embeddings decay, those of LayerNorms do not, whether known by type or by name"
    assert names_of(model, resting) == {
        "dense.bias", "scale.weight", "scale.bias", "output_norm.weight", "old.gamma", "old.beta",
        "in_proj_bias", "decoder.bias"}
    together = decaying["params"] + resting["params"]
    assert len(together) == len(set(together)), "a tied weight counts twice and would step twice"
    assert set(together) == {p for p in model.parameters() if p.requires_grad}
    assert AdamW([decaying, resting]).param_groups[1]["weight_decay"] == 0.0


def test_decay_all_is_one_group():
    model = Block()
    (group,) = parameter_groups(model, 0.01, decay_all=True)
    assert group["weight_decay"] == 0.01
    assert len(group["params"]) == sum(p.requires_grad for p in model.parameters())


def test_groups_without_members_are_left_out_and_nothing_trainable_is_an_error():
    (group,) = parameter_groups(nn.LayerNorm(3), 0.01)
    assert group["weight_decay"] == 0.0 and len(group["params"]) == 2
    with pytest.raises(ValueError, match="all 2 are frozen"):
        parameter_groups(nn.Linear(2, 2).requires_grad_(False), 0.01)


class Bert(nn.Module):
    """The names of a multitask model: a BERT of two layers and a head that has layers too."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.bert = BertModel(BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
                                                 intermediate_size=8, max_position_embeddings=6))
        self.heads = nn.ModuleDict({"sst": nn.Module()})
        self.heads["sst"].layers = nn.Sequential(nn.Dropout(), nn.Linear(8, 5))


def test_every_group_learns_at_its_own_rate_also_along_the_schedule():
    model = Bert()
    groups = parameter_groups(model, 0.01, rate=lambda name: 0.1 * layer_factor(name, 2, 0.5, 10.0))
    optimizer = AdamW(groups, lr=123.0, betas=(0.0, 0.0), eps=1e-30)
    learning_rate = LearningRate(optimizer, SCHEDULES["linear"](4))
    learning_rate.step()  # the rates are now 3/4 of what they were
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    expected = {"embeddings": 0.025, "layers.0.": 0.05, "layers.1.": 0.1, "pooler": 0.1, "heads": 1.0}
    for name, parameter in model.named_parameters():
        base = expected["heads" if name.startswith("heads") else next(part for part in expected if part in name)]
        moved = (before[name] - parameter).mean().item()
        assert moved == pytest.approx(0.75 * base, rel=1e-4), f"{name} moves {moved}, its rate is {base} * 3/4"


def test_rates_cut_the_groups_and_lose_nothing():
    model = Bert()
    plain = parameter_groups(model, 0.01)
    even = parameter_groups(model, 0.01, rate=lambda name: 0.3)
    assert even == [group | {"lr": 0.3} for group in plain], "with one rate for all the groups are as without"
    cut = parameter_groups(model, 0.01, rate=lambda name: layer_factor(name, 2, 0.5, 10.0))
    assert len(cut) == 8  # embeddings, first layer, second layer with pooler, heads; each decaying and not
    together = [parameter for group in cut for parameter in group["params"]]
    assert len(together) == len(set(together)) and set(together) == set(model.parameters())
    for decay, group in zip((0.01, 0.0), plain, strict=True):
        assert {p for part in cut if part["weight_decay"] == decay for p in part["params"]} == set(group["params"])
    (alone,) = [group for group in parameter_groups(Block(), 0.01, rate=len) if group["lr"] == len("word.weight")
                and group["weight_decay"]]
    assert len(alone["params"]) == 1, "a tied weight goes by the first of its names"


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-6)])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "amsgrad": True}, {"betas": (0.8, 0.95), "eps": 1e-6}])
def test_the_fused_path_equals_the_hand_written_one(dtype, tolerance, options):
    torch.manual_seed(0)
    fused = [torch.randn(5, 3, dtype=dtype).requires_grad_(), torch.randn(7, dtype=dtype).requires_grad_()]
    by_hand = [parameter.detach().clone().requires_grad_() for parameter in fused]
    one, other = AdamW(fused, lr=1e-2, **options), AdamW(by_hand, lr=1e-2, **options)
    one.fused, other.fused = True, False
    for step in range(100):
        for first, second in zip(fused, by_hand, strict=True):
            gradient = torch.randn_like(first) * (torch.rand_like(first) < 0.3)
            first.grad, second.grad = (None, None) if step % 7 == 3 and first.dim() == 1 else (gradient, gradient.clone())
        one.step()
        other.step()
        for first, second in zip(fused, by_hand, strict=True):
            assert (first - second).abs().max() < tolerance


def test_the_fused_kernel_is_used_exactly_where_it_knows_the_algorithm(monkeypatch):
    monkeypatch.setattr(AdamW, "fused", True)
    calls = []
    monkeypatch.setattr("optim.adamw.update_fused", lambda *arguments: calls.append(arguments))
    for options, expected in (({}, 1), ({"amsgrad": True}, 1), ({"form": "cs224n"}, 0), ({"correct_bias": False}, 0)):
        calls.clear()
        parameter = torch.ones(3, requires_grad=True)
        parameter.grad = torch.ones(3)
        AdamW([parameter], **options).step()
        assert len(calls) == expected, options
