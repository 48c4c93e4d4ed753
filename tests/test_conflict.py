"""Cosines of the tasks' gradients: right, and measured without training noticing."""

import math

import pytest
import torch
from small_run import assert_same_state, data, make_model, recipe, tokenizer

from multitask.conflict import conflict_batches, fixed_batches, measure_conflict
from multitask.recipe import EncoderRecipe
from multitask.stage import Parts, start_stage
from multitask.train import run_stage

JOINT = {"schedule": "joint_min"}


def start(some_recipe=None, **stage):
    some_recipe = some_recipe or recipe(**(JOINT | stage))
    return start_stage(some_recipe, 0, Parts(make_model(some_recipe), tokenizer(), data()))


def slow_gradient(state, name, batches) -> dict[str, torch.Tensor]:
    """By backward(), a parameter at a time, as one would write it down."""
    state.model.eval()
    state.model.zero_grad()
    objective = state.objectives[name]
    sum(objective.loss(objective.output(state.model, batch), batch) for batch in batches).backward()
    grads = {key: one.grad.clone() for key, one in state.model.encoder.named_parameters() if one.grad is not None}
    state.model.zero_grad()
    state.model.train()
    return grads


def test_the_cosine_is_that_of_the_gradients_written_out():
    state, _ = start()
    batches = conflict_batches(state)
    found = measure_conflict(state.model, state.objectives, batches)
    assert list(found) == ["sst, para", "sst, sts", "para, sts"]
    grads = {name: slow_gradient(state, name, some) for name, some in batches.items()}
    for pair, parts in found.items():
        first, second = (grads[name] for name in pair.split(", "))
        for part, key in (("all", ""), ("embeddings", "bert.embeddings."), ("layer 1", "bert.layers.1.")):
            names = [name for name in first if name in second and name.startswith(key)]
            one, other = (torch.cat([side[name].flatten() for name in names]).double() for side in (first, second))
            expected = float(one @ other / (one.norm() * other.norm()))
            assert math.isclose(parts[part], expected, abs_tol=1e-5), f"{pair}, {part}: is the gradient the sum over the batches?"


def test_a_task_agrees_with_itself_and_conflicts_with_its_opposite():
    state, _ = start()
    one = state.objectives["sst"]

    class Opposite:
        stream, output = one.stream, one.output

        def loss(self, output, batch):
            return -one.loss(output, batch)

    batches = fixed_batches(one)
    found = measure_conflict(state.model, {"sst": one, "same": one, "opposite": Opposite()},
                             {"sst": batches, "same": batches, "opposite": batches})
    assert math.isclose(found["sst, same"]["all"], 1, abs_tol=1e-5), "a gradient has cosine 1 with itself: is dropout off?"
    assert math.isclose(found["sst, opposite"]["layer 1"], -1, abs_tol=1e-5), "minus a gradient has cosine -1 with it"


def test_a_part_that_a_task_does_not_use_has_no_cosine():
    state, _ = start()
    found = measure_conflict(state.model, state.objectives, conflict_batches(state))
    assert "pooler" not in found["sst, para"], "the tasks read [CLS], not the pooler: 0 / 0 is no cosine"


@pytest.mark.parametrize("combine", ["sum", "pcgrad"])
def test_training_goes_on_to_the_same_bit_as_if_nothing_had_been_measured(combine):
    states = []
    for measured in (False, True):
        state, schedule = start(combine=combine)
        torch.manual_seed(5)
        for step in run_stage(state, schedule, 2, 1.0):
            if measured:
                before = torch.get_rng_state()
                measure_conflict(state.model, state.objectives, conflict_batches(state))
                assert torch.equal(before, torch.get_rng_state()), "a random number was drawn: is the model in eval mode?"
                assert state.model.training, "the model was left in eval mode: training would go on without dropout"
            last = step
        states.append(state.state_dict())
    assert last.epoch == 2
    assert_same_state(*states)


def test_gradients_that_lie_in_the_weights_stay_there():
    state, _ = start()
    for parameter in state.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    measure_conflict(state.model, state.objectives, conflict_batches(state))
    for name, parameter in state.model.named_parameters():
        assert torch.equal(parameter.grad, torch.ones_like(parameter)), f"{name}.grad was changed: backward() adds to it"


@pytest.mark.parametrize("stage", [
    {"schedule": "budgeted"}, {"schedule": "round_robin"}, {"train": "last-linear-layer"}, {"objectives": ("sst",)},
    {"objectives": ("simcse", "masked_lm")}, {"objectives": ("sst", "masked_lm")},
])
def test_where_no_step_holds_two_tasks_of_a_learning_encoder_nothing_is_measured(stage):
    state, _ = start(**stage)
    assert conflict_batches(state) == {}


def test_tasks_with_a_bert_of_their_own_cannot_conflict(tmp_path):
    from dataclasses import replace

    from small_run import save_tiny_bert

    from multitask.checkpoint import build_model

    some_recipe = replace(recipe(**JOINT), encoder=EncoderRecipe(kind="separate"))
    model = build_model(some_recipe, save_tiny_bert(tmp_path / "bert"), tokenizer())
    state, _ = start_stage(some_recipe, 0, Parts(model, tokenizer(), data()))
    assert conflict_batches(state) == {}


def test_the_examples_are_the_same_every_time_and_few():
    state, _ = start()
    one = state.objectives["sst"]
    place = one.stream.state_dict()
    first, second = (fixed_batches(one, 6, 4) for _ in range(2))
    assert [batch.ids for batch in first] == [batch.ids for batch in second] and [len(batch.ids) for batch in first] == [4, 2]
    assert one.stream.state_dict() == place, "the stream moved on: training would miss these batches"
    assert len({id for batch in first for id in batch.ids}) == 6, "no example twice"
