"""What an epoch is judged by, what of the training data is scored, and what the log says."""

import json
import math

import pytest
import torch
from small_run import examples

from multitask.evaluate import Score, summarise
from multitask.record import (
    EpochLog,
    describe_epoch,
    describe_step,
    find_faint,
    is_better,
    sample_evenly,
    to_json,
    value_of,
)
from multitask.train import Step

NAN = math.nan


def score(value: float) -> Score:
    return Score(value, value - 0.1, value + 0.1)


def scores(sst: float = 0.5, para: float = 0.75, sts: float = 0.2) -> dict:
    main = {"sst": score(sst), "para": score(para), "sts": score(sts)}
    names = {"sst": "accuracy", "para": "accuracy", "sts": "pearson"}
    dev = {task: {names[task]: one, "another": score(0.0)} for task, one in main.items()}
    return {"dev": dev, "train": dev, **summarise(main)}


def step(ends_epoch: bool = False, **losses: float) -> Step:
    tensors = {name: torch.tensor(loss) for name, loss in losses.items()}
    return Step(2, 3, tensors, {"sst.smart": torch.tensor(0.5)}, 8, ends_epoch)


def test_a_sample_comes_from_all_over_a_sorted_file():
    some = examples("sst", 1000)
    chosen = [some.index(one) for one in sample_evenly(some, 200)]
    assert chosen == list(range(0, 1000, 5)), "the first rows of a sorted file are nearly all of one label"


@pytest.mark.parametrize("count, size", [(200, 200), (199, 200), (1, 200), (0, 200)])
def test_few_examples_are_all_scored(count, size):
    some = examples("sst", count)
    assert sample_evenly(some, size) == some


@pytest.mark.parametrize("count, size", [(201, 200), (399, 200), (10, 3), (7, 1)])
def test_a_sample_has_its_size_and_no_example_twice(count, size):
    chosen = [one.id for one in sample_evenly(examples("sst", count), size)]
    assert len(set(chosen)) == len(chosen) == size


def test_an_epoch_is_judged_by_what_the_recipe_selects():
    values = {name: value_of(scores(), name) for name in ("sst", "para", "sts", "overall_raw", "overall_normalised", "minimum")}
    assert values == pytest.approx({"sst": 0.5, "para": 0.75, "sts": 0.2, "overall_raw": 1.45 / 3,
                                    "overall_normalised": (0.5 + 0.75 + 0.6) / 3, "minimum": 0.2})


def test_a_lower_loss_is_a_higher_value():
    assert value_of({"dev_loss": 0.3}, "loss") > value_of({"dev_loss": 0.4}, "loss")
    assert is_better(value_of({"dev_loss": 0.3}, "loss"), value_of({"dev_loss": 0.4}, "loss"))


def test_a_stage_that_trains_no_task_has_no_value():
    assert math.isnan(value_of({}, "overall_normalised")) and math.isnan(value_of({"dev_loss": 0.3}, "sst"))


def test_a_defined_score_replaces_nan_and_nan_replaces_no_defined_score():
    assert is_better(-1.0, NAN) and not is_better(NAN, -1.0), "any comparison with nan is false: it needs a rule of its own"
    assert is_better(NAN, None), "the first epoch is the best so far, whatever it scores: a run must end with a checkpoint"
    assert not is_better(0.5, 0.5), "of two equal epochs the first one stays"
    assert not is_better(NAN, NAN), "or patience would never run out while a score stays undefined"


def test_an_undefined_task_makes_the_overall_score_undefined_and_never_selected():
    undefined = scores(sts=NAN)
    assert math.isnan(value_of(undefined, "overall_raw")) and math.isnan(value_of(undefined, "minimum"))
    assert value_of(undefined, "sst") == 0.5
    assert not is_better(value_of(undefined, "overall_raw"), value_of(scores(), "overall_raw"))


def test_the_log_means_the_steps_of_its_epoch():
    log = EpochLog()
    for one in (step(sst=1.0), step(sst=3.0), step(True, sts=5.0)):
        log.add(one)
    record = describe_step(0, one, log, 1e-3)
    assert record["train_loss"] == {"sst": 2.0, "sts": 5.0}, "each objective's mean is over the steps that trained it"
    assert record["penalties"] == {"sst.smart": 0.5} and (record["stage"], record["epoch"], record["steps"]) == (1, 2, 3)
    assert record["examples_per_second"] == pytest.approx(24 / record["seconds"])


def test_nan_is_null_in_json_at_any_depth():
    text = to_json({"a": [NAN, {"b": Score(NAN, 0.5, math.inf)}], 3: (1, "nan")})
    assert json.loads(text) == {"a": [None, {"b": {"value": None, "low": 0.5, "high": None}}], "3": [1, "nan"]}


def test_the_screen_names_undefined_scores_the_best_epoch_and_what_was_not_scored():
    log = EpochLog()
    log.add(step(True, sst=1.0))
    record = describe_step(0, step(True), log, 1e-3)
    assert describe_epoch(record).startswith("stage 1, epoch 2: train loss sst 1  |  penalties sst.smart 0.5"), "nothing scored"
    told = describe_epoch(record | scores(sts=NAN) | {"dev_loss": 1.5, "best_so_far": True})
    assert "sst 0.500 (train 0.500)" in told and "undefined for sts" in told and "dev loss 1.500" in told
    assert told.endswith("*best*")


def test_a_penalty_that_nobody_can_feel_is_named():
    record = {"penalties": {"sst.smart": 1e-6, "sts.smart": 0.5, "sst.bregman": 0.0}, "train_loss": {"sst": 1.5, "sts": 2.0}}
    assert find_faint(record) == "sst.smart", "Bregman's penalty starts at 0 and grows; SMART's does not"
