"""Our side: training steps of `baseline`, through the same functions as the command line's."""

from collections.abc import Callable, Sequence

import torch

from benchmarks.setting import Setting
from minbert.bert import BertModel
from multitask.checkpoint import build_model
from multitask.data import Batch, Example
from multitask.encoders import SharedEncoder
from multitask.model import MultitaskBert
from multitask.recipe_files import load_recipe
from multitask.stage import Parts, TaskData, start_stage
from multitask.tables import COURSE_TASKS
from multitask.train import run_stage

ENDLESS = 10**9  # epochs
POOLERS = [f"tasks.{task}.pooling=pooler" for task in COURSE_TASKS]  # the sentence vector that the peers take, too


class OurLoop:
    """`baseline`'s steps without end, with some `settings` of its own; on `bert`, where it is given, not the setting's model."""

    def __init__(self, setting: Setting, data: dict[str, TaskData], settings: Sequence[str],
                 bert: BertModel | None = None) -> None:
        recipe = load_recipe("baseline", ["stages.0.epochs=1", "optimizer.schedule=constant", *POOLERS, *settings])
        torch.manual_seed(recipe.seed)
        words = setting.tokenizer
        self.model = (MultitaskBert(SharedEncoder(bert), recipe, words.cls_id, words.sep_id) if bert
                      else build_model(recipe, setting.folder, words))
        self.state, schedule = start_stage(recipe, 0, Parts(self.model, setting.tokenizer, data))
        self.read = self.padded = self.rows = 0  # so far: real tokens, tokens with padding, sentences or pairs
        for objective in self.state.objectives.values():
            objective.stream.collate = self.count(objective.stream.collate)
        self.steps = run_stage(self.state, schedule, ENDLESS, recipe.optimizer.clip)

    def count(self, collate: Callable[[Sequence[Example]], Batch]) -> Callable[[Sequence[Example]], Batch]:
        def counting(examples: Sequence[Example]) -> Batch:
            batch = collate(examples)
            self.read += int(batch.tokens.mask_BT.sum())
            self.padded += batch.tokens.mask_BT.numel()
            self.rows += len(batch.tokens.mask_BT)
            return batch

        return counting

    def step(self, count: int = 1) -> int:
        """So many steps; returns how many real tokens were in them."""
        before = self.read
        for _ in range(count):
            next(self.steps)
        return self.read - before
