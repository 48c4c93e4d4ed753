"""The house rules that a program can check: which way imports go, no oracle in the model, names that tell the truth."""

import ast
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch
from small_run import data, make_model, recipe, tokenizer

from multitask import heads, targets
from multitask.recipe import OptimizerRecipe, TaskRecipe
from multitask.stage import Parts, start_stage
from multitask.tables import PREPROCESS, TASKS
from multitask.train import run_stage
from optim.learning_rate import SCHEDULES

ROOT = Path(__file__).parents[1]
# inside multitask a module imports only modules to its left
ORDER = ("closest flags tab_separated tables strict_toml recipe recipe_rules recipe_files data_check data processes batches "
         "features layers encoders targets heads model objectives word_prediction pretraining penalties schedules "
         "spare_memory word_gradient state train environment outputs evaluate results sentence_files model_card checkpoint "
         "frozen stage record conflict judge state_files interrupt failures progress run_folder predict figures maps analysis "
         "pictures report epochs resume run plan compare ensemble_rules ensemble table command_line launch effect").split()
FILES = sorted(path for package in ("minbert", "optim", "multitask") for path in (ROOT / package).glob("*.py"))


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_minbert_and_optim_know_nothing_of_tasks_and_little_of_each_other():
    for path in FILES:
        found = {name.split(".")[0] for name in imports(path)}
        if path.parent.name == "minbert":
            assert not found & {"multitask", "optim", "tests", "tools"}, path
        if path.parent.name == "optim":
            assert not found & {"multitask", "minbert", "tests", "tools"}, path


def test_inside_multitask_imports_go_one_way():
    modules = {path.stem for path in FILES if path.parent.name == "multitask"} - {"__init__"}
    assert modules == set(ORDER), "a new module needs its place in the order"
    for path in FILES:
        if path.parent.name == "multitask" and path.stem != "__init__":
            used = {name.split(".")[1] for name in imports(path) if name.startswith("multitask.")}
            assert all(ORDER.index(name) < ORDER.index(path.stem) for name in used), (path.stem, used)


@pytest.mark.parametrize("word", ["MultiheadAttention", "TransformerEncoder", r"torch\.optim\.AdamW", r"optim import AdamW",
                                  "BertTokenizerFast"])
def test_the_model_and_the_optimizer_are_written_by_hand(word):
    for path in FILES:
        if path.parent.name in ("minbert", "optim") and path.name != "__init__.py":
            code = ast.unparse(ast.parse(path.read_text(encoding="utf-8")))
            assert not re.search(word, code), f"{path} uses {word}"
            assert not {"transformers", "tokenizers"} & {name.split(".")[0] for name in imports(path)}, path


@pytest.mark.parametrize("choices, table", [
    (get_type_hints(TaskRecipe)["head"], set(heads.HEADS)),
    (get_type_hints(TaskRecipe)["features"], set(heads.FEATURES)),
    (get_type_hints(TaskRecipe)["cosine_range"], set(heads.COSINE_RANGES)),
    (get_type_hints(TaskRecipe)["target"], set(targets.TARGETS)),
    (get_type_hints(TaskRecipe)["activation"], set(heads.ACTIVATIONS)),
    (get_type_hints(OptimizerRecipe)["schedule"], {*SCHEDULES, "halve_on_rise"}),
])
def test_a_recipes_choices_are_those_that_exist(choices, table):
    assert set(get_args(choices)) == table


def test_names_carry_the_dimensions_that_the_tensors_have():
    """Watches every local variable of a few training steps whose name ends in axes such as _BTD."""
    sizes: dict[str, set] = {}
    problems = []

    def watch(frame, event, argument):
        if "/minbert/" not in frame.f_code.co_filename and "/multitask/" not in frame.f_code.co_filename:
            return None
        if event == "return":
            for name, value in frame.f_locals.items():
                axes = re.search(r"_([A-Z1]{1,5})$", name)
                if axes and isinstance(value, torch.Tensor):
                    if value.dim() != len(axes[1]):
                        problems.append(f"{name} in {frame.f_code.co_name} has shape {tuple(value.shape)}")
                    for axis, size in zip(axes[1], value.shape, strict=False):
                        if axis == "1" and size != 1:
                            problems.append(f"{name} in {frame.f_code.co_name}: axis 1 has size {size}")
                        sizes.setdefault((id(frame), axis), set()).add(size)
            for (number, axis), found in list(sizes.items()):
                if number == id(frame) and len(found) > 1:
                    problems.append(f"{frame.f_code.co_name}: axis {axis} has sizes {found}")
            for key in [key for key in sizes if key[0] == id(frame)]:
                del sizes[key]
        return watch

    some_recipe = recipe("pair")
    model = make_model(some_recipe)
    state, _ = start_stage(some_recipe, 0, Parts(model, tokenizer(), data()))
    import sys

    sys.settrace(watch)
    try:
        for _ in run_stage(state, lambda epoch: [("sst",), ("para",), ("sts",)], 1, clip=1.0):
            pass
    finally:
        sys.settrace(None)
    assert not problems, "\n".join(sorted(set(problems)))


def test_every_task_can_be_read_and_trained():
    assert set(PREPROCESS) == {"raw", "cs224n"} and {"sst", "para", "sts", "cfimdb"} <= set(TASKS)
