"""Schedules: hand-worked orders and probabilities, each batch as often as promised, one order for one (seed, epoch)."""

import itertools
import math
from collections import Counter
from typing import get_args, get_type_hints

import pytest
import torch

from minbert.files import MinbertError
from multitask.recipe import StageRecipe
from multitask.schedules import (
    annealed,
    count_resampled,
    drawn_by_budget,
    epoch_dropout,
    make_schedule,
    round_robin,
    shares_of_powers,
    shuffled,
)

BATCHES = {"sst": 2, "para": 4, "sts": 1}
SIZES = {"sst": 15, "para": 32, "sts": 7}
BBB = {"sst": 8544, "para": 141498, "sts": 6040}
DRAWN = ("proportional", "sqrt", "annealed")  # these need steps_per_epoch
ALL = get_args(get_type_hints(StageRecipe)["schedule"])


def schedule(name: str, seed: int = 1, batches=BATCHES, sizes=SIZES, epochs: int = 3, **settings):
    if name in DRAWN:
        settings = {"steps_per_epoch": 40} | settings
    stage = StageRecipe(objectives=("sst", "para", "sts"), schedule=name, epochs=epochs, batch_size=8, **settings)
    return make_schedule(stage, batches, sizes, seed)


def names(order) -> list[str]:
    """The tasks of an order that has one in each step."""
    return [name for (name,) in order]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_frequencies(counts: Counter, probabilities: dict[str, float], cause: str = "") -> None:
    """Pearson's chi-squared; 13.8 is its one in a thousand for two degrees of freedom, 16.3 for three. The seeds are fixed."""
    total = sum(counts.values())
    distance = sum((counts[name] - total * share) ** 2 / (total * share) for name, share in probabilities.items())
    bound = 13.8 if len(probabilities) < 4 else 16.3
    assert distance < bound, f"{dict(counts)} of {total} draws do not go with {probabilities}. {cause}"


@pytest.mark.exercise("7.1")
@pytest.mark.parametrize("length, expected", [
    ("min", "sst para sts"),
    ("max", "sst para sts " * 4),
    ("until_exhausted", "sst para sts sst para para para"),
])
def test_round_robin_takes_the_tasks_in_turn(length, expected):
    found, first = round_robin(BATCHES, length), expected.split()
    assert found[:3] == ["sst", "para", "sts"], f"the tasks in turn, one batch of each: sst, para, sts, ..., not {found}"
    assert not (length != "min" and len(found) == 3), "the epoch stops with the shortest task: that is \"min\" alone"
    assert not (length == "until_exhausted" and len(found) == 12), \
        "until_exhausted drops a task when it is through, and does not start it over"
    assert found == first, (
        f"{length}: expected {len(first)} steps {' '.join(first)}, got {' '.join(found)}: as many rounds as the largest task has "
        "batches, or with \"min\" the smallest")


@pytest.mark.exercise("7.2")
def test_shuffled_takes_every_batch_exactly_once_in_an_order_of_the_generators():
    batches = {"sst": 20, "para": 40, "sts": 10}
    torch.manual_seed(4)
    order = shuffled(batches, generator(1))
    assert Counter(order) == batches, \
        f"every batch exactly once, got {dict(Counter(order))} of {batches}: drawn with replacement, or from the sizes alone?"
    assert order != sorted(order, key=list(batches).index), "the batches are in the recipe's order, not in a random order"
    torch.manual_seed(5)
    again = shuffled(batches, generator(1))
    assert again == order, "the order must come from the generator that is handed in, not from the global one"
    assert shuffled(batches, generator(2)) != order, "another seed of the generator must give another order"


@pytest.mark.exercise("7.2")
def test_shuffled_keeps_the_share_of_what_is_left_at_every_step():
    # a: 1 batch, b: 3. a is in each of the four places equally often
    places = Counter(shuffled({"a": 1, "b": 3}, generator(seed)).index("a") for seed in range(2000))
    assert_frequencies(places, dict.fromkeys(range(4), 0.25), "at each step a task is as likely as its share of what is left: "
                       "are tasks equally likely whatever they have left, or in blocks?")


def test_sequential_epoch_is_a_full_pass_over_each_task():
    assert schedule("sequential_epoch")(1) == [("sst",)] * 2 + [("para",)] * 4 + [("sts",)]


def test_sequential_tasks_finishes_one_task_before_the_next():
    order = [name for epoch in (1, 2, 3) for name in names(schedule("sequential_tasks")(epoch))]
    assert order == ["sst"] * 6 + ["para"] * 12 + ["sts"] * 3
    assert [len(schedule("sequential_tasks")(epoch)) for epoch in (1, 2, 3)] == [7, 7, 7]


@pytest.mark.parametrize("draw", ["remaining", "fixed"])
def test_budgeted_takes_every_batch_once_in_an_order_of_its_own_each_epoch(draw):
    order = schedule("budgeted", budget_draw=draw)
    assert all(Counter(names(order(epoch))) == BATCHES for epoch in (1, 2, 3))
    assert len({tuple(order(epoch)) for epoch in range(1, 20)}) > 1, "every epoch has the same order"


def test_the_order_of_earlier_releases_stays():
    expected = "sts sst para para para para sst".split()
    assert names(schedule("budgeted")(1)) == expected, "another order from the same seed: published runs cannot be repeated"


@pytest.mark.parametrize("draw", ["remaining", "fixed"])
@pytest.mark.parametrize("epochs", [1, 3, 4, 10])
def test_a_budget_is_used_up_exactly_over_nearly_equal_epochs(draw, epochs):
    order = schedule("budgeted", epochs=epochs, budget={"sst": 10, "para": 3, "sts": 10}, budget_draw=draw)
    parts = [names(order(epoch)) for epoch in range(1, epochs + 1)]
    assert Counter(itertools.chain(*parts)) == {"sst": 20, "para": 12, "sts": 10}
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert epochs == 1 or Counter(parts[0]) != Counter(parts[-1]), \
        "the whole stage's batches are shuffled together: an epoch alone is no exact share of them"


@pytest.mark.exercise("7.2")
def test_shuffled_draws_each_task_by_its_share_of_what_is_left():
    draws = [shuffled({"a": 1, "b": 3}, generator(seed))[0] for seed in range(2000)]
    assert_frequencies(Counter(draws), {"a": 0.25, "b": 0.75}, "a task is as likely as its share of what is left")


def test_the_last_of_a_fixed_draw_is_the_small_task_more_often():
    # a: 1 batch, b: 2. Fixed: a is last where b came twice, (2/3)^2 = 4/9; a shuffle has a last in 1/3
    generators = generator(1), generator(1)
    last = [Counter(draw({"a": 1, "b": 2}, one)[-1] for _ in range(3000))
            for draw, one in zip((drawn_by_budget, shuffled), generators, strict=True)]
    assert_frequencies(last[0], {"a": 4 / 9, "b": 5 / 9})
    assert_frequencies(last[1], {"a": 1 / 3, "b": 2 / 3})


@pytest.mark.exercise("7.6")
def test_annealing_gives_the_reports_probabilities():
    for epoch, expected in ((1, (0.0547, 0.9066, 0.0387)), (10, (0.2713, 0.4756, 0.2531))):
        found = annealed(BBB, epoch, 10)
        assert sum(found.values()) == pytest.approx(1), "the probabilities must add up to 1: divide by the sum of the powers"
        assert tuple(found.values()) == pytest.approx(expected, abs=1e-4), \
            f"epoch {epoch} of 10: size to the power of alpha, and alpha falls from 1 in the first epoch to 0.2 in the last"


@pytest.mark.exercise("7.6")
@pytest.mark.parametrize("epoch, epochs, alpha", [(1, 10, 1.0), (10, 10, 0.2), (1, 1, 1.0), (3, 5, 0.6), (2, 10, 1 - 0.8 / 9)])
def test_annealing_falls_in_equal_parts_from_1_to_a_fifth(epoch, epochs, alpha):
    total = sum(size**alpha for size in BBB.values())
    expected = {name: size**alpha / total for name, size in BBB.items()}
    try:
        found = annealed(BBB, epoch, epochs)
    except ZeroDivisionError:
        pytest.fail("a single epoch divides by zero, since epochs - 1 is 0: alpha is 1 there")
    assert sum(found.values()) == pytest.approx(1), "the probabilities must add up to 1: divide by the sum of the powers"
    assert found == pytest.approx(expected, abs=1e-9), (
        f"epoch {epoch} of {epochs} has alpha {alpha:.4g}, got another: alpha falls from 1 in the first epoch (epochs count from "
        "1: off by one?) to 0.2 in the last, and is a power of the sizes, not a factor")


@pytest.mark.parametrize("name, expected", [
    ("proportional", [15 / 54, 32 / 54, 7 / 54]),
    ("sqrt", [math.sqrt(size) / (math.sqrt(15) + math.sqrt(32) + math.sqrt(7)) for size in (15, 32, 7)]),
    ("annealed", list(shares_of_powers(SIZES, 0.2).values())),  # epoch 3 of 3
])
def test_tasks_are_drawn_by_their_probabilities(name, expected):
    order = schedule(name, steps_per_epoch=6000)(3)
    assert len(order) == 6000
    assert_frequencies(Counter(names(order)), dict(zip(SIZES, expected, strict=True)))


def test_annealing_goes_from_the_sizes_to_almost_equal():
    order = schedule("annealed", sizes=BBB, epochs=10, steps_per_epoch=6000)
    assert_frequencies(Counter(names(order(1))), shares_of_powers(BBB, 1.0))
    assert_frequencies(Counter(names(order(10))), shares_of_powers(BBB, 0.2))


def test_joint_min_takes_every_task_in_every_step_as_often_as_the_smallest_has_batches():
    assert schedule("joint_min")(1) == [("sst", "para", "sts")]


@pytest.mark.parametrize("resample, examples, steps", [(0, 7, 1), (16, 16, 2), (17, 17, 3), (100, 100, 13)])
def test_equal_resample_has_as_many_joint_steps_as_the_drawn_examples_fill(resample, examples, steps):
    stage = StageRecipe(objectives=("sst", "para", "sts"), schedule="equal_resample", epochs=3, batch_size=8, resample=resample)
    assert count_resampled(stage, SIZES) == examples, "left out, it is the smallest task's number of examples"
    assert make_schedule(stage, BATCHES, SIZES, 1)(2) == [("sst", "para", "sts")] * steps


def test_epoch_dropout_is_full_passes_in_random_order():
    for epoch in range(1, 40):
        runs = [(name, len(list(group))) for name, group in itertools.groupby(names(schedule("epoch_dropout")(epoch)))]
        assert runs and all(BATCHES[name] == length for name, length in runs), runs
        assert len(dict(runs)) == len(runs), f"a task came back: {runs}"


def test_epoch_dropout_skips_each_task_by_its_chance():
    # all three skipped, (1 - 1/2) (1 - 1/3) (1 - 9/10) = 1/30, is drawn again: every chance is divided by 29/30
    drawn, firsts, repeats = Counter(), Counter(), 3000
    for epoch in range(repeats):
        tasks = list(dict.fromkeys(names(schedule("epoch_dropout")(epoch))))
        drawn.update(tasks)
        firsts[tasks[0]] += len(tasks) == 3
    for name, chance in {"sst": 1 / 2, "para": 1 / 3, "sts": 9 / 10}.items():
        chance *= 30 / 29
        assert abs(drawn[name] / repeats - chance) < 4 * math.sqrt(chance * (1 - chance) / repeats), name
    assert_frequencies(firsts, dict.fromkeys(BATCHES, 1 / 3))


def test_probabilities_say_which_tasks_epoch_dropout_keeps():
    always = schedule("epoch_dropout", probabilities={"sst": 1.0, "para": 0.0, "sts": 1.0})
    assert all(Counter(names(always(epoch))) == {"sst": 2, "sts": 1} for epoch in range(1, 30))
    assert len({names(always(epoch))[0] for epoch in range(1, 30)}) == 2, "the tasks come in random order"
    tasks = [epoch_dropout({"new": 1, "other": 1}, {"new": 0.5, "other": 0.5}, generator(seed)) for seed in range(2000)]
    assert abs(sum("new" in order for order in tasks) / 2000 - 2 / 3) < 0.04  # 1/2 of 3/4 that are not empty


def test_epoch_dropout_that_would_never_train_is_refused():
    with pytest.raises(MinbertError, match="would skip every task"):
        schedule("epoch_dropout", probabilities=dict.fromkeys(BATCHES, 0.0))(1)


@pytest.mark.parametrize("name", ALL)
def test_the_order_depends_on_seed_and_epoch_alone(name):
    first = schedule(name, seed=1)
    orders = [first(epoch) for epoch in (1, 2, 3)]
    assert [first(epoch) for epoch in (3, 2, 1)] == orders[::-1], "an epoch's order depends on which were asked for before"
    torch.manual_seed(99)
    assert [schedule(name, seed=1)(epoch) for epoch in (1, 2, 3)] == orders, "drawn from the global generator"
    if name in ("budgeted", "epoch_dropout", *DRAWN):
        assert any(schedule(name, seed=1)(epoch) != schedule(name, seed=2)(epoch) for epoch in range(1, 9))
        assert len({tuple(schedule(name)(epoch)) for epoch in range(1, 9)}) > 1


def test_every_schedule_is_another_one():
    batches, sizes = {"sst": 9, "para": 40, "sts": 5}, {"sst": 70, "para": 320, "sts": 37}
    orders = {name: str([schedule(name, batches=batches, sizes=sizes, resample=48 if name == "equal_resample" else 0)(epoch)
                         for epoch in (1, 2, 3)]) for name in ALL}
    assert len(set(orders.values())) == len(ALL) == 10


@pytest.mark.parametrize("name", ALL)
def test_a_task_without_examples_is_left_out(name):
    order = schedule(name, batches=BATCHES | {"sts": 0}, sizes=SIZES | {"sts": 0})
    seen = {task for epoch in range(1, 9) for step in order(min(epoch, 3)) for task in step}
    assert "sts" not in seen and seen <= {"sst", "para"} and seen
    with pytest.raises(MinbertError, match="not one training example for sst, para, sts"):
        schedule(name, sizes=dict.fromkeys(SIZES, 0))


@pytest.mark.parametrize("name, expected", [
    ("sequential_epoch", {"sst": 1, "para": 2, "sts": 1}), ("budgeted", {"sst": 1, "para": 2, "sts": 1})])
def test_a_step_of_several_batches_takes_as_many_off_a_pass(name, expected):
    order = schedule(name, accumulate=3)(1)
    assert Counter(names(order)) == expected, "4 batches are a step of 3 and one of 1"
    assert len(schedule("equal_resample", accumulate=3, resample=50)(1)) == 3  # 7 batches


@pytest.mark.parametrize("steps", [3, 25])
def test_steps_per_epoch_cuts_an_epoch_short_or_goes_on(steps):
    order = schedule("round_robin", steps_per_epoch=steps)(1)
    assert len(order) == steps and order[:3] == [("sst",), ("para",), ("sts",)]
    assert abs(Counter(order)[("sst",)] - steps / 3) < 1
