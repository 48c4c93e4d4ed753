"""From a recipe's stage to its state at the first step: objectives, penalties, optimizer, learning rate, schedule."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from minbert.tokenizer import BertTokenizer
from multitask.batches import training_batches
from multitask.data import Example, make_generator, take_part
from multitask.frozen import frozen_objective
from multitask.model import MultitaskBert
from multitask.objectives import Objective, Supervised
from multitask.penalties import make_penalties
from multitask.pretraining import make_pretraining
from multitask.recipe import PRETRAINING, READS, PretrainingRecipe, Recipe, StageRecipe
from multitask.schedules import Schedule, count_resampled, make_schedule
from multitask.state import TrainState
from multitask.tables import TASKS
from optim.adamw import AdamW, parameter_groups
from optim.averaging import WeightAverage
from optim.gradient_surgery import GradientRows, GradVac, pcgrad
from optim.learning_rate import SCHEDULES, HalveOnRise, LearningRate, layer_factor


@dataclass(frozen=True)
class TaskData:
    """One task's examples; `test` is None where there is no test file."""

    train: list[Example]
    dev: list[Example]
    test: list[Example] | None


@dataclass(frozen=True)
class Parts:
    """What the stages of a run share."""

    model: MultitaskBert
    tokenizer: BertTokenizer
    data: dict[str, TaskData]
    model_folder: Path | None = None  # where a vocabulary head may lie, for masked language modelling


def start_stage(recipe: Recipe, index: int, parts: Parts) -> tuple[TrainState, Schedule]:
    """The state of the recipe's stage number `index` at its first step, and its schedule."""
    stage, model = recipe.stages[index], parts.model
    model.freeze_encoder(stage.train == "last-linear-layer", stage.frozen_dropout)
    model.pretraining = nn.ModuleDict()  # the last stage's extra heads have served
    objectives = {name: make_objective(recipe, index, name, "train", parts) for name in stage.objectives}
    for objective in objectives.values():  # the others' losses are no means over rows: they need the whole batch
        objective.stream.split = isinstance(objective, Supervised)
    schedule = make_schedule(stage, {name: len(objective.stream) for name, objective in objectives.items()},
                             {name: len(objective.stream.examples) for name, objective in objectives.items()},
                             stage_seed(recipe, index))
    total = count_steps(schedule, stage)
    settings = recipe.optimizer
    optimizer = make_optimizer(recipe, stage, model)
    course = stage.learning_rate_schedule or settings.schedule
    if course == "halve_on_rise":
        factor = HalveOnRise()
    else:
        factor = SCHEDULES[course](total, 0 if course == "constant" else round(settings.warmup * total))
    state = TrainState(stage, model, optimizer, LearningRate(optimizer, factor), objectives,
                       make_penalties(stage, model, total), bf16=recipe.precision == "bf16",
                       generator=make_generator(stage_seed(recipe, index), "steps", 0))
    if settings.average != "none":
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        state.average = WeightAverage(learning, settings.average, settings.average_decay)
    if stage.combine != "sum":
        shared = model.encoder.shared_parameters()
        if model.tags is not None:
            shared |= {"tags": model.tags.weight}
        state.combine = make_combine(stage, shared)
        state.rows = GradientRows(list(shared.values()), len(objectives))
    return state, schedule


def stage_seed(recipe: Recipe, index: int) -> int:
    return 1000 * recipe.seed + index  # so that no two stages of any two seeds share an order


def make_objective(recipe: Recipe, index: int, name: str, split: str, parts: Parts) -> Objective:
    """One objective on its examples of a split; with a frozen encoder on sentence vectors computed here, once."""
    stage, seed = recipe.stages[index], stage_seed(recipe, index)

    examples_of = partial(find_examples, recipe, index, split=split, parts=parts)
    if name in PRETRAINING:
        texts = {READS[name]: examples_of(name)} if name in READS else {task: examples_of(task) for task in parts.data}
        return make_pretraining(name, stage.pretraining or PretrainingRecipe(), texts, parts.model, parts.tokenizer,
                                stage.batch_size, seed, parts.model_folder)
    resample = 0
    if stage.schedule == "equal_resample" and split == "train":
        resample = count_resampled(stage, {each: len(examples_of(each)) for each in stage.objectives})
    stream = training_batches(examples_of(name), TASKS[name], parts.tokenizer, parts.model.encoding(name), stage.batch_size,
                              seed, resample)
    objective = Supervised(name, parts.model.targets[name], stream)
    if parts.model.frozen and not stage.frozen_dropout:
        return frozen_objective(objective, parts.model, parts.tokenizer)
    return objective


def find_examples(recipe: Recipe, index: int, objective: str, split: str, parts: Parts) -> list[Example]:
    """The examples of a split that an objective reads in a stage; of a task that is no objective, all."""
    task, fraction = READS.get(objective, objective), recipe.stages[index].fraction or {}
    examples = getattr(parts.data[task], split)
    if split == "train" and objective in fraction:
        # cut by the recipe's seed, so that the parts of two stages fit together
        return take_part(examples, TASKS[task], fraction[objective], recipe.seed)
    return examples


def make_optimizer(recipe: Recipe, stage: StageRecipe, model: MultitaskBert) -> AdamW:
    settings = recipe.optimizer
    base = stage.learning_rate or (settings.frozen_learning_rate if model.frozen else settings.learning_rate)
    layers = model.encoder.config.num_hidden_layers
    head_factor = 1.0 if model.frozen else settings.head_factor  # frozen_learning_rate is the heads' already
    groups = parameter_groups(model, settings.weight_decay, settings.decay_all, rate=lambda name: base * layer_factor(
        name, layers, settings.layer_decay, head_factor))
    return AdamW(groups, lr=base, betas=settings.betas, eps=settings.eps, amsgrad=settings.amsgrad, form=settings.form)


def make_combine(stage: StageRecipe, shared: dict[str, nn.Parameter]) -> GradVac | partial:
    """grads_NP -> grad_P, as the stage says."""
    if stage.combine == "gradvac":
        return GradVac(stage.gradvac_beta, group_sizes(shared, stage.gradvac_groups))
    return partial(pcgrad, visit_self=stage.visit_self, merge=stage.merge)


def group_sizes(parameters: dict[str, nn.Parameter], kind: str) -> list[int] | None:
    """Gradient Vaccine's groups as parameter counts: None for the whole model, or one per module, or one per tensor."""
    if kind == "whole_model":
        return None
    owners: dict[str, int] = {}
    for name, parameter in parameters.items():
        owner = name.rpartition(".")[0] if kind == "all_layer" else name
        owners[owner] = owners.get(owner, 0) + parameter.numel()
    return list(owners.values())


def count_steps(schedule: Schedule, stage: StageRecipe) -> int:
    return sum(len(schedule(epoch)) for epoch in range(1, stage.epochs + 1))
