"""Runs killed with SIGKILL, at random moments and at chosen ones: each goes on to the very bits of a run left alone."""

import mmap
import os
import random
import re
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path

from minbert import files
from multitask import epochs, progress, run, state_files
from multitask.judge import Judge
from tests.torture.faults import find_loss, finish_run, judge, make_model, note_saved, start_run, wait_for
from tests.torture.outcome import Outcome

START = "between the others, building the model or a stage"
END = "none: it had ended"
NOTED = (  # owner, its function, where a run is while it is inside it
    (run, "read_earlier", "reading what an earlier process left"),
    (run, "begin_folder", "writing the folder's first files, or mending it"),
    (epochs.StageRun, "train", "in a step"), (Judge, "score", "evaluating"),
    (progress, "save_state", "saving the state: values, manifest, renaming"),
    (state_files, "write_tensors", "saving the state: tensors"), (state_files, "drop_states", "removing an old state"),
    (epochs, "save_checkpoint", "saving best/"), (epochs, "write_text", "writing metrics.jsonl"),
    (run, "finish", "writing predictions and results"), (run, "write_report", "writing the report"),
)
PLACES = (START, *(place for _, _, place in NOTED), END)


def note_places(memory: mmap.mmap) -> None:
    """From here on the process says in memory[0], the number of one of PLACES, where it is."""
    note_saved(memory)
    for number, (owner, name, _) in enumerate(NOTED, 1):
        setattr(owner, name, note(getattr(owner, name), memory, number))


def note(function: Callable, memory: mmap.mmap, number: int) -> Callable:
    @wraps(function)
    def noted(*arguments: object, **named: object) -> object:
        before, memory[0] = memory[0], number
        try:
            return function(*arguments, **named)
        finally:
            memory[0] = before
    return noted


def kill_run(folder: Path, memory: mmap.mmap, seconds: float, place: int = 0) -> str:
    """Starts the run, or goes on with it, and kills it after some seconds; with `place`, so long after it was first seen
    there. Returns where it was. Raises RuntimeError where it ended in another way."""
    memory[0] = 0
    child = start_run(folder, partial(note_places, memory))
    while place and memory[0] != place and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        time.sleep(0.0002)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    status = wait_for(child)
    if status > 0:
        raise RuntimeError(f"the run ended with status {status}:\n{Path(f'{folder}.log').read_text(encoding='utf-8')}")
    return PLACES[memory[0]] if status else END


def measure(full: bool) -> Outcome:
    """100 runs, or 5 for CI."""
    return kill_runs(100 if full else 5)


def kill_runs(count: int) -> Outcome:
    """Each run is killed at a moment drawn from a run's whole time. Half of those that go on are killed again, and so on: within
    10 ms of entering one of NOTED, drawn evenly: many are left so quickly that the first kills miss them."""
    generator, memory, failures, first, further = random.Random(0), mmap.mmap(-1, 2), [], Counter(), Counter()
    with tempfile.TemporaryDirectory() as name:
        whole, folder = Path(name, "whole"), Path(name, "run")
        make_model(Path(name))
        seconds = min(time_run(whole), time_run(Path(name, "again")))
        for number in range(count):
            memory[-1] = 0
            first[kill_run(folder, memory, generator.uniform(0, seconds))] += 1
            fault = find_loss(folder, memory)
            while not fault and generator.random() < 0.5:
                place = generator.randrange(1, len(PLACES) - 1)
                further[kill_run(folder, memory, generator.uniform(0, 0.01), place)] += 1
                fault = find_loss(folder, memory)
            if fault := fault or finish_run(folder) or judge(whole, folder):
                failures.append(f"run {number + 1}: {fault}")
            shutil.rmtree(folder)
    details = [f"{first.total()} runs were killed at a moment drawn from the {seconds:.1f} s that an uninterrupted run takes. "
               f"Half of those that went on were killed again, and so on, {further.total()} times, within 10 ms of entering a "
               "place below, drawn evenly: many are left so quickly that the first kills seldom hit them",
               "| killed while | at a random moment | at a random place |", "|---|---|---|",
               *(f"| {place} | {first[place]} | {further[place]} |" for place in PLACES)]
    claim = ("A run killed at random moments (SIGKILL) keeps every state that was saved, goes on to the same weights, state, "
             "metrics, predictions and report, bit for bit, and leaves no temporary files.")
    return Outcome(claim, count, tuple(failures), tuple(details))


def time_run(folder: Path) -> float:
    """Seconds that an uninterrupted run takes, whose folder it leaves."""
    started = time.perf_counter()
    assert not (why := finish_run(folder)), why
    return time.perf_counter() - started


@dataclass(frozen=True)
class Point:
    """A place in the code that writes: before `action` on a path that matches, the harm is done and the process killed."""

    name: str
    action: str  # flush a written file, rename, renamed (just now), remove a folder
    path: str
    harm: Callable[[Path], None] = lambda path: None


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def remove_one_file(folder: Path) -> None:
    next(path for path in folder.iterdir() if path.is_file()).unlink()


POINTS = (
    Point("half of the state's tensors are written", "flush", r"/\.step-.*/\.state\.safetensors\.", cut_in_half),
    Point("the state's tensors are written", "renamed", r"/\.step-.*/state\.safetensors$"),
    Point("the state's manifest is written", "renamed", r"/\.step-.*/manifest\.json$"),
    Point("before the state gets its name", "rename", r"/step-\d+$"),
    Point("after the state got its name", "renamed", r"/step-\d+$"),
    Point("some files of an old state are removed", "remove", r"/step-\d+$", remove_one_file),
    Point("half of a prediction file is written", "flush", r"/predictions/\.", cut_in_half),
    Point("half of metrics.jsonl is written", "flush", r"/\.metrics\.jsonl\.", cut_in_half),
    # beyond those that were asked for
    Point("half of the state's manifest is written", "flush", r"/\.step-.*/\.manifest\.json\.", cut_in_half),
    Point("best/ is moved away, the new one not yet there", "renamed", r"/\.best\.old\.tmp$"),
    Point("the new best/ is there, the old one not yet removed", "renamed", r"/best$"),
    Point("some files of the old best/ are removed", "remove", r"/\.best\.old\.tmp$", remove_one_file),
    Point("half of results.json is written", "flush", r"/\.results\.json\.", cut_in_half),
    Point("half of report.md is written", "flush", r"/\.report\.md\.", cut_in_half),
)


def plant(memory: mmap.mmap, fatal: Point | None = None, at: int = 0) -> None:
    """Counts in memory how often each of POINTS is reached; the process dies when it reaches `fatal` for the time `at`."""
    memory[:-1] = bytes(len(memory) - 1)
    note_saved(memory)

    def strike(action: str, path: object) -> None:
        for number, point in enumerate(POINTS):
            if point.action == action and re.search(point.path, str(path)) and (action != "remove" or Path(path).exists()):
                memory[number] += 1
                if point == fatal and memory[number] == at:
                    point.harm(Path(path))
                    os.kill(os.getpid(), signal.SIGKILL)

    def rename(source: object, target: object, replace: Callable = os.replace) -> None:
        strike("rename", target)
        replace(source, target)
        strike("renamed", target)

    def flush(path: Path, flush_to_disk: Callable = files._flush_to_disk) -> None:
        strike("flush", path)
        flush_to_disk(path)

    def remove(path: Path, rmtree: Callable = shutil.rmtree, **settings: object) -> None:
        strike("remove", path)
        rmtree(path, **settings)

    os.replace, files._flush_to_disk, shutil.rmtree = rename, flush, remove


def break_at(point: Point, at: int, twice: bool, folder: Path, whole: Path, memory: mmap.mmap) -> str:
    """What went wrong, or "". Twice: the run that goes on is killed too, when it reaches the point for the first time."""
    memory[-1] = 0
    for time_reached in (at, 1) if twice else (at,):
        status = wait_for(start_run(folder, partial(plant, memory, point, time_reached)))
        if status != -signal.SIGKILL and (status or time_reached == at):  # it may not come there again
            return f"it was not killed there, but ended with status {status}"
        if lost := find_loss(folder, memory):
            return lost
    return finish_run(folder) or judge(whole, folder)


def measure_placed(full: bool) -> Outcome:
    """Each point the first, the middle and the last time it is reached, and the middle one killed twice (full); 4 of these."""
    memory, failures, details = mmap.mmap(-1, len(POINTS) + 1), [], []
    with tempfile.TemporaryDirectory() as name:
        whole, folder = Path(name, "whole"), Path(name, "run")
        make_model(Path(name))
        assert not (why := finish_run(whole, partial(plant, memory))), why
        times = [sorted({1, (reached + 1) // 2, reached} - {0}) for reached in memory[:len(POINTS)]]
        cases = [(point, at, twice) for point, some in zip(POINTS, times, strict=True)
                 for at, twice in [*((at, False) for at in some), *((at, True) for at in some[len(some) // 2:][:1])]]
        for point, at, twice in cases if full else random.Random(1).sample(cases, 4):
            place = f"{point.name}, time {at}, killed {'twice' if twice else 'once'}"
            if fault := break_at(point, at, twice, folder, whole, memory):
                failures.append(f"{place}: {fault}")
            shutil.rmtree(folder)
    for point, some in zip(POINTS, times, strict=True):
        details.append(f"{point.name}: time {', '.join(map(str, some))}")
        if not some:
            failures.append(f"{point.name}: never reached")
    claim = ("A run killed at a chosen point of its writing keeps every state that was saved and goes on to the same bits, also "
             "where it is killed at that point a second time.")
    return Outcome(claim, len(cases) if full else 4, tuple(failures), tuple(details))
