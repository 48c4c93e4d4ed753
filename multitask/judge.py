"""What a stage's epochs are worth: scores on dev, which epoch is the best, and when to stop."""

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import torch

from multitask.data import Example
from multitask.evaluate import predict
from multitask.frozen import encode_once, predict_frozen
from multitask.model import dropout_off
from multitask.objectives import Objective
from multitask.recipe import PRETRAINING, Recipe
from multitask.record import is_better, sample_evenly, score_epoch, value_of
from multitask.stage import Parts, find_examples, make_objective


class Judge:
    """Scores the model as it is in one stage, and remembers the stage's best epoch.

    Where the stage trains no task there are no scores: the heads mean nothing yet.
    """

    def __init__(self, recipe: Recipe, index: int, parts: Parts) -> None:
        self.stage, self.parts = recipe.stages[index], parts
        self.chosen = self.stage.select_by or recipe.select_by
        judged = () if set(self.stage.objectives) <= set(PRETRAINING) else parts.data
        self.examples = {"train": {name: sample_evenly(find_examples(recipe, index, name, "train", parts)) for name in judged},
                         "dev": {name: parts.data[name].dev for name in judged}}
        self.predictors = {split: {name: make_predictor(parts, name, examples) for name, examples in each.items()}
                           for split, each in self.examples.items()}
        self.objectives = {name: make_objective(recipe, index, name, "dev", parts)
                           for name in (self.stage.objectives if self.chosen == "loss" else ())}
        self.value: float | None = None
        self.epoch = 0
        self.weights: dict[str, torch.Tensor] | None = None

    def begin(self) -> None:
        """To be called where the stage starts, but not where it goes on."""
        if self.stage.end_with == "best":
            self.note(self.score()[1], epoch=0)  # where no epoch is better, the stage leaves the weights as they were

    def score(self) -> tuple[dict[str, np.ndarray], dict]:
        """The outputs on dev by task, and the scores."""
        outputs = {split: {name: predictor() for name, predictor in each.items()} for split, each in self.predictors.items()}
        scores = score_epoch(outputs, self.examples, self.parts.model.targets)
        if self.objectives:
            scores["dev_loss"] = mean_loss(self.objectives, self.parts)
        return outputs["dev"], scores

    def note(self, scores: dict, epoch: int) -> None:
        """Keeps the epoch if it is the stage's best so far."""
        value = value_of(scores, self.chosen)
        if is_better(value, self.value):
            self.value, self.epoch = value, epoch
            if self.stage.end_with == "best":
                self.weights = {name: tensor.clone() for name, tensor in self.parts.model.state_dict().items()}

    def is_over(self, epoch: int) -> bool:
        """Whether patience has run out."""
        return bool(self.stage.patience) and epoch - self.epoch >= self.stage.patience

    def state_dict(self) -> dict:
        return {"value": self.value, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, saved: dict) -> None:
        self.value, self.epoch = saved["value"], saved["epoch"]
        self.weights = saved["weights"] and {name: tensor.clone() for name, tensor in saved["weights"].items()}


def make_predictor(parts: Parts, name: str, examples: Sequence[Example]) -> Callable[[], np.ndarray]:
    """A function that gives a task's outputs; with a frozen encoder it encodes the sentences when first called, once."""
    model, tokenizer = parts.model, parts.tokenizer
    if not model.frozen:
        return partial(predict, model, tokenizer, name, examples)

    @cache
    def views() -> list[torch.Tensor]:
        orders = [examples]
        if model.tasks[name].symmetric:
            orders.append([example.swapped() for example in examples])
        return [encode_once(model, tokenizer, name, order) for order in orders]

    return lambda: predict_frozen(model, name, *views())


def mean_loss(objectives: dict[str, Objective], parts: Parts) -> float:
    """The objectives' mean loss over one pass each, with dropout off: what `select_by = "loss"` goes by."""
    model, means = parts.model, []
    device = next(model.parameters()).device
    with dropout_off(model), torch.inference_mode():
        for objective in objectives.values():
            objective.stream.load_state_dict({"pass": 0, "position": 0})  # every epoch is judged by the same batches
            batches = [objective.next_batch().to(device) for _ in range(len(objective.stream))]
            losses = [float(objective.loss(objective.output(model, batch), batch)) for batch in batches]
            means.append(np.average(losses, weights=[len(batch.ids) for batch in batches]))
    return float(np.mean(means))
