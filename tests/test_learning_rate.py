"""The learning rate's course against hand-worked factors, torch's LambdaLR and transformers."""

import copy
import math

import pytest
import torch
from torch import nn

from optim import SCHEDULES, AdamW, HalveOnRise, LearningRate
from optim.learning_rate import layer_factor, warm_up


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


@pytest.mark.exercise("5.2")
def test_the_warm_up_rises_from_nothing_to_all_in_equal_parts():
    factor = warm_up(10, 4, lambda step: 1.0)
    found = [factor(step) for step in range(6)]
    assert found[0] != 1, "there is no warm-up: the first step already has the whole rate"
    assert found[0] != 0.25, "the warm-up counts from 1: step 0 has factor 0, as in the usual library"
    assert found[1] or found[3], "the warm-up is flat at 0 and then jumps: is it a division of whole numbers (//)?"
    assert found[1] > found[0], "the warm-up goes down: it must rise from 0 to 1"
    assert found[3] == 0.75, f"step 3 of a warm-up of 4 has factor {found[3]:.3g}, not 3/4: equal parts of the WARM-UP's steps"
    assert found == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1]), "up in equal parts, 1 from the warm-up's end on"


@pytest.mark.exercise("5.2")
def test_what_comes_after_the_warm_up_is_told_the_step_of_the_whole_training():
    asked = []
    factor = warm_up(10, 4, lambda step: asked.append(step) or 0.125)
    assert [factor(step) for step in (4, 5, 9)] == [0.125] * 3, "after the warm-up the factor is what `afterwards` says"
    assert asked == [4, 5, 9], f"`afterwards` was asked for steps {asked}, not [4, 5, 9]: it counts from the training's start"
    try:
        first = warm_up(10, 0, lambda step: 1.0)(0)
    except ZeroDivisionError:
        pytest.fail("a warm-up of 0 steps is none: nothing may be divided by its length")
    assert first == 1, "without a warm-up the first step has the whole rate"


@pytest.mark.exercise("5.2")
@pytest.mark.parametrize("total, warmup", [(0, 0), (-3, 0), (2.5, 0), (10, 11), (10, -1), (10, 0.1)])
def test_a_warm_up_of_an_impossible_length_is_refused(total, warmup):
    try:
        warm_up(total, warmup, lambda step: 1.0)
    except ValueError as error:
        assert str(total) in str(error) or str(warmup) in str(error), f"the message must name the value: {error}"
    else:
        pytest.fail(f"total_steps {total} with warmup_steps {warmup} is impossible: raise ValueError, as the docstring says")


@pytest.mark.exercise("5.3")
def test_the_linear_decay_falls_from_one_at_the_warm_ups_end_to_zero_at_the_last_step():
    factor = SCHEDULES["linear"](10, 4)
    assert factor(4) == 1, \
        f"at the warm-up's end the factor is {factor(4):.3g}, not 1: the decay must fall over the steps AFTER the warm-up"
    assert factor(5) < factor(4), "after the warm-up the factor must fall"
    assert factor(10) == pytest.approx(0), f"at the last step the factor is {factor(10):.3g}: it must reach 0 there, not before"
    assert factor(9) == pytest.approx(1 / 6), f"one step before the end it is {factor(9):.3g}, not 1/6: equal parts over 6 steps"
    assert factor(12) == 0, f"behind the end the factor is {factor(12):.3g}: it must stay 0, or the weights climb the loss"
    try:
        assert SCHEDULES["linear"](3, 3)(3) == 0, "a training that is all warm-up has the factor 0 at its end"
    except ZeroDivisionError:
        pytest.fail("a training that is all warm-up has no steps to fall over: the decay must not divide by 0")


@pytest.mark.exercise("5.3")
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


@pytest.mark.exercise("5.4")
def test_the_layers_shares_fall_towards_the_input():
    shares = [layer_factor(f"encoder.bert.layers.{number}.output.weight", 3, 0.5) for number in range(3)]
    assert shares != [1, 0.5, 0.25], "the shares fall towards the output: the layers next to the INPUT learn least"
    assert shares != [0.125, 0.25, 0.5], "one layer too many counts as above: the last layer has none above it, and the share 1"
    assert shares == [0.25, 0.5, 1], f"3 layers, decay 1/2: expected the shares 1/4, 1/2, 1, got {shares} (decay ** layers above)"
    embeddings = layer_factor("encoder.bert.embeddings.word.weight", 3, 0.5)
    assert embeddings != 1, "the embeddings learn at the full rate: they lie below all layers and have decay ** 3"
    assert embeddings == 0.125, f"the embeddings lie below all 3 layers: expected 1/8, got {embeddings}"


@pytest.mark.exercise("5.4")
@pytest.mark.parametrize("name, expected", [
    ("encoder.bert.embeddings.word.weight", 0.125), ("encoder.bert.embeddings.norm.bias", 0.125),
    ("encoder.bert.layers.0.output.weight", 0.25), ("encoder.bert.layers.1.attention.query.bias", 0.5),
    ("encoder.bert.layers.2.output_norm.weight", 1.0), ("encoder.bert.pooler.weight", 1.0),
    ("encoder.berts.sts.layers.0.output.weight", 0.25), ("encoder.bert.layers.1.adapters.layers.0.weight", 0.5),
    ("heads.sst.layers.1.weight", 7.0), ("pretraining.masked_lm.transform.weight", 1.0),
])
def test_layer_wise_decay_by_hand(name, expected):
    # L = 3, q = .5: layer l (from 1) has q^(3 - l), the embeddings q^3
    share = layer_factor(name, 3, 0.5, 7.0)
    assert share == expected, f"{name} has share {share}, not {expected}: heads have their own factor, also one with layers in it"
    assert layer_factor(name, 3, 1.0) == 1.0, "a decay of 1 is no decay"


@pytest.mark.exercise("5.4")
def test_layer_ten_is_not_layer_one():
    assert layer_factor("encoder.bert.layers.10.output.weight", 12, 0.5) == 0.5, "layer 10 was read as layer 1"
