"""A stage's first step: which examples, which rates, and what of them reaches the gradient."""

from dataclasses import replace

import pytest
import torch
from small_run import data, make_model, recipe, tokenizer
from torch import nn

from multitask.evaluate import predict
from multitask.judge import mean_loss
from multitask.recipe import StageRecipe
from multitask.stage import Parts, find_examples, start_stage
from multitask.train import run_stage
from optim.gradient_surgery import pcgrad


def start(some_recipe, index: int = 0, train: int = 14, dropout: bool = True):
    model = make_model(some_recipe)
    state, schedule = start_stage(some_recipe, index, Parts(model, tokenizer(), data(train)))
    for module in model.modules():
        if isinstance(module, nn.Dropout) and not dropout:
            module.p = 0.0
    return state, schedule


def optimizer(some_recipe, **changes):
    return replace(some_recipe, optimizer=replace(some_recipe.optimizer, **changes))


def gradient(some_recipe, train: int = 14) -> dict[str, torch.Tensor]:
    """What the first step hands to the optimizer: no dropout, no clipping."""
    state, schedule = start(some_recipe, train=train, dropout=False)
    seen = {}
    state.optimizer.step = lambda: seen.update({name: parameter.grad.clone() for name, parameter
                                                in state.model.named_parameters() if parameter.grad is not None})
    next(run_stage(state, schedule, some_recipe.stages[0].epochs, clip=1e9))
    return seen


def assert_equal(one: dict, other: dict, why: str, factor: float = 1.0, tolerance: float = 1e-6) -> None:
    assert one.keys() == other.keys(), "the same parameters must have a gradient"
    scale = max(tensor.abs().max() for tensor in other.values()) * factor
    worst = max((one[name] - factor * other[name]).abs().max() / scale for name in other)
    assert worst < tolerance, f"{why} (off by {worst:.1e} of the largest element)"


def fractions(*parts: tuple[float, float], seed: int = 11711):
    """A recipe whose stages read these parts of sst."""
    first = recipe(objectives=("sst",), schedule="sequential_epoch").stages[0]
    return replace(recipe(), seed=seed, stages=tuple(replace(first, fraction={"sst": part}) for part in parts))


def ids_of(some_recipe, index: int) -> set[str]:
    return {example.id for example in start(some_recipe, index, train=40)[0].objectives["sst"].stream.examples}


def test_stages_that_read_different_parts_share_no_example_and_leave_none_out():
    halves = [ids_of(fractions((0.0, 0.5), (0.5, 1.0)), index) for index in (0, 1)]
    assert not halves[0] & halves[1], "the stages cut by seeds of their own: a part must be cut by the recipe's seed"
    assert halves[0] | halves[1] == {example.id for example in data(40)["sst"].train}


def test_a_part_is_the_recipe_seeds_not_the_stages():
    same, other = fractions((0.0, 0.5), (0.0, 0.5)), fractions((0.0, 0.5), seed=1)
    assert ids_of(same, 0) == ids_of(same, 1), "the same part of the same data must hold the same examples in every stage"
    assert ids_of(same, 0) != ids_of(other, 0), "another seed must cut elsewhere"


def test_a_part_is_of_training_examples_only():
    some_recipe = fractions((0.0, 0.5))
    parts = Parts(make_model(some_recipe), tokenizer(), data(40))
    assert find_examples(some_recipe, 0, "sst", "dev", parts) == parts.data["sst"].dev, "scores are of all dev examples"
    assert find_examples(some_recipe, 0, "para", "train", parts) == parts.data["para"].train


def rates(some_recipe, index: int = 0) -> dict[str, float]:
    """Every learning parameter's base rate by name."""
    state, _ = start(some_recipe, index)
    names = {id(parameter): name for name, parameter in state.model.named_parameters()}
    return {names[id(parameter)]: group["initial_lr"] for group in state.optimizer.param_groups for parameter in group["params"]}


def test_a_stages_learning_rate_goes_before_the_optimizers():
    assert set(rates(recipe()).values()) == {1e-3}
    assert set(rates(recipe(learning_rate=3e-4)).values()) == {3e-4}
    frozen = optimizer(recipe(train="last-linear-layer"), frozen_learning_rate=7e-3)
    assert set(rates(frozen).values()) == {7e-3}, "heads alone learn faster: frozen_learning_rate"
    given = replace(frozen, stages=(replace(frozen.stages[0], learning_rate=2e-3),))
    assert set(rates(given).values()) == {2e-3}


def test_layers_and_heads_learn_at_the_rates_the_recipe_gives_them():
    found = rates(optimizer(recipe(), layer_decay=0.5, head_factor=10.0))
    expected = {"encoder.bert.embeddings.": 0.25e-3, "encoder.bert.layers.0.": 0.5e-3, "encoder.bert.layers.1.": 1e-3,
                "heads.": 1e-2}
    for start_of_name, rate in expected.items():
        some = {name: value for name, value in found.items() if name.startswith(start_of_name)}
        assert some and list(some.values()) == pytest.approx([rate] * len(some)), f"{start_of_name}: {set(some.values())}"
    assert len(found) == len(dict(make_model(recipe()).named_parameters())), "every parameter belongs to one group"


def rates_by_epoch(some_recipe, losses) -> list[float]:
    """The rate of each epoch's steps in a real stage whose objective has these losses, one for each epoch."""
    state, schedule = start(some_recipe)
    objective = state.objectives["sst"]
    objective.loss = lambda output, batch: 0 * output.sum() + losses[state.epoch - 1]
    found: dict[int, set] = {}
    before = state.learning_rate.current[0]
    for step in run_stage(state, schedule, some_recipe.stages[0].epochs, clip=1.0):
        found.setdefault(step.epoch, set()).add(before)
        before = state.learning_rate.current[0]
    assert all(len(one) == 1 for one in found.values()), "the rate may only change between epochs"
    return [one.pop() for one in found.values()]


@pytest.mark.parametrize("losses, expected", [
    ([1, 2, 3, 4, 5, 6], [1, 1, 1, 1, 0.5, 0.5]), ([1, 2, 3, 4, 5, 6, 7, 7], [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]),
    ([6, 5, 4, 3, 2, 1], [1] * 6), ([1, 2, 3, 2, 3, 4], [1] * 6)])
def test_three_rises_of_the_training_loss_halve_the_rate(losses, expected):
    some_recipe = recipe(objectives=("sst",), schedule="sequential_epoch", epochs=len(losses),
                         learning_rate_schedule="halve_on_rise")
    found = [rate / 1e-3 for rate in rates_by_epoch(some_recipe, losses)]
    assert found == pytest.approx(expected), "does an epoch's loss include the epochs before it, or is it never observed?"


@pytest.mark.parametrize("combine", ["sum", "pcgrad"])
def test_accumulated_batches_are_one_larger_batch(combine):
    def some_recipe(**stage):  # 8 examples of each of two tasks: all in one step
        return recipe(objectives=("sst", "sts"), schedule="joint_min", combine=combine, **stage)

    whole = gradient(some_recipe(batch_size=8), train=8)
    parts = gradient(some_recipe(batch_size=2, accumulate=4), train=8)
    assert_equal(parts, whole, "4 batches of 2 are not 1 of 8: is each batch's share 1/4?")
    if combine == "pcgrad":
        plain = gradient(recipe(objectives=("sst", "sts"), schedule="joint_min", batch_size=8), train=8)
        assert any(not torch.allclose(whole[name], plain[name], rtol=1e-3) for name in plain), "no conflict: this tests nothing"


def test_surgery_sees_each_tasks_own_accumulated_gradient():
    def some_recipe(*objectives, **stage):
        return recipe(objectives=objectives, schedule="joint_min", batch_size=2, accumulate=4, **stage)

    tasks = [gradient(some_recipe(task), train=8) for task in ("sst", "sts")]
    found = gradient(some_recipe("sst", "sts", combine="pcgrad"), train=8)
    shared = [name for name in found if name.startswith("encoder.")]
    rows = [torch.cat([grads[name].flatten() for name in shared]) for grads in tasks]
    assert rows[0] @ rows[1] < 0, "no conflict: this tests nothing"
    together = torch.cat([found[name].flatten() for name in shared])
    assert torch.allclose(together, pcgrad(torch.stack(rows)), atol=1e-5 * float(together.abs().max())), \
        "one task's row holds another's gradient, or only its last batch's"


@pytest.mark.parametrize("schedule", ["sequential_epoch", "joint_min"])
def test_accumulation_by_sum_is_the_number_of_batches_times_the_mean(schedule):
    def some_recipe(**stage):
        return recipe(schedule=schedule, batch_size=2, accumulate=3, **stage)

    mean, total = gradient(some_recipe(), train=6), gradient(some_recipe(accumulate_by="sum"), train=6)
    assert_equal(total, mean, "the sum of 3 batches is not 3 times their mean", factor=3)


def test_the_last_step_of_a_pass_shares_out_the_batches_it_has():
    # 6 examples in batches of 2: 3 batches, which 4 cannot be had of
    assert_equal(gradient(recipe(schedule="sequential_epoch", batch_size=2, accumulate=4), train=6),
                 gradient(recipe(schedule="sequential_epoch", batch_size=6), train=6),
                 "a step of fewer batches must share its mean among those it has")


@pytest.mark.parametrize("accumulate", [3, 4])  # of 4 the pass has only 3
def test_the_step_reports_the_mean_loss_of_its_batches_and_all_their_rows(accumulate):
    some_recipe = recipe(schedule="sequential_epoch", batch_size=2, accumulate=accumulate)
    for by in ("mean", "sum"):
        one = replace(some_recipe, stages=(replace(some_recipe.stages[0], accumulate_by=by),))
        state, schedule = start(one, train=6, dropout=False)
        step = next(run_stage(state, schedule, 1, clip=1.0))
        whole, whole_schedule = start(recipe(schedule="sequential_epoch", batch_size=6), train=6, dropout=False)
        expected = next(run_stage(whole, whole_schedule, 1, clip=1.0))
        assert step.rows == 6 and float(step.losses["sst"]) == pytest.approx(float(expected.losses["sst"]), abs=1e-6)


def test_nominal_short_batches_divide_by_the_full_batch_size():
    settings = {"objectives": ("sst",), "schedule": "sequential_epoch", "batch_size": 8}
    mean, nominal = gradient(recipe(**settings), train=6), gradient(recipe(short_batches="nominal", **settings), train=6)
    assert_equal(nominal, mean, "6 examples in a batch of 8 weigh 6/8", factor=6 / 8)
    full = {**settings, "batch_size": 6}
    assert_equal(gradient(recipe(short_batches="nominal", **full), train=6), gradient(recipe(**full), train=6),
                 "a full batch is as ever")


def test_weights_multiply_the_tasks_gradients():
    def one(task, **stage):
        return gradient(recipe(objectives=(task,), schedule="sequential_epoch", **stage))

    assert_equal(one("sst", weights={"sst": 3.0}), one("sst"), "weight 3 is not 3 times the gradient", factor=3)
    both = gradient(recipe(objectives=("sst", "sts"), schedule="joint_min", weights={"sst": 3.0, "sts": 0.5}))
    sst, sts = one("sst"), one("sts")
    for name in both:
        expected = sum(weight * some[name] for weight, some in ((3.0, sst), (0.5, sts)) if name in some)
        assert torch.allclose(both[name], expected, atol=1e-5), f"{name}: each task has a weight of its own"


def test_a_task_without_a_weight_has_weight_one():
    settings = {"objectives": ("sst", "sts"), "schedule": "joint_min"}
    assert_equal(gradient(recipe(weights={"sst": 1.0}, **settings)), gradient(recipe(**settings)), "a weight of 1 is none")


def test_a_weight_of_zero_is_no_gradient():
    found = gradient(recipe(objectives=("sst",), schedule="sequential_epoch", weights={"sst": 0.0}))
    assert all(not tensor.any() for tensor in found.values())


def test_the_loss_that_select_by_goes_by_is_the_mean_over_examples():
    some_recipe = recipe()
    state, _ = start(some_recipe)  # 14 examples in batches of 4: the last has 2, and counts half as much
    state.model.train()
    found = mean_loss(state.objectives, Parts(state.model, tokenizer(), data()))
    expected = []
    for name, target in state.model.targets.items():
        train = data()[name].train
        output = torch.from_numpy(predict(state.model, tokenizer(), name, train))
        expected.append(float(target.loss(output, torch.tensor([example.label for example in train], dtype=None if name == "sst"
                                                                else torch.float32))))
    assert found == pytest.approx(sum(expected) / 3, rel=1e-5), "is a short last batch counted as a full one? is dropout on?"
    assert state.model.training, "training goes on afterwards"


def test_every_epoch_is_judged_by_the_same_batches():
    # masked_lm hides other words in every pass
    state, _ = start(recipe(objectives=("masked_lm",), schedule="sequential_epoch"))
    assert len({mean_loss(state.objectives, Parts(state.model, tokenizer(), data())) for _ in range(3)}) == 1


def test_a_stage_starts_without_the_last_ones_extra_heads():
    first = recipe(objectives=("masked_lm",), schedule="sequential_epoch").stages[0]
    some_recipe = replace(recipe(), stages=(first, *recipe().stages))
    parts = Parts(make_model(some_recipe), tokenizer(), data())
    start_stage(some_recipe, 0, parts)
    assert list(parts.model.pretraining) == ["masked_lm"]
    state, _ = start_stage(some_recipe, 1, parts)
    assert not list(parts.model.pretraining)
    learning = sum(len(group["params"]) for group in state.optimizer.param_groups)
    assert learning == len(list(parts.model.parameters())), "a head that has served must not be in the optimizer"


def test_a_full_stage_after_a_frozen_one_trains_the_encoder_again():
    stages = (StageRecipe(objectives=("sst",), schedule="sequential_epoch", epochs=1, batch_size=4, train="last-linear-layer"),
              recipe().stages[0])
    some_recipe = replace(recipe(), stages=stages)
    parts = Parts(make_model(some_recipe), tokenizer(), data())
    for index, trained in enumerate((False, True)):
        start_stage(some_recipe, index, parts)
        assert all(one.requires_grad is trained for one in parts.model.encoder.parameters())
        parts.model.train()
        assert parts.model.encoder.training is trained, "a frozen encoder keeps its dropout off, a trained one does not"
