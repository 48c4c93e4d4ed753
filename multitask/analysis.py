"""What a run's numbers say: curves, confusions, errors by group, hits and misses. No matplotlib; everything is read from the
run folder, and written again as CSV below analysis/:

    epochs.csv             stage, epoch, quantity, name, value: losses, penalties, train and dev scores
    cosines.csv            stage, epoch, pair of tasks, part of the encoder, cosine of the gradients
    TASK-answers.csv       id, label, answer, error, words, overlap of every dev example
    TASK-confusion.csv     label, answer, count, share of the label's examples
    TASK-distribution.csv  label, how often it is true, how often it is the answer
    TASK-groups.csv        by words or overlap: from, below, examples, error with its 95% interval
"""

# N examples, C classes, D hidden

import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minbert.files import MinbertError
from multitask.evaluate import Z95, wilson_interval
from multitask.outputs import read_texts, write_rows
from multitask.record import read_epochs
from multitask.run_folder import Run, find_probabilities, read_predictions
from multitask.tables import COURSE_TASKS, TASKS, Task

LENGTHS = (0, 6, 11, 16, 21, 31, 41, 61, math.inf)  # words
OVERLAPS = (0, 0.2, 0.4, 0.6, 0.8, math.inf)


@dataclass(frozen=True)
class Answered:
    """A task's dev examples with the run's answers. `certainty_N` is the probability the model gave to the true label, nan for
    scores. `texts` is None where an older run did not keep them."""

    task: Task
    ids: list[str]
    labels_N: np.ndarray
    predictions_N: np.ndarray
    certainty_N: np.ndarray
    texts: list[tuple[str, ...]] | None

    @property
    def errors_N(self) -> np.ndarray:
        return self.predictions_N - self.labels_N


@dataclass(frozen=True)
class Group:
    """Examples whose `by` lies in [start, end): the share of wrong answers, or for scores the mean |error|, with its interval."""

    by: str
    start: float
    end: float
    count: int
    error: float
    low: float
    high: float


@dataclass(frozen=True)
class Analysis:
    """A run as its report sees it; `notes` say what is missing and why."""

    run: Run
    epochs: list[dict]
    answered: dict[str, Answered]
    notes: list[str]


def analyse(run: Run) -> Analysis:
    """Raises MinbertError where the folder is damaged, or an ensemble's, which has no training to report."""
    if run.recipe is None:
        raise MinbertError(f"{run.folder} is an ensemble's: there is no training to report", "name one of its members")
    notes, epochs = [], []
    if (run.folder / "metrics.jsonl").exists():
        epochs, warning = read_epochs(run.folder / "metrics.jsonl")
        notes += [warning] if warning else []
    else:
        notes.append("no curves: the folder has no metrics.jsonl")
    answered = {name: read_answered(run, name) for name in run.tasks}
    if any(one.texts is None for one in answered.values()):
        notes.append("no sentences, and no errors by length and overlap: the folder has no texts/, it is of an older version")
    return Analysis(run, epochs, answered, notes)


def read_answered(run: Run, name: str) -> Answered:
    """Raises MinbertError where a file is broken."""
    task, predicted = TASKS[name], read_predictions(run, name, "dev")
    labels_N = predicted.labels_N
    certainty_N = np.full(len(labels_N), math.nan)
    if task.kind != "score":
        places = labels_N.astype(int) - task.low
        certainty_N = find_probabilities(run, task, predicted)[np.arange(len(places)), places]
    path = run.folder / "texts" / f"{name}-dev.csv"
    texts = read_texts(path, predicted.ids, len(task.texts)) if path.exists() else None
    return Answered(task, predicted.ids, labels_N, predicted.predictions_N, certainty_N, texts)


def value_in(scores: dict, name: str) -> float:
    """A score's value in an epoch's record; nan where it is missing, null or no number."""
    score = scores.get(name)
    value = score.get("value") if isinstance(score, dict) else score
    return float(value) if isinstance(value, (int, float)) and abs(value) <= sys.float_info.max else math.nan


def collect(epochs: Sequence[dict], key: str) -> dict[str, list[float]]:
    """Name -> its value of every epoch, nan where an epoch has none; tasks in the order of TASKS, whichever came first."""
    names = dict.fromkeys(name for record in epochs for name in record.get(key, {}))
    names = sorted(names, key=lambda name: list(TASKS).index(task) if (task := name.partition(".")[0]) in TASKS else len(TASKS))
    return {name: [value_in(record.get(key, {}), name) for record in epochs] for name in names}


def score_curves(epochs: Sequence[dict]) -> dict[str, dict[str, list[float]]]:
    """"sst, accuracy" -> dev and train, an epoch each; last the course's overall score. Nothing where no epoch has scores."""
    tasks = dict.fromkeys(name for record in epochs for name, scores in record.get("dev", {}).items() if scores)
    panels = {}
    for task in tasks:
        measure = next(name for record in epochs for name in record.get("dev", {}).get(task, {}))
        panels[f"{task}, {measure}"] = {split: [value_in(record.get(split, {}).get(task, {}), measure) for record in epochs]
                                        for split in ("dev", "train")}
    if set(COURSE_TASKS) <= set(tasks):
        panels["overall, 2024"] = {"dev": [value_in(record, "overall_normalised") for record in epochs]}
    return panels


def confusion_counts(task: Task, labels_N: np.ndarray, predictions_N: np.ndarray) -> np.ndarray:
    """counts_CC: how often each label (row) got each answer (column)."""
    counts_CC = np.zeros((task.classes, task.classes), dtype=int)
    np.add.at(counts_CC, (labels_N.astype(int) - task.low, predictions_N.astype(int) - task.low), 1)
    return counts_CC


def count_labels(task: Task, values_N: np.ndarray) -> np.ndarray:
    """counts_C: how often each whole number of the scale; scores count to the nearest, beyond the ends to the end."""
    nearest_N = np.clip(np.floor(values_N + 0.5), task.low, task.high).astype(int)
    return np.bincount(nearest_N - task.low, minlength=task.classes)


def split_words(text: str) -> list[str]:
    return re.findall(r"\w+(?:'\w+)?", text.lower())


def count_words(texts: Sequence[tuple[str, ...]]) -> np.ndarray:
    """words_N: of a pair, both texts' together."""
    return np.array([sum(len(split_words(text)) for text in sides) for sides in texts], dtype=float)


def word_overlap(texts: Sequence[tuple[str, ...]]) -> np.ndarray:
    """overlap_N of pairs: the share of both texts' different words that stand in both (Jaccard 1901), 0..1."""
    sets = [(set(split_words(first)), set(split_words(second))) for first, second in texts]
    return np.array([len(one & other) / len(one | other) if one | other else 1.0 for one, other in sets])


def group_errors(task: Task, errors_N: np.ndarray, values_N: np.ndarray, by: str, edges: Sequence[float]) -> list[Group]:
    """The error of the examples whose value lies in each [edge, next edge); groups without examples are left out."""
    groups = []
    for start, end in zip(edges, edges[1:], strict=False):
        chosen_N = np.abs(errors_N[(values_N >= start) & (values_N < end)])
        count = len(chosen_N)
        if not count:
            continue
        if task.kind == "score":
            half = Z95 * chosen_N.std(ddof=1) / math.sqrt(count) if count > 1 else math.nan
            groups.append(Group(by, start, end, count, chosen_N.mean(), chosen_N.mean() - half, chosen_N.mean() + half))
        else:
            score = wilson_interval(float(np.mean(chosen_N > 0)), count)
            groups.append(Group(by, start, end, count, score.value, score.low, score.high))
    return groups


def find_groups(answered: Answered) -> list[Group]:
    """Errors by number of words and, for pairs, by overlap; nothing where the texts are missing."""
    if answered.texts is None:
        return []
    task, errors_N = answered.task, answered.errors_N
    groups = group_errors(task, errors_N, count_words(answered.texts), "words", LENGTHS)
    if task.is_pair:
        groups += group_errors(task, errors_N, word_overlap(answered.texts), "overlap", OVERLAPS)
    return groups


def find_extremes(answered: Answered, count: int = 5) -> tuple[list[int], list[int]]:
    """Places of the best hits and of the worst errors, the extreme ones first: by |answer - label|, then by the probability
    given to the label. A right class is no error, and a wrong one no hit."""
    errors_N = np.abs(answered.errors_N)
    order = np.lexsort((-np.nan_to_num(answered.certainty_N), errors_N))
    hits, misses = order[:count].tolist(), order[::-1][:count].tolist()
    if answered.task.kind != "score":
        hits = [place for place in hits if errors_N[place] == 0]
    return hits, [place for place in misses if errors_N[place] > 0]


def epoch_rows(epochs: Sequence[dict]) -> Iterator[tuple]:
    """(stage, epoch, quantity, name, value) of everything that an epoch's record holds."""
    for record in epochs:
        place = (record["stage"], record["epoch"])
        for key, word in (("train_loss", "train loss"), ("penalties", "penalty")):
            yield from ((*place, word, name, value_in(record[key], name)) for name in record.get(key, {}))
        for split in ("train", "dev"):
            for task, scores in record.get(split, {}).items():
                yield from ((*place, f"{split} {measure}", task, value_in(scores, measure)) for measure in scores)
        for name in ("overall_raw", "overall_normalised", "minimum", "dev_loss", "learning_rate", "seconds"):
            if name in record:
                yield (*place, name, "", value_in(record, name))


def cosine_rows(epochs: Sequence[dict]) -> list[tuple]:
    return [(record["stage"], record["epoch"], pair, part, value) for record in epochs
            for pair, parts in record.get("gradient_cosines", {}).items() for part, value in parts.items()]


def write_tables(folder: Path, found: Analysis) -> None:
    """The files named at the top of this module."""
    write_rows(folder / "epochs.csv", ["stage", "epoch", "quantity", "name", "value"], epoch_rows(found.epochs))
    if cosines := cosine_rows(found.epochs):
        write_rows(folder / "cosines.csv", ["stage", "epoch", "pair", "part", "cosine"], cosines)
    for name, one in found.answered.items():
        numbers, empty = range(one.task.low, one.task.high + 1), [math.nan] * len(one.ids)
        words = empty if one.texts is None else count_words(one.texts).astype(int).tolist()
        overlaps = word_overlap(one.texts).tolist() if one.texts is not None and one.task.is_pair else empty
        write_rows(folder / f"{name}-answers.csv", ["id", "label", "answer", "error", "words", "overlap"],
                   zip(one.ids, one.labels_N.tolist(), one.predictions_N.tolist(), one.errors_N.tolist(), words, overlaps,
                       strict=True))
        counts = (count_labels(one.task, values_N).tolist() for values_N in (one.labels_N, one.predictions_N))
        write_rows(folder / f"{name}-distribution.csv", ["label", "true", "answer"], zip(numbers, *counts, strict=True))
        if one.task.kind != "score":
            counts_CC = confusion_counts(one.task, one.labels_N, one.predictions_N)
            write_rows(folder / f"{name}-confusion.csv", ["label", "answer", "count", "share"],
                       [(label, answer, count, count / max(1, row.sum())) for label, row in zip(numbers, counts_CC, strict=True)
                        for answer, count in zip(numbers, row.tolist(), strict=True)])
        if groups := find_groups(one):
            write_rows(folder / f"{name}-groups.csv", ["by", "from", "below", "examples", "error", "low", "high"],
                       [(one.by, one.start, one.end, one.count, float(one.error), float(one.low), float(one.high))
                        for one in groups])
