"""The word table's gradient is kept from step to step, and is what autograd makes of it."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from small_run import config, data, make_model, recipe, tokenizer

from minbert.bert import BertModel
from multitask.encoders import SeparateEncoder
from multitask.recipe import RDropRecipe, SmartRecipe
from multitask.stage import Parts, start_stage
from multitask.train import run_stage, take_gradient
from multitask.word_gradient import WordGradient


def start(**stage):
    some_recipe = recipe(**stage)
    return start_stage(some_recipe, 0, Parts(make_model(some_recipe), tokenizer(), data()))[0]


def table(state):
    return state.model.encoder.bert.embeddings.word.weight


def gradient_by_autograd(names: tuple[str, ...], **stage) -> torch.Tensor:
    state = start(**stage)
    state.word_gradient.embedding = None
    torch.manual_seed(0)
    take_gradient(state, names)
    return table(state).grad


def gradient_kept(names: tuple[str, ...], **stage) -> torch.Tensor:
    state = start(**stage)
    torch.manual_seed(0)
    take_gradient(state, names)
    return table(state).grad


@pytest.mark.parametrize("name", ["sst", "para", "sts"])
def test_one_tasks_gradient_is_autograds_to_the_last_bit(name):
    kept, usual = gradient_kept((name,)), gradient_by_autograd((name,))
    assert kept.layout == torch.strided and usual.abs().sum() > 0
    assert torch.equal(kept, usual), "rows of words that occur several times must be summed in the same order"


@pytest.mark.parametrize("stage", [{}, {"accumulate": 3}, {"combine": "pcgrad"}, {"combine": "gradvac"}])
def test_several_batches_gradients_add_up(stage):
    names = ("sst", "para", "sts")
    stage = {"schedule": "joint_min"} | stage
    torch.testing.assert_close(gradient_kept(names, **stage), gradient_by_autograd(names, **stage), rtol=1e-5, atol=1e-7)


def words_read(state, name: str) -> set[int]:
    """Takes the gradient of an objective's next batch; returns the words in it."""
    objective, batches = state.objectives[name], []
    next_batch = objective.next_batch
    objective.next_batch = lambda: batches.append(next_batch()) or batches[-1]
    take_gradient(state, (name,))
    objective.next_batch = next_batch
    return set(batches[0].tokens.ids_BT.flatten().tolist())


def words_learned(state) -> set[int]:
    return set(table(state).grad.abs().sum(dim=1).nonzero().flatten().tolist())


def test_it_is_the_same_memory_in_every_step_and_empty_in_between():
    state = start(schedule="round_robin")
    places, before, gone = {table(state).data_ptr()}, set(), set()
    for name in ("sst", "para", "sts", "sst", "sts"):
        read = words_read(state, name)
        assert words_learned(state) == read - {0}, "a step must not keep the rows of the step before"
        gone |= before - read
        before = read
        places.add(table(state).grad.data_ptr())
        state.optimizer.zero_grad(set_to_none=True)
    assert gone, "every batch had all words of the one before: nothing was tested"
    assert len(places) == 2, "one matrix of weights, one of gradients"


def test_padding_gets_no_gradient():
    state = start()
    assert any(0 in words_read(state, name) for name in ("sst", "para", "sts")), "no batch had padding: nothing was tested"
    assert not table(state).grad[0].any()


@pytest.mark.parametrize("stage", [{"objectives": ("masked_lm",), "schedule": "sequential_epoch"},
                                   {"smart": SmartRecipe(mode="sign")}, {"r_drop": RDropRecipe()}], ids=str)
def test_several_ways_to_the_table_in_one_pass_add_up(stage):
    names = stage.get("objectives", ("sst",))
    torch.testing.assert_close(gradient_kept(names, **stage), gradient_by_autograd(names, **stage), rtol=1e-5, atol=1e-7)


def test_a_copy_of_the_state_has_no_matrix_of_its_own():
    state = start()
    assert replace(state, step=3).word_gradient is state.word_gradient


def test_afterwards_the_embedding_is_as_it_was_also_after_an_error():
    state = start()
    with pytest.raises(ZeroDivisionError), state.word_gradient.kept_in_place():
        assert state.word_gradient.embedding.sparse
        raise ZeroDivisionError
    assert not state.word_gradient.embedding.sparse


def test_a_table_that_does_not_learn_gets_no_gradient():
    state = start(train="last-linear-layer", frozen_dropout=True)
    take_gradient(state, ("sst",))
    assert table(state).grad is None


def test_a_bert_for_each_task_is_left_to_autograd():
    """A task's BERT gets a gradient in its own steps only; in the others AdamW has to leave it alone."""
    encoder = SeparateEncoder({task: BertModel(config()) for task in ("sst", "para")})
    with WordGradient(encoder).kept_in_place():
        words = encoder.find_bert("sst").embeddings.word
        words(torch.tensor([[5]])).sum().backward()
        assert not words.sparse and words.weight.grad.layout == torch.strided
    assert encoder.find_bert("para").embeddings.word.weight.grad is None


def test_training_is_the_same_with_and_without_it():
    weights = []
    for kept in (True, False):
        state = start(schedule="round_robin")
        if not kept:
            state.word_gradient.embedding = None
        torch.manual_seed(0)
        steps = run_stage(state, lambda epoch: [("sst",), ("para",), ("sts",)] * 4, 1, clip=1.0)
        assert len(list(islice(steps, 12))) == 12
        weights.append(torch.cat([parameter.detach().flatten() for parameter in state.model.parameters()]))
    assert torch.equal(*weights)
