"""Scale: one or two processes for the same steps, and what a step costs by batch, length and number of tasks.

The processes are torchrun's, as the README starts them. They live from the first round to the last and take steps when told
to, so that rounds can be interleaved and no start is timed: `python -m benchmarks.scaling` is what each of them runs.
"""

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from benchmarks.ours import OurLoop
from benchmarks.peers import largest
from benchmarks.rows import Outcome, speed_row
from benchmarks.setting import Setting
from benchmarks.timing import Timing, interleave, own_seconds
from minbert.files import MinbertError, atomic_path
from multitask import processes
from multitask.data import Example
from multitask.figures import COLOURS, add_legend, make_figure
from multitask.flags import run_command
from multitask.stage import TaskData
from multitask.tables import TASKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUNDS = 5
TOLERANCE = 1e-5  # of a loss, between one process and two
SHARE = 0.1  # of the data: more than the steps read
BATCH = 32  # as in `baseline`; no batch is shorter
FIGURE = "cost.svg"


@dataclass(frozen=True)
class Point:
    """The sizes of a step: `tasks` batches of `batch` sentences or pairs of `length` tokens each."""

    batch: int = 16
    length: int = 32
    tasks: int = 1

    @property
    def tokens(self) -> int:
        return self.batch * self.length * self.tasks


PANELS = {"batch": tuple(Point(batch=batch) for batch in (4, 8, 16, 32, 64)),
          "length": tuple(Point(length=length) for length in (16, 32, 64, 128, 256)),
          "tasks": tuple(Point(tasks=tasks) for tasks in (1, 2, 3, 4))}
AXES = {"batch": "examples in a batch", "length": "tokens of an example", "tasks": "tasks in a joint step"}
TITLES = {"batch": "32 tokens each, one task", "length": "batch 16, one task", "tasks": "16 of each, 32 tokens each"}


def measure(setting: Setting) -> Outcome:
    """Raises MinbertError where two processes train differently from one."""
    timing, difference, megabytes = compare_processes(setting)
    if not difference <= TOLERANCE:
        raise MinbertError(f"losses in 1 and in 2 processes differ by {difference:.2g}: expected {TOLERANCE:g} at most",
                           "tests/test_processes.py looks closer")
    costs = {name: time_points(setting, points) for name, points in PANELS.items()}
    found = {name: [1000 * point.tokens / cost.rate(str(point)) for point in PANELS[name]] for name, cost in costs.items()}
    what = "training steps of `baseline` in 2 processes of 1 thread"
    rows = tuple(speed_row(what, f"1 process of {threads}", timing, "2 x 1", name, "examples/s")
                 for name, threads in (("1 x 1", "1 thread"), ("1 x 2", "2 threads")))
    timings = [timing, *costs.values()]
    return Outcome(rows, f"with dropout off, the losses of three steps from the same weights differ by {difference:.2g} at most",
                   (f"2 processes add up {megabytes:.0f} MB of gradients in each step, every weight's",
                    *describe_costs(found), draw(found, setting.figures)), sum(each.dropped for each in timings),
                   sum(each.disturbed for each in timings))


class Group:
    """Processes that train together. `cpu` is what they have used up by their last answer, in seconds."""

    def __init__(self, running: subprocess.Popen) -> None:
        self.running, self.cpu = running, 0.0

    def take_steps(self, threads: int, dropout: bool = True) -> dict:
        """A step of each task in so many threads a process; returns the losses, the number of examples and the like."""
        with suppress(BrokenPipeError):
            os.write(self.running.stdin.fileno(), f"{threads} {int(dropout)}\n".encode())
        answer = self.running.stdout.readline()
        if not answer:
            raise MinbertError("a process that was to be measured has ended", "its own message stands above")
        found = json.loads(answer)
        self.cpu = found["cpu"]
        return found


@contextmanager
def started(setting: Setting, count: int) -> Iterator[Group]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count),
               "-m", "benchmarks.scaling", str(setting.folder), *([str(setting.data_dir)] if setting.data_dir else [])]
    with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as running:
        yield Group(running)  # at the block's end their input is closed: then they end


def compare_processes(setting: Setting) -> tuple[Timing, float, float]:
    """The timing, the largest difference of a loss between one process and two, and the megabytes that the weights are."""
    with started(setting, 1) as one, started(setting, 2) as two:
        first, second = (group.take_steps(1, dropout=False) for group in (one, two))
        variants = {"1 x 1": (one, 1), "1 x 2": (one, 2), "2 x 1": (two, 1)}
        timing = interleave({name: lambda group=group, threads=threads: group.take_steps(threads)["examples"]
                             for name, (group, threads) in variants.items()}, ROUNDS,
                            own=lambda: own_seconds() + one.cpu + two.cpu)
    difference = largest(abs(a - b) for a, b in zip(first["losses"], second["losses"], strict=True))
    return timing, difference, second["megabytes"]


def serve(arguments: list[str]) -> None:
    """What a process of a group does: takes the same steps whenever a line tells it to, until there are no more lines."""
    setting = Setting(arguments[0], Path(arguments[1]) if arguments[1:] else None)
    with processes.joined(torch.device("cpu")):
        cut = {name: part.train for name, part in setting.cut(SHARE).items()}
        data = {name: TaskData(train[:len(train) // BATCH * BATCH], [], None) for name, train in cut.items()}
        loop = OurLoop(setting, data, ["stages.0.schedule=round_robin", f"stages.0.batch_size={BATCH}"])
        dropouts = {module: module.p for module in loop.model.modules() if isinstance(module, nn.Dropout)}
        while order := receive():
            torch.set_num_threads(order[0])
            for module, rate in dropouts.items():
                module.p = rate * order[1]
            for objective in loop.state.objectives.values():
                objective.stream.load_state_dict({"pass": 0, "position": 0})
            taken = list(islice(loop.steps, len(loop.state.objectives)))
            cpu = processes.sum_up(torch.tensor(time.process_time(), dtype=torch.float64))
            print(json.dumps({"losses": [float(loss) for step in taken for loss in step.losses.values()],
                              "examples": sum(step.rows for step in taken), "cpu": float(cpu),
                              "megabytes": sum(weight.nbytes for weight in loop.model.parameters()) / 1e6}), flush=True)


def receive() -> list[int]:
    """The numbers of the next line, which the first process reads for all; none where there is no line any more."""
    line = sys.stdin.readline() if processes.is_first() else ""
    threads, dropout = processes.sum_up(torch.tensor([int(part) for part in line.split()] or [0, 0])).tolist()
    return [threads, dropout] if threads else []


def time_points(setting: Setting, points: Sequence[Point]) -> Timing:
    """A training step of each size, in tokens."""
    gc.collect()  # the sizes before hold each other in circles: gigabytes
    return interleave({str(point): make_loop(setting, point).step for point in points}, ROUNDS)


def make_loop(setting: Setting, point: Point) -> OurLoop:
    """Steps of that size on real words, the same batch of each task again and again."""
    names = list(islice(TASKS, point.tasks))
    cfimdb = ["tasks.cfimdb.encoding=single"] if "cfimdb" in names else []
    settings = ["stages.0.schedule=joint_min", f"stages.0.objectives={json.dumps(names)}", f"stages.0.batch_size={point.batch}",
                f"max_length={point.length}", *cfimdb]
    ids = cycle(chain.from_iterable(example.pieces[0] for example in setting.data["sst"].train))  # real words
    data = {name: TaskData([cut_example(name, ids, point.length) for _ in range(point.batch)], [], None) for name in names}
    return OurLoop(setting, data, settings)


def cut_example(task: str, ids: Iterator[int], length: int) -> Example:
    """An example of exactly `length` tokens, [CLS] and [SEP] included, made of the next `ids`."""
    texts = len(TASKS[task].texts)
    words = length - 1 - texts  # [CLS], and a [SEP] behind each text
    sizes = [words // texts + (place < words % texts) for place in range(texts)]
    return Example("", ("",) * texts, TASKS[task].low, tuple(list(islice(ids, size)) for size in sizes))


def describe_costs(found: dict[str, list[float]]) -> list[str]:
    """A table: the size of a step, its milliseconds, and those of a token."""
    lines = ["What a training step costs, dropout and AdamW included, when one of its sizes changes:",
             "| batch | tokens of each | tasks | tokens of a step | ms per step | ms per token |", "|---|---|---|---|---|---|"]
    for name, costs in found.items():
        for point, cost in zip(PANELS[name], costs, strict=True):
            sizes = " | ".join(f"**{getattr(point, size)}**" if size == name else str(getattr(point, size)) for size in AXES)
            lines.append(f"| {sizes} | {point.tokens} | {cost:.0f} | {cost / point.tokens:.2f} |")
    return lines


def draw(found: dict[str, list[float]], folder: Path) -> str:
    """Writes the figure into the folder; returns the line that links it, or that says what is missing."""
    try:
        figure = make_cost_figure(found)
    except MinbertError as error:
        return f"no figure of this was drawn: {error.message}"
    save_svg(figure, folder / FIGURE)
    return f"![What a training step costs by batch, length and number of tasks]({folder.name}/{FIGURE})"


def make_cost_figure(found: dict[str, list[float]]) -> "Figure":
    """A panel for each size: milliseconds of a step on the left, of a token on the right."""
    each = {name: [cost / point.tokens for cost, point in zip(costs, PANELS[name], strict=True)] for name, costs in found.items()}
    figure, axes = make_figure(len(found), size=(3.9, 3.6))
    shown = {}
    for panel, name in zip(axes, found, strict=True):
        sizes = [getattr(point, name) for point in PANELS[name]]
        right = panel.twinx()
        right.spines["top"].set_visible(False)
        for side, values, top, look, colour, label in (
                (panel, found[name], max(found[name]), "-o", COLOURS[0], "ms per step"),
                (right, each[name], max(map(max, each.values())), "--s", COLOURS[1], "ms per token (right)")):
            [shown[label]] = side.plot(sizes, values, look, color=colour, linewidth=1.8, markersize=5)
            side.set_ylim(0, 1.15 * top)
            side.tick_params(axis="y", colors=colour)
        panel.set_xlim(0, 1.05 * sizes[-1])
        panel.set_xticks([0, *(size for size in sizes if size >= sizes[-1] / 4)])  # the smaller ones' numbers would touch
        panel.set(xlabel=AXES[name], title=TITLES[name])
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("ms per step", color=COLOURS[0])
    right.set_ylabel("ms per token", color=COLOURS[1])
    add_legend(figure, shown)
    return figure


def save_svg(figure: "Figure", path: Path) -> None:
    """The same bytes for the same figure: no date, no version, no names drawn at random."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": path.stem}), atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))


if __name__ == "__main__":
    sys.exit(run_command(serve, sys.argv[1:]))
