"""Many runs, one answer: predictions combined from saved outputs, without a model.

The reports chose their members on the dev set that they then quote; here every dev answer comes from members that were chosen
without that example.
"""

# N examples, C classes

import sys
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minbert.files import MinbertError, write_text
from multitask.ensemble_rules import RULES, Answers, Rule
from multitask.evaluate import score_task, write_predictions
from multitask.flags import Parser, number, run_command
from multitask.outputs import write_outputs
from multitask.record import describe_split, to_json
from multitask.results import result_table
from multitask.run_folder import Run, check_same_examples, find_probabilities, find_runs, read_predictions
from multitask.tables import TASKS, Task

NOTES = {  # split of the results -> what its scores are worth
    "dev": "cross-fitted: each fifth of dev is answered by members chosen, and ranked, on the other four fifths. Each member's "
           "own best epoch was chosen on dev, though, so that all these scores are slightly flattered",
    "dev_flattered": "flattered by selection: the final members, chosen on all of dev, score on the same examples",
    "test": "the final members, chosen on all of dev; test was used for no choice",
}


@dataclass(frozen=True)
class Combined:
    """An ensemble's answers to one split; `labels_N` is nan where an example has no label."""

    ids: list[str]
    labels_N: np.ndarray
    predictions_N: np.ndarray


def gather(runs: Sequence[Run], task: Task, split: str) -> tuple[list[str], Answers]:
    """The examples' ids, and what the runs say to them. Raises MinbertError where the examples differ."""
    predicted = [read_predictions(run, task.name, split) for run in runs]
    check_same_examples(predicted)
    predictions_MN = np.stack([one.predictions_N for one in predicted])
    values = predictions_MN
    if task.kind != "score":
        values = np.stack([find_probabilities(run, task, one) for run, one in zip(runs, predicted, strict=True)])
    return predicted[0].ids, Answers(task.kind, predicted[0].labels_N, predictions_MN, values)


def combine_task(runs: Sequence[Run], task: Task, rule: Rule, threshold: float | None
                 ) -> tuple[dict[str, int], dict[str, Combined]]:
    """Run -> how often it is a member, and the answers by split; test where the runs have outputs for it."""
    ids, dev = gather(runs, task, "dev")
    chosen, flattered_N = rule.answer(dev, dev, threshold)
    combined = {"dev": Combined(ids, dev.labels_N, rule.cross_fit(dev, threshold)),
                "dev_flattered": Combined(ids, dev.labels_N, flattered_N)}
    if any((run.folder / "outputs" / f"{task.name}-test.csv").exists() for run in runs):
        ids, test = gather(runs, task, "test")
        combined["test"] = Combined(ids, test.labels_N, rule.answer(dev, test, threshold)[1])
    return dict(Counter(str(runs[member].folder) for member in chosen)), combined


def build_ensemble(runs: Sequence[Run], rule: str, thresholds: dict[str, float]) -> tuple[dict, dict[str, dict[str, Combined]]]:
    """What results.json holds, and task -> split -> answers. A task's ensemble is of the runs that have the task.

    `thresholds` are on the scale of the raw scores. Test has scores where it has labels. Raises MinbertError where the
    runs' examples differ, or only some have test outputs.
    """
    runs = sorted(runs, key=lambda run: str(run.folder))  # so that the order in which they were named changes nothing
    members, answers = {}, {}
    for name in (name for name in TASKS if any(name in run.tasks for run in runs)):
        having = [run for run in runs if name in run.tasks]
        members[name], answers[name] = combine_task(having, TASKS[name], RULES[rule], thresholds.get(name))
    facts = {key: "; ".join(filter(None, dict.fromkeys(run.results["facts"].get(key) for run in runs)))
             for key in ("model", "model_note", "data")}
    results = {"recipe": f"ensemble-{rule}", "source": f"{len(runs)} runs combined by the rule {rule}", "members": members,
               "thresholds": thresholds, "notes": NOTES, "facts": facts}
    for split in NOTES:
        labelled = {name: splits[split] for name, splits in answers.items()
                    if split in splits and not np.isnan(splits[split].labels_N).any()}
        if labelled:
            scores = {name: score_task(TASKS[name], one.predictions_N, one.labels_N) for name, one in labelled.items()}
            results[split] = describe_split(scores, {name: one.labels_N for name, one in labelled.items()})
    return results | {"seconds": sum(run.results["seconds"] for run in runs)}, answers


def write_ensemble(folder: Path, results: dict, answers: dict[str, dict[str, Combined]]) -> None:
    """Predictions as the course wants them, the same as outputs, which `compare` reads, and results.json."""
    for name, splits in answers.items():
        for split in ("dev", "test"):
            if split in splits:
                one = splits[split]
                predictions_N = one.predictions_N.astype(int if TASKS[name].kind == "classes" else float)
                write_predictions(folder / "predictions" / f"{name}-{split}-output.csv", TASKS[name], one.ids, predictions_N)
                labels = [None if np.isnan(label) else label for label in one.labels_N.tolist()]
                write_outputs(folder / "outputs" / f"{name}-{split}.csv", one.ids, labels, predictions_N)
    write_text(folder / "results.json", to_json(results, indent=2) + "\n")


def parse_threshold(text: str) -> tuple[str, float]:
    """`sst=.53`."""
    name, equals, value = text.partition("=")
    if name not in TASKS or not equals:
        raise ArgumentTypeError(f"{text!r} is not TASK=NUMBER with one of the tasks {', '.join(TASKS)}")
    return name, number(float, -1, 1)(value)


def read_thresholds(rule: str, given: Sequence[tuple[str, float]] | None, scale: str | None, runs: Sequence[Run]
                    ) -> dict[str, float]:
    """Task -> threshold on the scale of the raw score. Raises MinbertError where flags are missing or too many."""
    if rule != "thresholds":
        if given or scale:
            raise MinbertError("--thresholds and --threshold_scale only go with --rule thresholds", "leave them out")
        return {}
    thresholds, tasks = dict(given or ()), {name for run in runs for name in run.tasks}
    if set(thresholds) != tasks:
        raise MinbertError(f"--rule thresholds needs one threshold for each of the tasks {', '.join(sorted(tasks))}",
                           "for example --thresholds sst=.53 para=.88 sts=.87")
    if scale == "normalised":  # (r + 1) / 2 > t means r > 2 t - 1
        thresholds |= {name: 2 * value - 1 for name, value in thresholds.items() if TASKS[name].kind == "score"}
    return thresholds


def main(arguments: list[str]) -> None:
    """`python -m multitask.ensemble RUN RUN... --rule mean --out DIR`."""
    parser = Parser(prog="python -m multitask.ensemble", description="Combine the saved outputs of several runs.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, or folders of several seeds (seed-*)")
    parser.add_argument("--rule", choices=list(RULES), required=True,
                        help="mode: the commonest label; mean: of probabilities; best: the best run for each task; thresholds: "
                             "mode of the runs above --thresholds; greedy: mean of runs chosen one by one. Scores are averaged")
    parser.add_argument("--thresholds", nargs="+", type=parse_threshold, metavar="TASK=NUMBER",
                        help="dev scores that members exceed, e.g. sst=.53 para=.88 sts=.87")
    parser.add_argument("--threshold_scale", choices=["r", "normalised"],
                        help="of sts's threshold; normalised: (r + 1) / 2 (default: r)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for predictions, outputs and results.json")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args(arguments)
    runs = [run for folder in flags.runs for run in find_runs(folder)]
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise MinbertError("a run is named twice", "name each run once")
    thresholds = read_thresholds(flags.rule, flags.thresholds, flags.threshold_scale, runs)
    if flags.out.exists() and (not flags.out.is_dir() or any(flags.out.iterdir())):
        raise MinbertError(f"{flags.out} is not an empty folder", "name another with --out: nothing is overwritten")
    results, answers = build_ensemble(runs, flags.rule, thresholds)
    write_ensemble(flags.out, results, answers)
    for name, counts in results["members"].items():
        print(f"{name:8}" + ", ".join(folder + (f" ({times} times)" if times > 1 else "") for folder, times in counts.items()))
    for split, note in NOTES.items():
        if split in results:
            print(f"\n{split}: {note}\n{result_table(results, split)}")
    print(f"\npredictions {flags.out / 'predictions'}")


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
