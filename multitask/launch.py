"""From a recipe and found files to trained runs: where they go, which earlier one goes on, and what the screen says of them."""

import argparse
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from minbert.files import MinbertError, read_table, sha256
from minbert.hub import WEIGHT_FILES, Model, find_model
from minbert.tokenizer import BertTokenizer
from multitask import processes
from multitask.closest import closest, offer
from multitask.command_line import choose_device, describe_sources, header, read_data
from multitask.interrupt import Interrupt, Stopped
from multitask.plan import describe_plan
from multitask.progress import Setting
from multitask.recipe import Recipe
from multitask.record import main_score
from multitask.results import guesses, result_table
from multitask.resume import RESUME, find_differences, read_earlier
from multitask.run import run
from multitask.state_files import list_states


@dataclass(frozen=True)
class Recorded:
    """Where the run that --resume names had its recipe, model and files."""

    recipe: str
    model_folder: Path
    model: str
    model_note: str
    files: dict[tuple[str, str], Path]
    predictions: dict[tuple[str, str], Path]

    def find_model(self) -> Model:
        if (self.model_folder / "config.json").exists():
            return Model(self.model_folder, self.model, self.model_note)
        return find_model(self.model)


def find_recorded(flags: argparse.Namespace) -> Recorded | None:
    """What the run that --resume names says of itself; None without --resume, and for auto.

    Raises MinbertError where there is no such run.
    """
    if flags.resume in (None, "auto"):
        return None
    folder = Path(flags.resume)
    if flags.out and flags.out != folder:
        raise MinbertError(f"--resume {folder} and --out {flags.out} contradict each other", "leave --out out")
    runs = [path for path in (folder, *sorted(folder.glob("seed-*"), key=lambda path: int(path.name[5:])))
            if (path / "environment.json").exists()]
    if not runs:
        what = "holds no run that could go on" if folder.is_dir() else "is no folder"
        known = ["auto", *(str(path.parent) for path in Path("runs").rglob("environment.json"))]
        raise MinbertError(f"{folder} {what}", offer(closest(flags.resume, known)) or RESUME)
    if runs[0] != folder and flags.seeds == 1:
        raise MinbertError(f"{folder} holds the runs of several seeds", f"give --seeds N as well, or --resume {runs[0]}")
    facts = read_table(runs[0] / "environment.json")
    if not facts.get("paths"):  # it was no command line that began the run
        raise MinbertError(f"{runs[0] / 'environment.json'} does not say where the run's model and files are",
                           f"name them and the recipe as when it began, with --out {folder} --resume auto")
    files, predictions = ({tuple(name.split("-")): Path(path) for name, path in facts["paths"][kind].items()}
                          for kind in ("files", "predictions"))
    return Recorded(str(runs[0] / "recipe.toml"), Path(facts["paths"]["model"]), facts["model"], facts["model_note"], files,
                    predictions)


def train_and_report(recipe: Recipe, flags: argparse.Namespace, files: dict[tuple[str, str], Path],
                     model: Model, prediction_paths: dict[tuple[str, str], Path]) -> None:
    """From a recipe and found files to a trained run, said on the screen."""
    device = choose_device(flags.device, flags.use_gpu)
    with processes.joined(device):
        tokenizer = BertTokenizer.from_pretrained(model.folder)
        data, notes = read_data(files, tokenizer, recipe)
        if untrained := find_untrained(recipe):
            notes.append(f"{', '.join(untrained)}: no stage trains this; the heads stay as drawn, and scores mean nothing")
        print("\n".join([*header(recipe, files, model, device, data), *(f"note    {note}" for note in notes)]), flush=True)
        outputs = {key: path for key, path in prediction_paths.items() if key in files}
        setting = Setting(model.folder, device, data, choose_folder(recipe, flags), outputs, find_facts(files, model),
                          shlex.join([sys.executable, *sys.argv]), find_paths(files, model, outputs), bool(flags.resume))
        processes.wait()  # all have chosen the same folder
        interrupt = Interrupt(flags.time_limit)
        if flags.dry_run:
            print(describe_plan(recipe, setting))
        elif flags.seeds == 1:
            run_and_report(recipe, setting, interrupt)
        else:
            run_seeds(recipe, setting, flags.seeds, interrupt)


def find_facts(files: dict[tuple[str, str], Path], model: Model) -> dict:
    """What must be the same when a run goes on, and what results.json says of model and data."""
    weights = next((path for name in WEIGHT_FILES if (path := model.folder / name).exists()), model.folder / "config.json")
    return {"model": model.name, "model_note": model.note, "data": describe_sources(files), "model_sha256": sha256(weights),
            "data_sha256": {f"{task}-{split}": sha256(path) for (task, split), path in files.items()}}


def find_paths(files: dict[tuple[str, str], Path], model: Model, predictions: dict[tuple[str, str], Path]) -> dict:
    """What `find_recorded` will read."""
    spelled = [{f"{task}-{split}": str(path.absolute()) for (task, split), path in some.items()} for some in (files, predictions)]
    return {"model": str(model.folder.absolute()), "files": spelled[0], "predictions": spelled[1]}


def choose_folder(recipe: Recipe, flags: argparse.Namespace) -> Path:
    """The run's folder: that of --resume or --out; for --resume auto the newest of runs/RECIPE that is the same run; else
    runs/RECIPE/N with the first N above all that are there."""
    if flags.resume not in (None, "auto"):
        return Path(flags.resume)
    if flags.out:
        return flags.out
    numbers = sorted((int(path.name) for path in Path("runs", recipe.name).glob("*") if path.name.isdigit()), reverse=True)
    new = Path("runs", recipe.name, str(max(numbers, default=0) + 1))
    if flags.resume:
        for number in numbers:
            folder = Path("runs", recipe.name, str(number))
            try:
                earlier = read_earlier(folder / f"seed-{recipe.seed}" if flags.seeds > 1 else folder)
                if earlier and not find_differences(earlier, recipe) and (earlier.results or earlier.loaded):
                    return folder
            except MinbertError as error:
                print(f"note    {folder} is passed over: {error}", flush=True)
        print(f"note    no run with these settings is in {new.parent}: a new one begins", flush=True)
    return new


def find_untrained(recipe: Recipe) -> list[str]:
    """The tasks that no stage trains."""
    return [name for name in recipe.tasks if not any(name in stage.objectives for stage in recipe.stages)]


def run_and_report(recipe: Recipe, setting: Setting, interrupt: Interrupt, seeds: int = 1) -> dict:
    """Trains, and says on the screen what came out. Returns the run's results. With more `seeds`, the run is one of theirs."""
    try:
        results = run(recipe, setting, interrupt)
    except Stopped as stopped:
        print(f"\nstopped: {stopped}; {describe_saved(setting.folder, seeds)}", flush=True)
        raise
    for split in ("dev", "test"):
        if split in results:
            place = f"stage {results['best_stage']}, epoch {results['best_epoch']}"
            print(f"\n{split} scores of the best checkpoint ({place}, chosen on dev by "
                  f"{results['select_by']}):\n{result_table(results, split)}")
    for name in sorted(set(guesses(results)) - set(find_untrained(recipe))):
        print(f"note    {name}: not clearly better than giving every example the same answer; more epochs, or another --lr?")
    if setting.prediction_paths:
        print(f"\npredictions {', '.join(map(str, setting.prediction_paths.values()))}")
    print(f"run folder  {setting.folder}   ({results['seconds']:.0f} s)", flush=True)
    return results


def describe_saved(folder: Path, seeds: int) -> str:
    """What a run that was stopped left behind, and how to go on with it."""
    if not list_states(folder / "last"):
        return "nothing was saved yet"
    best = f"the best checkpoint so far is {folder / 'best'}; " if (folder / "best").exists() else ""
    flags = ["--resume", str(folder)] if seeds == 1 else ["--resume", str(folder.parent), "--seeds", str(seeds)]
    command = shlex.join([Path(sys.argv[0]).name, *flags])
    return f"{best}go on with: {processes.launcher(processes.count())} {command}"


def run_seeds(recipe: Recipe, setting: Setting, count: int, interrupt: Interrupt) -> None:
    """The recipe with `count` seeds in a row, each in its own folder seed-N; then mean and standard deviation. Only the
    first run writes the course's prediction files."""
    from multitask.compare import spread  # here: scipy's statistics, which it needs, take half a second to import

    runs = []
    for seed in range(recipe.seed, recipe.seed + count):
        one = replace(setting, folder=setting.folder / f"seed-{seed}")
        if seed != recipe.seed:
            one = replace(one, prediction_paths={}, paths=setting.paths | {"predictions": {}})
        runs.append(run_and_report(replace(recipe, seed=seed), one, interrupt, count))
    print(f"\ndev scores of {count} seeds: mean and standard deviation")
    rows = {name: [main_score(result["dev"]["tasks"][name]).value for result in runs] for name in recipe.tasks}
    rows |= {name: [result["dev"][name].value for result in runs] for name in ("overall_normalised", "overall_raw")}
    for name, values in rows.items():
        mean, deviation = spread(values)
        print(f"{name:20} {mean:.4f} +- {deviation:.4f}   ({', '.join(f'{value:.4f}' for value in values)})")
    print(f"run folders {setting.folder}/seed-*", flush=True)
