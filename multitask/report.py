"""What a run says of itself: the result table, report.md and the model card."""

import math

from multitask.evaluate import Score
from multitask.recipe import Recipe
from multitask.tables import COURSE_TASKS, TASKS


def escape(text: str) -> str:
    """Text from outside, made harmless inside a Markdown table."""
    for old, new in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("`", "\\`"), ("\n", " "), ("\r", " ")):
        text = text.replace(old, new)
    return text


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


def report_text(recipe: Recipe, results: dict) -> str:
    """report.md: what ran, on what, and every score with its interval."""
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


def model_card(recipe: Recipe, facts: dict) -> str:
    """README.md of a checkpoint: what it is, what it learned from, what it must not be trusted with."""
    tasks = ", ".join(f"{name} ({TASKS[name].kind})" for name in recipe.tasks)
    return (f"# {recipe.name}\n\nA BERT fine-tuned with minBERT on {tasks}.\n\n"
            + "".join(f"{line}\n" for line in describe_facts(facts))
            + f"- recipe: recipe.toml in this folder (seed {recipe.seed})\n\n"
            "`model.safetensors` with `config.json` and `vocab.txt` is the encoder and opens in `transformers` as a "
            "`BertModel`; `heads.safetensors` holds one head per task, which minBERT's `load_checkpoint` reads.\n\n"
            "Limits: English text only; film reviews, forum questions and captions of the training sets are not "
            "the language of everybody. Scores of the run stand in `results.json` beside this folder.\n")
