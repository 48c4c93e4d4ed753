"""The tool that tells a technique from one that silently does nothing must itself not be fooled."""

import copy
from dataclasses import replace
from itertools import islice

import pytest
import torch
from small_run import assert_same_state, data, recipe, save_tiny_bert, tokenizer

from minbert.files import MinbertError
from multitask import effect, penalties
from multitask.checkpoint import build_model
from multitask.effect import measure
from multitask.features import TAGS
from multitask.flags import run_command
from multitask.layers import ProjectedAttention
from multitask.recipe import BregmanRecipe, EncoderRecipe, FeaturesRecipe, RDropRecipe, SmartRecipe
from multitask.recipe_files import to_toml
from multitask.stage import Parts, start_stage
from multitask.train import run_stage


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("model"))


def plain(**stage):
    """A recipe whose very first step moves the weights: without warm-up."""
    some_recipe = recipe(**({"schedule": "round_robin"} | stage))
    return replace(some_recipe, optimizer=replace(some_recipe.optimizer, schedule="constant"))


def optimizer(**changes):
    return replace(plain(), optimizer=replace(plain().optimizer, **changes))


def parts_of(some_recipe, folder) -> Parts:
    torch.manual_seed(0)
    words, some = tokenizer(), data()
    if some_recipe.features.part_of_speech != "none":
        some = {name: replace(task, train=[
            replace(one, tags=tuple([1 + piece % len(TAGS) for piece in pieces] for pieces in one.pieces)) for one in task.train])
            for name, task in some.items()}
    return Parts(build_model(some_recipe, folder, words), words, some, folder)


def effects(some_recipe, folder) -> dict[str, float | None]:
    found = measure(some_recipe, parts_of(some_recipe, folder))
    names = [one.technique for one in found]
    assert len(set(names)) == len(names)
    return {one.technique.removeprefix("stage 1: "): one.change for one in found}


TASKS = ("sst", "para", "sts")


def on_each(technique: str) -> list[str]:
    return [f"{technique} on {task}" for task in TASKS]


JOINT = {"schedule": "joint_min"}
TECHNIQUES = {
    "smart": (plain(smart=SmartRecipe(mode="sign")), on_each("smart")),
    "smart of one task": (plain(smart=SmartRecipe(tasks=("sts",))), ["smart on sts"]),
    "bregman": (plain(bregman=BregmanRecipe()), on_each("bregman")),
    "r_drop": (plain(r_drop=RDropRecipe()), on_each("r_drop")),
    "pcgrad": (plain(combine="pcgrad", **JOINT), ["pcgrad"]),
    "gradvac": (plain(combine="gradvac", **JOINT), ["gradvac"]),
    "weights": (plain(weights={"sst": 2.0}), ["weights"]),
    "layer_decay": (optimizer(layer_decay=0.5), ["layer_decay"]),
    "head_factor": (optimizer(head_factor=10.0), ["head_factor"]),
    "ema": (optimizer(average="ema"), ["ema"]),
    "budgeted": (plain(schedule="budgeted"), ["schedule budgeted"]),
    "annealed": (plain(schedule="annealed", steps_per_epoch=12), ["schedule annealed"]),
    "pal": (replace(plain(), encoder=EncoderRecipe(kind="pal", size=8, heads=2)), on_each("added layers")),
    "adapters": (replace(plain(), encoder=EncoderRecipe(kind="adapters", size=4)), on_each("added layers")),
    "tags": (replace(plain(), features=FeaturesRecipe(part_of_speech="textblob")), on_each("parts of speech")),
    "masked_lm": (plain(objectives=("masked_lm",), schedule="sequential_epoch"), ["the objective's own head on masked_lm"]),
    "heads alone": (plain(train="last-linear-layer", r_drop=RDropRecipe()), on_each("r_drop")),
}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_that_is_switched_on_is_measured_and_changes_something(name, folder):
    some_recipe, expected = TECHNIQUES[name]
    found = effects(some_recipe, folder)
    assert set(expected) <= set(found), f"{name} is on, but nobody measures it"
    idle = [technique for technique, change in found.items() if not change > 0]
    assert not idle, f"without effect: {idle}"


def test_a_plain_recipe_has_nothing_but_an_order(folder):
    assert list(effects(plain(), folder)) == ["schedule round_robin"]
    assert effects(plain(objectives=("sst",)), folder) == {}


def test_a_technique_that_acts_later_is_named_without_a_number(folder):
    assert effects(optimizer(schedule="halve_on_rise", average="swa"), folder) == {
        "schedule round_robin": pytest.approx(0.5, abs=0.5), "halve_on_rise": None, "swa": None}
    in_the_stage = effects(plain(learning_rate_schedule="halve_on_rise"), folder)
    assert "halve_on_rise" in in_the_stage, "a stage may have a course of the learning rate of its own"


def test_every_stage_is_measured(folder):
    some_recipe = plain(smart=SmartRecipe(mode="sign", tasks=("sst",)))
    some_recipe = replace(some_recipe, stages=(some_recipe.stages[0], plain(r_drop=RDropRecipe(tasks=("sts",))).stages[0]))
    names = {one.technique for one in measure(some_recipe, parts_of(some_recipe, folder))}
    assert {"stage 1: smart on sst", "stage 2: r_drop on sts"} <= names


def test_smart_with_the_papers_settings_is_a_warning(folder):
    some_recipe = plain(smart=SmartRecipe(tasks=("sst",)))
    one, = (each for each in measure(some_recipe, parts_of(some_recipe, folder)) if "smart" in each.technique)
    assert 0 < one.change < 1e-3 and one.verdict.startswith("WARNING"), "a perturbation of 1e-5 moves next to nothing"


def constant(self, model, objective, batch, output):
    return torch.tensor(1.0)


def without_gradient(call):
    """The usual bug: the penalty's value is right, but it was computed without a graph."""
    def broken(self, model, objective, batch, output):
        return call(self, model, objective, batch, output).detach()
    return broken


BROKEN = {
    "smart": (penalties.Smart, plain(smart=SmartRecipe(mode="sign"))),
    "bregman": (penalties.Bregman, plain(bregman=BregmanRecipe())),
    "r_drop": (penalties.RDrop, plain(r_drop=RDropRecipe())),
}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("how", ["constant", "without gradient"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_penalty_that_trains_nothing_has_exactly_no_effect(name, how, accumulate, folder, monkeypatch):
    kind, some_recipe = BROKEN[name]
    monkeypatch.setattr(kind, "__call__", constant if how == "constant" else without_gradient(kind.__call__))
    some_recipe = replace(some_recipe, stages=(replace(some_recipe.stages[0], accumulate=accumulate),))
    found = effects(some_recipe, folder)
    assert {found[f"{name} on {task}"] for task in TASKS} == {0.0}, \
        "the random numbers or the batch differ between the two steps: their noise hides that the technique does nothing"


def test_surgery_that_only_sums_has_no_effect(folder, monkeypatch):
    monkeypatch.setattr("multitask.stage.pcgrad", lambda grads_NP, generator, visit_self, merge: grads_NP.sum(dim=0))
    assert effects(plain(combine="pcgrad", **JOINT), folder)["pcgrad"] == 0


def test_an_average_that_follows_at_once_has_no_effect(folder, monkeypatch):
    monkeypatch.setattr("optim.averaging.WeightAverage.after_step", lambda self: self.move(1.0))
    assert effects(optimizer(average="ema"), folder)["ema"] == 0


def test_added_layers_that_get_no_gradient_have_no_effect(folder, monkeypatch):
    forward = ProjectedAttention.forward
    monkeypatch.setattr(ProjectedAttention, "forward", lambda *given: forward(*given).detach())
    found = effects(TECHNIQUES["pal"][0], folder)
    assert {found[f"added layers on {task}"] for task in TASKS} == {0.0}


def test_measuring_leaves_weights_streams_and_random_numbers_as_they_were(folder):
    some_recipe = replace(plain(smart=SmartRecipe(mode="sign"), bregman=BregmanRecipe(), r_drop=RDropRecipe(), combine="gradvac",
                                weights={"sst": 2.0}, **JOINT),
                          optimizer=replace(plain().optimizer, layer_decay=0.5, average="ema"))
    state, schedule = start_stage(some_recipe, 0, parts_of(some_recipe, folder))
    for _ in islice(run_stage(state, schedule, 1, clip=1.0), 2):
        pass
    before = copy.deepcopy(state.state_dict())
    found = [*effect.penalty_effects(state), *effect.combination_effects(state), *effect.optimizer_effects(some_recipe, state),
             *effect.order_effects(state), *effect.part_effects(state)]
    assert len(found) == 9 + 2 + 2 + 1
    assert all(parameter.grad is None for parameter in state.model.parameters()), "the next step would add to this gradient"
    assert_same_state(state.state_dict(), before)


def call(some_recipe, folder, tmp_path, monkeypatch) -> int:
    monkeypatch.chdir(tmp_path)  # no data/ here: the bundled samples serve
    (tmp_path / "mine.toml").write_text(to_toml(some_recipe))
    return run_command(effect.main, ["mine.toml", "--model", str(folder), "--steps", "1"])


def test_the_command_prints_a_line_for_each_and_succeeds(folder, tmp_path, monkeypatch, capsys):
    some_recipe = plain(smart=SmartRecipe(tasks=("sst",)), bregman=BregmanRecipe(tasks=("sts",)))
    assert call(some_recipe, folder, tmp_path, monkeypatch) == 0
    output, errors = capsys.readouterr()
    head, *lines = output.splitlines()
    assert head.startswith("test with model") and "bundled samples" in head, "what was measured, and on what"
    assert [line.split(":")[1].split("  ")[0].strip() for line in lines] == [
        "smart on sst", "bregman on sts", "schedule round_robin"] and not errors
    assert "WARNING: below a thousandth" in lines[0] and lines[1].endswith("of gradient")


def test_the_command_fails_with_one_line_that_names_what_has_no_effect(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(penalties.Smart, "__call__", constant)
    status = call(plain(smart=SmartRecipe(tasks=("sst",)), r_drop=RDropRecipe(tasks=("sts",))), folder, tmp_path, monkeypatch)
    output, errors = capsys.readouterr()
    assert status == 1, "a script must see it by the exit status"
    assert "NO EFFECT" in output.splitlines()[1] and "NO EFFECT" not in output.splitlines()[2]
    assert errors.splitlines()[0] == "error: no effect at all: stage 1: smart on sst" and errors.count("\n") == 2, errors


def test_the_command_says_so_where_nothing_is_on(folder, tmp_path, monkeypatch, capsys):
    assert call(plain(objectives=("sst",)), folder, tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["test switches no technique on"]


def test_a_mistake_in_the_recipe_is_the_users_not_a_lack_of_effect(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MinbertError, match="no recipe is called 'baselin'"):
        effect.main(["baselin", "--model", str(folder)])
