"""A frozen encoder's vectors, computed once, change nothing but the time."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from small_run import data, examples, make_model, recipe, tokenizer

from multitask.evaluate import predict, run_model
from multitask.frozen import FrozenBatch, FrozenSupervised, encode_once
from multitask.judge import Judge, make_predictor
from multitask.stage import Parts, start_stage
from multitask.train import run_stage

KINDS = {"pair": {}, "independent": {}, "symmetric": {"symmetric": True}, "mean": {"pooling": "mean"},
         "pooler": {"pooling": "pooler"}}


def frozen_recipe(kind: str = "pair", **stage):
    """A heads-only stage; without dropout in the heads, whose masks would depend on what was drawn before."""
    some_recipe = recipe("independent" if kind == "independent" else "pair", train="last-linear-layer", **stage)
    return replace(some_recipe, tasks={
        name: replace(task, dropout=0.0, **(KINDS[kind] if task.encoding == "pair" else {}))
        for name, task in some_recipe.tasks.items()})


def parts_of(some_recipe) -> Parts:
    return Parts(make_model(some_recipe), tokenizer(), data())


def start(some_recipe, cached: bool = True):
    """With the cache, or with the encoder at work in every step: eval mode, no gradient."""
    parts = parts_of(some_recipe)
    if cached:
        return *start_stage(some_recipe, 0, parts), parts
    stages = (replace(some_recipe.stages[0], frozen_dropout=True),)
    state, schedule = start_stage(replace(some_recipe, stages=stages), 0, parts)
    parts.model.freeze_encoder(True)
    return state, schedule, parts


def train(some_recipe, cached: bool = True, seed: int = 0):
    state, schedule, parts = start(some_recipe, cached)
    torch.manual_seed(seed)
    ids = []
    for objective in state.objectives.values():
        following = objective.next_batch
        objective.next_batch = lambda following=following: ids.append((batch := following()).ids) or batch
    for _ in run_stage(state, schedule, some_recipe.stages[0].epochs, clip=1.0):
        pass
    return parts.model, ids


def weights(model, group: str) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if name.startswith(group)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_vectors_give_the_models_own_outputs(kind):
    state, _, parts = start(frozen_recipe(kind))
    parts.model.eval()
    for name, objective in state.objectives.items():
        assert isinstance(objective, FrozenSupervised), "the stage computes the vectors anew in every step"
        by_id = {one.id: one for one in parts.data[name].train}
        batch = objective.next_batch()
        expected = run_model(parts.model, tokenizer(), name, [by_id[id] for id in batch.ids],
                             partial(parts.model.output, name)).numpy()
        found = objective.output(parts.model, batch).detach().numpy()
        assert found == pytest.approx(expected, abs=1e-5), f"{name}: are the vectors in the examples' order?"


def test_vectors_come_in_the_examples_order_with_dropout_off_and_leave_the_mode():
    model, some = make_model(frozen_recipe("independent")), examples("para", 150)
    model.train()
    together = encode_once(model, tokenizer(), "para", some)
    assert together.shape == (150, 2, 16), "an independent pair has two vectors"
    assert torch.equal(together, encode_once(model, tokenizer(), "para", some)), "two passes differ: dropout is on"
    alone = encode_once(model, tokenizer(), "para", some[71:72])[0]
    assert torch.allclose(together[71], alone, atol=1e-5), "another example's vectors: batches are sorted by length inside"
    assert model.training and not together.requires_grad


@pytest.mark.parametrize("stage", [{}, {"schedule": "equal_resample", "resample": 10}, {"fraction": {"sst": (0.0, 0.5)}}])
def test_batches_hold_the_same_examples_in_the_same_order_as_without_the_cache(stage):
    (_, cached), (_, plain) = train(frozen_recipe(**stage)), train(frozen_recipe(**stage), cached=False)
    assert cached == plain and len(cached) > 5


@pytest.mark.parametrize("kind", ["pair", "independent"])
def test_the_cache_trains_the_same_heads_and_leaves_the_encoder_bit_for_bit(kind):
    some_recipe = frozen_recipe(kind, epochs=4)
    before = make_model(some_recipe)
    (cached, _), (plain, _) = train(some_recipe), train(some_recipe, cached=False)
    heads, others, first = (weights(model, "heads.") for model in (cached, plain, before))
    for name in heads:
        assert torch.allclose(heads[name], others[name], atol=1e-4), f"{name} learned something else from the cached vectors"
    moved = max((heads[name] - first[name]).abs().max() for name in heads)
    assert moved > 5e-3, "the heads hardly moved: this compares nothing"
    encoder = weights(cached, "encoder.")
    assert all(torch.equal(encoder[name], tensor) for name, tensor in weights(before, "encoder.").items())


@pytest.mark.parametrize("kind", KINDS)
def test_cached_predictions_on_dev_equal_the_models_also_after_training(kind):
    some_recipe = frozen_recipe(kind)
    state, schedule, parts = start(some_recipe)
    predictors = {name: make_predictor(parts, name, task.dev) for name, task in parts.data.items()}
    first = {name: predictor() for name, predictor in predictors.items()}
    for _ in run_stage(state, schedule, 2, clip=1.0):
        pass
    for name, predictor in predictors.items():
        found = predictor()
        assert found == pytest.approx(predict(parts.model, tokenizer(), name, parts.data[name].dev), abs=1e-5)
        assert not np.allclose(found, first[name], atol=1e-5), "the heads of now, not of the time the vectors were computed"
    assert parts.model.training, "prediction must leave the model as it was"


def count_encodings(some_recipe, monkeypatch) -> int:
    """Calls of the encoder in a stage with its evaluations."""
    parts, calls = parts_of(some_recipe), []
    encode = parts.model.encoder.encode
    monkeypatch.setattr(parts.model.encoder, "encode", lambda *given, **named: calls.append(1) or encode(*given, **named))
    state, schedule = start_stage(some_recipe, 0, parts)
    judge = Judge(some_recipe, 0, parts)
    for step in run_stage(state, schedule, some_recipe.stages[0].epochs, clip=1.0):
        if step.ends_epoch:
            judge.score()
    return len(calls)


def test_the_encoder_works_once_however_many_epochs_there_are(monkeypatch):
    one, five = (count_encodings(frozen_recipe("symmetric", epochs=epochs), monkeypatch) for epochs in (1, 5))
    assert one == five == 3 + 2 * (3 + 2), \
        "a batch each: 3 tasks to learn from; of these and of dev, to be scored, 3 and 2 tasks' pairs in the other order"


def test_dropout_in_the_frozen_encoder_forbids_the_cache(monkeypatch):
    state, _, parts = start(frozen_recipe(frozen_dropout=True))
    parts.model.train()
    for objective in state.objectives.values():
        batch = objective.next_batch()
        assert not isinstance(batch, FrozenBatch), "vectors computed once would freeze one dropout mask"
        one, other = objective.output(parts.model, batch), objective.output(parts.model, batch)
        assert not torch.equal(one, other), "frozen_dropout leaves the encoder's dropout on"
    assert count_encodings(frozen_recipe(frozen_dropout=True, epochs=2), monkeypatch) > 2 * 3


def test_a_frozen_batch_moves_to_a_device_as_a_whole():
    moved = FrozenBatch(("a",), torch.zeros(1, 2), torch.zeros(1)).to("meta")
    assert moved.ids == ("a",) and moved.vectors_ND.device.type == moved.labels.device.type == "meta"
