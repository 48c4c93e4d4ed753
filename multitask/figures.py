"""Figures of runs and of ideas: numbers go in, a matplotlib Figure comes out, in one style.

Colours: Okabe and Ito 2008, told apart by colour-blind readers too; lines differ in dash and marker as well. A Figure is made
without pyplot, so there is no global state and no window: a notebook shows it (after `%matplotlib inline`), `save` writes it.
matplotlib is an extra: it is imported when the first figure is made.
"""

# N points, C classes

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minbert.files import MinbertError, atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#666666"
INSTALL = "pip install matplotlib scikit-learn"
SMALL = 9  # points: the smallest text in any figure
BINS = 100  # of a histogram: a diverged run's errors would take millions


def make_figure(panels: int = 1, columns: int = 3, size: tuple[float, float] | None = None, layout: str = "constrained"
                ) -> "tuple[Figure, list[Axes]]":
    """A figure with so many panels in rows of up to `columns`, each of `size` in inches, of 100 dots.

    Raises MinbertError where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except Exception as error:  # a broken installation can raise anything
        raise MinbertError(f"figures need matplotlib: {error}", INSTALL) from error
    columns = min(columns, panels)
    rows = -(-panels // columns)
    width, height = size or ((6.4, 4.2) if panels == 1 else (3.6, 3.0))
    figure = Figure(figsize=(columns * width, rows * height), dpi=100, layout=layout)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(panels)]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes


def count_whole(axis: "Axis") -> None:
    """Ticks at whole numbers only: there is no epoch 1.5 and no half example."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def save(figure: "Figure", path: Path) -> None:
    """Writes the figure as a PNG."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def curves(panels: Mapping[str, Mapping[str, Sequence[float]]], x: Sequence[float] | None = None, x_label: str = "epoch",
           y_label: str = "", marks: Mapping[float, str] | None = None) -> "Figure":
    """Lines: panel's title -> line's name -> values, at the places `x` (left out: 1, 2, ...). nan leaves a gap; a name has the
    same look in all panels. `marks` are places with a dotted upright line and a word, such as the start of a stage."""
    figure, axes = make_figure(len(panels), columns=2 if len(panels) == 4 else 3)
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    looks = dict(zip(names, zip(cycle(COLOURS), cycle(DASHES), cycle(MARKERS), strict=False), strict=False))
    shown = {}
    for panel, (title, lines) in zip(axes, panels.items(), strict=True):
        for name, values in lines.items():
            places = np.arange(1, len(values) + 1) if x is None else np.asarray(x)[:len(values)]
            colour, dash, marker = looks[name]
            [shown[name]] = panel.plot(places, np.asarray(values, dtype=float), dash, color=colour, linewidth=1.8,
                                       marker=marker if len(places) <= 30 else None, markersize=5)
        for place, word in (marks or {}).items():
            panel.axvline(place, color=GREY, linestyle=":", linewidth=1)
            panel.text(place, 1.0, f" {word}", transform=panel.get_xaxis_transform(), va="top", color=GREY, fontsize=SMALL)
        panel.set_title(title)
        panel.set_xlabel(x_label)
        panel.grid(alpha=0.3)
        if x is None:
            panel.set_xlim(0.8, max(map(len, lines.values()), default=1) + 0.2)
            count_whole(panel.xaxis)
    axes[0].set_ylabel(y_label)
    add_legend(figure, shown)
    return figure


def add_legend(figure: "Figure", shown: dict) -> None:
    """Below the panels, where it hides no data; a single line needs none."""
    if len(shown) > 1:
        longest = max(map(len, shown))
        columns = max(1, int(figure.get_figwidth() * 10 / (longest + 6)))
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=min(columns, len(shown)), frameon=False)


def confusion(counts_CC: np.ndarray, labels: Sequence[str], title: str = "") -> "Figure":
    """Rows are true labels, columns answers. A row's shares of all its examples are shaded and written above the counts; a row
    without examples stays empty."""
    counts_CC = np.asarray(counts_CC, dtype=float)
    shares_CC = counts_CC / np.maximum(counts_CC.sum(axis=1, keepdims=True), 1)
    size = 1.8 + 0.85 * len(labels)
    figure, [panel] = make_figure(size=(size + 1.2, size))
    picture = panel.imshow(shares_CC, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares_CC):
        text = f"{share:.0%}\n{counts_CC[row, column]:.0f}" if counts_CC[row].sum() else "none"
        panel.text(column, row, text, ha="center", va="center", color="white" if share > 0.55 else "black")
    panel.set_xticks(range(len(labels)), labels)
    panel.set_yticks(range(len(labels)), labels)
    panel.set(xlabel="answer", ylabel="true label", title=title)
    figure.colorbar(picture, ax=panel, label="share of the true label's examples", shrink=0.8)
    return figure


def scatter(predictions_N: np.ndarray, labels_N: np.ndarray, title: str = "", low: float = 0, high: float = 5) -> "Figure":
    """Answers over labels, with the line on which both are equal; `low` and `high` are the ends of the labels' scale."""
    predictions_N, labels_N = np.asarray(predictions_N, dtype=float), np.asarray(labels_N, dtype=float)
    figure, [panel] = make_figure(size=(5.6, 5.4))
    panel.plot([low, high], [low, high], color=COLOURS[1], linewidth=1.5, label="answer = label", zorder=1)
    panel.scatter(labels_N, predictions_N, s=14, color=COLOURS[0], alpha=0.5 if len(labels_N) < 500 else 0.25, linewidths=0,
                  label=f"{len(labels_N)} examples", zorder=2)
    panel.set(xlabel=f"label ({low:g} to {high:g})", ylabel="answer", title=title)
    panel.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def histogram(values_N: np.ndarray, x_label: str, title: str = "", width: float = 0.25, y_label: str = "examples") -> "Figure":
    """How many values fall into bins of `width` that are centred on its multiples; dotted: the mean. nan is left out. Bins are
    wider where values lie so far apart that more than about 100 would be needed."""
    values_N = np.asarray(values_N, dtype=float)
    values_N = values_N[np.isfinite(values_N)]
    figure, [panel] = make_figure()
    if len(values_N):
        width = max(width, float(np.ptp(values_N)) / BINS)
        first, last = (np.floor(end / width + 0.5) for end in (min(values_N.min(), -2 * width), max(values_N.max(), 2 * width)))
        panel.hist(values_N, bins=(np.arange(first, last + 2) - 0.5) * width, color=COLOURS[0], edgecolor="white", linewidth=0.6)
        panel.axvline(values_N.mean(), color=COLOURS[1], linestyle=":", linewidth=2, label=f"mean {values_N.mean():.2f}")
        figure.legend(loc="outside lower center", frameon=False)
    panel.set(xlabel=x_label, ylabel=y_label, title=title)
    count_whole(panel.yaxis)
    return figure


def distribution(counts: Mapping[str, Sequence[float]], labels: Sequence[str], x_label: str = "label", title: str = ""
                 ) -> "Figure":
    """Bars side by side: name (such as "true" and "answer") -> how many of each label, drawn as shares of all."""
    figure, [panel] = make_figure(size=(max(6.4, 0.7 * len(labels)), 4.2))
    wide, shown = 0.8 / len(counts), {}
    for number, (name, values) in enumerate(counts.items()):
        shares = 100 * np.asarray(values, dtype=float) / max(1, np.sum(values))
        places = np.arange(len(labels)) + (number - (len(counts) - 1) / 2) * wide
        shown[name] = panel.bar(places, shares, wide, color=COLOURS[number], hatch=("", "//")[number % 2], edgecolor="white")
    panel.set_xticks(range(len(labels)), labels)
    panel.set(xlabel=x_label, ylabel="share of the examples, %", title=title)
    add_legend(figure, shown)
    return figure


def intervals(rows: Mapping[str, tuple[float, float, float]], x_label: str, title: str = "", upright: bool = False,
              line: float | None = None, y_label: str = "") -> "Figure":
    """A point with its 95% bar for every row: name -> (value, low, high). Rows go down the page, or with `upright` from left to
    right, for names that have an order. `line` is a value to hold them against. A value of nan leaves its place empty."""
    values, lows, highs = np.array(list(rows.values()), dtype=float).reshape(-1, 3).T
    errors = np.nan_to_num(np.clip([values - lows, highs - values], 0, None))
    places, look = np.arange(len(rows)), {"fmt": "o", "color": COLOURS[0], "capsize": 4, "linewidth": 1.8, "markersize": 6}
    if upright:
        figure, [panel] = make_figure(size=(max(6.4, 0.9 * len(rows)), 4.2))
        panel.errorbar(places, values, yerr=errors, **look)
        panel.set_xticks(places, rows)
        panel.set_xlim(-0.5, len(rows) - 0.5)
    else:
        figure, [panel] = make_figure(size=(7.2, 1.2 + 0.4 * len(rows)))
        panel.errorbar(values, places, xerr=errors, **look)
        panel.set_yticks(places, rows)
        panel.set_ylim(len(rows) - 0.5, -0.5)
    if line is not None:
        (panel.axhline if upright else panel.axvline)(line, color=GREY, linestyle=":", linewidth=1.5)
    panel.set(xlabel=x_label, ylabel=y_label, title=title)
    panel.grid(alpha=0.3, axis="y" if upright else "x")
    return figure


def tsne(panels: Mapping[str, np.ndarray], labels_N: Sequence[int], names: Sequence[str]) -> "Figure":
    """Points in the plane, points_N2 of each title; colour and marker tell the label, an index into `names`. The axes of a t-SNE
    have no meaning, so they have no numbers."""
    figure, axes = make_figure(len(panels), columns=2, size=(4.6, 4.2))
    labels_N, shown = np.asarray(labels_N), {}
    for panel, (title, points_N2) in zip(axes, panels.items(), strict=True):
        for label, name in enumerate(names):
            chosen_N2 = np.asarray(points_N2)[labels_N == label]
            shown[name] = panel.scatter(*chosen_N2.T, s=16, color=COLOURS[label % len(COLOURS)], alpha=0.75, linewidths=0,
                                        marker=MARKERS[label % len(MARKERS)])
        panel.set(title=title, xticks=[], yticks=[])
        panel.spines[:].set_visible(True)
    add_legend(figure, shown)
    return figure
