"""Every pair of techniques that may be combined trains together, and each still acts while the other is on."""

from contextlib import nullcontext
from dataclasses import replace
from itertools import combinations, islice

import pytest
import torch
from small_run import data, recipe, save_tiny_bert, tokenizer

from multitask.checkpoint import build_model
from multitask.evaluate import predict
from multitask.features import TAGS
from multitask.recipe import BregmanRecipe, EncoderRecipe, FeaturesRecipe, RDropRecipe, Recipe, SmartRecipe, TaskRecipe
from multitask.recipe_rules import find_conflicts
from multitask.stage import Parts, start_stage
from multitask.train import run_stage


def stage(**changes):
    return lambda one: replace(one, stages=(replace(one.stages[0], **changes),))


def optimizer(**changes):
    return lambda one: replace(one, optimizer=replace(one.optimizer, **changes))


def encoder(kind: str, **changes):
    return lambda one: replace(one, encoder=EncoderRecipe(kind=kind, **changes))


def tasks(**changes):
    def change(one: Recipe) -> Recipe:
        return replace(one, tasks={name: replace(task, **changes) if task.encoding == "pair" else task
                                   for name, task in one.tasks.items()})
    return change


def independent(one: Recipe) -> Recipe:
    other = TaskRecipe(encoding="independent", dropout=0.1)
    return replace(one, tasks={"sst": one.tasks["sst"], "para": other, "sts": replace(other, head="cosine", pooling="mean")})


TECHNIQUES = {
    "smart paper": stage(smart=SmartRecipe(weight=1e6)),
    "smart normalize": stage(smart=SmartRecipe(mode="normalize", dropout="shared_masks")),
    "smart sign": stage(smart=SmartRecipe(mode="sign", dropout="on", tasks=("sst",))),
    "bregman": stage(bregman=BregmanRecipe(weight=3.0)),
    "r_drop": stage(r_drop=RDropRecipe()),
    "pcgrad": stage(schedule="joint_min", combine="pcgrad"),
    "gradvac": stage(schedule="joint_min", combine="gradvac", gradvac_groups="all_layer", gradvac_beta=0.5),
    "weights": stage(weights={"sst": 3.0, "para": 0.5}),
    "accumulate": stage(accumulate=2),
    "nominal": stage(short_batches="nominal"),
    "fraction": stage(fraction={"sst": (0.0, 0.5)}),
    "round_robin": stage(schedule="round_robin"),
    "sequential_epoch": stage(schedule="sequential_epoch"),
    "sequential_tasks": stage(schedule="sequential_tasks"),
    "equal_resample": stage(schedule="equal_resample"),
    "annealed": stage(schedule="annealed", steps_per_epoch=6),
    "proportional": stage(schedule="proportional", steps_per_epoch=6),
    "epoch_dropout": stage(schedule="epoch_dropout"),
    "frozen": stage(train="last-linear-layer"),
    "separate": encoder("separate"),
    "pal": encoder("pal", size=8, heads=2),
    "low_rank": encoder("low_rank", size=4),
    "concat_pal": encoder("concat_pal", size=8, heads=2, start="random"),
    "adapters": encoder("adapters", size=4),
    "layer_decay": optimizer(layer_decay=0.5),
    "head_factor": optimizer(head_factor=10.0),
    "ema": optimizer(average="ema"),
    "amsgrad and cs224n's AdamW": optimizer(form="cs224n", decay_all=True, weight_decay=0.5),
    "part_of_speech": lambda one: replace(one, features=FeaturesRecipe(part_of_speech="textblob")),
    "symmetric": tasks(symmetric=True),
    "no token types": tasks(token_types="zeros"),
    "second [CLS]": tasks(second_cls=True),
    "independent": independent,
    "bf16": lambda one: replace(one, precision="bf16"),
}
STEPS = 7


def tagged(examples):
    """The examples with made-up parts of speech."""
    return [replace(example, tags=tuple([1 + piece % len(TAGS) for piece in pieces] for pieces in example.pieces))
            for example in examples]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("model"))


def plain() -> Recipe:
    return optimizer(schedule="constant", learning_rate=1e-2)(recipe())


def train(one: Recipe, folder) -> list:
    """What came out of some steps: the order of tasks and every task's outputs on dev."""
    torch.manual_seed(0)
    words = tokenizer()
    model = build_model(one, folder, words)
    some = {name: replace(task, train=tagged(task.train), dev=tagged(task.dev)) for name, task in data().items()} \
        if one.features.part_of_speech != "none" else data()
    state, schedule = start_stage(one, 0, Parts(model, words, some, folder))
    order = [tuple(step.losses) for step in islice(run_stage(state, schedule, one.stages[0].epochs, clip=1.0), STEPS)]
    with state.average.applied() if state.average else nullcontext():
        outputs = {name: torch.from_numpy(predict(model, words, name, some[name].dev)) for name in some}
    assert all(torch.isfinite(output).all() for output in outputs.values())
    return [order, outputs]


def same(one: list, other: list) -> bool:
    return one[0] == other[0] and all(a.shape == b.shape and torch.equal(a, b)
                                      for a, b in zip(one[1].values(), other[1].values(), strict=True))


@pytest.fixture(scope="module")
def alone(folder) -> dict[str, list]:
    return {"": train(plain(), folder)} | {name: train(change(plain()), folder) for name, change in TECHNIQUES.items()}


def test_every_technique_changes_what_comes_out(alone):
    idle = [name for name in TECHNIQUES if same(alone[name], alone[""])]
    assert not idle, f"{idle} changed nothing: a technique that silently does nothing is this field's commonest bug"


def may_combine(first: str, second: str) -> Recipe | None:
    """The recipe with both, or None where one undoes the other (both set the same key) or the recipe refuses it."""
    both = TECHNIQUES[second](TECHNIQUES[first](plain()))
    if both != TECHNIQUES[first](TECHNIQUES[second](plain())):
        return None
    if both in (TECHNIQUES[first](plain()), TECHNIQUES[second](plain())) or list(find_conflicts(both)):
        return None
    return both


# (without effect, beside): the encoder does not learn, so these cannot matter (its heads have a rate of their own)
NEEDLESS = {("separate", "frozen"), ("layer_decay", "frozen"), ("head_factor", "frozen")}
PAIRS = [(first, second) for first, second in combinations(TECHNIQUES, 2) if may_combine(first, second)]


def test_most_pairs_may_be_combined():
    assert len(PAIRS) > 380, "the recipe refuses pairs that it used to accept"


@pytest.mark.slow
@pytest.mark.parametrize("first", TECHNIQUES)
def test_each_of_a_pair_still_acts_while_the_other_is_on(first, alone, folder):
    idle = []
    for one, other in PAIRS:
        if one != first:
            continue
        both = train(may_combine(one, other), folder)
        idle += [(one, other)] if same(both, alone[other]) else []
        idle += [(other, one)] if same(both, alone[one]) else []
    idle = set(idle) - NEEDLESS
    assert not idle, f"(without effect, beside): {idle}"


def test_conflicts_are_refused_not_ignored():
    refused = stage(combine="pcgrad", schedule="joint_min")(encoder("separate")(plain()))
    assert list(find_conflicts(refused)), "PCGrad on encoders that share nothing would do nothing"
