"""Several processes that train one model, each on its part of every batch, as torchrun starts them; one is the usual case.

All take the same steps with the same weights. What differs between them, gradients and losses of their parts, is summed over
all; what only one may do, writing and printing, the first does. With one process every function here leaves things as they are.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from minbert.files import MinbertError

PATIENCE = timedelta(hours=12)  # for the first, who predicts and writes alone in the end; a dead one is noticed at once
BUCKET = 2**21  # numbers that are summed up together
_alone = False


class Ended(MinbertError):
    """Another process has ended, so that this one cannot go on."""


def count() -> int:
    """How many processes work together; 1 inside `alone`."""
    return dist.get_world_size() if not _alone and dist.is_available() and dist.is_initialized() else 1


def number() -> int:
    """From 0; the first is the one that writes."""
    return dist.get_rank() if count() > 1 else 0


def is_first() -> bool:
    return number() == 0


def launcher(processes: int) -> str:
    """What one types before a program's name to start it in so many processes on one machine."""
    return "python" if processes == 1 else f"torchrun --standalone --nproc-per-node {processes}"


def local_number() -> int:
    """Which of this machine's processes this is, and so which of its GPUs it takes."""
    return int(os.environ.get("LOCAL_RANK", 0))


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Inside, the processes that torchrun started work together. Without torchrun, or inside another, nothing happens.

    To be entered once in a process's life: the second time it could meet what the others have not left yet, and wait forever.
    Raises MinbertError where the processes do not find each other, and Ended where another one has ended.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) < 2 or count() > 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device.index or 0)  # what torch.distributed uses of its own accord
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise MinbertError(f"the processes do not find each other: {reason}",
                           "start them with torchrun; for one process, unset WORLD_SIZE in the environment") from error
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(sys.stdout if is_first() else nowhere):
            yield
    except MinbertError as error:
        raise MinbertError(f"process {number()}: {error}", error.hint, error.exit_code) from error
    finally:
        dist.destroy_process_group()


def call(collective: Callable, *values: object) -> None:
    """A collective of torch.distributed. Raises Ended where it fails, for want of another process as a rule: so does everything
    here that waits, sums or compares."""
    try:
        collective(*values)
    except RuntimeError as error:  # torch has no class of its own for it on gloo
        reason = re.sub(r"^\[.*?\] ", "", str(error)).partition("\n")[0].partition(". ")[0]  # without torch's source and advice
        raise Ended(f"another process has ended: {reason}", "its own message says why; --resume goes on") from error


def wait() -> None:
    """Until all are here."""
    if count() > 1:
        call(dist.barrier)


def sum_up(values: Tensor) -> Tensor:
    """The sum over all processes, the same to the last bit in each."""
    if count() > 1:
        moved = values.cuda() if dist.get_backend() == "nccl" else values.clone()
        call(dist.all_reduce, moved)
        values = moved.to(values.device)
    return values


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Leaves in .grad the sum over all processes. Each must have the same parameters with a gradient."""
    if count() > 1:
        for together in in_buckets([parameter.grad for parameter in parameters if parameter.grad is not None]):
            joined_P = together[0].flatten() if len(together) == 1 else torch.cat([gradient.flatten() for gradient in together])
            call(dist.all_reduce, joined_P)
            for gradient, part_P in zip(together, joined_P.split([gradient.numel() for gradient in together]), strict=True):
                gradient.copy_(part_P.view_as(gradient))


def in_buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """One after the other, as many at a time as are BUCKET numbers together, or one that has more. A sum over processes has to
    wait for all of them: a hundred small ones take four times as long as ten large ones."""
    bucket, size = [], 0
    for gradient in gradients:
        if bucket and size + gradient.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.numel()
    if bucket:
        yield bucket


def largest(value: int) -> int:
    """The largest of all processes' values."""
    if count() > 1:
        moved = torch.tensor(value, device="cuda" if dist.get_backend() == "nccl" else "cpu")
        call(dist.all_reduce, moved, dist.ReduceOp.MAX)
        value = int(moved)
    return value


def own_part(rows: Sequence) -> Sequence:
    """This process's part of a batch's rows. Where there are fewer rows than processes, all of them."""
    return rows if len(rows) < count() else rows[number()::count()]


def draw_apart(*place: int) -> None:
    """Gives each process random numbers of its own, which depend on `place` alone: no two shall have the same dropout masks."""
    draw_alike(*place, number())


def draw_alike(*place: int) -> None:
    """Gives all processes the same random numbers, which depend on `place` alone: for weights that start at random."""
    if count() > 1:
        seed = 0
        for part in place:
            seed = (seed * 1_000_003 + part) % 2**63
        torch.manual_seed(seed)


@contextmanager
def alone() -> Iterator[None]:
    """Inside, this process works as if it were the only one."""
    global _alone
    _alone = True
    try:
        yield
    finally:
        _alone = False
