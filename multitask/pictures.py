"""The pictures of a run's report: which numbers are drawn how, and how to read them."""

# N points, D hidden, L layers, E epochs

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from minbert.files import MinbertError
from multitask import figures, maps
from multitask.analysis import (
    Analysis,
    Answered,
    Group,
    collect,
    confusion_counts,
    count_labels,
    find_groups,
    score_curves,
    value_in,
)
from multitask.checkpoint import load_checkpoint
from multitask.evaluate import run_model
from multitask.predict import CLASS_NAMES, make_examples
from multitask.record import sample_evenly
from multitask.tables import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SENTENCES = 500  # in a t-SNE
PERPLEXITIES = (30, 50)
LABELS = CLASS_NAMES | {"para": ("no paraphrase", "paraphrase")}
AXES = {"words": "words in the example", "overlap": "share of the words that both texts have"}


@dataclass(frozen=True)
class Picture:
    """`draw` makes the Figure of figures/NAME.png; `caption` says how to read it."""

    name: str
    caption: str
    draw: "Callable[[], Figure]"


def training_pictures(found: Analysis) -> list[Picture]:
    """Loss, penalties and scores of every epoch, and how far the tasks agreed."""
    epochs = found.epochs
    draw = partial(figures.curves, marks=stage_marks(epochs))
    pictures = []
    if losses := collect(epochs, "train_loss"):
        pictures.append(Picture("train-loss", "Mean training loss of each epoch, penalties not counted. The tasks' losses "
                                "have different scales.", partial(draw, {"train loss": losses}, y_label="loss")))
    if penalties := collect(epochs, "penalties"):
        panels: dict[str, dict[str, list[float]]] = {}
        for name, values in penalties.items():
            task, _, penalty = name.partition(".")
            panels.setdefault(penalty, {})[task] = values
        pictures.append(Picture("penalties", "Mean of each penalty in each epoch, weights included.",
                                partial(draw, panels, y_label="penalty")))
    if scores := score_curves(epochs):
        pictures.append(Picture("scores", "Scores at each epoch's end. Train is measured on up to 200 training examples of each "
                                "task: where it climbs and dev does not, the model learns by heart.",
                                partial(draw, scores, y_label="score")))
    if any(parts for record in epochs for parts in record.get("gradient_cosines", {}).values()):
        pictures.append(Picture("cosines", "Cosines of the tasks' gradients at each epoch's end, on the same few training "
                                "examples, with dropout off: below 0 a step that helps one task hurts the other.",
                                partial(draw_cosines, epochs)))
    return pictures


def stage_marks(epochs: Sequence[dict]) -> dict[float, str]:
    """Where a new stage starts, between two epochs, counted from the run's first."""
    return {place + 0.5: f"stage {epochs[place]['stage']}" for place in range(1, len(epochs))
            if epochs[place]["stage"] != epochs[place - 1]["stage"]}


def draw_cosines(epochs: Sequence[dict]) -> "Figure":
    measured = [record for record in epochs if record.get("gradient_cosines")]
    pairs = dict.fromkeys(pair for record in measured for pair in record["gradient_cosines"])
    parts = list(dict.fromkeys(part for record in measured for some in record["gradient_cosines"].values() for part in some))
    several = len({record["stage"] for record in measured}) > 1
    columns = [f"{record['stage']}.{record['epoch']}" if several else str(record["epoch"]) for record in measured]
    panels = {pair: np.array([[value_in(record["gradient_cosines"].get(pair, {}), part) for record in measured]
                              for part in parts]) for pair in pairs}
    return maps.cosine_maps(panels, parts, columns, "stage.epoch" if several else "epoch")


def task_pictures(answered: Answered) -> list[Picture]:
    """A task's answers on dev against its labels, and where its errors are."""
    task, labels_N, errors_N = answered.task, answered.labels_N, answered.errors_N
    title, pictures = f"{task.name}, dev", []
    if task.kind == "score":
        pictures.append(Picture(f"{task.name}-scatter", "Answers over labels; on the line both are equal.",
                                partial(figures.scatter, answered.predictions_N, labels_N, title, task.low, task.high)))
    else:
        counts_CC = confusion_counts(task, labels_N, answered.predictions_N)
        pictures.append(Picture(f"{task.name}-confusion", "Each row holds the examples of one true label, as shares and counts; "
                                "right answers are on the diagonal.",
                                partial(figures.confusion, counts_CC, label_names(task), title)))
    if task.classes > 2:  # of yes and no the confusion says it all
        width = 0.25 if task.kind == "score" else 1
        pictures.append(Picture(f"{task.name}-errors", "Answer minus label: right of 0 the model says too much.",
                                partial(figures.histogram, errors_N, "answer - label", title, width)))
    counts = {"true": count_labels(task, labels_N), "answer": count_labels(task, answered.predictions_N)}
    names = label_names(task) if task.kind != "score" else [str(value) for value in range(task.low, task.high + 1)]
    pictures.append(Picture(f"{task.name}-distribution", "How often each label is true, and how often it is the answer"
                            + ("; scores count to the nearest whole number." if task.kind == "score" else "."),
                            partial(figures.distribution, counts, names, title=title)))
    groups = find_groups(answered)
    for by, what in (("words", "length"), ("overlap", "overlap")):
        if some := [group for group in groups if group.by == by]:
            pictures.append(Picture(f"{task.name}-{what}", f"Errors by {what}, with 95% intervals; n examples in each group.",
                                    partial(draw_groups, task, some, title)))
    return pictures


def label_names(task: Task) -> list[str]:
    """The labels' names on two lines where they have two words; numbers where they have no name."""
    names = LABELS.get(task.name, [str(value) for value in range(task.low, task.high + 1)])
    return [name.replace(" ", "\n") for name in names]


def draw_groups(task: Task, groups: Sequence[Group], title: str) -> "Figure":
    by = groups[0].by
    rows = {f"{name_span(group)}\n(n={group.count})": (group.error, group.low, group.high) for group in groups}
    y_label = "mean |answer - label|" if task.kind == "score" else "share of wrong answers"
    return figures.intervals(rows, AXES[by], title, upright=True, y_label=y_label)


def name_span(group: Group) -> str:
    """From where to where a group goes: "6-10" words, an overlap of "0.2-0.4"."""
    if group.by == "words":
        return f"{group.start:g}-{group.end - 1:g}" if math.isfinite(group.end) else f"{group.start:g} or more"
    return f"{group.start:g}-{min(group.end, 1):g}"


def tsne_picture(found: Analysis) -> tuple[Picture, list[tuple]]:
    """The sentence vectors of up to 500 dev examples of the first task on single sentences, drawn in the plane; and the rows of
    analysis/tsne.csv. Raises MinbertError where there is no such task, its texts are missing, or scikit-learn is."""
    answered = next((one for one in found.answered.values() if not one.task.is_pair and one.task.kind != "score"), None)
    if answered is None or answered.texts is None:
        what = "no task on single sentences" if answered is None else "no texts/: it is of an older version"
        raise MinbertError(f"{found.run.folder}: no t-SNE, the run has {what}", "leave --tsne out")
    task, checkpoint = answered.task, load_checkpoint(found.run.folder / "best")
    places = sample_evenly(range(len(answered.ids)), SENTENCES)
    examples = make_examples(checkpoint, task, [answered.texts[place] for place in places])
    vectors_ND = run_model(checkpoint.model, checkpoint.tokenizer, task.name, examples,
                           partial(checkpoint.model.sentence, task.name)).numpy()
    fitting = [perplexity for perplexity in PERPLEXITIES if perplexity < len(places)]
    if not fitting:
        raise MinbertError(f"{found.run.folder}: no t-SNE of {len(places)} sentences", f"it needs more than {PERPLEXITIES[0]}")
    points = {perplexity: embed_tsne(vectors_ND, perplexity) for perplexity in fitting}
    labels = answered.labels_N[list(places)].astype(int) - task.low
    rows = [(answered.ids[place], label + task.low, perplexity, *point) for perplexity, points_N2 in points.items()
            for place, label, point in zip(places, labels.tolist(), points_N2.tolist(), strict=True)]
    panels = {f"{task.name}, dev, perplexity {perplexity}": points_N2 for perplexity, points_N2 in points.items()}
    names = [name.replace("\n", " ") for name in label_names(task)]
    return Picture("tsne", f"{len(places)} sentence vectors of the best checkpoint, moved to the plane so that neighbours stay "
                   "neighbours. Distances between clusters, and their sizes, mean nothing.",
                   partial(figures.tsne, panels, labels, names)), rows


def embed_tsne(vectors_ND: np.ndarray, perplexity: float, seed: int = 0) -> np.ndarray:
    """points_N2 by t-SNE (van der Maaten and Hinton 2008), started from the principal components.

    Raises MinbertError where scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
    except Exception as error:  # a broken installation can raise anything
        raise MinbertError(f"t-SNE needs scikit-learn: {error}", figures.INSTALL) from error
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors_ND)
