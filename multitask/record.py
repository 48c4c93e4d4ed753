"""What an epoch leaves in metrics.jsonl and says on the screen."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from minbert.files import MinbertError, error_from_os
from multitask.data import Example
from multitask.evaluate import Score, score_task, summarise
from multitask.tables import TASKS
from multitask.targets import Target
from multitask.train import Step

FLAT, NESTED = ("train_loss", "penalties"), ("train", "dev", "gradient_cosines")  # an epoch's tables, and tables of tables
TRAIN_SAMPLE = 200  # training examples of each task that are scored at an epoch's end, to show over-fitting


@dataclass
class EpochLog:
    """What happened since the last epoch's end."""

    losses: dict[str, list[Tensor]] = field(default_factory=dict)
    penalties: dict[str, list[Tensor]] = field(default_factory=dict)
    rows: int = 0
    started: float = field(default_factory=time.perf_counter)

    def add(self, step: Step) -> None:
        for kept, values in ((self.losses, step.losses), (self.penalties, step.penalties)):
            for name, value in values.items():
                kept.setdefault(name, []).append(value)
        self.rows += step.rows

    def state_dict(self) -> dict:
        losses, penalties = ({name: torch.stack(values) for name, values in kept.items()}
                             for kept in (self.losses, self.penalties))
        return {"losses": losses, "penalties": penalties, "rows": self.rows, "seconds": time.perf_counter() - self.started}

    def load_state_dict(self, saved: dict, device: torch.device) -> None:
        self.losses, self.penalties = ({name: list(values.clone().to(device).unbind()) for name, values in saved[kept].items()}
                                       for kept in ("losses", "penalties"))
        self.rows, self.started = saved["rows"], time.perf_counter() - saved["seconds"]


def describe_step(index: int, step: Step, log: EpochLog, learning_rate: float) -> dict:
    """The training half of an epoch's record in metrics.jsonl."""
    seconds = time.perf_counter() - log.started
    return {"stage": index + 1, "epoch": step.epoch, "steps": step.step,
            "train_loss": {name: float(torch.stack(values).mean()) for name, values in log.losses.items()},
            "penalties": {name: float(torch.stack(values).mean()) for name, values in log.penalties.items()},
            "learning_rate": learning_rate, "seconds": seconds, "examples_per_second": log.rows / seconds,
            "best_so_far": False}


def sample_evenly(examples: Sequence[Example], count: int = TRAIN_SAMPLE) -> Sequence[Example]:
    """`count` examples from all over the list: SST's file is sorted, its first rows are nearly all positive."""
    return [examples[place * len(examples) // count] for place in range(count)] if len(examples) > count else examples


def score_epoch(outputs: dict[str, dict[str, np.ndarray]], examples: dict[str, dict[str, Sequence[Example]]],
                targets: dict[str, Target]) -> dict:
    """The scores of an epoch: of every task on dev and on some training examples, and overall on dev. `outputs` and `examples`
    are by split and task."""
    if not outputs["dev"]:
        return {}
    scores = {split: {name: score_outputs(name, targets[name], output, examples[split][name]) for name, output in each.items()}
              for split, each in outputs.items()}
    return scores | summarise({name: main_score(score) for name, score in scores["dev"].items()})


def value_of(scores: dict, select_by: str) -> float:
    """What an epoch is judged by: the higher, the better; nan where the stage trains no task yet."""
    if select_by == "loss":
        return -scores["dev_loss"]
    if "dev" not in scores:
        return math.nan
    return (main_score(scores["dev"][select_by]) if select_by in TASKS else scores[select_by]).value


def score_outputs(name: str, target: Target, outputs: np.ndarray, examples: list[Example]) -> dict[str, Score]:
    predictions = target.decode(torch.from_numpy(outputs)).numpy()
    return score_task(TASKS[name], predictions, np.array([example.label for example in examples]))


def describe_split(scores: dict[str, dict[str, Score]], labels: dict[str, Sequence[float]]) -> dict:
    """One split's part of results.json: scores, overall scores, and what to hold them against."""
    return {"tasks": scores, **summarise({name: main_score(score) for name, score in scores.items()}),
            "examples": {name: len(labels[name]) for name in scores},
            "majority": {name: majority(name, labels[name]) for name in scores}}


def majority(name: str, labels: Sequence[float]) -> float | None:
    """The accuracy of always answering the commonest label; None for a task with scores."""
    return None if TASKS[name].kind == "score" else float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def main_score(scores: dict[str, Score]) -> Score:
    return next(iter(scores.values()))


def is_better(value: float, best: float | None) -> bool:
    """Whether an epoch's value makes it the best so far; anything is better than nan, which compares with nothing."""
    return best is None or value > best or (math.isnan(best) and not math.isnan(value))


def to_json(value: object, indent: int | None = None) -> str:
    """JSON with null for nan (nan is not JSON) and scores as tables."""
    def clean(item: object) -> object:
        if isinstance(item, Score):
            return clean(asdict(item))
        if isinstance(item, dict):
            return {str(key): clean(entry) for key, entry in item.items()}
        if isinstance(item, (list, tuple)):
            return [clean(entry) for entry in item]
        return None if isinstance(item, float) and not math.isfinite(item) else item

    return json.dumps(clean(value), indent=indent, allow_nan=False)


def read_epochs(path: Path) -> tuple[list[dict], str]:
    """The epochs in metrics.jsonl, and a warning, "" where there is none: a last line that was torn is left out.

    Raises MinbertError, which names file and line, where another line is no epoch's record.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise error_from_os(error, path, "read") from error
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                return records, f"{path}:{number}: the last line is cut short and left out"
            raise MinbertError(f"{path}:{number}: is not JSON: {error}", "the file is damaged: run again") from error
        if not is_epoch(record):
            raise MinbertError(f"{path}:{number}: is no epoch's record", "the file is damaged: run again")
        records.append(record)
    return records, ""


def is_epoch(record: object) -> bool:
    """Whether the parts of a record are what they should be."""
    return (isinstance(record, dict) and all(isinstance(record.get(key), int) for key in ("stage", "epoch"))
            and all(isinstance(record.get(key, {}), dict) for key in (*FLAT, *NESTED))
            and all(isinstance(table, dict) for key in NESTED for table in record.get(key, {}).values()))


def find_faint(record: dict) -> str:
    """The penalties of an epoch that are too small to be felt; Bregman's starts small and grows."""
    return ", ".join(name for name, value in record["penalties"].items()
                     if name.endswith(".smart") and value < 1e-3 * record["train_loss"][name.split(".")[0]])


def describe_epoch(record: dict) -> str:
    """One line on an epoch for the screen."""
    dev, train = record.get("dev", {}), record.get("train", {})
    scores = "  ".join(f"{name} {main_score(scores).value:.3f} (train {main_score(train[name]).value:.3f})"
                       for name, scores in dev.items())
    undefined = [name for name, scores in dev.items() if math.isnan(main_score(scores).value)]
    parts = [f"dev {scores}"] if dev else []
    if undefined:
        parts[0] += f"  (undefined for {', '.join(undefined)}: predictions or labels are all the same)"
    if "dev_loss" in record:
        parts.append(f"dev loss {record['dev_loss']:.3f}")
    for title in ("train_loss", "penalties"):
        if record[title]:
            values = "  ".join(f"{name} {value:.3g}" for name, value in record[title].items())
            parts.append(f"{title.replace('_', ' ')} {values}")
    parts.append(f"{record['seconds']:.0f} s, {record['examples_per_second']:.0f} examples/s")
    return f"stage {record['stage']}, epoch {record['epoch']}: {'  |  '.join(parts)}{'  *best*' if record['best_so_far'] else ''}"
