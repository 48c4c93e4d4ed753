"""Several processes that train one model, each on its part of every batch, as torchrun starts them; one is the usual case.

All take the same steps with the same weights. What differs between them, gradients and losses of their parts, is summed over
all; what only one may do, writing and printing, the first does. With one process every function here leaves things as they are.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn

from minbert.files import MinbertError

PATIENCE = timedelta(minutes=30)  # for the others, who may be saving or evaluating; a dead one is noticed at once
_alone = False


def count() -> int:
    return dist.get_world_size() if not _alone and dist.is_available() and dist.is_initialized() else 1


def number() -> int:
    """From 0; the first is the one that writes."""
    return dist.get_rank() if count() > 1 else 0


def is_first() -> bool:
    return number() == 0


def local_number() -> int:
    """Which of this machine's processes this is, and so which of its GPUs it takes."""
    return int(os.environ.get("LOCAL_RANK", 0))


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Inside, the processes that torchrun started work together. Without torchrun nothing happens.

    Raises MinbertError, which says so, where another process has ended.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) < 2:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(sys.stdout if is_first() else nowhere):
            yield
    except MinbertError as error:
        raise MinbertError(f"process {number()}: {error}", error.hint, error.exit_code) from error
    finally:
        dist.destroy_process_group()


def call(collective: partial) -> None:
    try:
        collective()
    except RuntimeError as error:  # torch has no class of its own for it on gloo
        reason = str(error).partition("\n")[0]
        raise MinbertError(f"another process has ended: {reason}", "its own message says why; --resume goes on") from error


def wait() -> None:
    """Until all are here."""
    if count() > 1:
        call(partial(dist.barrier))


def sum_up(values: Tensor) -> Tensor:
    """The sum over all processes, the same to the last bit in each."""
    if count() > 1:
        moved = values.cuda() if dist.get_backend() == "nccl" else values.clone()
        call(partial(dist.all_reduce, moved))
        values = moved.to(values.device)
    return values


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Leaves in .grad the sum over all processes. Each must have the same parameters with a gradient."""
    if count() > 1:
        for parameter in parameters:
            if parameter.grad is not None:
                call(partial(dist.all_reduce, parameter.grad))


def any_of(flag: bool) -> bool:
    """Whether it is true in some process."""
    return bool(sum_up(torch.tensor(float(flag)))) if count() > 1 else flag


def own_part(rows: Sequence) -> Sequence:
    """This process's part of a batch's rows. Where there are fewer rows than processes, all of them."""
    return rows if len(rows) < count() else rows[number()::count()]


def draw_apart(*place: int) -> None:
    """Gives each process random numbers of its own, which depend on `place` alone: no two shall have the same dropout masks."""
    if count() > 1:
        seed = 0
        for part in (*place, number()):
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
