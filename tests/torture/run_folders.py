"""Damaged run folders: what reads them, recipes included, refuses them in one line or says the scores that were measured."""

import contextlib
import copy
import csv
import io
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from minbert.files import MinbertError
from multitask import compare, ensemble, report, table
from multitask.outputs import write_texts
from multitask.recipe_files import RECIPES, load_recipe
from multitask.record import to_json
from tests.saved_run import logits, make_run
from tests.torture.outcome import Outcome
from tests.torture.tables import change_bytes, change_lines

CLAIM = ("report, table, compare and ensemble refuse a damaged run folder, and load_recipe a damaged recipe, by one line that "
         "names it, or the scores they say are those that were measured")
FILES = ("results.json", "results.json", "results.json", "recipe.toml", "metrics.jsonl", "metrics.jsonl", "outputs/sst-dev.csv",
         "outputs/sts-dev.csv", "texts/sst-dev.csv")
VALUES = (None, True, False, "", "x", "nan", "<b>|\u202e\x1b[31m\n", "\ud800", 0, -1, 1, 2, 10**400, 1e308, -0.5, 0.5,
          float("nan"), float("inf"), [], [1], ["x"], {}, {"value": 1}, {"value": "x", "low": None, "high": []}, {"x": {"y": {}}})
TOOLS = {"report": report.main, "table": table.main, "compare": compare.main, "ensemble": ensemble.main}


def make_runs(folder: Path) -> None:
    """Two finished runs, a and b, on the same examples."""
    for seed, name in enumerate("ab"):
        answers = {"sst": ([0, 4, 2, 1], logits([0, 4, 3, seed])), "sts": ([1.0, 2.0, 5.0, 0.5], [1.0, 3.0, 4.0, seed])}
        make_run(folder / name, answers, seed=seed)
        write_texts(folder / name / "texts" / "sst-dev.csv", [f"sst{place}" for place in range(4)],
                    [("a film",), ('so, "good"\n',), ("",), ("中",)])
        score = {"value": 0.5, "low": 0.4, "high": 0.6}
        scores = {"sst": {"accuracy": score}, "sts": {"pearson": score}}
        records = [{"stage": 1, "epoch": epoch, "train_loss": {"sst": 1.0, "sts": None}, "penalties": {"sst.smart": 0.1},
                    "dev": scores, "train": scores, "overall_normalised": score, "learning_rate": 1e-3, "seconds": 2.0,
                    "gradient_cosines": {"sst-sts": {"all": 0.1}}} for epoch in (1, 2)]
        (folder / name / "metrics.jsonl").write_text("".join(to_json(one) + "\n" for one in records), encoding="utf-8")


def list_places(item: object, place: tuple = ()) -> Iterator[tuple]:
    """Where something stands in a JSON value, innermost first."""
    for name, entry in item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ():
        yield from list_places(entry, (*place, name))
        yield (*place, name)


def change_json(draw: random.Random, data: bytes) -> bytes:
    """One value of a JSON file, or of a line of one, taken out or made another."""
    lines = data.splitlines() if data.count(b'"stage"') > 1 else [data]
    number = draw.randrange(len(lines))
    item = json.loads(lines[number])
    *path, last = draw.choice(list(list_places(item)))
    inside = item
    for name in path:
        inside = inside[name]
    if draw.random() < 0.2:
        del inside[last]
    else:
        inside[last] = copy.deepcopy(draw.choice(VALUES))
    lines[number] = json.dumps(item, ensure_ascii=draw.random() < 0.5).encode("utf-8", errors="surrogatepass")
    return b"\n".join(lines)


def call(tool: str, folder: Path) -> str:
    """What went wrong when the tool read runs a and b; "" where it did its work, or refused in one line."""
    arguments = [str(folder / "a"), *([str(folder / "b")] if tool in ("compare", "ensemble") else [])]
    arguments += ["--out", str(folder / tool)] if tool != "compare" else []
    arguments += ["--rule", "mean"] if tool == "ensemble" else []
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            TOOLS[tool](arguments)
    except MinbertError as error:
        return "" if is_well(error, folder) else f"{tool} says {error.message!r}, hint {error.hint!r}"
    except Exception as error:
        return f"{tool} raised {type(error).__name__}: {error}"
    return ""


def is_well(error: MinbertError, path: Path) -> bool:
    return error.exit_code == 2 and str(path) in error.message and error.message.isprintable() and error.hint.isprintable()


def read_scores(folder: Path) -> dict[str, str]:
    """The measured scores in the table that `table` wrote, rounded."""
    with open(folder / "table" / "table.csv", encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    names = ("sst", "sts", "sts_normalised", "overall_raw")
    return {name: f"{float(row[name] or 'nan'):.5f}" for name in row if name.removesuffix("_low").removesuffix("_high") in names}


def try_folder(whole: Path, folder: Path, name: str, damage: Callable, draw: random.Random) -> tuple[bool, str]:
    """(whether `table` read run a with the file of that name damaged; what is wrong, "" for nothing)."""
    shutil.rmtree(folder, ignore_errors=True)
    for name_of_run in "ab":
        shutil.copytree(whole / name_of_run, folder / name_of_run)
    path = folder / "a" / name
    path.write_bytes(damage(draw, path.read_bytes()))
    faults = [fault for tool in TOOLS if (fault := call(tool, folder))]
    was_read = (folder / "table" / "table.csv").exists()
    if was_read and (scores := read_scores(folder)) != read_scores(whole):
        faults.append(f"other scores: {scores}")
    return was_read, "; ".join(faults)


def try_recipe(path: Path, damage: Callable, draw: random.Random) -> str:
    shipped = draw.choice(sorted(RECIPES.rglob("*.toml")))
    path.write_bytes(damage(draw, shipped.read_bytes()))
    try:
        load_recipe(str(path))
    except MinbertError as error:
        return "" if error.message.isprintable() and error.hint.isprintable() else f"says {error.message!r}, hint {error.hint!r}"
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    return ""


def measure(full: bool) -> Outcome:
    """5,000 damaged run folders and as many recipes, or 100 of each."""
    tried, draw, failures, ends = 5000 if full else 100, random.Random(8), [], Counter()
    with tempfile.TemporaryDirectory() as place, mock.patch("multitask.report.draw", lambda *_: []):
        whole, folder = Path(place, "whole"), Path(place, "damaged")
        make_runs(whole)
        if any(call(tool, whole) for tool in TOOLS):
            raise RuntimeError("the whole run folder cannot be read: nothing is measured")
        for number in range(tried):
            name = draw.choice(FILES)
            damage = draw.choice((change_json, change_json, change_bytes) if "json" in name else (change_bytes, change_lines))
            was_read, fault = try_folder(whole, folder, name, damage, draw)
            ends[was_read] += 1
            if fault:
                failures.append(f"run folder {number}, {name}, {damage.__name__}: {fault}")
            if fault := try_recipe(Path(place, "damaged.toml"), draw.choice((change_bytes, change_lines)), draw):
                failures.append(f"recipe {number}: {fault}")
    details = (f"{tried:,} run folders: {ends[False]:,} refused, {ends[True]:,} read with the scores as measured: the damage "
               "was in what no score depends on; as many recipe files",)
    return Outcome(CLAIM, 2 * tried, tuple(failures), details)
