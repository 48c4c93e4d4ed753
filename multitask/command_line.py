"""What the two command lines share: flags, files, data, device, and the lines that say what will run."""

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

import torch

import minbert
from minbert.files import MinbertError
from minbert.hub import Model
from minbert.tokenizer import BertTokenizer
from multitask import processes
from multitask.data import count_truncated, find_encoding, tokenise
from multitask.flags import Parser, number
from multitask.recipe import Recipe
from multitask.recipe_files import load_recipe
from multitask.stage import TaskData
from multitask.tables import SPLITS, TASKS, Table, overlap, read_table

SAMPLE_DATA = Path(__file__).parent / "sample_data"
MODES = {"pretrain": "last-linear-layer", "finetune": "full-model"}


def add_common_flags(parser: Parser) -> None:
    """The course's flags that both command lines have, and those beyond it."""
    course = parser.add_argument_group("as in the course")
    mode = course.add_mutually_exclusive_group()
    mode.add_argument("--option", choices=list(MODES),
                      help="pretrain: the encoder is frozen, only the heads learn (default, unless a --recipe "
                           "is named); finetune: all weights learn")
    mode.add_argument("--fine_tune_mode", choices=list(MODES.values()), help="the same by its newer name")
    course.add_argument("--epochs", type=number(int, 1, 100_000),
                        help="passes over the training data, in every stage (default: the recipe's)")
    course.add_argument("--lr", type=number(float, 0, 1, "low"), help="learning rate (default: the recipe's)")
    course.add_argument("--batch_size", type=number(int, 1, 100_000),
                        help="examples a step, in every stage (default: the recipe's)")
    course.add_argument("--hidden_dropout_prob", type=number(float, 0, 1, "high"),
                        help="the heads' dropout (default: the recipe's); the encoder keeps its own")
    course.add_argument("--seed", type=number(int, 0, 2**31 - 1), help="seed of everything random (default: the recipe's)")
    course.add_argument("--use_gpu", action="store_true", help="the same as --device cuda")
    beyond = parser.add_argument_group("beyond the course")
    beyond.add_argument("--model", metavar="NAME", help="a folder, a hub name or minilm (default: bert-base-uncased)")
    beyond.add_argument("--data_dir", type=Path, metavar="DIR", help="folder of the course's files (default: data)")
    beyond.add_argument("--out", type=Path, metavar="DIR", help="run folder (default: runs/RECIPE/N)")
    beyond.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
                        help="change any key of the recipe, e.g. --set stages.0.batch_size=8; may be repeated; the "
                             "flags above come before it; multitask/recipe.py has all keys")
    beyond.add_argument("--resume", metavar="RUN",
                        help="go on with the run in the folder RUN at the very step that was saved last; auto: with the newest "
                             "run of the same settings, or with --out's, and where there is none start one")
    beyond.add_argument("--time_limit", type=parse_deadline, metavar="TIME",
                        help="such as 3h, 90m or 1h30m: stop by then, with everything saved for --resume, and exit status 0")
    beyond.add_argument("--seeds", type=number(int, 1, 1000), default=1, metavar="N",
                        help="run N times with the seeds SEED, SEED + 1, ... and print mean and standard deviation")
    beyond.add_argument("--precision", choices=["fp32", "bf16"],
                        help="bf16: forward passes in bfloat16, weights in float32 (default: the recipe's)")
    beyond.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    beyond.add_argument("--debug", action="store_true", help="show the traceback of an error")


def parse_deadline(text: str) -> float:
    """The moment of time.monotonic() that lies so far ahead; an argparse type."""
    parts = re.fullmatch(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?", text)
    seconds = sum(int(part or 0) * unit for part, unit in zip(parts.groups(), (3600, 60, 1), strict=True)) if parts else 0
    if not seconds:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 3h, 90m, 45s or 1h30m")
    return time.monotonic() + seconds


def chosen_mode(flags: argparse.Namespace) -> str | None:
    return MODES.get(flags.option) or flags.fine_tune_mode


def load_with_flags(name: str, flags: argparse.Namespace, mode: str | None) -> Recipe:
    """The recipe with --set's values in place of its own, and the other flags' in place of both."""
    recipe = load_recipe(name, flags.settings)
    stages = [f"stages.{index}" for index in range(len(recipe.stages))]
    tasks = [f"tasks.{task}" for task in recipe.tasks]
    keys = {
        "train": (mode, stages), "epochs": (flags.epochs, stages), "batch_size": (flags.batch_size, stages),
        "learning_rate": (flags.lr, ["optimizer"]), "frozen_learning_rate": (flags.lr, ["optimizer"]),
        "dropout": (flags.hidden_dropout_prob, tasks),
    }
    if flags.epochs and any(stage.budget for stage in recipe.stages):
        raise MinbertError(f"--epochs {flags.epochs}: recipe {recipe.name} trains by a budget of passes for each task",
                           "--set stages.0.budget.TASK=PASSES changes it")
    keys["learning_rate"][1].extend(place for place, stage in zip(stages, recipe.stages, strict=True) if stage.learning_rate)
    given = [f"{place}.{key}={value}" for key, (value, places) in keys.items() if value is not None for place in places]
    given += [f"{key}={value}" for key, value in (("seed", flags.seed), ("precision", flags.precision)) if value is not None]
    return load_recipe(name, [*flags.settings, *given])


def find_files(tasks: Sequence[str], data_dir: Path | None, named: dict[tuple[str, str], Path]
               ) -> tuple[dict[tuple[str, str], Path], bool]:
    """(task, split) -> file, and whether the bundled samples stand in for missing files.

    Files that the user named, by flag or by --data_dir, must exist. Where neither was given and the course's training or
    dev file of any task is missing from data/, all tasks use the samples. A test file that is not there is left out.
    """
    folder = data_dir or Path("data")
    files = {(task, split): named.get((task, split), folder / TASKS[task].file_name(split))
             for task in tasks for split in SPLITS}
    needed = [key for key in files if key[1] != "test"]
    sample = data_dir is None and any(not files[key].exists() for key in needed if key not in named)
    if sample:
        for task, split in files.keys() - named.keys():
            files[task, split] = SAMPLE_DATA / TASKS[task].file_name(split)
    missing = [key for key in files if not files[key].exists() and (key in named or key in needed)]
    if missing:
        task, split = missing[0]
        what = f"no such folder: {folder}" if data_dir and not data_dir.is_dir() else f"no such file: {files[task, split]}"
        raise MinbertError(f"{what} (for {task}, {split}; paths start at {Path.cwd()})",
                           "check the path; `python -m multitask.data download` fetches the course's files")
    return {key: path for key, path in files.items() if path.exists()}, sample


def read_data(files: dict[tuple[str, str], Path], tokenizer: BertTokenizer, recipe: Recipe
              ) -> tuple[dict[str, TaskData], list[str]]:
    """Every task's examples, tokenised once, and sentences on what is odd in the files."""
    data, notes = {}, []
    for name in recipe.tasks:
        tables: dict[str, Table] = {split: read_table(files[name, split], TASKS[name], split)
                                    for split in SPLITS if (name, split) in files}
        splits = {split: tokenise(table, tokenizer, recipe.preprocess) for split, table in tables.items()}
        data[name] = TaskData(splits["train"], splits["dev"], splits.get("test"))
        notes += [warning for table in tables.values() for warning in table.warnings]
        encoding = find_encoding(recipe, name)
        for split, examples in splits.items():
            if cut := count_truncated(examples, encoding):
                notes.append(f"{name} {split}: {cut} of {len(examples)} examples ({cut / len(examples):.1%}) are cut to "
                             f"{recipe.max_length} tokens")
        if shared := overlap(tables["train"], tables["dev"]):
            notes.append(f"{name}: {shared} of {len(tables['dev'].rows)} dev texts are also in train")
    return data, notes


def choose_device(name: str, use_gpu: bool) -> torch.device:
    """The device to run on; `auto` takes a GPU if there is one. Raises MinbertError for one that is not there."""
    if use_gpu and name != "auto" and not name.startswith("cuda"):
        raise MinbertError(f"--use_gpu and --device {name} contradict each other", "drop one of them")
    if use_gpu and name == "auto":
        name = "cuda"
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and processes.local_number():
        name = f"cuda:{processes.local_number()}"  # torchrun's processes take a GPU each
    try:
        device = torch.device(name)
    except RuntimeError:
        raise MinbertError(f"--device {name!r} is not one of auto, cpu, cuda, cuda:N, mps") from None
    asked = "--use_gpu" if use_gpu else f"--device {name}"
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        why = ("this torch build is CPU-only" if torch.version.cuda is None
               else f"torch sees {torch.cuda.device_count()} GPUs")
        raise MinbertError(f"{asked} given but {why} ({torch.__version__})",
                           f"install a CUDA build of torch (see pytorch.org), or drop {asked.split()[0]}")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise MinbertError(f"{asked} given but this machine has no MPS device", "drop --device")
    if device.type not in ("cpu", "cuda", "mps"):
        raise MinbertError(f"--device {name!r} is not one of auto, cpu, cuda, cuda:N, mps")
    return device


def describe_sources(files: dict[tuple[str, str], Path]) -> str:
    """Which files are the user's and which the bundled samples."""
    samples = [f"{task} {split}" for (task, split), path in files.items() if path.parent == SAMPLE_DATA]
    if not samples:
        return "the user's files"
    return "bundled samples" + ("" if len(samples) == len(files) else f" for {', '.join(samples)}")


def header(recipe: Recipe, files: dict[tuple[str, str], Path], model: Model,
           device: torch.device, data: dict[str, TaskData]) -> list[str]:
    """What will run, in a few lines."""
    lines = [f"minBERT {minbert.__version__}: recipe {recipe.name}, "
             + ", then ".join(f"{stage.epochs} epochs of {'+'.join(stage.objectives)} ({stage.train}, "
                              f"batch {stage.batch_size}, {stage.schedule})" for stage in recipe.stages),
             f"model   {model.name}" + (f": {model.note}" if model.note else "")]
    if any(path.parent == SAMPLE_DATA for path in files.values()):
        lines.append("data    SAMPLE sentences written for this project (the course's files are not in "
                     f"{Path.cwd() / 'data'}): scores on them show that training works, and nothing about real text. "
                     "`python -m multitask.data download` gets the real files.")
    for name, task in data.items():
        sizes = f"{len(task.train)} train, {len(task.dev)} dev, {len(task.test) if task.test else 'no'} test"
        sources = dict.fromkeys("bundled sample" if path.parent == SAMPLE_DATA else str(path.parent)
                                for (task_name, _), path in files.items() if task_name == name)
        lines.append(f"data    {name}: {sizes} ({', '.join(sources)})")
    precision = {"fp32": "float32", "bf16": "bfloat16 (weights float32)"}[recipe.precision]
    several = f", {processes.count()} processes" if processes.count() > 1 else ""
    return [*lines, f"device  {device}{several}, {torch.get_num_threads()} threads, {precision}"]
