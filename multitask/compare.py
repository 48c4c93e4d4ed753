"""Two runs beside each other: by how much their scores differ, and whether that is more than chance.

Efron and Tibshirani 1993, chapter 16, for the bootstrap; McNemar 1947, in its exact form, for the test. Public codes compare
two numbers of one seed each; here both runs answer the same resampled examples.
"""

# N examples, S seeds, D draws, F columns, G groups of equal rows

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from minbert.files import MinbertError
from multitask.evaluate import accuracy, overall_normalised, overall_raw, pearson
from multitask.flags import Parser, run_command
from multitask.run_folder import Run, check_same_examples, find_runs, read_predictions
from multitask.tables import COURSE_TASKS, TASKS

DRAWS = 10_000
BLOCK = 4_000_000  # counts drawn at once, to bound the memory


@dataclass(frozen=True)
class McNemar:
    """How often only one of two runs is right, and how likely chance alone makes that so unequal."""

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """One score of two runs: of every seed, and second minus first with its 95% interval."""

    name: str
    first: list[float]
    second: list[float]
    difference: float
    low: float
    high: float
    test: McNemar | None = None  # of two single runs on a task with classes

    @property
    def verdict(self) -> str:
        if np.isnan(self.low):
            return "undefined"
        if self.low <= 0 <= self.high:
            return "within the noise"
        return "B is better" if self.difference > 0 else "B is worse"


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (over n - 1); the deviation of one value is nan."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def main_scores(kind: str, labels_N: np.ndarray, predictions_SN: np.ndarray) -> list[float]:
    """Each seed's accuracy, or Pearson's r for a task with scores."""
    score = pearson if kind == "score" else accuracy
    return [score(predictions_N, labels_N) for predictions_N in predictions_SN]


def resampled_means(rows_NF: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """means_DF: each column's mean over N rows drawn with replacement, `draws` times.

    How often each of N rows is drawn is multinomial. Equal rows need one count together, which makes right-or-wrong rows
    of any number of examples cheap.
    """
    groups_GF, sizes_G = np.unique(rows_NF, axis=0, return_counts=True)
    count, block = len(rows_NF), max(1, BLOCK // len(groups_GF))
    return np.concatenate([generator.multinomial(count, sizes_G / count, min(block, draws - start)) @ groups_GF / count
                           for start in range(0, draws, block)])


def resampled_scores(kind: str, labels_N: np.ndarray, predictions_SN: np.ndarray, draws: int,
                     generator: np.random.Generator) -> np.ndarray:
    """scores_SD: `main_scores` on N examples drawn with replacement, in a draw the same examples for all seeds.

    nan where r is not defined: all drawn predictions, or labels, are alike.
    """
    if kind != "score":
        return resampled_means((predictions_SN == labels_N).T.astype(np.float64), draws, generator).T
    seeds = len(predictions_SN)
    with np.errstate(divide="ignore", invalid="ignore"):  # r does not depend on scale or origin: rounding does
        x_SN = (predictions_SN - predictions_SN.mean(axis=1, keepdims=True)) / predictions_SN.std(axis=1, keepdims=True)
        y_N = (labels_N - labels_N.mean()) / labels_N.std()
    moments_FD = resampled_means(np.vstack([x_SN, x_SN**2, x_SN * y_N, y_N, y_N**2]).T, draws, generator).T
    x_SD, xx_SD, xy_SD = (moments_FD[start:start + seeds] for start in (0, seeds, 2 * seeds))
    y_D, yy_D = moments_FD[-2:]
    # r = (E[xy] - E[x] E[y]) / sqrt((E[x^2] - E[x]^2) (E[y^2] - E[y]^2))
    variances_SD = (xx_SD - x_SD**2) * (yy_D - y_D**2)
    return (xy_SD - x_SD * y_D) / np.sqrt(np.where(variances_SD > 1e-12, variances_SD, np.nan))


# Exercise 8.3: paired bootstrap
def paired_bootstrap(kind: str, labels_N: np.ndarray, first_SN: np.ndarray, second_SN: np.ndarray, draws: int,
                     generator: np.random.Generator) -> np.ndarray:
    """differences_D: the second run's score minus the first's, on examples drawn with replacement.

    Steps: draw N of the N examples with replacement, the same for both runs and all their seeds; score every seed's
    predictions on them; take each run's mean over its seeds, and the difference of the two; do so `draws` times.
    """
    scores_SD = resampled_scores(kind, labels_N, np.vstack([first_SN, second_SN]), draws, generator)
    return scores_SD[len(first_SN):].mean(axis=0) - scores_SD[:len(first_SN)].mean(axis=0)


def find_interval(differences_D: np.ndarray) -> tuple[float, float]:
    """The middle 95% of the draws, without those in which r is undefined; nan where it is in all."""
    defined = differences_D[~np.isnan(differences_D)]
    return tuple(np.quantile(defined, [0.025, 0.975]).tolist()) if len(defined) else (float("nan"), float("nan"))


# Exercise 8.4: McNemar's test
def mcnemar(first_right_N: np.ndarray, second_right_N: np.ndarray) -> McNemar:
    """The exact two-sided test that two classifiers err equally often; examples both get right, or wrong, say nothing.

    Steps: count the examples that only the first gets right, and those that only the second does; if both were equally
    good, each would be a fair coin's heads: the chance of counts at least as unequal, on either side.
    """
    first = int(np.sum(first_right_N & ~second_right_N))
    second = int(np.sum(second_right_N & ~first_right_N))
    # p = min(1, 2 sum_{k <= min(b, c)} C(b + c, k) / 2^(b + c))
    return McNemar(first, second, min(1.0, 2 * float(stats.binom.cdf(min(first, second), first + second, 0.5))))


def compare_runs(first: list[Run], second: list[Run], split: str = "dev", draws: int = DRAWS, seed: int = 0
                 ) -> list[Comparison]:
    """Every task that all the runs have, then both overall scores if these are the course's three tasks.

    `first` and `second` are a run each, or its seeds. Overall scores: every draw resamples all tasks, each on its own.

    Raises MinbertError where examples or labels differ, or labels or files are missing.
    """
    generator = np.random.default_rng(seed)
    comparisons, differences = {}, {}
    for name in (name for name in first[0].tasks if all(name in run.tasks for run in first + second)):
        predicted = [read_predictions(run, name, split) for run in first + second]
        check_same_examples(predicted)
        labels_N, kind = predicted[0].labels_N, TASKS[name].kind
        if np.isnan(labels_N).any():
            raise MinbertError(f"{predicted[0].path}: not all examples have labels", "compare on --split dev")
        predictions_SN = np.stack([one.predictions_N for one in predicted])
        first_SN, second_SN = predictions_SN[:len(first)], predictions_SN[len(first):]
        differences[name] = paired_bootstrap(kind, labels_N, first_SN, second_SN, draws, generator)
        test = mcnemar(*(predictions_SN == labels_N)) if kind != "score" and len(predictions_SN) == 2 else None
        comparisons[name] = describe(name, main_scores(kind, labels_N, first_SN), main_scores(kind, labels_N, second_SN),
                                     differences[name], test)
    if not comparisons:
        raise MinbertError(f"{first[0].folder} and {second[0].folder} have no task in common", "compare runs of the same tasks")
    return [*comparisons.values(), *compare_overall(comparisons, differences)]


def compare_overall(comparisons: dict[str, Comparison], differences: dict[str, np.ndarray]) -> list[Comparison]:
    """Both overall scores, from the tasks' comparisons and draws; none without the course's three tasks."""
    if not set(COURSE_TASKS) <= set(comparisons):
        return []
    counted = [comparisons[name] for name in COURSE_TASKS]
    sst_D, para_D, sts_D = (differences[name] for name in COURSE_TASKS)
    draws = {overall_normalised: (sst_D + para_D + sts_D / 2) / 3,  # (r + 1) / 2 differs by half of what r does
             overall_raw: (sst_D + para_D + sts_D) / 3}
    result = []
    for overall, differences_D in draws.items():
        first, second = ([overall(*scores) for scores in zip(*columns, strict=True)]
                         for columns in ([one.first for one in counted], [one.second for one in counted]))
        result.append(describe(overall.__name__, first, second, differences_D))
    return result


def describe(name: str, first: list[float], second: list[float], differences_D: np.ndarray, test: McNemar | None = None
             ) -> Comparison:
    difference = spread(second)[0] - spread(first)[0]
    low, high = (float("nan"),) * 2 if np.isnan(difference) else find_interval(differences_D)
    return Comparison(name, first, second, difference, low, high, test)


def format_score(values: list[float]) -> str:
    mean, deviation = spread(values)
    return "undefined" if np.isnan(mean) else f"{mean:.4f}" + (f" +- {deviation:.4f}" if len(values) > 1 else "")


def comparison_text(comparisons: list[Comparison]) -> str:
    """The comparisons for the screen, in columns."""
    rows = [("", "A", "B", "B - A", "95% interval", "")]
    for one in comparisons:
        interval = "" if np.isnan(one.low) else f"{one.low:+.4f} to {one.high:+.4f}"
        verdict = one.verdict
        if one.test:
            verdict += (f"; McNemar: only A right {one.test.only_first}, only B right {one.test.only_second}, "
                        f"p = {one.test.p:.2g}")
        difference = "" if np.isnan(one.difference) else f"{one.difference:+.4f}"
        rows.append((one.name, format_score(one.first), format_score(one.second), difference, interval, verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def main(arguments: list[str]) -> None:
    """`python -m multitask.compare A B`."""
    parser = Parser(prog="python -m multitask.compare", description="Compare the saved outputs of two runs.")
    parser.add_argument("runs", nargs=2, type=Path, metavar="RUN", help="a run folder, or a folder of several seeds (seed-*)")
    parser.add_argument("--split", choices=["dev", "test"], default="dev", help="default: %(default)s")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args(arguments)
    if flags.runs[0].resolve() == flags.runs[1].resolve():
        raise MinbertError(f"{flags.runs[0]} is named twice", "name two runs")
    first, second = map(find_runs, flags.runs)
    comparisons = compare_runs(first, second, flags.split)
    for letter, folder, runs in zip("AB", flags.runs, (first, second), strict=True):
        print(f"{letter}  {folder}" + (f" ({len(runs)} seeds: mean +- standard deviation)" if len(runs) > 1 else ""))
    print(f"\n{comparison_text(comparisons)}\n")
    print(f"interval: paired bootstrap over the {flags.split} examples, {DRAWS:,} draws; chance in training only shows in "
          "several seeds")
    if left_out := {name for run in first + second for name in run.tasks} - {one.name for one in comparisons}:
        print(f"not compared, since not all runs have them: {', '.join(sorted(left_out))}")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
