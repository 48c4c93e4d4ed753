"""An epoch of `baseline`, from the texts to the dev scores, beside the trainers of `transformers` and sentence-transformers.

Ours trains the three tasks in turns on one model; theirs, a model for each, one after the other. Models are loaded before the
time begins, and every round goes on with the weights that the last one left: time does not depend on them.
"""

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from benchmarks.ours import POOLERS
from benchmarks.peers import COLUMNS, LONGEST, describe_difference, largest_difference
from benchmarks.rows import Outcome, speed_row
from benchmarks.setting import Setting
from benchmarks.timing import interleave
from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer
from multitask.checkpoint import build_model
from multitask.data import take_part, tokenise
from multitask.evaluate import predict, score_task
from multitask.recipe_files import load_recipe
from multitask.record import score_outputs
from multitask.stage import Parts, TaskData, start_stage
from multitask.tables import COURSE_TASKS, TASKS, Row, Table
from multitask.train import run_stage

ROUNDS, BATCH = 3, 32  # baseline's batch
TRAINER_SHARE, CROSS_SHARE = 0.05, 0.01  # of the examples; what has no goal takes less of the time
Tables = dict[tuple[str, str], Table]


@dataclass(frozen=True)
class Work:
    """Training examples read, steps of the optimizer, and dev rows predicted."""

    read: int
    steps: int
    predicted: int

    def __add__(self, other: "Work") -> "Work":
        return Work(self.read + other.read, self.steps + other.steps, self.predicted + other.predicted)


def measure(setting: Setting) -> Outcome:
    """Cuts of the examples, each label's share as in the whole."""
    trainer = compare_with_trainer(setting, TRAINER_SHARE, ROUNDS)
    cross = compare(setting, CROSS_SHARE, ROUNDS, TheirCrossEncoder, "sentence-transformers' CrossEncoderTrainer, the same")
    return Outcome(trainer.rows + cross.rows, trainer.same, trainer.details + cross.details,
                   trainer.dropped + cross.dropped, trainer.disturbed + cross.disturbed)


def measure_whole(setting: Setting) -> Outcome:
    """All examples, once."""
    return compare_with_trainer(setting, share=1.0, rounds=1)


def compare_with_trainer(setting: Setting, share: float, rounds: int) -> Outcome:
    return compare(setting, share, rounds, TheirTrainer, "transformers' Trainer, three tasks one after the other", goal=2.5)


def compare(setting: Setting, share: float, rounds: int, peer: Callable, against: str, goal: float | None = None) -> Outcome:
    """An epoch of ours beside one of the peer's. Raises MinbertError where the work was not the same."""
    tables = cut(setting.tables, share)
    ours, theirs = OurTraining(setting, tables), peer(setting, tables)
    same = describe_difference(largest_difference(ours.model.encoder.bert, theirs.bert, setting))
    expected, few = count_work(tables), {key: replace(table, rows=table.rows[:2]) for key, table in tables.items()}
    for side in (OurTraining(setting, few), peer(setting, few)):
        side.train()  # what is imported at its first use is no part of an epoch
    timing = interleave({"ours": lambda: checked("ours", ours.train(), expected),
                         "theirs": lambda: checked(against, theirs.train(), expected)}, rounds, warm_up=False)
    row = speed_row(f"an epoch of `baseline`, {share:.0%} of the examples", against, timing, "ours", "theirs",
                    "training examples/s", goal)
    details = (f"{share:.0%} of the examples: each side in each round read {expected.read} of them in {expected.steps} steps "
               f"and predicted {expected.predicted} dev rows, texts to scores; {theirs.remark}",)
    return Outcome((row,), same, details, timing.dropped, timing.disturbed)


def cut(tables: Tables, share: float) -> Tables:
    """The same part of every table, each label's share of it as in the whole."""
    return {(task, split): replace(table, rows=take_part(table.rows, TASKS[task], (0.0, share), seed=0))
            for (task, split), table in tables.items()}


def count_work(tables: Tables) -> Work:
    """What an epoch of batches of BATCH, the last of each task as short as it comes, and an evaluation are."""
    train, dev = ([len(tables[task, split].rows) for task in COURSE_TASKS] for split in ("train", "dev"))
    return Work(sum(train), sum(math.ceil(count / BATCH) for count in train), sum(dev))


def checked(name: str, work: Work, expected: Work) -> int:
    """The examples read. Raises MinbertError unless the work was the one expected."""
    if work != expected:
        raise MinbertError(f"{name}: {work}, expected {expected}", exit_code=1)
    return work.read


class OurTraining:
    """`baseline` as the command line runs it, but pooled as theirs is, without a run folder and without scores on training
    examples."""

    def __init__(self, setting: Setting, tables: Tables) -> None:
        self.recipe = load_recipe("baseline", ["stages.0.epochs=1", *POOLERS])
        self.setting, self.tables = setting, tables
        self.model = build_model(self.recipe, setting.folder, setting.tokenizer)

    def train(self) -> Work:
        """From texts to dev scores: one epoch, in turns, and an evaluation."""
        tokenizer = BertTokenizer.from_pretrained(self.setting.folder)  # a new one has no words in its cache
        data = {task: TaskData(*(tokenise(self.tables[task, split], tokenizer) for split in ("train", "dev")), None)
                for task in COURSE_TASKS}
        state, schedule = start_stage(self.recipe, 0, Parts(self.model, tokenizer, data))
        steps = list(run_stage(state, schedule, 1, self.recipe.optimizer.clip))
        predicted = 0
        for task, splits in data.items():
            output = predict(self.model, tokenizer, task, splits.dev)
            score_outputs(task, self.model.targets[task], output, splits.dev)
            predicted += len(output)
        return Work(sum(step.rows for step in steps), len(steps), predicted)


class Watched(Sequence):
    """Rows as they are, and the places of those that were asked for."""

    def __init__(self, rows: Sequence) -> None:
        self.rows, self.asked = rows, []

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict:
        self.asked.append(place)
        return self.rows[place]


class TheirTrainer:
    """transformers' models for classifying sequences (paraphrases: two classes), with their own losses, and its Trainer."""

    remark = ("theirs: texts tokenised by their compiled tokenizer in one call, DataCollatorWithPadding, trained in batches "
              "of 32, one epoch, evaluated by predict(), all else as by default")

    def __init__(self, setting: Setting, tables: Tables) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.tables, self.tokenizer = tables, AutoTokenizer.from_pretrained(setting.folder)
        self.models = {task: AutoModelForSequenceClassification.from_pretrained(setting.folder, num_labels=columns)
                       for task, columns in (("sst", 5), ("para", 2), ("sts", 1))}
        self.bert = self.models["sst"].bert

    def train(self) -> Work:
        """From texts to dev outputs: one epoch of each task, one after the other, and an evaluation."""
        return sum(map(self.train_task, COURSE_TASKS), Work(0, 0, 0))

    def train_task(self, task: str) -> Work:
        """The epoch and the evaluation of one task."""
        from transformers import DataCollatorWithPadding, Trainer, TrainingArguments
        from transformers.trainer_callback import PrinterCallback

        train, dev = (Watched(self.encode(task, self.tables[task, split].rows)) for split in ("train", "dev"))
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(folder, per_device_train_batch_size=BATCH, num_train_epochs=1, use_cpu=True,
                                          save_strategy="no", report_to="none", disable_tqdm=True)
            trainer = Trainer(self.models[task], arguments, train_dataset=train,
                              data_collator=DataCollatorWithPadding(self.tokenizer))
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            output_NC = trainer.predict(dev).predictions
        score(task, output_NC.argmax(axis=1) if task != "sts" else output_NC[:, 0], self.tables[task, "dev"].rows)
        return Work(len(set(train.asked)), trainer.state.global_step, len(output_NC))

    def encode(self, task: str, rows: Sequence[Row]) -> list[dict]:
        texts = map(list, zip(*(row.texts for row in rows), strict=True))
        encoded = self.tokenizer(*texts, truncation=True, max_length=LONGEST)
        kind = float if TASKS[task].kind == "score" else int
        return [{name: values[place] for name, values in encoded.items()} | {"label": kind(row.label)}
                for place, row in enumerate(rows)]


class TheirCrossEncoder:
    """sentence-transformers' CrossEncoder with the losses that it takes by itself: of classes, and of one number in 0 to 1."""

    remark = ("theirs: batches of 32, one epoch, all else as by default, evaluated by predict(); it takes pairs alone, so a "
              "single sentence is a pair whose second text is empty, one token more")

    def __init__(self, setting: Setting, tables: Tables) -> None:
        from sentence_transformers import CrossEncoder
        from transformers import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.tables = tables
        self.models = {task: CrossEncoder(str(setting.folder), num_labels=COLUMNS[task], max_length=LONGEST, device="cpu")
                       for task in COURSE_TASKS}
        self.bert = self.models["sst"].model.bert

    def train(self) -> Work:
        """From texts to dev outputs: one epoch of each task, one after the other, and an evaluation."""
        return sum(map(self.train_task, COURSE_TASKS), Work(0, 0, 0))

    def train_task(self, task: str) -> Work:
        """The epoch and the evaluation of one task."""
        from datasets import Dataset
        from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
        from transformers.trainer_callback import PrinterCallback

        model, rows, read = self.models[task], self.tables[task, "train"].rows, 0

        def count(loss: nn.Module, given: tuple[list, Tensor]) -> None:
            nonlocal read
            read += len(given[1])

        first, second = zip(*map(as_pair, rows), strict=True)
        labels = [row.label / 5 if task == "sts" else row.label for row in rows]
        train = Dataset.from_dict({"first": first, "second": second, "label": labels})
        with tempfile.TemporaryDirectory() as folder:
            arguments = CrossEncoderTrainingArguments(folder, per_device_train_batch_size=BATCH, num_train_epochs=1, use_cpu=True,
                                                      save_strategy="no", report_to="none", disable_tqdm=True)
            trainer = CrossEncoderTrainer(model, arguments, train_dataset=train)
            trainer.remove_callback(PrinterCallback)
            trainer.loss.register_forward_pre_hook(count)
            trainer.train()
        dev = self.tables[task, "dev"].rows
        output = model.predict(list(map(as_pair, dev)))
        score(task, output.argmax(axis=1) if task == "sst" else output > 0.5 if task == "para" else 5 * output, dev)
        return Work(read, trainer.state.global_step, len(output))


def as_pair(row: Row) -> tuple[str, str]:
    """The row's two texts; the second of a single sentence is empty."""
    return (*row.texts, "")[:2]


def score(task: str, predictions: np.ndarray, rows: Sequence[Row]) -> None:
    """Counts as work; what the scores are after so little training says nothing."""
    score_task(TASKS[task], predictions, np.array([row.label for row in rows]))
