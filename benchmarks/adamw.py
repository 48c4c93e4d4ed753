"""A step of AdamW on bert-base's 110 million weights: ours beside torch's three, and a loop in the course starter's style.

All of them have the same gradients, and each its own weights and averages. Memory is measured in a process for each: the most
that it has during steps, beyond weights, gradients and averages that are there already.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.memory import keep_nothing, peak, resident, run_child
from benchmarks.peers import largest
from benchmarks.rows import Outcome, Row, cost_row
from benchmarks.setting import BERT_BASE, Setting
from benchmarks.starter import StarterAdamW
from benchmarks.timing import interleave
from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.files import MinbertError
from multitask.flags import run_command
from optim.adamw import AdamW

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "ours": AdamW,
    "torch, fused": partial(torch.optim.AdamW, fused=True),
    "torch, foreach": partial(torch.optim.AdamW, foreach=True),
    "torch, for-loop (its default on a CPU)": partial(torch.optim.AdamW, foreach=False),
    "a loop in the course starter's style": StarterAdamW,
}
OURS, FUSED, *OTHERS = OPTIMIZERS
OPTIONS = {"lr": 1e-3, "eps": 1e-8, "weight_decay": 0.01}
TOLERANCE = 1e-5  # as in tests/test_adamw.py for float32
ROUNDS = 7
ALLOWANCE = 1.0  # MB: what such a measurement is uncertain by


def measure(setting: Setting, config: BertConfig = BERT_BASE) -> Outcome:
    """Time beside all four, memory beside torch's fused. Raises MinbertError where weights come out differently."""
    resident("VmRSS")  # where memory cannot be measured nothing is timed
    shapes = find_shapes(config)
    # none is near 0, where the course's form, with its eps in another place, takes other steps
    gradients = [1e-3 * (1 + torch.rand(shape)) for shape in shapes]
    optimizers = make_optimizers(OPTIMIZERS, [0.02 * torch.randn(shape) for shape in shapes], gradients)
    same = compare_weights(optimizers, gradients)
    # the fast ones take as many steps as are about as long as one of the others
    timing = interleave({name: partial(step, optimizer, 3 if name in (OURS, FUSED) else 1)
                         for name, optimizer in optimizers.items()}, ROUNDS, warm_up=False)
    extra = {name: run_child("benchmarks.adamw", {"name": name}) for name in OPTIMIZERS}
    what = f"AdamW step, {sum(map(torch.Size.numel, shapes)) / 1e6:.1f} M weights"
    rows = (cost_row(what, FUSED, timing, OURS, FUSED, goal=1.1), memory_row(extra[OURS], extra[FUSED]),
            *(cost_row(what, name, timing, OURS, name) for name in OTHERS))
    listed = "; ".join(f"{name} {found:,.1f}" for name, found in extra.items())
    return Outcome(rows, same, (f"a step's memory beyond weights, gradients and averages, MB: {listed}",), timing.dropped,
                   timing.disturbed)


def find_shapes(config: BertConfig) -> list[torch.Size]:
    """Of the weights of a BERT of that size."""
    with torch.device("meta"):
        return [parameter.shape for parameter in BertModel(config).parameters()]


def make_optimizers(names: Iterable[str], weights: Sequence[Tensor], gradients: Sequence[Tensor]
                    ) -> dict[str, torch.optim.Optimizer]:
    """Each on weights of its own that begin as `weights`, with the gradients that all share."""
    optimizers = {}
    for name in names:
        parameters = [nn.Parameter(weight.clone()) for weight in weights]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizers[name] = OPTIMIZERS[name](parameters, **OPTIONS)
    return optimizers


def step(optimizer: torch.optim.Optimizer, count: int) -> int:
    for _ in range(count):
        optimizer.step()
    return count


@torch.no_grad()
def compare_weights(optimizers: dict[str, torch.optim.Optimizer], gradients: Sequence[Tensor]) -> str:
    """Takes three steps with all, on gradients that change. Raises MinbertError where any weights are not ours."""
    for _ in range(3):
        for optimizer in optimizers.values():
            optimizer.step()
        torch._foreach_mul_(gradients, -0.5)
    ours, *others = (optimizer.param_groups[0]["params"] for optimizer in optimizers.values())
    differences = [largest((a - b).abs().max() for a, b in zip(ours, theirs, strict=True)) for theirs in others]
    for name, difference in zip(list(optimizers)[1:], differences, strict=True):
        if not difference <= TOLERANCE:
            raise MinbertError(f"three steps of ours and of {name} leave weights that differ by {difference:.1e}, more than "
                               f"{TOLERANCE}", exit_code=1)
    return (f"after three steps our weights differ from torch's fused by at most {differences[0]:.1e}, from the others' by at "
            f"most {largest(differences[1:]):.1e}")


def memory_row(ours: float, fused: float) -> Row:
    """Both may be 0, and then a quotient means nothing: ours must not be above theirs and the allowance."""
    return Row("AdamW step, memory beyond weights, gradients and averages", f"{FUSED}, and {ALLOWANCE:g} MB",
               (ours / (fused + ALLOWANCE),), (ours,), (fused,), "MB", goal=1.0, at_most=True)


def measure_memory(arguments: list[str], config: BertConfig = BERT_BASE) -> None:
    """What a process that is measured does: prints how many MB a step takes that were not taken before."""
    weights, gradients = ([torch.full(shape, value) for shape in find_shapes(config)] for value in (0.02, 1e-3))
    keep_nothing()
    [optimizer] = make_optimizers([json.loads(arguments[0])["name"]], weights, gradients).values()
    optimizer.step()  # from the first step on there are averages
    before = resident("VmRSS")
    print(peak(optimizer.step, 2) - before)


if __name__ == "__main__":
    sys.exit(run_command(measure_memory, sys.argv[1:]))
