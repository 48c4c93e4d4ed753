"""What the two command lines share: flags, files, header, errors as one line and a hint."""

import argparse
import difflib
import os
import re
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

import minbert
from minbert.files import MinbertError, sha256
from minbert.hub import Model
from minbert.tokenizer import BertTokenizer
from multitask.data import Encoding, count_truncated, tokenise
from multitask.recipe import Recipe, load_recipe
from multitask.report import result_table
from multitask.run import Setting, TaskData, describe_plan, run
from multitask.tables import SPLITS, TASKS, Table, overlap, read_table

SAMPLE_DATA = Path(__file__).parent / "sample_data"
MODES = {"pretrain": "last-linear-layer", "finetune": "full-model"}
# Flags of the plan whose part is not built yet: refused in one line rather than ignored
NOT_BUILT = ("resume", "seeds", "time_limit", "precision")


class Parser(argparse.ArgumentParser):
    """argparse with - and _ alike in flag names, no abbreviations, the closest name for a typo, and exit status 2."""

    def __init__(self, **options) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def parse_args(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        arguments = [unify(argument) for argument in (sys.argv[1:] if arguments is None else arguments)]
        known = [option for action in self._actions for option in action.option_strings]
        for argument in arguments:
            name = argument.split("=")[0]
            if not re.match(r"--[A-Za-z]", argument) or name in known:
                continue
            if name[2:] in NOT_BUILT:
                raise MinbertError(f"{name} is not built yet in this version", f"leave {name} out")
            close = difflib.get_close_matches(name, known, 1, 0.6)
            raise MinbertError(f"unknown flag {name}", f"did you mean {close[0]}?" if close else "--help lists all flags")
        return super().parse_args(arguments)

    def error(self, message: str) -> None:
        raise MinbertError(message, f"python {self.prog} --help lists all flags")


def unify(argument: str) -> str:
    """`--fine-tune-mode=x-y` -> `--fine_tune_mode=x-y`."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    return "--" + name.replace("-", "_") + equals + value


def number(kind: type, low: float, high: float, open_ends: str = "") -> Callable[[str], float]:
    """An argparse type: a number from low to high; `open_ends` names the ends ("low", "high") that do not belong."""
    words = f"{'above' if 'low' in open_ends else 'from'} {low:g} {'and below' if 'high' in open_ends else 'to'} {high:g}"

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high or (value == low and "low" in open_ends) \
                or (value == high and "high" in open_ends):
            raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if kind is int else ''}number {words}")
        return value

    return parse


def add_common_flags(parser: Parser) -> None:
    """The course's flags that both command lines have, and those beyond it."""
    course = parser.add_argument_group("as in the course")
    mode = course.add_mutually_exclusive_group()
    mode.add_argument("--option", choices=list(MODES),
                      help="pretrain: the encoder is frozen, only the heads learn (default); finetune: all weights learn")
    mode.add_argument("--fine_tune_mode", choices=list(MODES.values()), help="the same by its newer name")
    course.add_argument("--epochs", type=number(int, 1, 100_000), help="passes over the training data")
    course.add_argument("--lr", type=number(float, 0, 1, "low"), help="learning rate")
    course.add_argument("--batch_size", type=number(int, 1, 100_000), help="examples a step")
    course.add_argument("--hidden_dropout_prob", type=number(float, 0, 1, "high"),
                        help="the heads' dropout; the encoder keeps its own")
    course.add_argument("--seed", type=number(int, 0, 2**31 - 1), help="seed of everything random")
    course.add_argument("--use_gpu", action="store_true", help="the same as --device cuda")
    beyond = parser.add_argument_group("beyond the course")
    beyond.add_argument("--model", metavar="NAME", help="a folder, a hub name or minilm (default: bert-base-uncased)")
    beyond.add_argument("--data_dir", type=Path, metavar="DIR", help="folder of the course's files (default: data)")
    beyond.add_argument("--out", type=Path, metavar="DIR", help="run folder (default: runs/RECIPE/N)")
    beyond.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
                        help="change any key of the recipe, e.g. --set stages.0.batch_size=8; may be repeated")
    beyond.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    beyond.add_argument("--debug", action="store_true", help="show the traceback of an error")


def run_command(main: Callable[[list[str]], None], arguments: list[str]) -> int:
    """Calls a command line's `main` and turns what it raises into one line, a hint and the exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    try:
        if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 10):
            raise MinbertError(f"minBERT needs torch>=2.10 (CVE-2026-24747), found {torch.__version__}",
                               "pip install -r requirements.txt")
        main(arguments)
        sys.stdout.flush()
        return 0
    except MinbertError as error:
        if "--debug" in arguments:
            traceback.print_exc()
        print(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception:
        traceback.print_exc()
        print("this is a mistake in minBERT: please report it with the lines above", file=sys.stderr)
        return 1


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
    given = [f"{place}.{key}={value}" for key, (value, places) in keys.items() if value is not None for place in places]
    given += [] if flags.seed is None else [f"seed={flags.seed}"]
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
        raise MinbertError(f"no such file: {files[missing[0]]} ({missing[0][0]}, {missing[0][1]})",
                           "python -m multitask.data download --data_dir DIR fetches the course's files")
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
        encoding = Encoding(recipe.tasks[name].encoding, recipe.tasks[name].token_types, recipe.max_length)
        for split, examples in splits.items():
            if cut := count_truncated(examples, encoding):
                notes.append(f"{name} {split}: {cut} of {len(examples)} examples ({cut / len(examples):.1%}) are cut to "
                             f"{recipe.max_length} tokens")
        if shared := overlap(tables["train"], tables["dev"]):
            notes.append(f"{name}: {shared} of {len(tables['dev'].rows)} dev texts are also in train")
    return data, notes


def choose_device(name: str, use_gpu: bool) -> torch.device:
    """The device to run on; `auto` takes a GPU if there is one. Raises MinbertError for one that is not there."""
    if use_gpu and name == "auto":
        name = "cuda"
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
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


def next_run_folder(recipe: Recipe) -> Path:
    """runs/RECIPE/N with the first N above all that are there."""
    numbers = [int(path.name) for path in Path("runs", recipe.name).glob("*") if path.name.isdigit()]
    return Path("runs", recipe.name, str(max(numbers, default=0) + 1))


def header(recipe: Recipe, files: dict[tuple[str, str], Path], sample: bool, model: Model,
           device: torch.device, data: dict[str, TaskData]) -> list[str]:
    """What will run, in a few lines."""
    lines = [f"minBERT {minbert.__version__}: recipe {recipe.name}, "
             + ", then ".join(f"{stage.epochs} epochs of {'+'.join(stage.objectives)} ({stage.train}, "
                              f"batch {stage.batch_size}, {stage.schedule})" for stage in recipe.stages),
             f"model   {model.name}" + (f": {model.note}" if model.note else "")]
    if sample:
        lines.append("data    SAMPLE sentences written for this project, not the course's data: scores on them say "
                     "that training works, and nothing about real text. Get the real files with "
                     "`python -m multitask.data download`.")
    for name, task in data.items():
        sizes = f"{len(task.train)} train, {len(task.dev)} dev, {len(task.test) if task.test else 'no'} test"
        lines.append(f"data    {name}: {sizes} ({files[name, 'train'].parent})")
    return [*lines, f"device  {device}, {torch.get_num_threads()} threads, float32"]


def train_and_report(recipe: Recipe, flags: argparse.Namespace, files: dict[tuple[str, str], Path], sample: bool,
                     model: Model, prediction_paths: dict[tuple[str, str], Path]) -> None:
    """From a recipe and found files to a trained run, said on the screen."""
    device = choose_device(flags.device, flags.use_gpu)
    tokenizer = BertTokenizer.from_pretrained(model.folder)
    data, notes = read_data(files, tokenizer, recipe)
    print("\n".join([*header(recipe, files, sample, model, device, data), *(f"note    {note}" for note in notes)]), flush=True)
    weights = next((path for path in model.folder.glob("*.safetensors")), model.folder / "pytorch_model.bin")
    facts = {"model": model.name, "model_note": model.note, "data": "bundled samples" if sample else "files",
             "model_sha256": sha256(weights),
             "data_sha256": {f"{task}-{split}": sha256(path) for (task, split), path in files.items()}}
    outputs = {key: path for key, path in prediction_paths.items() if key in files}
    setting = Setting(model.folder, device, data, flags.out or next_run_folder(recipe), outputs, facts,
                      shlex.join([sys.executable, *sys.argv]))
    if flags.dry_run:
        print(describe_plan(recipe, setting))
        return
    print(f"run     {setting.folder}", flush=True)
    try:
        results = run(recipe, setting)
    except KeyboardInterrupt:
        best = setting.folder / "best"
        print(f"\nstopped; the best checkpoint of the finished epochs is kept in {best}" if best.exists()
              else "\nstopped before an epoch was finished: there is no checkpoint yet", flush=True)
        raise
    for split in ("dev", "test"):
        if split in results:
            print(f"\n{split} scores of the best checkpoint (epoch {results['best_epoch']}, chosen on dev by "
                  f"{results['select_by']}):\n{result_table(results, split)}")
    print(f"\npredictions {', '.join(map(str, outputs.values()))}\n"
          f"run folder  {setting.folder}   ({results['seconds']:.0f} s)", flush=True)
