"""One run: recipe -> model -> stages -> best checkpoint -> run folder."""

import json
import math
import os
import platform
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

import minbert
from minbert.files import MinbertError, check_space, error_from_os, write_text
from minbert.tokenizer import BertTokenizer
from multitask.checkpoint import build_model, load_checkpoint, save_checkpoint
from multitask.data import Example, training_batches
from multitask.evaluate import Score, predict, score_task, summarise, write_predictions
from multitask.model import MultitaskBert
from multitask.objectives import Supervised, decode
from multitask.recipe import Recipe, StageRecipe, to_toml
from multitask.report import report_text
from multitask.schedules import Schedule, make_schedule
from multitask.state import TrainState
from multitask.tables import TASKS
from multitask.train import run_stage
from optim.adamw import AdamW, parameter_groups
from optim.gradient_surgery import GradientRows, GradVac, pcgrad
from optim.learning_rate import SCHEDULES, LearningRate

TRAIN_SAMPLE = 200  # training examples of each task that are scored at an epoch's end, to show over-fitting


@dataclass(frozen=True)
class TaskData:
    """One task's examples; `test` is None where there is no test file."""

    train: list[Example]
    dev: list[Example]
    test: list[Example] | None


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


def start_stage(recipe: Recipe, stage: StageRecipe, index: int, model: MultitaskBert, tokenizer: BertTokenizer,
                data: dict[str, TaskData]) -> tuple[TrainState, Schedule]:
    """A stage's state at its first step, and its schedule."""
    seed = 1000 * recipe.seed + index  # so that no two stages of any two seeds share an order
    model.freeze_encoder(stage.train == "last-linear-layer")
    objectives = {name: make_objective(name, seed, stage.batch_size, model, tokenizer, data)
                  for name in stage.objectives}
    schedule = make_schedule(stage, {name: len(objective.stream) for name, objective in objectives.items()}, seed)
    settings = recipe.optimizer
    optimizer = AdamW(parameter_groups(model, settings.weight_decay, settings.decay_all),
                      lr=settings.frozen_learning_rate if model.frozen else settings.learning_rate,
                      betas=settings.betas, eps=settings.eps, amsgrad=settings.amsgrad, form=settings.form)
    total = count_steps(schedule, stage)
    warmup = 0 if settings.schedule == "constant" else round(settings.warmup * total)
    factor = SCHEDULES[settings.schedule](total, warmup)
    state = TrainState(model, optimizer, LearningRate(optimizer, factor), objectives)
    if stage.combine != "sum":
        shared = dict(model.encoder.named_parameters())
        options = {"beta": stage.gradvac_beta, "groups": group_sizes(shared, stage.gradvac_groups)}
        state.combine = GradVac(**options) if stage.combine == "gradvac" else pcgrad
        state.rows = GradientRows(list(shared.values()), len(objectives))
    return state, schedule


def group_sizes(parameters: dict[str, nn.Parameter], kind: str) -> list[int] | None:
    """Gradient Vaccine's groups as parameter counts: None for the whole model, or one per module, or one per tensor."""
    if kind == "whole_model":
        return None
    owners: dict[str, int] = {}
    for name, parameter in parameters.items():
        owner = name.rpartition(".")[0] if kind == "all_layer" else name
        owners[owner] = owners.get(owner, 0) + parameter.numel()
    return list(owners.values())


def count_steps(schedule: Schedule, stage: StageRecipe) -> int:
    return sum(len(schedule(epoch)) for epoch in range(1, stage.epochs + 1))


def make_objective(name: str, seed: int, batch_size: int, model: MultitaskBert, tokenizer: BertTokenizer,
                   data: dict[str, TaskData]) -> Supervised:
    """The objective of one task's training examples."""
    stream = training_batches(data[name].train, TASKS[name], tokenizer, model.encoding(name), batch_size, seed)
    return Supervised(name, TASKS[name].kind, stream)


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
    best: Best | None = None
    for index, stage in enumerate(recipe.stages):
        best = train_stage(recipe, index, stage, model, tokenizer, setting, best)
    results = finish(recipe, setting, tokenizer, best, seconds=time.perf_counter() - started)
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


def train_stage(recipe: Recipe, index: int, stage: StageRecipe, model: MultitaskBert, tokenizer: BertTokenizer,
                setting: Setting, best: Best | None) -> Best:
    """Trains one stage, evaluates after every epoch, and keeps the best epoch's checkpoint in best/."""
    state, schedule = start_stage(recipe, stage, index, model, tokenizer, setting.data)
    steps = count_steps(schedule, stage)
    losses: dict[str, list[torch.Tensor]] = {name: [] for name in stage.objectives}
    rows, started = 0, time.perf_counter()
    with tqdm(total=steps, desc=f"stage {index + 1}/{len(recipe.stages)}", unit="step", dynamic_ncols=True) as bar:
        for step in run_stage(state, schedule, stage.epochs, recipe.optimizer.clip):
            for name, loss in step.losses.items():
                losses[name].append(loss)
            rows += step.rows
            bar.update()
            if not step.ends_epoch:
                continue
            seconds = time.perf_counter() - started
            outputs = {name: predict(model, tokenizer, name, task.dev) for name, task in setting.data.items()}
            dev = {name: score_outputs(name, outputs[name], setting.data[name].dev) for name in outputs}
            summary = summarise({name: main_score(scores) for name, scores in dev.items()})
            value = (summary | {name: main_score(scores) for name, scores in dev.items()})[recipe.select_by].value
            better = is_better(value, best)
            if better:
                best = Best(index, step.epoch, value, outputs)
                save_checkpoint(setting.folder / "best", recipe, model, tokenizer, setting.facts)
            record = {
                "stage": index + 1, "epoch": step.epoch, "steps": step.step,
                "train_loss": {name: float(torch.stack(values).mean()) for name, values in losses.items() if values},
                "train": train_scores(model, tokenizer, setting.data),
                "dev": dev, **summary, "best_so_far": better,
                "learning_rate": max(state.learning_rate.current), "seconds": seconds,
                "examples_per_second": rows / seconds, "evaluation_seconds": time.perf_counter() - started - seconds,
            }
            append_line(setting.folder / "metrics.jsonl", to_json(record))
            bar.write(describe_epoch(record))
            losses = {name: [] for name in stage.objectives}
            rows, started = 0, time.perf_counter()
    return best


def describe_plan(recipe: Recipe, setting: Setting, timed_steps: int = 6) -> str:
    """The resolved recipe, each stage's steps, the model's size, and the training time, taken from
    `timed_steps` real steps after a first one."""
    torch.manual_seed(recipe.seed)
    tokenizer = BertTokenizer.from_pretrained(setting.model_folder)
    model = build_model(recipe, setting.model_folder, tokenizer).to(setting.device)
    lines, seconds = [to_toml(recipe)], 0.0
    for index, stage in enumerate(recipe.stages):
        state, schedule = start_stage(recipe, stage, index, model, tokenizer, setting.data)
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


def is_better(value: float, best: Best | None) -> bool:
    """Whether an epoch's value makes it the best so far; anything is better than nan, which compares with nothing."""
    return best is None or math.isnan(best.value) or value > best.value


def score_outputs(name: str, outputs: np.ndarray, examples: list[Example]) -> dict[str, Score]:
    predictions = decode(TASKS[name].kind, torch.from_numpy(outputs)).numpy()
    return score_task(TASKS[name], predictions, np.array([example.label for example in examples]))


def main_score(scores: dict[str, Score]) -> Score:
    return next(iter(scores.values()))


def train_scores(model: MultitaskBert, tokenizer: BertTokenizer, data: dict[str, TaskData]) -> dict:
    """Each task's scores on its first training examples."""
    some = {name: task.train[:TRAIN_SAMPLE] for name, task in data.items()}
    return {name: score_outputs(name, predict(model, tokenizer, name, examples), examples)
            for name, examples in some.items()}


def finish(recipe: Recipe, setting: Setting, tokenizer: BertTokenizer, best: Best, seconds: float) -> dict:
    """Writes the best checkpoint's predictions for dev and test; returns the run's results."""
    results = {"recipe": recipe.name, "source": recipe.source, "seed": recipe.seed, "best_stage": best.stage + 1,
               "best_epoch": best.epoch, "select_by": recipe.select_by, "facts": setting.facts}
    model = load_checkpoint(setting.folder / "best").model.to(setting.device)
    outputs = {"dev": best.outputs, "test": {name: predict(model, tokenizer, name, task.test)
                                             for name, task in setting.data.items() if task.test}}
    for split, by_task in outputs.items():
        examples = {name: getattr(setting.data[name], split) for name in by_task}
        for name, output in by_task.items():
            ids = [example.id for example in examples[name]]
            write_predictions(setting.folder / "predictions" / f"{name}-{split}-output.csv", TASKS[name], ids, output)
            write_predictions(setting.prediction_paths[name, split], TASKS[name], ids, output)
        labelled = {name: output for name, output in by_task.items()
                    if all(example.label is not None for example in examples[name])}
        if split == "test" and labelled.keys() != by_task.keys() and labelled:
            print(f"note    test scores for {', '.join(labelled)} only: the other test files lack labels")
        if labelled:
            scores = {name: score_outputs(name, output, examples[name]) for name, output in labelled.items()}
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


def to_json(value: object, indent: int | None = None) -> str:
    """JSON with null for nan (nan is not JSON) and scores as tables."""
    def clean(item: object) -> object:
        if isinstance(item, Score):
            return clean(asdict(item))
        if isinstance(item, dict):
            return {str(key): clean(entry) for key, entry in item.items()}
        if isinstance(item, (list, tuple)):
            return [clean(entry) for entry in item]
        return None if isinstance(item, float) and not math.isfinite(item) else item

    return json.dumps(clean(value), indent=indent, allow_nan=False)


def append_line(path: Path, line: str) -> None:
    """Adds one line to a log; the file is written anew as a whole, so that it never ends in half a line."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    write_text(path, text + line + "\n")


def describe_epoch(record: dict) -> str:
    """One line on an epoch for the screen."""
    scores = "  ".join(f"{name} {main_score(scores).value:.3f} (train {main_score(record['train'][name]).value:.3f})"
                       for name, scores in record["dev"].items())
    losses = "  ".join(f"{name} {loss:.3f}" for name, loss in record["train_loss"].items())
    undefined = [name for name, scores in record["dev"].items() if math.isnan(main_score(scores).value)]
    note = f"  (undefined for {', '.join(undefined)}: predictions or labels are all the same)" if undefined else ""
    return (f"epoch {record['epoch']}: dev {scores}{note}  |  train loss {losses}  |  {record['seconds']:.0f} s, "
            f"{record['examples_per_second']:.0f} examples/s{'  *best*' if record['best_so_far'] else ''}")
