"""What ends a training step for good: the message, what is left in the run folder, and a batch size that fits."""

import json
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_run import recipe, save_tiny_bert
from test_resume import make_setting

from minbert.files import MinbertError
from multitask import failures, processes
from multitask.failures import record_not_finite
from multitask.objectives import Supervised
from multitask.recipe import SmartRecipe
from multitask.run import run
from multitask.train import NotFinite

pytestmark = pytest.mark.usefixtures("without_figures")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("model"))


def break_loss(monkeypatch, task: str, step: int, value: float) -> list[tuple[str, ...]]:
    """Makes a task's loss that value in its step number `step`; returns a list that will hold the ids of every batch."""
    seen, loss = [], Supervised.loss

    def broken(self, output, batch):
        if self.name == task:
            seen.append(batch.ids)
        return loss(self, output, batch) * (value if self.name == task and len(seen) == step else 1)

    monkeypatch.setattr(Supervised, "loss", broken)
    return seen


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("task", ["sst", "para", "sts"])
def test_a_loss_that_is_not_finite_stops_the_run_before_the_step(task, value, model_folder, tmp_path, monkeypatch):
    setting = make_setting(model_folder, tmp_path / "run")
    seen = break_loss(monkeypatch, task, step=3, value=value)
    with pytest.raises(MinbertError) as caught:
        run(replace(recipe(schedule="joint_min"), save_steps=1), setting)
    message = caught.value.message
    assert caught.value.exit_code == 5 and f"the loss of {task} is {value} in epoch 1, step 3" in message
    assert "the last good state is" in message and "step-00000002" in message and "--lr" in caught.value.hint
    left = json.loads((setting.folder / "nan_batch.json").read_text())
    assert (left["epoch"], left["step"], left["value"]) == (1, 3, str(value)) and 0 < left["learning_rate"] <= 1e-3
    rows = left["examples"][task]
    assert [row["id"] for row in rows] == list(seen[2])
    train = {example.id: example for example in setting.data[task].train}
    assert all(tuple(row["texts"]) == train[row["id"]].texts and row["label"] == train[row["id"]].label for row in rows)


def test_a_gradient_that_is_not_finite_names_all_tasks_of_the_step(model_folder, tmp_path, monkeypatch):
    setting, calls = make_setting(model_folder, tmp_path / "run"), []
    clip = torch.nn.utils.clip_grad_norm_

    def broken(parameters, size):
        calls.append(size)
        return clip(parameters, size) * (float("nan") if len(calls) == 2 else 1)

    monkeypatch.setattr("multitask.train.nn.utils.clip_grad_norm_", broken)
    with pytest.raises(MinbertError, match=r"the gradient of sst\+para\+sts is nan in epoch 1, step 2") as caught:
        run(recipe(schedule="joint_min"), setting)
    assert caught.value.exit_code == 5 and "no state was saved before" in caught.value.message
    assert set(json.loads((setting.folder / "nan_batch.json").read_text())["examples"]) == {"sst", "para", "sts"}


def test_each_of_several_processes_leaves_its_own_part_of_the_examples(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 2)
    for number, id in enumerate(("s0", "s1")):
        monkeypatch.setattr(processes, "number", lambda number=number: number)
        state = SimpleNamespace(epoch=1, step=4, learning_rate=SimpleNamespace(current=[1e-3]))
        record_not_finite(NotFinite("the loss of sst", float("nan"), state, {"sst": (id,)}), {}, tmp_path)
    left = [json.loads((tmp_path / f"nan_batch-{number}.json").read_text())["examples"]["sst"] for number in (0, 1)]
    assert [[row["id"] for row in rows] for rows in left] == [["s0"], ["s1"]]


def small_memory(monkeypatch, rows: int, message: str = "CUDA out of memory. Tried to allocate 2 GiB") -> None:
    """A device whose memory holds a gradient of so many sequences, as far as anyone can tell from outside."""
    output = Supervised.output

    def limited(self, model, batch, embedded_BTD=None):
        if len(batch.ids) > rows:
            raise torch.OutOfMemoryError(message) if message.startswith("CUDA") else RuntimeError(message)
        return output(self, model, batch, embedded_BTD)

    monkeypatch.setattr(Supervised, "output", limited)


@pytest.mark.parametrize("message", [
    "CUDA out of memory. Tried to allocate 2 GiB\nmore", "MPS backend out of memory (MPS allocated)",
    "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
])
def test_too_little_memory_names_the_batch_size_that_fits_and_how_to_keep_the_step(message, model_folder, tmp_path, monkeypatch):
    setting = make_setting(model_folder, tmp_path / "run")
    small_memory(monkeypatch, 3, message)
    with pytest.raises(MinbertError, match="out of memory on cpu with batch_size 8 in stage 1") as caught:
        run(recipe(schedule="round_robin", batch_size=8, smart=SmartRecipe()), setting)
    assert caught.value.hint == ("--batch_size 2 fits (tried on the longest examples); with --set stages.0.accumulate=4 it keeps "
                                 "8 examples a step")
    assert caught.value.exit_code == 2 and "\n" not in caught.value.message
    small = recipe(schedule="round_robin", batch_size=2, accumulate=4, smart=SmartRecipe())
    run(small, make_setting(model_folder, tmp_path / "small"))


def test_what_fits_is_tried_when_the_failed_steps_memory_is_free(model_folder, tmp_path, monkeypatch):
    output, search, alive, seen = Supervised.output, failures.find_fitting_batch, [], []

    def failing(self, model, batch, embedded_BTD=None):
        result = output(self, model, batch, embedded_BTD)
        alive.append(weakref.ref(result))
        if len(batch.ids) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return result

    def watching(state):
        seen.extend(reference() for reference in alive)
        return search(state)

    monkeypatch.setattr(Supervised, "output", failing)
    monkeypatch.setattr(failures, "find_fitting_batch", watching)
    with pytest.raises(MinbertError, match="out of memory"):
        run(recipe(schedule="round_robin", batch_size=8), make_setting(model_folder, tmp_path / "run"))
    assert seen == [None], "the failed step's activations are in memory yet, beside those of the trials"


def test_a_model_that_fits_with_no_batch_is_said_to(model_folder, tmp_path, monkeypatch):
    small_memory(monkeypatch, 0)
    with pytest.raises(MinbertError, match="even for one example at a time") as caught:
        run(recipe(), make_setting(model_folder, tmp_path / "run"))
    assert "max_length" in caught.value.hint


def test_what_mps_cannot_do_is_said_with_the_way_out(model_folder, tmp_path, monkeypatch):
    def cannot(self, model, batch, embedded_BTD=None):
        raise NotImplementedError("The operator 'aten::x' is not currently implemented for the MPS device.")

    monkeypatch.setattr(Supervised, "output", cannot)
    with pytest.raises(MinbertError, match="cannot do a step of this training on MPS") as caught:
        run(recipe(), make_setting(model_folder, tmp_path / "run"))
    assert "PYTORCH_ENABLE_MPS_FALLBACK=1" in caught.value.hint


def test_a_mistake_of_ours_stays_a_mistake(model_folder, tmp_path, monkeypatch):
    def wrong(self, model, batch, embedded_BTD=None):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Supervised, "output", wrong)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run(recipe(), make_setting(model_folder, tmp_path / "run"))
