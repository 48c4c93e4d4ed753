"""The learning rate's course against hand-worked factors, torch's LambdaLR and transformers."""

import copy
import math

import pytest
import torch
from torch import nn

from optim import SCHEDULES, AdamW, HalveOnRise, LearningRate


def make_optimizer(lr=0.1):
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))]
    return AdamW([{"params": weights[:1]}, {"params": weights[1:], "lr": 10 * lr}], lr=lr)


def rates(optimizer, advance, steps):
    """Every group's rate at each of the optimizer's steps."""
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        advance()
    return seen


@pytest.mark.parametrize("name, total, warmup, expected", [
    ("constant", 4, 0, [1, 1, 1, 1, 1]),
    ("constant", 4, 2, [0, 1 / 2, 1, 1, 1]),
    ("linear", 4, 0, [1, 3 / 4, 2 / 4, 1 / 4, 0, 0]),
    ("linear", 6, 2, [0, 1 / 2, 1, 3 / 4, 2 / 4, 1 / 4, 0, 0]),
    ("linear", 2, 2, [0, 1 / 2, 0, 0]),
    ("linear", 1, 0, [1, 0]),
    ("google", 4, 0, [1, 3 / 4, 2 / 4, 1 / 4, 0, 0]),
    ("google", 8, 2, [0, 1 / 2, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0, 0]),
])
def test_factors_worked_by_hand(name, total, warmup, expected):
    factor = SCHEDULES[name](total, warmup)
    assert [factor(step) for step in range(len(expected))] == pytest.approx(expected), \
        f"{name} over {total} steps, {warmup} of them warm-up: steps count from 0 and are the optimizer's"


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("total, warmup, named", [
    (0, 0, "total_steps 0"), (-3, 0, "total_steps -3"), (2.5, 0, "total_steps 2.5"),
    (10, 11, "warmup_steps 11"), (10, -1, "warmup_steps -1"), (10, 0.1, "warmup_steps 0.1")])
def test_impossible_lengths_are_refused(name, total, warmup, named):
    with pytest.raises(ValueError, match=named):
        SCHEDULES[name](total, warmup)


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_torch_s_lambda_lr(name):
    factor = SCHEDULES[name](20, 5)
    ours, theirs = make_optimizer(), make_optimizer()
    learning_rate = LearningRate(ours, factor)
    reference = torch.optim.lr_scheduler.LambdaLR(theirs, factor)
    assert rates(ours, learning_rate.step, 25) == rates(theirs, reference.step, 25)


@pytest.mark.oracle
@pytest.mark.parametrize("total, warmup", [(1, 0), (10, 0), (10, 1), (10, 10), (1000, 100), (37, 4)])
def test_rates_are_those_of_transformers(total, warmup):
    from transformers import get_constant_schedule_with_warmup, get_linear_schedule_with_warmup

    for name, theirs in (("linear", lambda o: get_linear_schedule_with_warmup(o, warmup, total)),
                         ("constant", lambda o: get_constant_schedule_with_warmup(o, warmup))):
        optimizer, reference = make_optimizer(), make_optimizer()
        learning_rate = LearningRate(optimizer, SCHEDULES[name](total, warmup))
        expected = rates(reference, theirs(reference).step, total + 3)
        assert rates(optimizer, learning_rate.step, total + 3) == expected, f"{name} left transformers'"


def test_a_factor_scales_what_each_group_began_with_and_not_what_it_has():
    optimizer = make_optimizer(lr=0.1)
    learning_rate = LearningRate(optimizer, lambda step: 0.5)
    for _ in range(3):
        assert learning_rate.current == [0.05, 0.5], "the factor was applied to an already scaled rate"
        learning_rate.step()
    late = nn.Parameter(torch.ones(1))
    optimizer.add_param_group({"params": [late], "lr": 0.3})
    learning_rate.apply()
    assert learning_rate.current == [0.05, 0.5, 0.15], "a group added later has its own beginning"


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_a_resumed_course_continues_whichever_state_is_loaded_first(optimizer_first):
    factor = SCHEDULES["linear"](20, 5)
    optimizer = make_optimizer()
    learning_rate = LearningRate(optimizer, factor)
    rates(optimizer, learning_rate.step, 7)
    saved = copy.deepcopy((optimizer.state_dict(), learning_rate.state_dict()))
    expected = rates(optimizer, learning_rate.step, 13)
    again = make_optimizer(lr=7.0)
    resumed = LearningRate(again, factor)
    loads = [lambda: again.load_state_dict(saved[0]), lambda: resumed.load_state_dict(saved[1])]
    for load in loads if optimizer_first else reversed(loads):
        load()
    assert rates(again, resumed.step, 13) == expected


def test_a_course_loaded_without_its_optimizer_sets_the_rates_at_once():
    optimizer = make_optimizer()
    learning_rate = LearningRate(optimizer, SCHEDULES["linear"](20, 5))
    rates(optimizer, learning_rate.step, 10)
    fresh = LearningRate(make_optimizer(lr=0.3), SCHEDULES["linear"](20, 5))
    fresh.load_state_dict(learning_rate.state_dict())
    assert fresh.current == pytest.approx([0.3 * 10 / 15, 3.0 * 10 / 15])


def test_an_optimizer_loaded_before_its_learning_rate_is_made_is_not_scaled_twice():
    optimizer = make_optimizer()
    LearningRate(optimizer, lambda step: 0.5)
    again = make_optimizer()
    again.load_state_dict(optimizer.state_dict())
    assert LearningRate(again, lambda step: 0.5).current == [0.05, 0.5]


@pytest.mark.parametrize("losses, halved_after", [
    ([1, 2, 3, 4], [4]), ([1, 2, 3, 4, 5, 6, 7], [4, 7]), ([1, 2, 3, 2, 3, 4, 5], [7]),
    ([1, 2, 3, 3, 4, 5], []), ([5, 4, 3, 2, 1], []), ([1, 2, 3], [])])
def test_three_rises_in_a_row_halve(losses, halved_after):
    halving = HalveOnRise()
    answers = [halving.observe(loss) for loss in losses]
    assert [number for number, halved in enumerate(answers, start=1) if halved] == halved_after, \
        "an equal or smaller loss starts the count again, and so does a halving"
    assert halving(0) == 0.5 ** len(halved_after)


def test_a_halving_reaches_the_very_next_step_and_survives_a_resume():
    optimizer = make_optimizer()
    learning_rate = LearningRate(optimizer, HalveOnRise(patience=2))
    for loss in (1.0, 2.0):
        learning_rate.factor.observe(loss)
    saved = copy.deepcopy(learning_rate.state_dict())
    assert learning_rate.factor.observe(3.0)
    learning_rate.apply()
    assert learning_rate.current == [0.05, 0.5]
    again = LearningRate(make_optimizer(), HalveOnRise(patience=2))
    again.load_state_dict(saved)
    assert again.current == [0.1, 1.0]
    assert again.factor.observe(3.0), "the rise counted before the save was forgotten"


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_and_counts_nothing(loss):
    halving = HalveOnRise()
    for number in (1.0, 2.0):
        halving.observe(number)
    before = halving.state_dict()
    with pytest.raises(ValueError, match=f"loss is {loss}"):
        halving.observe(loss)
    assert halving.state_dict() == before


@pytest.mark.parametrize("patience", [0, -1, 1.5])
def test_patience_is_a_whole_number_from_one(patience):
    with pytest.raises(ValueError, match="patience"):
        HalveOnRise(patience)
