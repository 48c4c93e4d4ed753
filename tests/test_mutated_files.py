"""Files of an enemy or of a failing disk at every loader: no code is run, no library crashes, no error but ours."""

import ast
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minbert.bert import BertModel
from minbert.files import MinbertError, write_manifest
from minbert.tensor_files import read_tensors, write_tensors
from minbert.weights import save_model
from multitask.checkpoint import load_checkpoint, save_checkpoint
from multitask.encoders import SeparateEncoder
from multitask.model import MultitaskBert
from multitask.recipe import EncoderRecipe
from tests.small_run import VOCABULARY, config, make_model, recipe, tokenizer
from tests.torture import pickles, tensors

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for place in ("minbert", "optim", "multitask", "tools", ".") for path in (ROOT / place).glob(
    "*.py" if place == "." else "**/*.py"))
# what can run code from a file, or reads by unpickling
FORBIDDEN_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml", "jsonpickle",
                     "pandas", "runpy", "imp"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "read_pickle", "unsafe_load", "full_load", "add_safe_globals",
                   "safe_globals", "load_module", "exec_module", "torch.jit.load", "torch.hub.load", "torch.package"}
ALLOWED = {"tools/mistakes/planted.py": {"compile"}}  # the project's own source


def find_dangers(tree: ast.AST) -> set[str]:
    """Whatever in this source could run code that stands in a file."""
    dangers, safe = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            dangers |= {f"import {name}" for name in names if name.partition(".")[0] in FORBIDDEN_MODULES}
            if isinstance(node, ast.ImportFrom) and node.module in ("torch", "torch.serialization", "numpy"):
                dangers |= {f"from {node.module} import load" for alias in node.names if alias.name in ("load", "*")}
        if isinstance(node, ast.Call):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if keywords.get("weights_only") == "True":
                safe.add(node.func)
            dangers |= {"allow_pickle"} & keywords.keys()
            if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
                dangers.add(node.func.id)
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if node.attr in FORBIDDEN_CALLS - {"eval", "compile"} or name in FORBIDDEN_CALLS:  # model.eval(), re.compile()
                dangers.add(node.attr)
            if name in ("torch.load", "torch.serialization.load") and node not in safe:
                dangers.add("torch.load")
    return dangers


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_can_run_code_that_stands_in_a_file(path):
    name = path.relative_to(ROOT).as_posix()
    found = find_dangers(ast.parse(path.read_text(encoding="utf-8"))) - ALLOWED.get(name, set())
    assert not found, f"{name} uses {', '.join(sorted(found))}: a file from elsewhere could then run code"


@pytest.mark.parametrize("code", [
    "import pickle", "from pickle import loads", "import dill as d", "from joblib import load", "import yaml", "import marshal",
    "torch.load(p)", "torch.load(p, weights_only=False)", "torch.load(p, None, x)", "read = torch.load", "from torch import load",
    "torch.jit.load(p)", "np.load(p, allow_pickle=True)", "eval(t)", "exec(t)", "builtins.exec(t)", "__import__(t)",
    "torch.serialization.add_safe_globals([A])", "pd.read_pickle(p)", "loader.exec_module(m)"])
def test_the_search_for_dangers_finds_them(code):
    assert find_dangers(ast.parse(code))


def test_the_search_for_dangers_leaves_the_rest_alone():
    assert not find_dangers(ast.parse("model.eval(); re.compile(t); torch.load(p, weights_only=True); json.load(f); np.load(p)"))


fork_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork, which Windows has not")
# of TorchScript, which one of the kinds is made with
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


@fork_only
@pytest.mark.slow
def test_no_file_runs_code_when_it_is_loaded_and_each_is_one_error():
    outcome = pickles.measure(full=False)
    assert outcome.holds, "\n".join(outcome.failures)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".pt", ".pth"])
def test_a_pickle_with_code_is_called_by_its_name(tmp_path, suffix):
    for name, content in pickles.make_kinds(tmp_path / "marker", full=False).items():
        (tmp_path / f"x{suffix}").write_bytes(content)
        with pytest.raises(MinbertError) as caught:
            read_tensors(tmp_path / f"x{suffix}")
        named = "refusing: " in str(caught.value) and "pickle file" in str(caught.value)
        assert named or name in ("npz of objects", "TorchScript"), f"{name}: {caught.value}"  # zip files, but not torch's
        assert not (tmp_path / "marker").exists(), f"{name}: code in the file was run"
        assert "weights_only" not in str(caught.value), "torch's advice to read the file without care is no advice"


@fork_only
@pytest.mark.slow
def test_damaged_tensor_files_are_refused_or_read_whole_and_never_crash():
    outcome = tensors.measure(full=False)
    assert outcome.holds, "\n".join(outcome.failures)
    assert outcome.tried == 3000


def save(folder: Path, kind: str = "shared") -> Path:
    some_recipe = replace(recipe(), encoder=EncoderRecipe(kind=kind))
    model = make_model(some_recipe)
    if kind == "separate":
        torch.manual_seed(0)
        encoder = SeparateEncoder({task: BertModel(config()) for task in some_recipe.tasks})
        model = MultitaskBert(encoder, some_recipe, tokenizer().cls_id, tokenizer().sep_id)
    save_checkpoint(folder, some_recipe, model, tokenizer(), "a card")
    return folder


@pytest.mark.parametrize("kind", ["shared", "separate"])
def test_a_flipped_bit_in_any_file_of_a_checkpoint_is_seen(tmp_path, kind):
    folder = save(tmp_path / "best", kind)
    load_checkpoint(folder)
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"
             and path.parent.name not in ("1_Pooling", "2_Dense")]  # for other programs
    assert len(files) == {"shared": 9, "separate": 3 + 3 * 7}[kind]
    for path in files:
        whole = path.read_bytes()
        place = len(whole) // 3
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1:])
        with pytest.raises(MinbertError):
            load_checkpoint(folder)
        path.write_bytes(whole)
    load_checkpoint(folder)


def test_a_head_with_nan_is_refused_by_its_name(tmp_path):
    folder = save(tmp_path / "best")
    saved = read_tensors(folder / "heads.safetensors")
    name = next(iter(saved))
    write_tensors(folder / "heads.safetensors", saved | {name: torch.full_like(saved[name], torch.nan)})
    write_manifest(folder)
    with pytest.raises(MinbertError, match=f"heads.safetensors: {name} holds NaN or infinity"):
        load_checkpoint(folder)


@pytest.mark.parametrize("change", [{"num_attention_heads": 2}, {"hidden_size": 32}, {"layer_norm_eps": 1e-5}])
def test_separate_berts_of_two_models_are_refused(tmp_path, change):
    """Heads of another number have the same shapes: nothing else would show it."""
    folder = save(tmp_path / "best", "separate")
    other = replace(config(), **change)
    save_model(folder / "sts", other, BertModel(other), VOCABULARY)
    with pytest.raises(MinbertError, match="sts/config.json is not that of .*best/sst"):
        load_checkpoint(folder)
