"""Schedules: hand-worked orders, every batch as often as promised, and the same order from the same (seed, epoch)."""

from collections import Counter

import pytest
import torch

from multitask.recipe import StageRecipe
from multitask.schedules import make_schedule, round_robin, shuffled

BATCHES = {"sst": 2, "para": 4, "sts": 1}


def schedule(name: str, seed: int = 1, **settings):
    stage = StageRecipe(objectives=("sst", "para", "sts"), schedule=name, epochs=3, batch_size=8, **settings)
    return make_schedule(stage, BATCHES, seed)


@pytest.mark.parametrize("length, expected", [
    ("min", "sst para sts"),
    ("max", "sst para sts " * 4),
    ("until_exhausted", "sst para sts sst para para para"),
])
def test_round_robin_takes_the_tasks_in_turn(length, expected):
    assert round_robin(BATCHES, length) == expected.split()


def test_sequential_epoch_is_a_full_pass_over_each_task():
    assert schedule("sequential_epoch")(1) == [("sst",)] * 2 + [("para",)] * 4 + [("sts",)]


def test_sequential_tasks_finishes_one_task_before_the_next():
    order = [name for epoch in (1, 2, 3) for (name,) in schedule("sequential_tasks")(epoch)]
    assert order == ["sst"] * 6 + ["para"] * 12 + ["sts"] * 3


def test_budgeted_takes_every_batch_once_in_an_order_of_its_own_each_epoch():
    order = schedule("budgeted")
    assert all(Counter(name for (name,) in order(epoch)) == BATCHES for epoch in (1, 2, 3))
    assert len({tuple(order(epoch)) for epoch in range(1, 20)}) > 1, "every epoch has the same order"


def test_shuffled_draws_each_task_by_its_share():
    generator = torch.Generator().manual_seed(0)
    first = Counter(shuffled({"a": 1, "b": 3}, generator)[0] for _ in range(4000))
    assert abs(first["b"] / 4000 - 0.75) < 0.03  # 4 standard errors


def test_the_order_depends_on_seed_and_epoch_alone():
    assert schedule("budgeted", seed=1)(2) == schedule("budgeted", seed=1)(2)
    assert any(schedule("budgeted", seed=1)(epoch) != schedule("budgeted", seed=2)(epoch) for epoch in range(1, 9))


def test_joint_min_takes_every_task_in_every_step_as_often_as_the_smallest_has_batches():
    assert schedule("joint_min")(1) == [("sst", "para", "sts")]


@pytest.mark.parametrize("steps", [3, 25])
def test_steps_per_epoch_cuts_an_epoch_short_or_goes_on(steps):
    order = schedule("round_robin", steps_per_epoch=steps)(1)
    assert len(order) == steps and order[:3] == [("sst",), ("para",), ("sts",)]
    assert abs(Counter(order)[("sst",)] - steps / 3) < 1
