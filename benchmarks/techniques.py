"""What techniques cost: a step with PCGrad, Gradient Vaccine or SMART beside a plain step on the same batches."""

import torch

from benchmarks.ours import OurLoop
from benchmarks.peers import largest
from benchmarks.rows import Outcome, cost_row
from benchmarks.setting import Setting
from benchmarks.timing import interleave
from minbert.files import MinbertError
from optim.gradient_surgery import pcgrad

SETTINGS = {
    "plain": [],
    "pcgrad": ["stages.0.combine=pcgrad"],
    "gradvac": ["stages.0.combine=gradvac"],
    "smart on": ["stages.0.smart.mode=sign", "stages.0.smart.dropout=on"],
    "smart off": ["stages.0.smart.mode=sign", "stages.0.smart.dropout=off"],
}


def measure(setting: Setting) -> Outcome:
    """Joint steps on three tasks, batches of 32."""
    loops = {name: OurLoop(setting, setting.data, ["stages.0.schedule=joint_min", *settings])
             for name, settings in SETTINGS.items()}

    def steps(loop: OurLoop) -> float:
        loop.step()
        return 1.0

    timing = interleave({name: lambda loop=loop: steps(loop) for name, loop in loops.items()}, rounds=11)
    if len({loop.read for loop in loops.values()}) > 1:
        raise MinbertError("the variants did not see the same batches", exit_code=1)
    goals = {"pcgrad": ("PCGrad", 1.12), "gradvac": ("Gradient Vaccine", None),
             "smart on": ("SMART, dropout on", 2.7), "smart off": ("SMART, dropout off", 3.1)}
    rows = tuple(cost_row(f"a step with {title}", "a plain step", timing, name, "plain", goal)
                 for name, (title, goal) in goals.items())
    same = (f"the same batches in each, {loops['plain'].read:,} tokens; PCGrad's gradient differs from that of the algorithm as "
            f"printed, on random gradients in float64, by at most {printed_difference():.1e} of its length")
    work = ("by arithmetic, backward as two forwards: a plain step is 3 forwards; SMART with dropout on adds the probe (1), "
            "its backward to the perturbation alone (1) and the last pass (3): 8 / 3 = 2.67x; with dropout off a clean pass (3) "
            "comes on top: 11 / 3 = 3.67x, less what is not repeated (AdamW) and the dropout that these passes are spared")
    return Outcome(rows, same, (work,), timing.dropped, timing.disturbed)


def printed_difference() -> float:
    """Between `pcgrad`, which works on the products of the gradients, and algorithm 1 of Yu et al. 2020 on the vectors."""
    generator = torch.Generator().manual_seed(0)
    differences = []
    for tasks in (2, 3, 4, 5):
        for _ in range(20):
            grads_NP = torch.randn(tasks, 50, dtype=torch.float64, generator=generator)
            place = generator.get_state()
            ours = pcgrad(grads_NP, generator)
            generator.set_state(place)
            printed = project_as_printed(grads_NP, generator)
            differences.append((ours - printed).norm() / printed.norm())
    worst = largest(differences)
    if not worst < 1e-9:
        raise MinbertError(f"PCGrad differs from the algorithm as printed by {worst:.1e}", exit_code=1)
    return worst


def project_as_printed(grads_NP: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The paper's loop over long vectors; every task meets the others in the order that `pcgrad` draws."""
    orders = [torch.randperm(len(grads_NP), generator=generator).tolist() for _ in grads_NP]
    corrected = grads_NP.clone()
    for task, order in enumerate(orders):
        for other in order:
            product = corrected[task] @ grads_NP[other]
            if other != task and product < 0:
                corrected[task] -= product / grads_NP[other].square().sum() * grads_NP[other]
    return corrected.sum(dim=0)
