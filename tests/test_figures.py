"""Figures: drawn from any numbers a run can give, readable, and without pyplot."""

import sys

import numpy as np
import pytest

from minbert.files import MinbertError
from multitask import figures, maps

pytest.importorskip("matplotlib", reason="figures are an extra: pip install matplotlib scikit-learn")
NAN = float("nan")
GENERATOR = np.random.default_rng(0)
PAIRS = ("sst, para", "sst, sts", "para, sts")
LAYERS = ["all", "embeddings", *(f"layer {number}" for number in range(4))]
LONG_RUN = "jack_of_all_trades/t7-annealed-smart, seed 11711"


def rows(tokens: int, heads: int = 2) -> np.ndarray:
    return GENERATOR.dirichlet(np.ones(tokens), (heads, tokens))


def words(count: int) -> list[str]:
    return ["[CLS]", *(f"##word{number}" for number in range(count - 2)), "[SEP]"]


FIGURES = {
    "curves of three tasks": lambda: figures.curves({name: {"dev": [0.3, 0.4, 0.5], "train": [0.3, 0.6, 0.9]} for name in PAIRS},
                                                    y_label="score", marks={1.5: "stage 2"}),
    "curves of one epoch": lambda: figures.curves({"train loss": {"sst": [1.5]}}, y_label="loss"),
    "curves with nan": lambda: figures.curves({"dev": {"sts": [NAN, NAN], "sst": [0.5, NAN]}}),
    "curves of fifty epochs": lambda: figures.curves({"dev": {"sts": list(range(50))}}),
    "curves over another axis": lambda: figures.curves({"loss": {"sst": [1, 2, 3]}}, x=[0.0, 0.01, 0.02], x_label="radius"),
    "curves of many runs": lambda: figures.curves({name: {f"{number}: {LONG_RUN}": [0.3, 0.5] for number in range(9)}
                                                   for name in (*PAIRS, "overall")}),
    "confusion": lambda: figures.confusion(np.arange(25).reshape(5, 5), ["very\nnegative", *"abcd"]),
    "confusion with an empty class": lambda: figures.confusion([[0, 0], [2, 900000]], ["no", "yes"], "para, dev"),
    "scatter": lambda: figures.scatter(GENERATOR.normal(2, 1, 400), GENERATOR.uniform(0, 5, 400), "sts, dev"),
    "scatter of one constant answer": lambda: figures.scatter([2.0], [2.0]),
    "histogram": lambda: figures.histogram(GENERATOR.normal(size=300), "answer - label"),
    "histogram of zeros": lambda: figures.histogram([0.0, 0.0], "answer - label", width=1),
    "histogram of nothing": lambda: figures.histogram([NAN], "answer - label"),
    "distribution": lambda: figures.distribution({"true": [1, 2, 3], "answer": [0, 0, 6]}, ["0", "1", "2"]),
    "distribution of nothing": lambda: figures.distribution({"true": [0, 0]}, ["0", "1"]),
    "intervals": lambda: figures.intervals({"one": (0.5, 0.4, 0.6), LONG_RUN: (NAN, NAN, NAN)}, "accuracy", line=0.5),
    "intervals upright": lambda: figures.intervals({f"{n}-{n + 5}\n(n=12)": (0.5, NAN, NAN) for n in range(8)}, "", upright=True),
    "t-SNE": lambda: figures.tsne({"perplexity 30": GENERATOR.normal(size=(50, 2)), "perplexity 50": np.zeros((50, 2))},
                                  np.arange(50) % 3, ["no", "maybe", "yes", "never seen"]),
    "attention": lambda: maps.attention_maps(rows(8, 4), words(8), title="layer 0"),
    "attention of one head": lambda: maps.attention_maps(rows(8, 12), words(8), heads=[11]),
    "attention of 100 tokens": lambda: maps.attention_maps(rows(100, 1), words(100)),
    "attention of one token": lambda: maps.attention_maps(rows(1), ["[CLS]"]),
    "attention of two layers": lambda: maps.attention_maps(rows(8), words(8), names=["layer 0, head 1", "layer 3, head 11"]),
    "grid": lambda: maps.grid({"word": GENERATOR.normal(size=(3, 3)), "": np.eye(3)}, ["a long film", *"bc"], "123", "cosine"),
    "grid of heads": lambda: maps.grid({"bits": np.ones((6, 12))}, LAYERS, [str(n) for n in range(12)], "bits", "head", places=1),
    "cosines": lambda: maps.cosine_maps({pair: GENERATOR.normal(size=(6, 2)) for pair in PAIRS}, LAYERS, ["1", "2"]),
    "cosines of one epoch": lambda: maps.cosine_maps({PAIRS[0]: np.full((6, 1), NAN)}, LAYERS, ["1"]),
    "cosines of 60 epochs": lambda: maps.cosine_maps({pair: np.zeros((6, 60)) for pair in PAIRS[:1]}, LAYERS, range(1, 61)),
    "surface": lambda: maps.surface(lambda x, y: (1 - x)**2 + 100 * (y - x * x)**2, (-2, 2, -1, 3),
                                    {"AdamW": np.array([[-1.5, 2], [1, 1]]), "SGD": np.array([[-1.5, 2]])}, minimum=(1, 1)),
    "arrows": lambda: maps.arrows({"sum": {"task 1": (1, 0), "task 2": (-3, 1), "step": (-2, 1)}, "PCGrad": {"step": (0, 1)}}),
    "arrows of no length": lambda: maps.arrows({"both": {"task 1": (0, 0)}}),
    "surface that is flat": lambda: maps.surface(lambda x, y: 0 * x, (-1, 1, -1, 1), {"AdamW": np.zeros((3, 2))}),
}


@pytest.fixture(params=FIGURES)
def drawn(request, monkeypatch, recwarn):
    """Every figure, laid out by matplotlib's own renderer; pyplot cannot be imported."""
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    figure = FIGURES[request.param]()
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    assert not recwarn.list, f"matplotlib warned: {recwarn.list[0].message}"
    return figure


def visible_texts(figure) -> list:
    from matplotlib.text import Text

    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def test_a_figure_can_be_read(drawn):
    """One drawing, four claims: sizes, whole titles, legends beside the data, tick labels apart."""
    for text in visible_texts(drawn):
        assert text.get_fontsize() >= figures.SMALL, f"{text.get_text()!r} is smaller than {figures.SMALL} points"
    width, height = drawn.canvas.get_width_height()
    for text in [drawn._suptitle, *(axes.title for axes in drawn.axes), *(axes.xaxis.label for axes in drawn.axes)]:
        if text is not None and text.get_text():
            box = text.get_window_extent()
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
            assert inside, f"{text.get_text()!r} is cut off"
    for legend in drawn.legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(axes.get_window_extent()) for axes in drawn.axes), "the legend hides data"
        assert box.x0 >= -1 and box.x1 <= width + 1, "the legend is wider than the figure"
    for axes in drawn.axes:
        for axis in (axes.xaxis, axes.yaxis):
            check_apart([label for label in axis.get_ticklabels() if label.get_text()])


def check_apart(labels: list) -> None:
    boxes = [label.get_window_extent() for label in labels]
    for one, other, label in zip(boxes, boxes[1:], labels, strict=False):
        shared = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(shared) < 2, f"tick label {label.get_text()!r} runs into the next"  # boxes hold the space of a letter's tail


def test_a_grid_writes_each_number_at_its_place_and_no_minus_zero():
    panel = maps.grid({"": [[0.5, -0.001], [1.0, -0.25]]}, ["first", "second"], ["a", "b"], "cosine").axes[0]
    written = {text.get_position(): text.get_text() for text in panel.texts}
    assert written == {(0, 0): "0.50", (1, 0): "0.00", (0, 1): "1.00", (1, 1): "-0.25"}


def test_maps_of_heads_carry_the_names_given():
    names = ["layer 3, head 11", "layer 0, head 2"]
    assert [axes.get_title() for axes in maps.attention_maps(rows(8), words(8), names=names).axes[:2]] == names


def test_a_name_looks_the_same_in_every_panel_and_two_names_differ():
    names = [f"run {number}" for number in range(9)]
    figure = figures.curves({"one": dict.fromkeys(names, [1, 2]), "other": {names[3]: [1, 2]}})
    looks = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in figure.axes[0].lines]
    assert len(set(looks)) == 9, "two runs cannot be told apart"
    line = figure.axes[1].lines[0]
    assert (line.get_color(), line.get_linestyle(), line.get_marker()) == looks[3], "the legend serves all panels"


def test_a_confusion_shows_shares_of_the_row_and_counts():
    figure = figures.confusion([[3, 1], [0, 0]], ["no", "yes"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["75%\n3", "25%\n1", "none", "none"], \
        "shares are of the true label's examples, a row; a label without examples has none"


def test_a_histogram_counts_every_value_and_centres_its_bins():
    bars = figures.histogram([-1, 0, 0, 2, NAN], "error", width=1).axes[0].patches
    counts = {round(bar.get_x() + bar.get_width() / 2, 6): bar.get_height() for bar in bars if bar.get_height()}
    assert counts == {-1: 1, 0: 2, 2: 1}, "bins are centred on the errors a class can have"


def test_a_histogram_of_values_far_apart_has_few_bins():
    bars = figures.histogram([-2e5, 0.1, 3e30], "error").axes[0].patches
    assert len(bars) <= figures.BINS + 3, "the errors of a run that diverged would take millions of bars, and all memory"
    assert sum(bar.get_height() for bar in bars) == 3


def test_cosines_have_one_scale_for_all_pairs_that_is_even_about_zero():
    figure = maps.cosine_maps({"a": np.array([[0.5]]), "b": np.array([[-0.1]])}, ["all"], ["1"])
    assert {axes.images[0].get_clim() for axes in figure.axes[:2]} == {(-0.5, 0.5)}, "white must mean 0 in every map"


def test_arrows_have_true_lengths_and_angles_and_a_name_keeps_its_look():
    figure = maps.arrows({"one": {"sum": (-2, 1), "first": (1, 0)}, "other": {"first": (0, 3)}})
    assert figure.axes[0].lines[-1].get_color() == figure.axes[1].lines[-1].get_color(), "the legend serves both panels"
    assert figure.axes[0].lines[-1].get_color() != figure.axes[0].lines[-2].get_color(), "two arrows cannot be told apart"
    assert len({(axes.get_xlim(), axes.get_ylim(), axes.get_aspect()) for axes in figure.axes}) == 1, "one scale for all panels"
    assert figure.axes[0].get_aspect() == 1, "axes of two units would show a right angle as another"
    assert figure.axes[1].lines[-1].get_xydata().tolist() == [[0, 0], [0, 3]], "an arrow goes from the origin to its end"


def test_without_matplotlib_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MinbertError, match="figures need matplotlib") as caught:
        figures.curves({"loss": {"sst": [1.0]}})
    assert caught.value.hint == "pip install matplotlib scikit-learn"


def test_a_figure_is_saved_as_a_picture(tmp_path):
    figures.save(FIGURES["curves of one epoch"](), tmp_path / "new" / "loss.png")
    assert (tmp_path / "new" / "loss.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
