"""What a run says of itself: report.md, the figures in figures/ and their numbers in analysis/, made from the run folder alone.

    python -m multitask.report RUN [RUN ...] [--tsne] [--out DIR]

Several runs also get a page that compares them: their dev curves in one figure. The numbers are written first: without
matplotlib, or should a figure fail, they are there.
"""

import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from minbert.files import MinbertError, write_text
from multitask import figures
from multitask.analysis import Analysis, Answered, analyse, find_extremes, score_curves, write_tables
from multitask.flags import Parser, run_command
from multitask.outputs import write_rows
from multitask.pictures import Picture, task_pictures, training_pictures, tsne_picture
from multitask.results import describe_scores, escape, summary_text
from multitask.run_folder import Run, find_runs

LONGEST = 300  # characters of a sentence in a table
FIGURES = "figures/"


def write_report(run: Run, folder: Path, with_tsne: bool = False) -> list[str]:
    """Writes report.md, analysis/ and figures/ into `folder`; returns notes on what is left out and why.

    Raises MinbertError where the run folder is damaged.
    """
    found = analyse(run)
    sections = {"Training": training_pictures(found)} if found.epochs else {}
    sections |= {name: task_pictures(one) for name, one in found.answered.items()}
    write_tables(folder / "analysis", found)
    if with_tsne:
        picture, rows = tsne_picture(found)
        sections["Sentences in the plane"] = [picture]
        write_rows(folder / "analysis" / "tsne.csv", ["id", "label", "perplexity", "x", "y"], rows)
    remove_figures(folder / "report.md")
    missing = draw(sections, folder)
    write_text(folder / "report.md", report_text(found, sections, not missing, [*found.notes, *missing]))
    return [*found.notes, *missing]


def remove_figures(page: Path) -> None:
    """Removes the figures that an earlier report in this place shows: the new one may have others, or none."""
    text = page.read_text(encoding="utf-8", errors="replace") if page.exists() else ""
    for name in re.findall(rf"^!\[[\w -]+\]\({FIGURES}([\w-]+\.png)\)$", text, re.MULTILINE):
        (page.parent / FIGURES / name).unlink(missing_ok=True)


def draw(sections: dict[str, list[Picture]], folder: Path) -> list[str]:
    """Writes every picture to figures/; returns a note where that cannot be done, for whatever reason: a run that took a night,
    and the seeds that come after it, must not end here."""
    try:
        for picture in (picture for some in sections.values() for picture in some):
            figures.save(picture.draw(), folder / FIGURES / f"{picture.name}.png")
    except Exception as error:
        why = f"{error} ({error.hint})" if isinstance(error, MinbertError) else f"{type(error).__name__}: {error}"
        return [f"no figures: {why}; their numbers are in analysis/, `python -m multitask.report` draws them"]
    return []


def report_text(found: Analysis, sections: dict[str, list[Picture]], drawn: bool, notes: Sequence[str]) -> str:
    """report.md."""
    lines = [summary_text(found.run.recipe, found.run.results).rstrip()]
    if notes:
        lines += ["", "## Left out", "", *(f"- {escape(note)}" for note in notes)]
    for title, pictures in sections.items():
        answered = found.answered.get(title)
        if not (drawn and pictures) and answered is None:
            continue
        lines += ["", f"## {title}{' on dev' if answered else ''}"]
        for picture in pictures if drawn else ():
            lines += ["", picture.caption, "", f"![{picture.name}]({FIGURES}{picture.name}.png)"]
        if answered:
            lines += example_tables(answered)
    return "\n".join([*lines, "", "The numbers behind every figure are in `analysis/`, as CSV."]) + "\n"


def example_tables(answered: Answered) -> list[str]:
    """The best hits and the worst errors as Markdown tables."""
    lines = []
    hits, misses = find_extremes(answered)
    for title, places in (("Best hits", hits), ("Worst errors", misses)):
        headings = ["id", *(answered.task.texts if answered.texts else ()), "label", "answer"]
        classes = answered.task.kind != "score"
        headings += ["probability of the label"] if classes else []
        table = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
        lines += ["", f"### {title}", "", *(table if places else ["None."])]
        for place in places:
            texts = [escape(shorten(text)) for text in answered.texts[place]] if answered.texts else []
            numbers = [f"{answered.labels_N[place]:g}", f"{answered.predictions_N[place]:.3g}"]
            numbers += [f"{answered.certainty_N[place]:.3f}"] if classes else []
            lines.append(f"| {' | '.join([escape(shorten(answered.ids[place])), *texts, *numbers])} |")
    return lines


def shorten(text: str) -> str:
    return f"{text[:LONGEST]} ..." if len(text) > LONGEST else text  # anywhere: not all languages put blanks between words


def compare_runs(runs: Sequence[Run], folder: Path) -> list[str]:
    """Writes comparison.md, the dev curves of all runs in one figure and their numbers; returns notes on what is left out."""
    names = [f"{number}: {run.recipe.name}, seed {run.recipe.seed}" for number, run in enumerate(runs, 1)]
    panels, notes = {}, []
    for name, run in zip(names, runs, strict=True):
        curves = score_curves(analyse(run).epochs)
        notes += [] if curves else [f"no curves of {run.folder}: no epoch of it has scores"]
        for title, splits in curves.items():
            panels.setdefault(title, {})[name] = splits["dev"]
    rows = [(name, title, place, value) for title, lines in panels.items() for name, values in lines.items()
            for place, value in enumerate(values, 1)]
    write_rows(folder / "analysis" / "dev-curves.csv", ["run", "score", "epoch", "value"], rows)
    picture = Picture("dev-curves", "", partial(figures.curves, panels, y_label="dev score"))
    pictures = {"": [picture] if panels else []}
    remove_figures(folder / "comparison.md")
    write_text(folder / "comparison.md", comparison_text(names, runs, False, notes))
    missing = draw(pictures, folder)
    notes += missing
    write_text(folder / "comparison.md", comparison_text(names, runs, bool(panels) and not missing, notes))
    return notes


def comparison_text(names: Sequence[str], runs: Sequence[Run], drawn: bool, notes: Sequence[str]) -> str:
    """comparison.md: every run's dev scores, and the curves."""
    lines = ["# Runs side by side", "", "| run | folder | dev scores of the best checkpoint |", "|---|---|---|"]
    lines += [f"| {escape(name)} | {escape(str(run.folder))} | {describe_scores(run.results)} |"
              for name, run in zip(names, runs, strict=True)]
    lines += ["", "`python -m multitask.compare` tells whether the difference of two of them is more than noise."]
    if drawn:
        lines += ["", "Dev scores at each epoch's end, of all stages in a row.", "", f"![dev curves]({FIGURES}dev-curves.png)"]
    return "\n".join([*lines, *(f"\nLeft out: {escape(note)}" for note in notes)]) + "\n"


def main(arguments: list[str]) -> None:
    """`python -m multitask.report RUN [RUN ...]`."""
    parser = Parser(prog="python -m multitask.report", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, or folders of several seeds (seed-*)")
    parser.add_argument("--tsne", action="store_true", help="also draw the dev sentences' vectors by t-SNE (needs scikit-learn)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the report (default: the run's own); of several "
                        "runs for the comparison (default: comparison): each run's own report stays with it")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args(arguments)
    runs = [run for folder in flags.runs for run in find_runs(folder)]
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise MinbertError("a run is named twice", "name each run once")
    alone = len(runs) == 1
    for run in runs:
        folder = flags.out if alone and flags.out else run.folder
        notes = write_report(run, folder, flags.tsne)
        print("\n".join([f"report  {folder / 'report.md'}", *(f"note    {note}" for note in notes)]))
    if not alone:
        folder = flags.out or Path("comparison")
        notes = compare_runs(runs, folder)
        print("\n".join([f"report  {folder / 'comparison.md'}", *(f"note    {note}" for note in notes)]))


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
