"""One run: recipe -> model -> stages -> best checkpoint -> run folder."""

import gc
import glob
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch

from minbert.files import MinbertError, check_space, error_from_os, remove_leftovers, write_text
from minbert.tokenizer import BertTokenizer
from multitask import processes
from multitask.checkpoint import build_model, load_checkpoint
from multitask.environment import environment, hardware
from multitask.epochs import StageRun
from multitask.evaluate import predict, write_predictions
from multitask.features import augment, tag_examples
from multitask.interrupt import Interrupt
from multitask.model import MultitaskBert
from multitask.model_card import model_card
from multitask.outputs import write_outputs, write_texts
from multitask.progress import Best, Progress, Setting
from multitask.recipe import Recipe
from multitask.recipe_files import to_toml
from multitask.record import describe_split, score_outputs, to_json
from multitask.report import write_report
from multitask.results import revive
from multitask.resume import Earlier, check_best, check_same, describe_going_on, locked, read_earlier
from multitask.run_folder import read_run
from multitask.stage import Parts, TaskData
from multitask.state_files import drop_states, drop_states_after
from multitask.tables import TASKS


def run(recipe: Recipe, setting: Setting, interrupt: Interrupt | None = None) -> dict:
    """Trains by the recipe and leaves everything in the run folder. Returns what results.json holds.

    With `setting.resume` an earlier run in the folder goes on at the very step that was saved last; a complete one is left as
    it is. Stopped, a KeyboardInterrupt, goes on to the caller when a signal or the time limit ends the run; its state is saved.
    """
    folder = setting.folder
    if processes.is_first():
        make_folder(setting)
    with locked(folder) if processes.is_first() else nullcontext(), interrupt or Interrupt() as interrupt:
        earlier = read_earlier(folder) if setting.resume else None
        if earlier:
            check_same(earlier, recipe, setting)
            facts = {name: earlier.environment[name] for name in setting.facts}
            setting = replace(setting, facts=facts, command=earlier.commands.splitlines()[0])
        complete = earlier and earlier.results and earlier.recipe.stages == recipe.stages
        processes.wait()  # all have seen the folder as it was
        if complete:
            print(f"run     {folder} is already complete", flush=True)
            if processes.is_first():
                remove_leftovers(folder)  # of a report that was cut short
        else:
            train(recipe, setting, earlier, interrupt)
        if processes.is_first() and not (complete and (folder / "report.md").exists()):
            for note in write_report(read_run(folder), folder):
                print(f"note    {note}", flush=True)
        return revive(read_run(folder).results)


def train(recipe: Recipe, setting: Setting, earlier: Earlier | None, interrupt: Interrupt) -> None:
    """The run from its first step, or from where `earlier` was saved, to its results.json."""
    progress = Progress()
    torch.manual_seed(recipe.seed)
    tokenizer = BertTokenizer.from_pretrained(setting.model_folder)
    model = build_model(recipe, setting.model_folder, tokenizer).to(setting.device)
    if earlier and earlier.state:
        progress.go_on(earlier.state)
    if processes.is_first():
        claim_outputs(recipe, setting, model)
        print(f"run     {setting.folder}", flush=True)
        begin_folder(recipe, setting, earlier, progress)
    parts = Parts(model, tokenizer, add_features(recipe, setting.data, model, tokenizer), setting.model_folder)
    with frozen_heap():
        for index in range(progress.stage, len(recipe.stages)):
            StageRun(recipe, index, parts, setting, progress).train(interrupt)
    if processes.is_first():
        with processes.alone():
            finish(recipe, setting, parts, progress)
    processes.wait()


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Inside, the garbage collector leaves alone what there is: examples are lists by the thousand, and it would look through
    them again and again (3% of a step)."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def begin_folder(recipe: Recipe, setting: Setting, earlier: Earlier | None, progress: Progress) -> None:
    """Writes what can be said of a run before it begins; of one that goes on, brings the folder back to where it was saved."""
    folder, command = setting.folder, setting.command
    remove_leftovers(folder)
    if earlier:
        for line in describe_going_on(earlier, setting.device):
            print(f"note    {line}", flush=True)
        if progress.best:
            check_best(folder / "best")
        drop_states_after(folder / "last", progress.steps)  # damaged ones
        for path in setting.prediction_paths.values():
            for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
                leftover.unlink(missing_ok=True)
        for name in ("results.json", "metrics.jsonl"):  # they may be ahead of the state that was saved
            (folder / name).unlink(missing_ok=True)
        if progress.lines:
            write_text(folder / "metrics.jsonl", "".join(f"{line}\n" for line in progress.lines))
        command = f"{earlier.commands}\n{shlex.join([sys.executable, *sys.argv])}"
    write_text(folder / "command.txt", command + "\n")
    write_text(folder / "recipe.toml", to_toml(recipe))
    if not earlier:  # the last of these: from here on there is a run that can go on
        facts = environment(setting.device) | setting.facts | {"paths": setting.paths}
        write_text(folder / "environment.json", json.dumps(facts, indent=2) + "\n")


def make_folder(setting: Setting) -> None:
    """Raises MinbertError where the run folder cannot be made, or holds something that is not to go on."""
    folder = setting.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise error_from_os(error, folder, "make the run folder") from error
    if not setting.resume and any(folder.iterdir()):
        raise MinbertError(f"{folder} is not an empty folder",
                           f"--resume {folder} goes on with the run in it; another --out starts anew: runs are never overwritten")


def claim_outputs(recipe: Recipe, setting: Setting, model: MultitaskBert) -> None:
    """Makes sure that everything the run will write can be written.

    Raises MinbertError where the disk is too full, or a prediction file's place is taken.
    """
    # the best checkpoint and two states, and the next one of each while it is written; AdamW keeps two numbers for a weight
    weights = sum(parameter.nbytes for parameter in model.parameters())
    learns = any(stage.train == "full-model" for stage in recipe.stages)
    check_space(setting.folder, weights * (2 + 3 * (3 if learns else 1)))
    for path in setting.prediction_paths.values():
        if path.exists() and not path.is_file():
            raise MinbertError(f"{path} is {'a directory' if path.is_dir() else 'not a regular file'}", "name a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise error_from_os(error, path, "write") from error


def add_features(recipe: Recipe, data: dict[str, TaskData], model: MultitaskBert, tokenizer: BertTokenizer
                 ) -> dict[str, TaskData]:
    """The data with the recipe's additional training examples and parts of speech; unchanged where it asks for neither."""
    result = {}
    for name, task in data.items():
        train = task.train
        if recipe.features.synonyms != "none":
            words = next(iter(model.encoder.berts().values())).embeddings.word.weight
            train = [*train, *augment(train, TASKS[name], recipe, tokenizer, words, recipe.seed)]
        splits = (train, task.dev, task.test)
        if recipe.features.part_of_speech != "none":
            splits = tuple(split and tag_examples(split, recipe, tokenizer) for split in splits)
        result[name] = TaskData(*splits)
    return result


def finish(recipe: Recipe, setting: Setting, parts: Parts, progress: Progress) -> None:
    """Writes the best checkpoint's predictions, its card and, with results.json, that the run is complete."""
    results = predict_splits(recipe, setting, parts, progress.best)
    results |= {"seconds": progress.seconds, "hardware": hardware(setting.device)}
    write_text(setting.folder / "best" / "README.md", model_card(recipe, setting.facts, setting.command, results))
    drop_states(setting.folder / "last", keep=1)  # for more epochs; one is enough now
    write_text(setting.folder / "results.json", to_json(results, indent=2) + "\n")


def predict_splits(recipe: Recipe, setting: Setting, parts: Parts, best: Best) -> dict:
    """Writes the best checkpoint's predictions for dev and test; returns the run's results."""
    results = {"recipe": recipe.name, "source": recipe.source, "seed": recipe.seed, "best_stage": best.stage + 1,
               "best_epoch": best.epoch, "select_by": recipe.select_by, "facts": setting.facts}
    model = load_checkpoint(setting.folder / "best").model.to(setting.device)
    outputs = {"dev": best.outputs, "test": {name: predict(model, parts.tokenizer, name, task.test)
                                             for name, task in parts.data.items() if task.test}}
    for split, by_task in outputs.items():
        examples = {name: getattr(parts.data[name], split) for name in by_task}
        for name, output in by_task.items():
            ids, labels = zip(*((example.id, example.label) for example in examples[name]), strict=True)
            write_outputs(setting.folder / "outputs" / f"{name}-{split}.csv", ids, labels, output)
            if split == "dev":  # for the report
                write_texts(setting.folder / "texts" / f"{name}-dev.csv", ids, [example.texts for example in examples[name]])
            predictions = model.targets[name].decode(torch.from_numpy(output)).tolist()
            write_predictions(setting.folder / "predictions" / f"{name}-{split}-output.csv", TASKS[name], ids, predictions)
            if (name, split) in setting.prediction_paths:
                write_predictions(setting.prediction_paths[name, split], TASKS[name], ids, predictions)
        labelled = {name: output for name, output in by_task.items()
                    if all(example.label is not None for example in examples[name])}
        if split == "test" and labelled.keys() != by_task.keys() and labelled:
            print(f"note    test scores for {', '.join(labelled)} only: the other test files lack labels")
        if labelled:
            scores = {name: score_outputs(name, model.targets[name], output, examples[name]) for name, output in labelled.items()}
            results[split] = describe_split(scores, {name: [example.label for example in examples[name]] for name in scores})
    return results
