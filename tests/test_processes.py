"""Two processes on gloo train as one does: the same batches, gradients averaged before they are combined, one who writes."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_run import data, make_model, recipe, save_tiny_bert, tokenizer
from test_run import write_tables
from two_processes import STAGES, train

from minbert.files import MinbertError
from minbert.tensor_files import read_tensors
from multitask import processes
from multitask.epochs import StageRun
from multitask.progress import Progress, Setting
from multitask.stage import Parts

ROOT = Path(__file__).parents[1]
STEPS = 20


def start(arguments: list[str], count: int = 2, **options) -> list[subprocess.Popen]:
    """The command in so many processes, in the environment that torchrun would give them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return [subprocess.Popen([sys.executable, *arguments], env=os.environ | own | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) for rank in range(count)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """What two processes trained, kind by kind."""
    out = tmp_path_factory.mktemp("trained")
    for process in start([str(ROOT / "tests/two_processes.py"), ",".join(STAGES), str(STEPS), str(out)]):
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    return out


@pytest.mark.slow
@pytest.mark.parametrize("kind", STAGES)
def test_two_processes_take_the_steps_of_one(kind, trained):
    one, (first, second) = train(kind, STEPS), (read_tensors(trained / f"{kind}-{rank}.safetensors") for rank in (0, 1))
    assert len(one["rows"]) == STEPS
    for name, expected in one.items():
        assert torch.equal(first[name], second[name]), f"{name}: the processes have drifted apart"
        difference = (first[name] - expected).abs().max()
        assert difference <= 1e-6 * max(1.0, expected.abs().max()), \
            f"{name} is {difference} away from one process's: is every task's gradient averaged before it is combined?"


@pytest.mark.slow
def test_two_processes_with_dropout_stay_together(trained):
    first, second = (read_tensors(trained / f"dropout-{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first), "the weights have drifted apart"


def test_processes_draw_random_numbers_of_their_own_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 2)
    apart, alike = [], []
    for number in (0, 1):
        monkeypatch.setattr(processes, "number", lambda number=number: number)
        torch.manual_seed(number)
        processes.draw_apart(1, 2)
        apart.append(torch.rand(5))
        processes.draw_alike(1, 2)
        alike.append(torch.rand(5))
    assert not torch.equal(*apart), "no two processes shall have the same dropout masks"
    assert torch.equal(*alike)


def test_one_process_needs_no_others():
    assert (processes.count(), processes.number(), processes.is_first()) == (1, 0, True)
    rows = [1, 2, 3]
    assert processes.own_part(rows) == rows and processes.largest(-1) == -1
    values = torch.tensor([1.0, 2.0])
    assert processes.sum_up(values) is values
    generator = torch.get_rng_state()
    processes.draw_apart(1, 2)
    assert torch.equal(torch.get_rng_state(), generator), "one process keeps its random numbers"
    processes.wait()


@pytest.mark.parametrize("count", [2, 3])
def test_the_parts_of_a_batch_make_up_the_batch(count, monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: count)
    for size in (1, 2, 3, 7, 8):
        parts = []
        for number in range(count):
            monkeypatch.setattr(processes, "number", lambda number=number: number)
            parts.append(processes.own_part(list(range(size))))
        assert all(parts), "a process without a row would have no gradient to sum up"
        if size >= count:
            assert sorted(sum(parts, [])) == list(range(size))
        else:
            assert all(part == list(range(size)) for part in parts)


def test_processes_that_do_not_find_each_other_say_so_and_each_has_its_own_gpu(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for device in ("cuda", "cuda:1", "cpu"):
        with pytest.raises(MinbertError, match="the processes do not find each other") as caught, \
                processes.joined(torch.device(device)):
            pass
        assert "unset WORLD_SIZE" in caught.value.hint
    assert chosen == [0, 1], "sums would all go to the first GPU"


def test_the_processes_join_once(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(processes, "count", lambda: 2)
    with processes.joined(torch.device("cpu")):  # no other process is there: it would wait for it
        pass


def test_weights_that_start_at_random_are_the_same_in_all_processes(tmp_path, monkeypatch):
    some_recipe = recipe(objectives=("masked_lm",), schedule="sequential_epoch")
    setting = Setting(tmp_path, torch.device("cpu"), data(), tmp_path, {}, {}, "")
    monkeypatch.setattr(processes, "count", lambda: 2)
    heads = []
    for number in (0, 1):
        monkeypatch.setattr(processes, "number", lambda number=number: number)
        model = make_model(some_recipe)
        processes.draw_apart(7)  # as the dropout masks of the stage before
        StageRun(some_recipe, 0, Parts(model, tokenizer(), setting.data), setting, Progress())
        heads.append([weight for weight in model.pretraining.parameters() if weight.dim() > 1])
    assert heads[0] and all(torch.equal(*pair) for pair in zip(*heads, strict=True))


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("command")
    model, tables = save_tiny_bert(folder / "model"), write_tables(folder / "tables")
    return [str(ROOT / "multitask_classifier.py"), "--option", "finetune", "--model", str(model), "--data_dir", str(tables),
            "--batch_size", "4", "--set", "max_length=32", "--set", "stages.0.schedule=joint_min", "--set",
            "stages.0.combine=pcgrad"]


def steps_saved(folder: Path) -> int:
    return max((int(path.name[5:]) for path in folder.glob("last/step-*")), default=0)


def wait_for(condition, seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "this never happened"
        time.sleep(0.05)


@pytest.mark.slow
def test_torchrun_trains_and_the_first_process_alone_writes(command, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, *command, "--epochs", "2"], cwd=tmp_path, capture_output=True, text=True, timeout=240,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("dev scores of the best checkpoint") == 1 and "2 processes" in done.stdout
    assert (tmp_path / "runs/baseline/1/results.json").exists() and not (tmp_path / "runs/baseline/2").exists()
    assert len((tmp_path / "predictions/sst-dev-output.csv").read_text().splitlines()) == 10


def run_all(arguments: list[str], folder: Path, *, until=None, end=None) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of two processes; with `until`, `end` is called with them when that is true."""
    running = start(arguments, cwd=folder)
    if until:
        wait_for(until)
        end(running)
    ended = [process.communicate(timeout=120) for process in running]
    return [(process.returncode, *texts) for process, texts in zip(running, ended, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_other_and_the_run_can_go_on(victim, command, tmp_path):
    out, killed = tmp_path / "run", []

    def kill(running: list[subprocess.Popen]) -> None:
        running[victim].kill()
        killed.append(time.monotonic())

    ends = run_all([*command, "--epochs", "100000", "--set", "save_steps=5", "--out", str(out)], tmp_path,
                   until=lambda: steps_saved(out) >= 10, end=kill)
    status, _, errors = ends[1 - victim]
    assert time.monotonic() - killed[0] < 60
    assert status == 2 and "another process has ended" in errors and "Traceback" not in errors, errors
    assert "/gloo/" not in errors, "a place in torch's source tells a student nothing"
    alone = subprocess.run([sys.executable, command[0], "--resume", str(out)], cwd=tmp_path, capture_output=True, text=True)
    assert alone.returncode == 2 and "it ran in 2 processes, these are 1: begin the command with torchrun --st" in alone.stderr


@pytest.mark.slow
def test_the_single_task_classifier_trains_one_task_after_the_other(command, tmp_path):
    tables = Path(command[command.index("--data_dir") + 1])
    for split in ("train", "dev"):
        lines = (tables / f"ids-sst-{split}.csv").read_text().splitlines()
        kept = [lines[0], *(line for line in lines[1:] if line[-1] in "01")]
        (tables / f"ids-cfimdb-{split}.csv").write_text("\n".join(kept) + "\n")
    arguments = [str(ROOT / "classifier.py"), *command[1:command.index("--set")], "--set", "max_length=32", "--epochs", "1"]
    ends = run_all(arguments, tmp_path)
    assert [status for status, *_ in ends] == [0, 0], ends
    assert (tmp_path / "predictions/finetune-cfimdb-dev-out.csv").exists()


@pytest.mark.slow
def test_stopped_processes_go_on_to_the_same_bits(command, tmp_path):
    run_all([*command, "--epochs", "3", "--out", str(tmp_path / "whole")], tmp_path)
    parted = tmp_path / "parted"
    arguments = [*command, "--epochs", "3", "--set", "save_steps=1", "--out", str(parted), "--resume", "auto"]
    stopped = run_all(arguments, tmp_path, until=lambda: steps_saved(parted) >= 2,
                      end=lambda running: [process.send_signal(signal.SIGTERM) for process in running])
    assert [status for status, *_ in stopped] == [143, 143], stopped
    assert steps_saved(parted) < 12, "it was over before it was stopped: this tests nothing"
    again = run_all(arguments, tmp_path)
    assert [status for status, *_ in again] == [0, 0] and "going on after step" in again[0][1], again
    for name in ("best/model.safetensors", "best/heads.safetensors", "predictions/sts-test-output.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (parted / name).read_bytes(), name
