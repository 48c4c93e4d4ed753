"""How much each technique that a recipe switches on changes: the gradient, the update, the order or the data.

    python -m multitask.effect RECIPE

A technique that silently does nothing is the commonest bug of this field. Here the same step is taken with it and
without it: same weights, same batch, same random numbers. No effect at all is an error; below a thousandth of what it
changes, a warning with the number.
"""

# P parameters

import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from minbert.files import MinbertError
from minbert.hub import find_model
from minbert.tokenizer import BertTokenizer
from multitask.checkpoint import build_model
from multitask.command_line import describe_sources, find_files, read_data
from multitask.flags import Parser, number, run_command
from multitask.recipe import JOINT, PRETRAINING, Recipe
from multitask.recipe_files import load_recipe
from multitask.run import add_features
from multitask.schedules import make_schedule
from multitask.stage import Parts, make_optimizer, start_stage
from multitask.state import TrainState
from multitask.train import run_stage, take_gradient

SMALL = 1e-3
OPTIMIZER = {"layer_decay": 1.0, "head_factor": 1.0}  # key -> the value at which it does nothing
LATER = {"halve_on_rise": "acts after three epochs of rising loss", "swa": "acts at the epochs' ends"}


@dataclass(frozen=True)
class Effect:
    """What one technique changes: |with - without| / |without|; None where a few steps cannot show it."""

    technique: str
    change: float | None
    of: str  # what is changed

    @property
    def verdict(self) -> str:
        if self.change is None:
            return ""
        return "NO EFFECT" if self.change == 0 else "WARNING: below a thousandth" if self.change < SMALL else ""


def measure(recipe: Recipe, parts: Parts, steps: int = 3) -> list[Effect]:
    """The effects of everything the recipe switches on, after `steps` steps of each stage."""
    effects = []
    for index in range(len(recipe.stages)):
        state, schedule = start_stage(recipe, index, parts)
        for _ in islice(run_stage(state, schedule, state.stage.epochs, recipe.optimizer.clip), steps):
            pass
        found = [*penalty_effects(state), *combination_effects(state), *optimizer_effects(recipe, state), *order_effects(state),
                 *part_effects(state)]
        effects += [replace(effect, technique=f"stage {index + 1}: {effect.technique}") for effect in found]
    return effects


def gradient(state: TrainState, names: tuple[str, ...]) -> Tensor:
    """grad_P of one step on a batch of each objective, leaving the state as it was: weights, streams and random numbers."""
    generators = torch.get_rng_state(), state.generator.get_state()
    places = {name: state.objectives[name].stream.state_dict() for name in names}
    # one batch: a technique may draw random numbers, and would change the next batch's dropout by that alone
    state = replace(state, stage=replace(state.stage, accumulate=1), combine=copy.deepcopy(state.combine))
    take_gradient(state, names)
    grad_P = torch.cat([(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).flatten()
                        for parameter in state.model.parameters() if parameter.requires_grad])
    state.optimizer.zero_grad(set_to_none=True)
    for name, place in places.items():
        state.objectives[name].stream.load_state_dict(place)
    torch.set_rng_state(generators[0])
    state.generator.set_state(generators[1])
    return grad_P


def relative_change(changed: Tensor, plain: Tensor) -> float:
    return float((changed - plain).norm() / plain.norm().clamp(min=1e-30))


def penalty_effects(state: TrainState) -> Iterator[Effect]:
    """SMART, Bregman, R-Drop: each task's gradient with it alone and without any."""
    for penalty in state.penalties:
        for name in penalty.tasks:
            plain = gradient(replace(state, penalties=[], combine=None), (name,))
            changed = gradient(replace(state, penalties=[penalty], combine=None), (name,))
            yield Effect(f"{penalty.name} on {name}", relative_change(changed, plain), "gradient")


def combination_effects(state: TrainState) -> Iterator[Effect]:
    """Gradient surgery against the plain sum, and the weights of losses against equal ones."""
    names = state.stage.objectives
    bare = replace(state, penalties=[])
    if state.combine:
        # summed in the same place, so that the two differ by no rounding
        summed = gradient(replace(bare, combine=lambda grads_NP, generator: grads_NP.sum(dim=0)), names)
        yield Effect(state.stage.combine, relative_change(gradient(bare, names), summed), "gradient of a joint step")
    if state.stage.weights:
        bare = replace(bare, combine=None)
        equal = replace(bare, stage=replace(state.stage, weights=None))
        yield Effect("weights", relative_change(gradient(bare, names), gradient(equal, names)), "gradient of a joint step")


def optimizer_effects(recipe: Recipe, state: TrainState) -> Iterator[Effect]:
    """Learning rates by layer and for heads: a first step's update with them and without. Averages: their distance from
    the weights against the way the weights have gone."""
    names = tuple(state.stage.objectives if state.stage.schedule in JOINT else state.stage.objectives[:1])
    # where the encoder is frozen there are no rates to set apart; where no task is trained no head has one
    idle = set(OPTIMIZER) if state.model.frozen else {"head_factor"} if set(names) <= set(PRETRAINING) else set()
    for key, neutral in OPTIMIZER.items():
        if key not in idle and getattr(recipe.optimizer, key) != neutral:
            plain = replace(recipe, optimizer=replace(recipe.optimizer, **{key: neutral}))
            yield Effect(key, relative_change(update(recipe, state, names), update(plain, state, names)), "update")
    if recipe.optimizer.average == "ema":
        live = flatten(state)
        with state.average.applied():
            averaged = flatten(state)
        yield Effect("ema", relative_change(averaged, live), "weights")
    for key in (state.stage.learning_rate_schedule or recipe.optimizer.schedule, recipe.optimizer.average):
        if key in LATER:
            yield Effect(key, None, LATER[key])


def flatten(state: TrainState) -> Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in state.model.parameters() if parameter.requires_grad])


def update(recipe: Recipe, state: TrainState, names: tuple[str, ...]) -> Tensor:
    """What a fresh optimizer's first step adds to the weights; the weights are put back."""
    saved = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    before_P, optimizer = flatten(state), make_optimizer(recipe, state.stage, state.model)
    grad_P = gradient(state, names)
    for parameter, piece in zip(learning := [one for one in state.model.parameters() if one.requires_grad],
                                grad_P.split([one.numel() for one in learning]), strict=True):
        parameter.grad = piece.view_as(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    update_P = flatten(state) - before_P
    state.model.load_state_dict(saved)
    return update_P


def order_effects(state: TrainState) -> Iterator[Effect]:
    """The schedule: the share of the first epoch's steps that train something else than taking turns would."""
    stage = state.stage
    if len(stage.objectives) < 2:
        return
    batches = {name: len(objective.stream) for name, objective in state.objectives.items()}
    sizes = {name: len(objective.stream.examples) for name, objective in state.objectives.items()}
    other = "sequential_epoch" if stage.schedule == "round_robin" else "round_robin"
    plain = replace(stage, schedule=other, length="max", steps_per_epoch=0, budget=None, probabilities=None, resample=0)
    mine, turns = (make_schedule(one, batches, sizes, seed=0)(1) for one in (stage, plain))
    differing = sum(a != b for a, b in zip(mine, turns, strict=False)) + abs(len(mine) - len(turns))
    yield Effect(f"schedule {stage.schedule}", differing / max(len(mine), len(turns)), f"the order of {other}")


def part_effects(state: TrainState) -> Iterator[Effect]:
    """Parts that the recipe adds to the model (projected attention, adapters, parts of speech, extra heads): the share of
    the gradient's length that falls on them."""
    learning = [(key, one) for key, one in state.model.named_parameters() if one.requires_grad]
    for name in state.stage.objectives:
        groups = {f"pretraining.{name}.": "the objective's own head", "encoder.parts.": "added layers"}
        if name not in PRETRAINING:
            groups["tags."] = "parts of speech"
        if not any(key.startswith(tuple(groups)) for key, _ in learning):
            continue
        grad_P = gradient(replace(state, penalties=[], combine=None), (name,))
        pieces = grad_P.split([one.numel() for _, one in learning])
        for group, title in groups.items():
            added = [piece for (key, _), piece in zip(learning, pieces, strict=True) if key.startswith(group)]
            if added:
                yield Effect(f"{title} on {name}", float(torch.cat(added).norm() / grad_P.norm()), "gradient")


def data_effects(recipe: Recipe, before: dict, after: dict) -> Iterator[Effect]:
    """What features add to the training examples."""
    for name in before:
        if recipe.features.synonyms != "none":
            yield Effect(f"synonyms on {name}", len(after[name].train) / len(before[name].train) - 1, "training examples")


def main(arguments: list[str]) -> None:
    """Prints the effects of a recipe's techniques; raises MinbertError where one has none."""
    parser = Parser(prog="python -m multitask.effect", description=__doc__)
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's name or file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="change a key")
    parser.add_argument("--model", metavar="NAME", help="a folder, a hub name or minilm (default: bert-base-uncased)")
    parser.add_argument("--data_dir", type=Path, metavar="DIR", help="folder of the course's files (default: data)")
    parser.add_argument("--steps", type=number(int, 1, 1000), default=3, help="steps before measuring (default: 3)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args(arguments)
    recipe = load_recipe(flags.recipe, flags.settings)
    model_found, (files, _) = find_model(flags.model or recipe.model or None), find_files(tuple(recipe.tasks), flags.data_dir, {})
    model_folder = model_found.folder
    tokenizer = BertTokenizer.from_pretrained(model_folder)
    data, _ = read_data(files, tokenizer, recipe)
    torch.manual_seed(recipe.seed)
    model = build_model(recipe, model_folder, tokenizer)
    richer = add_features(recipe, data, model, tokenizer)
    effects = [*data_effects(recipe, data, richer), *measure(recipe, Parts(model, tokenizer, richer, model_folder), flags.steps)]
    print(f"{recipe.name} with {model_found.name} on {describe_sources(files)}: by which share each technique changes something")
    if not effects:
        print(f"{recipe.name} switches no technique on")
    for effect in effects:
        change = "          " if effect.change is None else f"{effect.change:10.2e}"
        print(f"{effect.technique:44} {change} of {effect.of}   {effect.verdict}".rstrip())
    if idle := [effect.technique for effect in effects if effect.change == 0]:
        raise MinbertError(f"no effect at all: {', '.join(idle)}", "what changes nothing is off, or broken", exit_code=1)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
