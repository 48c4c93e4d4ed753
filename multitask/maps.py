"""Figures that are maps: attention between tokens, cosines over layers and epochs, paths on a surface, arrows in the plane.

As multitask.figures: numbers go in, a matplotlib Figure comes out.
"""

# N points, H heads, T tokens, L layers, E epochs, R rows, C columns

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from multitask.figures import COLOURS, DASHES, GREY, MARKERS, SMALL, add_legend, make_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 36  # of more tokens, or epochs, only some have room for their names


def name_some(names: Sequence[str]) -> tuple[range, list[str]]:
    """The places that have room for a name, and their names."""
    places = range(0, len(names), 1 + (len(names) - 1) // NAMED)
    return places, [names[place] for place in places]


def attention_maps(probabilities_HTT: np.ndarray, tokens: Sequence[str], heads: Sequence[int] | None = None,
                   title: str = "", names: Sequence[str] = ()) -> "Figure":
    """A map for each of `heads` (left out: all): the row's token looks at the columns' tokens; each row sums to 1. A sentence
    of more than 36 tokens has only some of them named. All maps share one scale, so that they can be compared. `names` are the
    maps' titles, for heads of several layers; left out: head 0, head 1, ..."""
    probabilities_HTT = np.asarray(probabilities_HTT)
    heads = list(range(len(probabilities_HTT))) if heads is None else list(heads)
    places, words = name_some([token.replace("$", r"\$") for token in tokens])
    size = 0.6 + 0.19 * max(8, min(len(tokens), NAMED))
    columns = min(len(heads), max(1, int(11 / size)))
    rows = -(-len(heads) // columns)
    # the tokens' names and the bar stand outside, once for all maps
    figure, axes = make_figure(len(heads), columns, (size + 1.6 / columns, size + 1.2 / rows), "compressed")
    top = float(probabilities_HTT[heads].max())
    for place, (panel, head) in enumerate(zip(axes, heads, strict=True)):
        picture = panel.imshow(probabilities_HTT[head], cmap="Blues", vmin=0, vmax=top)
        panel.set_xticks(places, words if place + columns >= len(heads) else [""] * len(words), rotation=90, fontsize=SMALL)
        panel.set_yticks(places, words if place % columns == 0 else [""] * len(words), fontsize=SMALL)
        panel.set_title(names[place] if names else f"head {head}")
        panel.spines[:].set_visible(False)
    figure.colorbar(picture, ax=axes, label="attention (a row sums to 1)", shrink=1 if rows == 1 else 2 / rows)
    axes[(rows - 1) // 2 * columns].set_ylabel("token that looks")
    axes[-1].set_xlabel("token that is looked at")
    figure.suptitle(title)
    return figure


def cosine_maps(panels: Mapping[str, np.ndarray], layers: Sequence[str], columns: Sequence[str], x_label: str = "epoch"
                ) -> "Figure":
    """A map cosines_LE for each pair of tasks (title -> numbers, nan where there is none): blue where their gradients agree, red
    where they conflict. All maps share one scale, which is even about 0."""
    stack = np.array([np.asarray(values, dtype=float) for values in panels.values()])
    top = max(float(np.nanmax(np.abs(stack), initial=0.0)), 0.05)
    written = len(columns) <= 8
    width = 1.8 + (0.55 if written else 0.2) * min(len(columns), NAMED)
    figure, axes = make_figure(len(panels), max(1, int(12 / width)), (width, 1.2 + 0.3 * max(6, len(layers))))
    places, names = name_some([str(column) for column in columns])
    for panel, title, values_LE in zip(axes, panels, stack, strict=True):
        picture = panel.imshow(values_LE, cmap="RdBu", vmin=-top, vmax=top, aspect="auto")
        for (row, column), value in np.ndenumerate(values_LE):
            if written and np.isfinite(value):
                panel.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=SMALL,
                           color="white" if abs(value) > 0.7 * top else "black")
        panel.set_xticks(places, names)
        panel.set_yticks(range(len(layers)), layers)
        panel.set(title=title, xlabel=x_label, facecolor="#dddddd")
        panel.spines[:].set_visible(False)
    figure.colorbar(picture, ax=axes, label="cosine of the gradients")
    return figure


def grid(panels: Mapping[str, np.ndarray], rows: Sequence[str], columns: Sequence[str], label: str, x_label: str = "",
         y_label: str = "", places: int = 2) -> "Figure":
    """A table of numbers for each title, values_RC: the higher a number, the darker its cell, on one scale for all. Rows are
    named at the left of each line of panels; `label` says what the numbers are, written with so many decimal `places`."""
    stack = np.array([np.asarray(values, dtype=float) for values in panels.values()])
    low, high = float(np.nanmin(stack)), float(np.nanmax(stack))
    width = 0.6 + (0.2 + 0.1 * (places + 1)) * len(columns)
    across = min(len(panels), max(1, int(12 / width)))
    figure, axes = make_figure(len(panels), across, (width + 0.06 * max(map(len, rows)) / across, 0.9 + 0.3 * len(rows)))
    for place, (panel, title, values_RC) in enumerate(zip(axes, panels, stack, strict=True)):
        picture = panel.imshow(values_RC, cmap="Blues", vmin=low, vmax=high, aspect="auto")
        for (row, column), value in np.ndenumerate(values_RC):
            text = f"{round(value, places) + 0.0:.{places}f}"  # + 0.0: not -0.00
            panel.text(column, row, text, ha="center", va="center", fontsize=SMALL,
                       color="white" if value > 0.4 * low + 0.6 * high else "black")
        panel.set_xticks(range(len(columns)), columns)
        panel.set_yticks(range(len(rows)), rows if place % across == 0 else [""] * len(rows))
        panel.tick_params(length=0)
        panel.set(title=title, xlabel=x_label, ylabel=y_label if place % across == 0 else "")
        panel.spines[:].set_visible(False)
    figure.colorbar(picture, ax=axes, label=label)
    return figure


def surface(function: Callable[[np.ndarray, np.ndarray], np.ndarray], box: tuple[float, float, float, float],
            paths: Mapping[str, np.ndarray], title: str = "", names: tuple[str, str] = ("first weight", "second weight"),
            minimum: tuple[float, float] | None = None) -> "Figure":
    """Level lines of function(x, y) over `box` (left, right, bottom, top), with the way each optimizer went: name ->
    points_N2, from its ring to its marker; a star is the minimum. Levels are closer together where the function is small."""
    left, right, bottom, top = box
    x, y = np.meshgrid(np.linspace(left, right, 200), np.linspace(bottom, top, 200))
    heights = function(x, y)
    depths = np.cbrt((heights - heights.min()) / max(np.ptp(heights), 1e-12))  # equal steps would leave the valley empty
    figure, [panel] = make_figure(size=(6.8, 5.8))
    panel.contourf(x, y, depths, 16, cmap="Greys", alpha=0.4)
    panel.contour(x, y, depths, 16, colors="white", linewidths=0.8)
    shown = {}
    for (name, points_N2), colour, dash, marker in zip(paths.items(), cycle(COLOURS), cycle(DASHES), cycle(MARKERS),
                                                       strict=False):
        points_N2 = np.asarray(points_N2)
        [shown[name]] = panel.plot(*points_N2.T, dash, color=colour, linewidth=2, marker=marker, markevery=[-1], markersize=8)
        panel.plot(*points_N2[0], "o", color="black", markerfacecolor="white", markersize=8)
    if minimum is not None:
        panel.plot(*minimum, "*", color=COLOURS[4], markeredgecolor="black", markersize=14, zorder=3)
    panel.set(xlim=(left, right), ylim=(bottom, top), xlabel=names[0], ylabel=names[1], title=title)
    add_legend(figure, shown)
    return figure


def arrows(panels: Mapping[str, Mapping[str, Sequence[float]]], names: tuple[str, str] = ("first weight", "second weight")
           ) -> "Figure":
    """Arrows from the origin: panel's title -> arrow's name -> its end (x, y). A name has the same look in all panels; all share
    one scale, and both axes have the same unit, so that angles and lengths are true."""
    every = [name for ends in panels.values() for name in ends]
    looks = dict(zip(dict.fromkeys(every), zip(cycle(COLOURS), cycle(DASHES), strict=False), strict=False))
    ends_N2 = np.array([end for ends in panels.values() for end in ends.values()] + [(0, 0)], dtype=float)
    margin = 0.1 * max(float(np.ptp(ends_N2, axis=0).max()), 1e-12)
    (left, bottom), (right, top) = ends_N2.min(axis=0) - margin, ends_N2.max(axis=0) + margin
    shape = min(1.6, max(0.6, (right - left) / (top - bottom)))
    figure, axes = make_figure(len(panels), min(3, len(panels)), (1 + 2.4 * shape, 3.6), "compressed")
    shown = {}
    for panel, (title, ends) in zip(axes, panels.items(), strict=True):
        panel.axhline(0, color=GREY, linewidth=0.6)
        panel.axvline(0, color=GREY, linewidth=0.6)
        for name, (x, y) in ends.items():
            colour, dash = looks[name]
            [shown[name]] = panel.plot([0, x], [0, y], dash, color=colour, linewidth=2)
            panel.annotate("", (x, y), (0.98 * x, 0.98 * y), arrowprops={  # the head alone: it would be dashed like its line
                "arrowstyle": "-|>", "color": colour, "mutation_scale": 18, "shrinkA": 0, "shrinkB": 0})
        panel.set(xlim=(left, right), ylim=(bottom, top), title=title, xlabel=names[0], aspect="equal")
    axes[0].set_ylabel(names[1])
    add_legend(figure, shown)
    return figure
