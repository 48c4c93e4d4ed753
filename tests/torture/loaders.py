"""Everything in this project that reads a file or a folder, with whole files for it to read."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import minbert
from minbert.files import verify_manifest
from minbert.tensor_files import read_tensors
from minbert.weights import load_folder, read_folder
from multitask.checkpoint import load_checkpoint, save_checkpoint
from multitask.features import read_synonyms, read_tags
from multitask.outputs import read_outputs, read_texts, write_outputs, write_texts
from multitask.predict import read_inputs
from multitask.recipe_files import load_recipe
from multitask.record import read_epochs
from multitask.run_folder import find_runs, read_run
from multitask.state_files import load_state, save_state
from multitask.tables import TASKS, read_table
from tests.small_run import make_model, recipe, save_tiny_bert, tokenizer

MODEL = ("bert/config.json", "bert/model.safetensors")
CHECKPOINT = tuple(f"best/{name}" for name in ("config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json",
                                               "heads.safetensors", "recipe.toml", "manifest.json"))


@dataclass(frozen=True)
class Loader:
    """`load` is called with the path of each of `places` in turn, when that file was changed. `any_text`: it takes any text
    for what it is, such as a user's sentences; or leaves out a last line that was torn."""

    name: str
    load: Callable[[Path], object]
    places: tuple[str, ...]
    any_text: bool = False


LOADERS = (
    Loader("minbert.BertModel.from_pretrained", lambda path: minbert.BertModel.from_pretrained(path.parent),
           (*MODEL, "bin/pytorch_model.bin", "bert/manifest.json")),
    Loader("minbert.weights.load_folder", lambda path: load_folder(path.parent), (*MODEL, "bin/pytorch_model.bin")),
    Loader("minbert.weights.read_folder", lambda path: read_folder(path.parent), (*MODEL, "bin/pytorch_model.bin")),
    Loader("minbert.weights.read_folder, words only counted", lambda path: read_folder(path.parent), ("bert/vocab.txt",), True),
    Loader("minbert.BertTokenizer.from_pretrained", lambda path: minbert.BertTokenizer.from_pretrained(path.parent),
           ("bert/vocab.txt", "bert/tokenizer_config.json")),
    Loader("minbert.BertConfig.from_json", minbert.BertConfig.from_json, ("bert/config.json",)),
    Loader("minbert.tensor_files.read_tensors", read_tensors, tuple(f"x.{end}" for end in ("safetensors", "bin", "pt", "pth"))),
    Loader("minbert.files.verify_manifest", lambda path: verify_manifest(path.parent), ("bert/manifest.json",)),
    Loader("multitask.checkpoint.load_checkpoint", lambda path: load_checkpoint(path.parent), CHECKPOINT),
    Loader("multitask.recipe_files.load_recipe", load_recipe, ("best/recipe.toml",)),
    Loader("multitask.state_files.load_state", lambda path: load_state(path.parents[1]),
           tuple(f"last/step-00000001/{name}" for name in ("state.safetensors", "state.json", "manifest.json"))),
    Loader("multitask.run_folder.read_run", lambda path: read_run(path.parent), ("run/results.json", "run/recipe.toml")),
    Loader("multitask.run_folder.find_runs", lambda path: find_runs(path.parent), ("run/results.json", "run/recipe.toml")),
    Loader("multitask.outputs.read_outputs", read_outputs, ("run/outputs.csv",)),
    Loader("multitask.outputs.read_texts", lambda path: read_texts(path, ["0"], 1), ("run/texts.csv",)),
    Loader("multitask.record.read_epochs", read_epochs, ("run/metrics.jsonl",), True),
    Loader("multitask.tables.read_table", lambda path: read_table(path, TASKS["sst"], "train"), ("data.csv",)),
    Loader("multitask.features.read_tags", read_tags, ("words.txt",)),
    Loader("multitask.features.read_synonyms", read_synonyms, ("words.txt",)),
    Loader("multitask.predict.read_inputs", lambda path: read_inputs([], path), ("words.txt",), True),
)


def make_files(folder: Path) -> None:
    """Whole files for every loader; folders that need no manifest have none, so that the files themselves are read."""
    torch.manual_seed(0)
    some_recipe = recipe()
    save_tiny_bert(folder / "bert")
    save_tiny_bert(folder / "bin")
    (folder / "bin" / "model.safetensors").unlink()
    save_checkpoint(folder / "best", some_recipe, make_model(some_recipe), tokenizer(), "")
    for name in ("bert", "bin", "best"):
        (folder / name / "manifest.json").unlink()
    save_state(folder / "last", 1, {"step": 1})
    (folder / "run").mkdir()
    score = {"value": 0.5}
    dev = {"tasks": {"sst": {"accuracy": score}}, "examples": {"sst": 1}, "overall_raw": score, "overall_normalised": score}
    (folder / "run" / "results.json").write_text(json.dumps({"recipe": "test", "facts": {}, "seconds": 1, "dev": dev}))
    (folder / "run" / "recipe.toml").write_bytes((folder / "best" / "recipe.toml").read_bytes())
    write_outputs(folder / "run" / "outputs.csv", ["0"], [1.0], np.zeros(1))
    write_texts(folder / "run" / "texts.csv", ["0"], [("a film",)])
