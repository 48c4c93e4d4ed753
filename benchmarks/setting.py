"""What the benchmarks run on: a real model and the course's real sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from minbert.config import BertConfig
from minbert.hub import find_model
from minbert.tokenizer import BertTokenizer
from multitask.command_line import SAMPLE_DATA, describe_sources, find_files
from multitask.data import take_part, tokenise
from multitask.stage import TaskData
from multitask.tables import COURSE_TASKS, TASKS, Table, read_table

# bert-base-uncased's sizes; its weights are drawn, for what is measured is time and memory
BERT_BASE = BertConfig()


@dataclass(frozen=True)
class Setting:
    """Where model and data are found, and where figures go. `data_dir` None: data/, or else the bundled samples."""

    model: str = "minilm"
    data_dir: Path | None = None
    figures: Path = Path("docs/figures")

    @cached_property
    def folder(self) -> Path:
        return find_model(self.model).folder

    @cached_property
    def tokenizer(self) -> BertTokenizer:
        return BertTokenizer.from_pretrained(self.folder)

    @cached_property
    def files(self) -> dict[tuple[str, str], Path]:
        return find_files(COURSE_TASKS, self.data_dir, {})[0]

    @cached_property
    def sources(self) -> str:
        return describe_sources(self.files)

    @property
    def has_samples(self) -> bool:
        """Whether bundled samples stand in for any of the course's files."""
        return any(path.parent == SAMPLE_DATA for path in self.files.values())

    @cached_property
    def tables(self) -> dict[tuple[str, str], Table]:
        """(task, split) -> its rows, of train and dev."""
        return {(task, split): read_table(self.files[task, split], TASKS[task], split)
                for task in COURSE_TASKS for split in ("train", "dev")}

    @cached_property
    def data(self) -> dict[str, TaskData]:
        """The three tasks' examples, whole."""
        return {task: TaskData(*(tokenise(self.tables[task, split], self.tokenizer) for split in ("train", "dev")), None)
                for task in COURSE_TASKS}

    def cut(self, share: float) -> dict[str, TaskData]:
        """A part of every task's examples, each label's share of it as in the whole."""
        def take(examples: Sequence, task: str) -> list:
            return take_part(examples, TASKS[task], (0.0, share), seed=0)

        return {task: TaskData(take(splits.train, task), take(splits.dev, task), None) for task, splits in self.data.items()}
