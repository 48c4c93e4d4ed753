"""Runs beside the reports' numbers, as a table in Markdown and CSV, from what the runs wrote down and nothing else.

The reports print two scales of sts: r, and (r + 1) / 2. Differences are taken on the report's scale; r stands beside them.
"""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minbert.files import write_text
from minbert.hub import DEFAULT
from multitask.compare import spread
from multitask.flags import Parser, run_command
from multitask.recipe import Expected
from multitask.recipe_files import RECIPES, load_recipe, to_toml
from multitask.results import escape
from multitask.run_folder import Run, find_runs
from multitask.tables import COURSE_TASKS, TASKS

NOTE = ("Dev scores of the epoch that was best on dev. In brackets the 95% interval of one run; after ± the standard deviation "
        "over seeds. Differences: ours minus the report's, on the report's scale.")
OTHER_SCALE = {"sts": "sts_normalised", "overall_raw": "overall_normalised"}  # r -> (r + 1) / 2


@dataclass(frozen=True)
class Measured:
    """A score: the mean over seeds with its standard deviation, or that of one run with its 95% interval. None: undefined."""

    value: float | None
    deviation: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """One run, or the seeds of one recipe, on dev."""

    folder: Path
    runs: list[Run]

    @property
    def expected(self) -> Expected:
        recipe = self.runs[0].recipe
        return recipe.expected if recipe else Expected()

    def facts(self, key: str) -> str:
        """What the runs say of their model or data; all different answers."""
        return "; ".join(filter(None, dict.fromkeys(run.results["facts"].get(key) for run in self.runs)))

    @property
    def hardware(self) -> str:
        return "; ".join(dict.fromkeys(run.results.get("hardware", {}).get("hardware", "") for run in self.runs))

    @property
    def minutes(self) -> float:
        return spread([run.results["seconds"] for run in self.runs])[0] / 60

    def measure(self, name: str) -> Measured | None:
        """A task's score or an overall one; None for what the runs do not have."""
        scores = [find_score(run.results["dev"], name) for run in self.runs]
        if None in scores:
            return None
        values = [score["value"] for score in scores]
        if None in values:
            return Measured(None)
        if len(values) == 1:
            return Measured(values[0], None, scores[0]["low"], scores[0]["high"])
        return Measured(*spread(values))

    def report(self, name: str) -> tuple[float | None, str | None, float | None]:
        """The report's value of sst, para, sts or overall, its scale, and ours on that scale minus it; None for unknown."""
        value = getattr(self.expected, name, None)
        scale = getattr(self.expected, f"{name}_scale", None)
        raw = "overall_raw" if name == "overall" else name
        ours = self.measure(OTHER_SCALE[raw] if scale == "normalised" else raw)
        known = value is not None and ours is not None and ours.value is not None
        return value, scale, ours.value - value if known else None


def find_score(dev: dict, name: str) -> dict | None:
    """A score with its interval from a split of results.json: of a task its main one, sts also as (r + 1) / 2."""
    if name == "sts_normalised":
        score = find_score(dev, "sts")
        return score and {key: None if number is None else (number + 1) / 2 for key, number in score.items()}
    if name in TASKS:
        return next(iter(dev["tasks"][name].values())) if name in dev["tasks"] else None
    return dev[name] if set(COURSE_TASKS) <= set(dev["tasks"]) else None


def is_handout(name: str, count: int) -> bool:
    """Whether the course's dev file has that many labelled rows; a few of a file's rows lack a label."""
    return any(rows - 10 <= count <= rows for rows in TASKS[name].handout_rows["dev"])


def find_changes(run: Run) -> list[str]:
    """The lines of the run's recipe that its namesake among the shipped recipes does not have, the seed aside."""
    names = {path.relative_to(RECIPES).with_suffix("").as_posix() for path in RECIPES.rglob("*.toml")}
    if run.recipe is None or run.recipe.name not in names:
        return []
    ours, shipped = (to_toml(replace(recipe, seed=0)).splitlines() for recipe in (run.recipe, load_recipe(run.recipe.name)))
    return [line for line in ours if line not in shipped]


def find_remarks(row: Row) -> list[str]:
    """In words: what makes the numbers others than the report's, what the model had seen before, how an ensemble is scored."""
    remarks = []
    if changes := find_changes(row.runs[0]):
        remarks.append(f"settings changed: {', '.join(changes[:4])}{', ...' if len(changes) > 4 else ''}")
    if row.expected != Expected():
        if row.facts("model").rpartition("/")[2] != DEFAULT:
            remarks.append(f"another model than the report's {DEFAULT}")
        if "bundled samples" in row.facts("data"):
            remarks.append(f"other data than the report's: {row.facts('data')}")
        else:
            sizes = row.runs[0].results["dev"]["examples"]
            remarks += [f"other data than the report's: {name} dev has {count:,} examples"
                        for name, count in sizes.items() if not is_handout(name, count)]
    of_ensemble = row.runs[0].results.get("notes", {}).get("dev")
    return [*remarks, *filter(None, [row.facts("model_note"), of_ensemble])]


def flatten(row: Row) -> dict[str, str | float | None]:
    """The row for the CSV file, by column; None for an empty cell."""
    columns = {"run": str(row.folder), "recipe": row.runs[0].results["recipe"], "seeds": len(row.runs)}
    for name in (*TASKS, "sts_normalised", "overall_normalised", "overall_raw"):
        measured = row.measure(name) or Measured(None)
        columns |= {name: measured.value, f"{name}_sd": measured.deviation,
                    f"{name}_low": measured.low, f"{name}_high": measured.high}
    for name in (*COURSE_TASKS, "overall"):
        value, scale, difference = row.report(name)
        columns |= {f"{name}_report": value, f"{name}_report_scale": scale, f"{name}_difference": difference}
    recipe = row.runs[0].recipe
    return columns | {"minutes": row.minutes, "hardware": row.hardware, "reported": recipe.reported if recipe else "",
                      "model": row.facts("model"), "data": row.facts("data"), "remarks": "; ".join(find_remarks(row))}


def csv_text(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, flatten(rows[0]).keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(flatten, rows))
    return text.getvalue()


def format_measured(measured: Measured | None) -> str:
    """`0.511 (0.481 to 0.541)`, or of several seeds `0.511 ± 0.004`; empty for what the run does not have."""
    if measured is None or measured.value is None:
        return "undefined" if measured else ""
    if measured.deviation is not None:
        return f"{measured.value:.3f} ± {measured.deviation:.3f}"
    return f"{measured.value:.3f}" + (f" ({measured.low:.3f} to {measured.high:.3f})" if measured.low is not None else "")


def format_report(row: Row, name: str) -> str:
    """`0.946 with (r + 1) / 2, difference -0.017`: the report's number, its scale where there are two, and ours minus it."""
    value, scale, difference = row.report(name)
    if value is None:
        return ""
    words = {None: "", "r": " with r", "normalised": " with (r + 1) / 2"}[scale]
    return f"{value:.3f}{words}" + ("" if difference is None else f", difference {difference:+.3f}")


def markdown_text(rows: Sequence[Row]) -> str:
    """One line a row, with the columns that are not empty in all of them."""
    lines = []
    for row in rows:
        seeds = f" ({len(row.runs)} seeds)" if len(row.runs) > 1 else ""
        cells = {"run": f"{row.runs[0].results['recipe']}, {row.folder}{seeds}"}
        for name in TASKS:
            cells |= {"sts, r" if name == "sts" else name: format_measured(row.measure(name))}
            cells |= {"sts, (r + 1) / 2": format_measured(row.measure("sts_normalised"))} if name == "sts" else {}
            cells |= {f"{name}: the report's": format_report(row, name)}
        cells |= {"overall with (r + 1) / 2": format_measured(row.measure("overall_normalised")),
                  "overall with r": format_measured(row.measure("overall_raw")),
                  "overall: the report's": format_report(row, "overall")}
        minutes = f"{row.minutes:.1f}" + (f" on {row.hardware}" if row.hardware else "")
        flat = flatten(row)
        cells |= {"minutes": minutes, "the report's time": flat["reported"]}
        cells |= {column: flat[column] for column in ("model", "data", "remarks")}
        lines.append({heading: escape(str(cell)) for heading, cell in cells.items()})
    headings = [heading for heading in lines[0] if any(line[heading] for line in lines)]
    table = [headings, ["---"] * len(headings), *([line[heading] for heading in headings] for line in lines)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in table)


def main(arguments: list[str]) -> None:
    """`python -m multitask.table RUN...`."""
    parser = Parser(prog="python -m multitask.table", description="Set the dev scores of runs beside the reports' numbers.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, or folders of several seeds (seed-*)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write table.md and table.csv there (default: print the first)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args(arguments)
    rows = [Row(folder, find_runs(folder)) for folder in flags.runs]
    if flags.out is None:
        print(f"{NOTE}\n\n{markdown_text(rows)}", end="")
        return
    write_text(flags.out / "table.md", f"{NOTE}\n\n{markdown_text(rows)}")
    write_text(flags.out / "table.csv", csv_text(rows))
    print(f"{flags.out / 'table.md'}, {flags.out / 'table.csv'}")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
