"""Supervised: batches of one task, its output, and the target's loss and divergence."""

import pytest
import torch
from small_run import examples, make_model, recipe, tokenizer

from multitask.batches import training_batches
from multitask.objectives import Supervised
from multitask.tables import TASKS


def make_objective(task: str, model) -> Supervised:
    stream = training_batches(examples(task, 6), TASKS[task], tokenizer(), model.encoding(task), 4, seed=0)
    return Supervised(task, model.targets[task], stream)


@pytest.mark.parametrize("encoding", ["pair", "independent"])
@pytest.mark.parametrize("task", ["sst", "para", "sts"])
def test_an_objective_leads_from_examples_to_a_loss_that_trains_its_own_head(task, encoding):
    model = make_model(recipe(encoding))
    objective = make_objective(task, model)
    assert objective.name == task and len(objective.stream) == 2
    batch = objective.next_batch()
    output = objective.output(model, batch)
    loss = objective.loss(output, batch)
    loss.backward()
    assert loss.shape == () and torch.equal(loss, model.targets[task].loss(output, batch.labels))
    learning = {name for name, head in model.heads.items() for parameter in head.parameters() if parameter.grad is not None}
    assert learning == {task}


def test_embedded_tokens_can_be_handed_in_and_divergence_sees_the_difference():
    model = make_model(recipe(), dropout=0.0).eval()
    objective = make_objective("para", model)
    batch = objective.next_batch()
    embedded = model.embed("para", batch.tokens)
    output = objective.output(model, batch)
    assert torch.equal(objective.output(model, batch, embedded_BTD=embedded), output)
    moved = objective.output(model, batch, embedded_BTD=embedded + torch.randn_like(embedded))
    assert objective.divergence(output, output).item() == 0
    assert objective.divergence(output, moved).item() == pytest.approx(model.targets["para"].divergence(output, moved).item())
    assert objective.divergence(output, moved).item() > 0


def test_the_place_in_the_stream_is_kept_and_entered_again():
    model = make_model(recipe())
    first, second = make_objective("sst", model), make_objective("sst", model)
    first.next_batch()
    second.stream.load_state_dict(first.stream.state_dict())
    assert first.next_batch().ids == second.next_batch().ids
