"""Predictions, scores with 95% intervals, and prediction files in the course's format."""

# N examples, C classes

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from minbert.files import MinbertError, write_text
from minbert.tokenizer import BertTokenizer
from multitask import processes
from multitask.batches import evaluation_batches
from multitask.data import Example, Tokens
from multitask.model import MultitaskBert, dropout_off
from multitask.tables import COURSE_TASKS, TASKS, Task

Z95 = 1.959963984540054  # the standard normal's 97.5% point
CPU_TOKENS, GPU_TOKENS = 1024, 4096  # of a batch: little padding, and what fits into a cache; what training has, too (untried)


@dataclass(frozen=True)
class Score:
    """A number with its 95% interval; nan where it is not defined."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


def as_vectors(predictions_N: np.ndarray, labels_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays. Raises ValueError unless each is N numbers: a column beside a row would be compared all with all."""
    predictions_N, labels_N = np.asarray(predictions_N), np.asarray(labels_N)
    if predictions_N.ndim != 1 or predictions_N.shape != labels_N.shape:
        raise ValueError(f"predictions of shape {predictions_N.shape} and labels of shape {labels_N.shape}: expected (N,) twice")
    return predictions_N, labels_N


# Exercise 8.1: accuracy
def accuracy(predictions_N: np.ndarray, labels_N: np.ndarray) -> float:
    """The share of predictions that equal their label, 0..1; nan without examples."""
    predictions_N, labels_N = as_vectors(predictions_N, labels_N)
    return float(np.mean(predictions_N == labels_N)) if len(labels_N) else math.nan


# Exercise 8.2: Pearson correlation
def pearson(predictions_N: np.ndarray, labels_N: np.ndarray) -> float:
    """r in -1..1: covariance over the product of the standard deviations, in float64.

    nan, not 0, where either side is constant or there are fewer than two examples: r is not defined there.
    """
    x, y = (values_N.astype(np.float64) for values_N in as_vectors(predictions_N, labels_N))
    if len(x) < 2 or np.all(x == x[0]) or np.all(y == y[0]):
        return math.nan
    # r = sum (x - mean x)(y - mean y) / sqrt(sum (x - mean x)^2 sum (y - mean y)^2)
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    return max(-1.0, min(1.0, float(x @ y) / scale)) if scale > 0 else math.nan


def spearman(predictions_N: np.ndarray, labels_N: np.ndarray) -> float:
    """Pearson's r of the ranks; ties share their mean rank."""
    from scipy.stats import rankdata  # here: to import it takes half a second

    return pearson(rankdata(predictions_N), rankdata(labels_N))


def macro_f1(predictions_N: np.ndarray, labels_N: np.ndarray) -> float:
    """The mean over classes of F1 = 2 TP / (2 TP + FP + FN); a class counts if it is among labels or predictions."""
    predictions_N, labels_N = as_vectors(predictions_N, labels_N)
    scores = []
    for label in np.union1d(predictions_N, labels_N):
        hits = np.sum((predictions_N == label) & (labels_N == label))
        scores.append(2 * hits / (np.sum(predictions_N == label) + np.sum(labels_N == label)))
    return float(np.mean(scores)) if scores else math.nan


def wilson_interval(share: float, count: int) -> Score:
    """A share of `count` independent examples with Wilson's 95% interval (1927)."""
    if count == 0 or math.isnan(share):
        return Score(math.nan, math.nan, math.nan)
    centre = (share + Z95**2 / (2 * count)) / (1 + Z95**2 / count)
    half = Z95 / (1 + Z95**2 / count) * math.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2))
    return Score(share, max(0.0, centre - half), min(1.0, centre + half))


def fisher_interval(r: float, count: int) -> Score:
    """A correlation with its 95% interval by Fisher's z-transform; nan bounds below four examples."""
    if count < 4 or math.isnan(r):
        return Score(r, math.nan, math.nan)
    z, half = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, r))), Z95 / math.sqrt(count - 3)
    return Score(r, math.tanh(z - half), math.tanh(z + half))


def predict(model: MultitaskBert, tokenizer: BertTokenizer, task: str, examples: list[Example]) -> np.ndarray:
    """outputs_NC, or outputs_N of a target with one column, in the examples' order, with dropout off; the model's mode is
    kept. Where the recipe says `symmetric`, the mean of a pair's two orders. Raises MinbertError without examples."""
    if not examples:
        raise MinbertError(f"{task}: there is no example to predict", "give it a file with at least one row")
    orders = [examples]
    if model.tasks[task].symmetric:
        orders.append([example.swapped() for example in examples])
    outputs = [run_model(model, tokenizer, task, order, partial(model.output, task)) for order in orders]
    return torch.stack(outputs).mean(dim=0).numpy()


@torch.no_grad()  # not inference_mode: a frozen encoder's vectors go on into training
def run_model(model: MultitaskBert, tokenizer: BertTokenizer, task: str, examples: Sequence[Example],
              compute: Callable[[Tokens], torch.Tensor]) -> torch.Tensor:
    """What `compute` makes of the examples as they are, a row for each: on the CPU, in their order, with dropout off.

    Several processes share the batches out; each gets all rows.
    """
    device = next(model.parameters()).device
    rows: list[torch.Tensor | None] = [None] * len(examples)
    tokens = CPU_TOKENS if device.type == "cpu" else GPU_TOKENS
    batches = evaluation_batches(examples, TASKS[task], tokenizer, model.encoding(task), tokens)
    with dropout_off(model):
        for number, (places, batch) in enumerate(batches):
            mine = number % processes.count() == processes.number()
            if mine or number == 0:  # the first is computed by all: then each knows what a row looks like
                output = compute(batch.to(device).tokens).float().cpu()
                for place, row in zip(places, output if mine else torch.zeros_like(output), strict=True):
                    rows[place] = row
    empty = torch.zeros_like(next(row for row in rows if row is not None))
    return processes.sum_up(torch.stack([empty if row is None else row for row in rows]))


def score_task(task: Task, predictions_N: np.ndarray, labels_N: np.ndarray) -> dict[str, Score]:
    """The task's scores by name, its main one first (`accuracy`, or `pearson` for a task with scores)."""
    count, nothing = len(labels_N), math.nan
    if task.kind == "score":
        return {"pearson": fisher_interval(pearson(predictions_N, labels_N), count),
                "spearman": fisher_interval(spearman(predictions_N, labels_N), count),
                "mse": Score(float(np.mean((predictions_N - labels_N) ** 2)), nothing, nothing)}
    return {"accuracy": wilson_interval(accuracy(predictions_N, labels_N), count),
            "macro_f1": Score(macro_f1(predictions_N, labels_N), nothing, nothing)}


def overall_raw(sst: float, para: float, sts: float) -> float:
    """The 2023 course's score: the mean of two accuracies and r."""
    return (sst + para + sts) / 3


def overall_normalised(sst: float, para: float, sts: float) -> float:
    """The 2024 course's score: with (r + 1) / 2 in r's place. Higher by (1 - r) / 6 for the same model."""
    return overall_raw(sst, para, (sts + 1) / 2)


def summarise(main: dict[str, Score]) -> dict[str, Score]:
    """Both overall scores and the minimum, from each task's main score.

    The overall scores are over sst, para and sts. A run without all three gets the mean over the tasks it has. The
    interval takes the tasks' errors as independent: half-width = sqrt(sum of squares) / number of tasks.
    """
    def mean(scores: list[Score]) -> Score:
        value = sum(score.value for score in scores) / len(scores)
        half = math.sqrt(sum(score.half_width**2 for score in scores)) / len(scores)
        return Score(value, value - half, value + half)

    counted = COURSE_TASKS if set(COURSE_TASKS) <= set(main) else tuple(main)
    raw = [main[name] for name in counted]
    normalised = [Score(*((number + 1) / 2 for number in (score.value, score.low, score.high)))
                  if TASKS[name].kind == "score" else score for name, score in zip(counted, raw, strict=True)]
    smallest = min(main.values(), key=lambda score: -math.inf if math.isnan(score.value) else score.value)
    return {"overall_raw": mean(raw), "overall_normalised": mean(normalised), "minimum": smallest}


def write_predictions(path: Path, task: Task, ids: Sequence[str], predictions: Sequence[int | float]) -> None:
    """The course's prediction file, byte for byte: `id \\t Title \\n`, then `{id} , {prediction} \\n` for every example.

    `predictions` are a target's decoded ones as plain numbers: whole numbers for classes, else fractions. An id may repeat:
    `read_table` has seen to it that its texts are the same.

    Raises MinbertError where there are not as many ids as predictions.
    """
    if len(ids) != len(predictions):
        raise MinbertError(f"{path}: {len(predictions)} predictions for {len(ids)} examples", "every example needs one")
    rows = [f"{id} , {prediction} \n" for id, prediction in zip(ids, np.asarray(predictions).tolist(), strict=True)]
    write_text(path, f"id \t {task.prediction} \n" + "".join(rows))
