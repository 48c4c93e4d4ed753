"""One run: recipe -> model -> stages -> best checkpoint -> run folder."""

import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

import minbert
from minbert.files import MinbertError, check_space, error_from_os, write_text
from minbert.tokenizer import BertTokenizer
from multitask.checkpoint import build_model, load_checkpoint, save_checkpoint
from multitask.data import Example
from multitask.evaluate import predict, summarise, write_predictions
from multitask.features import augment, tag_examples
from multitask.frozen import encode_once, predict_frozen
from multitask.model import MultitaskBert
from multitask.outputs import write_outputs
from multitask.recipe import PRETRAINING, Recipe, StageRecipe, to_toml
from multitask.record import (
    EpochLog,
    append_line,
    describe_epoch,
    describe_step,
    is_better,
    main_score,
    sample_evenly,
    score_epoch,
    score_outputs,
    to_json,
    value_of,
)
from multitask.report import report_text
from multitask.stage import Parts, TaskData, count_steps, find_examples, make_objective, mean_loss, start_stage
from multitask.tables import TASKS
from multitask.train import run_stage


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
    write_text(setting.folder / "environment.json", json.dumps(environment(setting), indent=2) + "\n")
    parts = Parts(model, tokenizer, add_features(recipe, setting.data, model, tokenizer), setting.model_folder)
    best: Best | None = None
    for index in range(len(recipe.stages)):
        best = train_stage(recipe, index, parts, setting, best)
    results = finish(recipe, setting, parts, best, seconds=time.perf_counter() - started)
    write_text(setting.folder / "results.json", to_json(results, indent=2) + "\n")
    write_text(setting.folder / "report.md", report_text(recipe, results))
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
    predictors = make_predictors(stage, parts)
    some = {name: sample_evenly(find_examples(recipe, index, name, "train", parts)) for name in predictors}
    chosen = stage.select_by or recipe.select_by
    by_loss = None
    if chosen == "loss":
        by_loss = {name: make_objective(recipe, index, name, "dev", parts) for name in stage.objectives}
    stage_best, best_epoch, kept_weights, log = None, 0, None, EpochLog()
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
                outputs = {name: predictor() for name, predictor in predictors.items()}
                scores = score_epoch(outputs, parts, some)
                if by_loss:
                    scores["dev_loss"] = mean_loss(by_loss, model, state.device)
                record |= scores
                if outputs and is_better(value := value_of(scores, recipe.select_by), best and best.value):
                    best = Best(index, step.epoch, value, outputs)
                    record["best_so_far"] = True
                    save_checkpoint(setting.folder / "best", recipe, model, parts.tokenizer, setting.facts)
                if is_better(value := value_of(scores, chosen), stage_best):
                    stage_best, best_epoch = value, step.epoch
                    if stage.end_with == "best":
                        kept_weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            record["evaluation_seconds"] = time.perf_counter() - evaluated
            append_line(setting.folder / "metrics.jsonl", to_json(record))
            bar.write(describe_epoch(record))
            if stage.patience and step.epoch - best_epoch >= stage.patience:
                bar.write(f"stopped: no better {chosen} in {stage.patience} epochs")
                break
            log = EpochLog()
    if kept_weights:
        model.load_state_dict(kept_weights)
    return best


def make_predictors(stage: StageRecipe, parts: Parts) -> dict[str, Callable[[], np.ndarray]]:
    """For every task a function that gives the outputs on dev; none where a stage trains no task, since there the heads
    mean nothing yet. With a frozen encoder the dev sentences are encoded here, once."""
    if set(stage.objectives) <= set(PRETRAINING):
        return {}
    model, tokenizer = parts.model, parts.tokenizer
    predictors = {}
    for name, task in parts.data.items():
        if model.frozen:
            views = [encode_once(model, tokenizer, name, task.dev)]
            if model.tasks[name].symmetric:
                views.append(encode_once(model, tokenizer, name, [example.swapped() for example in task.dev]))
            predictors[name] = partial(predict_frozen, model, name, *views)
        else:
            predictors[name] = partial(predict, model, tokenizer, name, task.dev)
    return predictors


def describe_plan(recipe: Recipe, setting: Setting, timed_steps: int = 6) -> str:
    """The resolved recipe, each stage's steps, the model's size, and the training time, taken from
    `timed_steps` real steps after a first one."""
    torch.manual_seed(recipe.seed)
    tokenizer = BertTokenizer.from_pretrained(setting.model_folder)
    model = build_model(recipe, setting.model_folder, tokenizer).to(setting.device)
    lines, seconds = [to_toml(recipe)], 0.0
    parts = Parts(model, tokenizer, add_features(recipe, setting.data, model, tokenizer), setting.model_folder)
    for index, stage in enumerate(recipe.stages):
        state, schedule = start_stage(recipe, index, parts)
        total = count_steps(schedule, stage)
        learning = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        started = 0.0
        for count, _ in enumerate(run_stage(state, schedule, stage.epochs, recipe.optimizer.clip)):
            if count == 0:
                started = time.perf_counter()  # the first step warms up
            if count == min(timed_steps, total - 1):
                break
        seconds += total * (time.perf_counter() - started) / max(1, count)
        lines.append(f"stage {index + 1}: {total} steps, {learning:,} weights learn")
    size = sum(parameter.numel() for parameter in model.parameters())
    return "\n".join([*lines, f"model: {size:,} weights",
                      f"training: about {max(1, round(seconds / 60))} min on this machine (from a few steps a stage, "
                      "evaluation not counted)"])


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
            results[split] = {"tasks": scores, **summarise({name: main_score(score) for name, score in scores.items()}),
                              "examples": {name: len(examples[name]) for name in scores},
                              "majority": {name: majority(name, examples[name]) for name in scores}}
    return results | {"seconds": seconds, "hardware": hardware(setting.device)}


def majority(name: str, examples: list[Example]) -> float | None:
    """The accuracy of always answering the commonest label; None for a task with scores."""
    if TASKS[name].kind == "score":
        return None
    return float(np.unique([example.label for example in examples], return_counts=True)[1].max() / len(examples))


def environment(setting: Setting) -> dict:
    """Versions, device, threads, git commit, hashes of data and model."""
    commit = ""
    if shutil.which("git"):
        commit = subprocess.run(["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
                                capture_output=True, text=True, check=False).stdout.strip()
    return {"minbert": minbert.__version__, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__, "commit": commit, **hardware(setting.device), **setting.facts}


def hardware(device: torch.device) -> dict:
    cores = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cores
    return {"device": str(device), "hardware": name, "platform": platform.platform()}


