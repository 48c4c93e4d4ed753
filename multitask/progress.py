"""What a run is given, how far it has come, and what of that goes to last/ for a run that goes on later."""

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from minbert.files import MinbertError
from multitask import processes
from multitask.judge import Judge
from multitask.recipe import Recipe
from multitask.record import EpochLog
from multitask.stage import TaskData
from multitask.state import TrainState
from multitask.state_files import save_state


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
    paths: dict = field(default_factory=dict)  # of files and model, as environment.json keeps them for --resume
    resume: bool = False  # go on with the run in the folder, if there is one


@dataclass(frozen=True)
class Best:
    """The best epoch so far: where, its value of `select_by`, and its outputs on dev."""

    stage: int
    epoch: int
    value: float
    outputs: dict[str, np.ndarray]

    @property
    def place(self) -> tuple[int, int]:
        return self.stage, self.epoch


@dataclass
class Progress:
    """How far a run has come, beside what its stage's TrainState and Judge hold."""

    stage: int = 0
    steps: int = 0  # of the optimizer, in all stages
    best: Best | None = None
    lines: list[str] = field(default_factory=list)  # of metrics.jsonl
    started: float = field(default_factory=time.perf_counter)  # moved back by what earlier processes took
    saved: dict | None = None  # the state to go on from, until its stage has taken it over

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def state_dict(self) -> dict:
        best = self.best and asdict(self.best) | {
            "outputs": {name: torch.from_numpy(outputs) for name, outputs in self.best.outputs.items()}}
        return {"stage": self.stage, "steps": self.steps, "best": best, "lines": self.lines, "seconds": self.seconds}

    def go_on(self, state: dict) -> None:
        """Goes to the place at which a Keeper saved `state`. Takes what is for the stage out of it: nobody else shall hold that
        much memory for the rest of the run."""
        self.saved, saved = {part: state.pop(part) for part in ("train", "judge", "log")}, state["run"]
        self.stage, self.steps, self.lines = saved["stage"], saved["steps"], list(saved["lines"])
        self.started = time.perf_counter() - saved["seconds"]
        if saved["best"]:
            outputs = {name: tensor.clone().numpy() for name, tensor in saved["best"]["outputs"].items()}
            self.best = Best(**saved["best"] | {"outputs": outputs})

    def take_saved(self) -> dict | None:
        """The state that the stage is to go on from, once; None where it starts."""
        saved, self.saved = self.saved, None
        return saved


class Keeper:
    """Writes everything that the next step depends on to last/, when it is time."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe, self.folder = recipe, folder
        self.saved_at, self.cost = time.perf_counter(), 0.0

    def is_due(self, steps: int, ends_epoch: bool) -> bool:
        """Whether to save after this step; at the end of a very short epoch it would take more than a 20th of the time."""
        waited = time.perf_counter() - self.saved_at
        return (waited >= 60 * self.recipe.save_minutes or (ends_epoch and waited >= 20 * self.cost)
                or bool(self.recipe.save_steps) and steps % self.recipe.save_steps == 0)

    def save(self, progress: Progress, train: TrainState, judge: Judge, log: EpochLog) -> None:
        if not self.folder.parent.exists():
            raise MinbertError(f"the run folder {self.folder.parent} is gone", "start the run again, and let its folder be")
        started = time.perf_counter()
        save_state(self.folder, progress.steps, {
            "run": progress.state_dict(), "train": train.state_dict(), "judge": judge.state_dict(), "log": log.state_dict(),
            "threads": torch.get_num_threads(), "device": train.device.type, "processes": processes.count()})
        self.saved_at = time.perf_counter()
        self.cost = self.saved_at - started
