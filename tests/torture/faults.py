"""A small run in which everything draws random numbers, in processes that can be killed; and what must have come of it."""

import json
import mmap
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch._dynamo  # noqa: F401  torch imports it for its first optimizer: here it is done once, for all processes

from minbert.files import MinbertError
from multitask import progress
from multitask.progress import Setting
from multitask.recipe import BregmanRecipe, OptimizerRecipe, Recipe, StageRecipe
from multitask.run import run
from multitask.stage import TaskData
from multitask.state_files import load_state
from tests.same_run import find_difference
from tests.small_run import data, examples, recipe, save_tiny_bert
from tests.torture.child import run_in_child

TASKS = ("sst", "para", "sts")
STAGES = (  # 24 steps with dropout, three tasks at once, PCGrad, a teacher, ending with the best; then 6 of one head alone
    StageRecipe(objectives=TASKS, schedule="joint_min", epochs=8, batch_size=4, combine="pcgrad", bregman=BregmanRecipe(),
                end_with="best"),
    StageRecipe(objectives=("sst",), schedule="sequential_epoch", epochs=2, batch_size=4, train="last-linear-layer"),
)
RECIPE = replace(recipe(), stages=STAGES, save_steps=1, optimizer=OptimizerRecipe(learning_rate=3e-3))


def make_setting(folder: Path) -> Setting:
    """For a run in `folder`, with the model beside it. It is judged on what it learns from, so that it often gets better."""
    some_data = {task: TaskData(one.train, one.train, examples(task, 5, seed=7)) for task, one in data(train=12).items()}
    return Setting(folder.parent / "model", torch.device("cpu"), some_data, folder, {},
                   {"model": "tiny", "model_note": "", "data": "made up", "model_sha256": "0", "data_sha256": {}}, "torture",
                   resume=True)


def make_model(folder: Path) -> None:
    """In a process of its own: no run may profit from what this one computed."""
    _, signal = run_in_child(lambda: save_tiny_bert(folder / "model") and None)
    assert not signal


def start_run(folder: Path, prepare: Callable[[], None], some_recipe: Recipe = RECIPE) -> int:
    """The id of a new process that begins the run in `folder`, or goes on with it, after `prepare`. It ends with status 0 or
    1; what it says goes to folder.log. The process is a copy of this one (fork: not on Windows), which saves its imports."""
    child = os.fork()
    if child:
        return child
    status = 1
    with open(f"{folder}.log", "a", encoding="utf-8") as log:
        try:
            sys.stdout = sys.stderr = log
            sys.modules["matplotlib.figure"] = None  # as where it is not installed: figures take longer than all else
            torch.set_num_threads(1)
            torch.manual_seed(os.getpid())  # no two processes start with the same random numbers
            prepare()
            run(some_recipe, make_setting(folder))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            log.flush()
            os._exit(status)


def wait_for(child: int) -> int:
    """Its exit status; below 0 the number of the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def finish_run(folder: Path, prepare: Callable[[], None] = lambda: None) -> str:
    """Runs to the end; "", or how that failed."""
    status = wait_for(start_run(folder, prepare))
    if status == 0:
        return ""
    return f"going on ended with status {status}: {Path(f'{folder}.log').read_text(encoding='utf-8').strip().splitlines()[-1]}"


def note_saved(memory: mmap.mmap) -> None:
    """From here on memory[-1] is the number of steps in the state that this process saved last."""
    save_state = progress.save_state

    def noted(folder: Path, steps: int, state: dict) -> None:
        save_state(folder, steps, state)
        memory[-1] = steps
    progress.save_state = noted


def find_loss(folder: Path, memory: mmap.mmap) -> str:
    """Whether a kill took or damaged what had been saved: a sentence, or ""."""
    try:
        state, notes = load_state(folder / "last")
    except MinbertError as error:
        return str(error)
    steps = state["run"]["steps"] if state else 0
    return f"{memory[-1]} steps were saved, {steps} are left {notes}" if notes or steps < memory[-1] else ""


def judge(whole: Path, folder: Path) -> str:
    """The first thing in which a run that was broken off and went on is not like the whole one, times left out; or ""."""
    if difference := find_difference(whole, folder):
        return difference
    if leftovers := sorted(path.name for path in folder.rglob(".*.tmp")):
        return f"left behind: {', '.join(leftovers)}"
    names, others = ({path.relative_to(one) for path in one.rglob("*") if path.is_file()} for one in (whole, folder))
    if odd := sorted(map(str, names ^ others)):
        return f"only in one of the two: {', '.join(odd)}"
    for name in ("results.json", "report.md", *(path.relative_to(whole) for path in (whole / "analysis").iterdir())):
        if read_timeless(whole / name) != read_timeless(folder / name):
            return f"{name} differs"
    return ""


def read_timeless(path: Path) -> object:
    """What a file of a run says, but for its lines on time and speed."""
    text = path.read_text(encoding="utf-8")
    if path.name == "results.json":
        return json.loads(text) | {"seconds": 0}
    return [line for line in text.splitlines() if not line.startswith("- seed ") and ",seconds," not in line]
