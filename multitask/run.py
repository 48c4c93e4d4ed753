"""One run: recipe -> model -> stages -> best checkpoint -> run folder."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from minbert.files import MinbertError, check_space, error_from_os, write_text
from minbert.tokenizer import BertTokenizer
from multitask.checkpoint import build_model, load_checkpoint, save_checkpoint
from multitask.conflict import conflict_batches, measure_conflict
from multitask.environment import environment, hardware
from multitask.evaluate import predict, write_predictions
from multitask.features import augment, tag_examples
from multitask.judge import Judge
from multitask.model import MultitaskBert
from multitask.model_card import model_card
from multitask.outputs import write_outputs, write_texts
from multitask.recipe import Recipe
from multitask.recipe_files import to_toml
from multitask.record import (
    EpochLog,
    append_line,
    describe_epoch,
    describe_split,
    describe_step,
    find_faint,
    is_better,
    score_outputs,
    to_json,
    value_of,
)
from multitask.report import write_report
from multitask.run_folder import read_run
from multitask.stage import Parts, TaskData, count_steps, start_stage
from multitask.tables import TASKS
from multitask.train import Step, run_stage


@dataclass(frozen=True)
class Setting:
    """What a run needs besides its recipe. `facts` goes into environment.json as it is, `command` into command.txt."""

    model_folder: Path
    device: torch.device
    data: dict[str, TaskData]
    folder: Path
    prediction_paths: dict[tuple[str, str], Path]  # (task, split) -> where the course expects the file
    facts: dict
    command: str


@dataclass
class Best:
    """The best epoch so far: where, its value of `select_by`, and its outputs on dev."""

    stage: int
    epoch: int
    value: float
    outputs: dict[str, np.ndarray]


def run(recipe: Recipe, setting: Setting) -> dict:
    """Trains by the recipe and leaves everything in the run folder. Returns what results.json holds.

    On Ctrl-C the KeyboardInterrupt goes on to the caller; the best checkpoint of the finished epochs is kept.
    """
    started = time.perf_counter()
    torch.manual_seed(recipe.seed)
    tokenizer = BertTokenizer.from_pretrained(setting.model_folder)
    model = build_model(recipe, setting.model_folder, tokenizer).to(setting.device)
    claim_outputs(setting, model)
    print(f"run     {setting.folder}", flush=True)
    write_text(setting.folder / "command.txt", setting.command + "\n")
    write_text(setting.folder / "recipe.toml", to_toml(recipe))
    write_text(setting.folder / "environment.json", json.dumps(environment(setting.device) | setting.facts, indent=2) + "\n")
    parts = Parts(model, tokenizer, add_features(recipe, setting.data, model, tokenizer), setting.model_folder)
    best: Best | None = None
    for index in range(len(recipe.stages)):
        best = train_stage(recipe, index, parts, setting, best)
    results = finish(recipe, setting, parts, best, seconds=time.perf_counter() - started)
    write_text(setting.folder / "results.json", to_json(results, indent=2) + "\n")
    write_text(setting.folder / "best" / "README.md", model_card(recipe, setting.facts, setting.command, results))
    for note in write_report(read_run(setting.folder), setting.folder):
        print(f"note    {note}", flush=True)
    return results


def claim_outputs(setting: Setting, model: MultitaskBert) -> None:
    """Makes the run folder, and makes sure that everything the run will write can be written.

    Raises MinbertError where the folder is not empty, the disk is too full, or a prediction file's place is taken.
    """
    folder = setting.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise error_from_os(error, folder, "make the run folder") from error
    if any(folder.iterdir()):
        raise MinbertError(f"{folder} is not an empty folder", "name another with --out: runs are never overwritten")
    # the best checkpoint, and the next one while it is written
    check_space(folder, 2 * sum(parameter.nbytes for parameter in model.parameters()))
    for path in setting.prediction_paths.values():
        if path.is_dir():
            raise MinbertError(f"{path} is a directory", "name a file")
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


def train_stage(recipe: Recipe, index: int, parts: Parts, setting: Setting, best: Best | None) -> Best | None:
    """Trains one stage, evaluates after every epoch, and keeps the best epoch's checkpoint in best/."""
    stage, model = recipe.stages[index], parts.model
    state, schedule = start_stage(recipe, index, parts)
    for note in filter(None, (getattr(objective, "note", "") for objective in state.objectives.values())):
        print(f"note    {note}", flush=True)
    judge, batches, log = Judge(recipe, index, parts), conflict_batches(state), EpochLog()
    with tqdm(total=count_steps(schedule, stage), desc=f"stage {index + 1}/{len(recipe.stages)}", unit="step",
              dynamic_ncols=True) as bar:
        for step in run_stage(state, schedule, stage.epochs, recipe.optimizer.clip):
            log.add(step)
            bar.update()
            if not step.ends_epoch:
                continue
            record = describe_step(index, step, log, max(state.learning_rate.current))
            evaluated = time.perf_counter()
            with state.average.applied() if state.average else nullcontext():
                outputs, scores = judge.score()
                judge.note(scores, step.epoch)
                if outputs and is_better(value := value_of(scores, recipe.select_by), best and best.value):
                    best = Best(index, step.epoch, value, outputs)
                    record["best_so_far"] = True
                    card = model_card(recipe, setting.facts, setting.command)
                    save_checkpoint(setting.folder / "best", recipe, model, parts.tokenizer, card)
            if batches:
                record["gradient_cosines"] = measure_conflict(model, state.objectives, batches)
            record |= {**scores, "evaluation_seconds": time.perf_counter() - evaluated}
            append_line(setting.folder / "metrics.jsonl", to_json(record))
            bar.write(describe_epoch(record))
            if step.epoch == 1 and (faint := find_faint(record)):
                bar.write(f"note    {faint}: below a thousandth of the loss; `python -m multitask.effect` measures its effect")
            if judge.is_over(step.epoch):
                bar.write(f"stopped: no better {judge.chosen} in {stage.patience} epochs")
                break
            log = EpochLog()
    if judge.weights:
        model.load_state_dict(judge.weights)
    return best


def describe_plan(recipe: Recipe, setting: Setting) -> str:
    """The resolved recipe, each stage's steps, the model's size, and the training time, taken from a few real steps."""
    torch.manual_seed(recipe.seed)
    tokenizer = BertTokenizer.from_pretrained(setting.model_folder)
    model = build_model(recipe, setting.model_folder, tokenizer).to(setting.device)
    lines, seconds = [to_toml(recipe)], 0.0
    parts = Parts(model, tokenizer, add_features(recipe, setting.data, model, tokenizer), setting.model_folder)
    # a frozen encoder's vectors are computed once; here only those of a few batches
    stages = tuple(replace(stage, frozen_dropout=stage.train == "last-linear-layer") for stage in recipe.stages)
    for index, stage in enumerate(recipe.stages):
        state, schedule = start_stage(replace(recipe, stages=stages), index, parts)
        steps = count_steps(schedule, stage)
        computed = steps if stages[index] == stage else steps / stage.epochs
        seconds += computed * time_step(run_stage(state, schedule, stage.epochs, recipe.optimizer.clip), steps)
        learning = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        lines.append(f"stage {index + 1}: {steps} steps, {learning:,} weights learn")
    size = sum(parameter.numel() for parameter in model.parameters())
    return "\n".join([*lines, f"model: {size:,} weights",
                      f"training: about {max(1, round(seconds / 60))} min on this machine (from a few steps a stage, "
                      "evaluation not counted)"])


def time_step(steps: Iterator[Step], total: int, timed: int = 6) -> float:
    """Seconds of one of `total` steps: the mean of `timed` after a first one, which warms up."""
    next(steps)
    started, count = time.perf_counter(), min(timed, total - 1)
    for _ in islice(steps, count):
        pass
    return (time.perf_counter() - started) / max(1, count)


def finish(recipe: Recipe, setting: Setting, parts: Parts, best: Best, seconds: float) -> dict:
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
    return results | {"seconds": seconds, "hardware": hardware(setting.device)}
