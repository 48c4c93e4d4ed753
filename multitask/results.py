"""Results as text: the table of a run's scores, how report.md begins, and the table of all recipes."""

import math
import re
import textwrap
from collections.abc import Iterable

from multitask.evaluate import Score
from multitask.recipe import Expected, Recipe
from multitask.tables import COURSE_TASKS


def escape(text: str) -> str:
    """Text from outside as the plain text of one Markdown line or table cell: no HTML, links, pictures, formulas or code."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)  # line ends, and marks that turn text around
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;").replace("@", "&#64;")
    text = re.sub(r"([\\`*_\[\]|~])", r"\\\1", text)
    return re.sub(r"(?i)(?<=www)\.", "&#46;", text.replace("://", "&#58;//"))  # a bare address would become a link


def number(score: Score) -> tuple[str, str]:
    """A score and its interval as text."""
    value = "undefined" if math.isnan(score.value) else f"{score.value:.3f}"
    return value, "" if math.isnan(score.low) else f"{score.low:.3f} to {score.high:.3f}"


def result_rows(results: dict, split: str) -> list[tuple[str, ...]]:
    """(task, measure, value, interval, examples, majority class) for every score of a split, overall scores last."""
    rows = []
    for name, scores in results[split]["tasks"].items():
        for position, (measure, score) in enumerate(scores.items()):
            majority = results[split]["majority"][name] if measure == "accuracy" else None
            rows.append((name if position == 0 else "", measure, *number(score),
                         str(results[split]["examples"][name]) if position == 0 else "",
                         "" if majority is None else f"the commonest label gets {majority:.3f}"))
    if set(COURSE_TASKS) <= set(results[split]["tasks"]):
        for measure, note in (("overall_normalised", "CS224N 2024: r counts as (r + 1) / 2"),
                              ("overall_raw", "CS224N 2023"), ("minimum", "the weakest task")):
            rows.append(("overall", measure, *number(results[split][measure]), "", note))
    return rows


def revive(item: object) -> object:
    """What results.json holds, with its scores as Score again; null is nan."""
    if not isinstance(item, dict):
        return item
    if item.keys() == {"value", "low", "high"}:
        return Score(*(math.nan if item[name] is None else float(item[name]) for name in ("value", "low", "high")))
    return {name: revive(entry) for name, entry in item.items()}


def describe_scores(results: dict) -> str:
    """The main scores on dev in one line."""
    scores = revive(results["dev"])
    parts = [f"{name} {number(next(iter(measures.values())))[0]}" for name, measures in scores["tasks"].items()]
    if set(COURSE_TASKS) <= set(scores["tasks"]):
        parts.append(f"overall (2024) {number(scores['overall_normalised'])[0]}")
    return ", ".join(parts)


HEADINGS = ("task", "measure", "value", "95% interval", "examples", "note")


def result_table(results: dict, split: str) -> str:
    """The scores of one split for the screen, in columns."""
    rows = [HEADINGS, *result_rows(results, split)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def guesses(results: dict) -> list[str]:
    """The tasks whose dev score is not clearly above that of a constant answer (a correlation's would be 0)."""
    mains = {name: next(iter(scores.values())) for name, scores in results["dev"]["tasks"].items()}
    return [name for name, score in mains.items() if not score.low > (results["dev"]["majority"][name] or 0.0)]


def describe_facts(facts: dict) -> list[str]:
    """Where model and data came from, as list items; the files' hashes stand in environment.json."""
    return [f"- {key}: {escape(value)}" for key, value in facts.items() if isinstance(value, str) and value]


def summary_text(recipe: Recipe, results: dict) -> str:
    """How report.md begins: what ran, on what, and every score with its interval. `results` may come from results.json."""
    results = results | {split: revive(results[split]) for split in ("dev", "test") if split in results}
    lines = [f"# Run of {escape(recipe.name)}", "", escape(recipe.description or recipe.source), ""]
    lines += describe_facts(results["facts"])
    lines += [f"- best checkpoint: stage {results['best_stage']}, epoch {results['best_epoch']}, "
              f"chosen by {results['select_by']} on dev, so its dev scores are slightly flattered",
              f"- seed {results['seed']}, {results['seconds']:.0f} s on {escape(results['hardware']['hardware'])}"]
    for split in ("dev", "test"):
        if split in results:
            lines += ["", f"## {split}", "", "| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
            lines += ["| " + " | ".join(row) + " |" for row in result_rows(results, split)]
    return "\n".join(lines) + "\n"


def list_table(recipes: Iterable[Recipe]) -> str:
    """The recipes in columns, below where they come from: name, the report's row or a description, its dev scores."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for recipe in recipes:
        title, *row = re.split("[,:] ", recipe.source, maxsplit=1)
        scores = printed_scores(recipe.expected)
        groups.setdefault(title, []).append((recipe.name, recipe.description or "".join(row), *(scores if any(scores) else ())))
    rows = [row for group in groups.values() for row in group]
    name_width = max(len(row[0]) for row in rows)
    text_width = max((len(row[1]) for row in rows if len(row) > 2), default=0)
    lines = ["", " " * (name_width + text_width + 4) + "sst     para    sts     overall"]
    for title, group in groups.items():
        lines += [title]
        for name, text, *scores in group:
            text = text if scores else textwrap.shorten(text, 128 - name_width, placeholder=" ...")
            cells = (f"{name:{name_width}}", f"{text:{text_width}}", *(f"{score:6}" for score in scores))
            lines.append("  ".join(cells).rstrip())
        lines.append("")
    return "\n".join([*lines, "Scores are the reports' own, on dev. * with (r + 1) / 2 in place of the correlation r"])


def printed_scores(expected: Expected) -> tuple[str, ...]:
    """sst, para, sts and overall as text, empty where the report prints none."""
    values = ((expected.sst, None), (expected.para, None), (expected.sts, expected.sts_scale),
              (expected.overall, expected.overall_scale))
    return tuple("" if value is None else f"{value:.3f}{'*' * (scale == 'normalised')}" for value, scale in values)
