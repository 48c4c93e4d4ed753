"""PCGrad and Gradient Vaccine beside torchjd, and beside a transcription on the vectors that shares no line with ours."""

import math

import pytest
import torch

from optim.gradient_surgery import GradVac, pcgrad

pytestmark = pytest.mark.oracle


def gradients(count: int, seed: int, size: int = 9) -> torch.Tensor:
    return torch.randn(count, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def transcribed_pcgrad(rows: list[list[float]], orders: list[list[int]]) -> list[float]:
    """Yu et al., algorithm 1, in plain Python: every row meets the rows that its order names."""
    def dot(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    ends = []
    for row, order in zip(rows, orders, strict=True):
        for other in order:
            if dot(row, rows[other]) < 0:
                share = dot(row, rows[other]) / dot(rows[other], rows[other])
                row = [x - share * y for x, y in zip(row, rows[other], strict=True)]
        ends.append(row)
    return [sum(column) for column in zip(*ends, strict=True)]


def transcribed_vaccine(rows: list[torch.Tensor], targets: dict, beta: float, orders: list[list[int]]) -> torch.Tensor:
    """Wang et al., equations 3 and 4, through angles: g' is turned towards the other row to the target's angle."""
    ends = []
    for task, order in enumerate(orders):
        row = rows[task].clone()
        for other in order:
            target = targets.get((task, other), 0.0)
            cosine = float(torch.cosine_similarity(row, rows[other], dim=0))
            if cosine < target:
                # the law of sines in the triangle of row, what is added, and their sum
                angle, wanted = math.acos(cosine), math.acos(target)
                row = row + rows[other] * (row.norm() * math.sin(angle - wanted) / math.sin(wanted) / rows[other].norm())
                assert float(torch.cosine_similarity(row, rows[other], dim=0)) == pytest.approx(target, abs=1e-9)
            targets[task, other] = (1 - beta) * target + beta * cosine
        ends.append(row)
    return torch.stack(ends).sum(dim=0)


@pytest.mark.parametrize("visit_self", [False, True])
@pytest.mark.parametrize("merge", ["sum", "mean"])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_pcgrad_equals_the_transcription(count, merge, visit_self):
    for seed in range(40):
        grads = gradients(count, seed)
        generator = torch.Generator().manual_seed(seed)
        orders = [torch.randperm(count, generator=generator).tolist() for _ in range(count)]
        orders = [[other for other in order if visit_self or other != task] for task, order in enumerate(orders)]
        expected = torch.tensor(transcribed_pcgrad(grads.tolist(), orders), dtype=torch.float64)
        result = pcgrad(grads, torch.Generator().manual_seed(seed), visit_self=visit_self, merge=merge)
        assert torch.allclose(result, expected / (count if merge == "mean" else 1), atol=1e-12)


def test_the_vaccine_equals_the_transcription_through_angles():
    vaccine, targets = GradVac(beta=0.3), {}
    for seed in range(40):
        grads = gradients(3, seed) + gradients(1, 99)
        generator = torch.Generator().manual_seed(seed)
        orders = [torch.randperm(3, generator=generator).tolist() for _ in range(3)]
        orders = [[other for other in order if other != task] for task, order in enumerate(orders)]
        expected = transcribed_vaccine(list(grads), targets, 0.3, orders)
        assert torch.allclose(vaccine(grads, torch.Generator().manual_seed(seed)), expected, atol=1e-9)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_pcgrad_equals_torchjd(count):
    aggregation = pytest.importorskip("torchjd.aggregation")
    for seed in range(40):
        grads = gradients(count, seed)
        torch.manual_seed(seed)  # it draws its orders as we do, from the global generator
        expected = aggregation.PCGrad()(grads)
        assert torch.allclose(pcgrad(grads, torch.Generator().manual_seed(seed)), expected, atol=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_vaccine_over_many_steps_equals_torchjd(count, beta, monkeypatch):
    aggregation = pytest.importorskip("torchjd.aggregation")
    # both meet the others in rising order: ours shuffles all tasks, torchjd the others alone
    monkeypatch.setattr(torch, "randperm", lambda count, generator=None: torch.arange(count))
    ours, theirs = GradVac(beta=beta), aggregation.GradVac(beta=beta, eps=0.0)
    for seed in range(30):
        grads = gradients(count, seed) + 0.5 * gradients(1, 99)
        assert torch.allclose(ours(grads), theirs(grads), atol=1e-8)


def test_a_group_of_its_own_for_each_part_equals_torchjd_on_each_part(monkeypatch):
    aggregation = pytest.importorskip("torchjd.aggregation")
    monkeypatch.setattr(torch, "randperm", lambda count, generator=None: torch.arange(count))
    ours, theirs = GradVac(beta=0.2, groups=[4, 5]), [aggregation.GradVac(beta=0.2, eps=0.0) for _ in range(2)]
    for seed in range(20):
        grads = gradients(3, seed) + gradients(1, 99)
        parts = [one(part) for one, part in zip(theirs, grads.split([4, 5], dim=1), strict=True)]
        assert torch.allclose(ours(grads), torch.cat(parts), atol=1e-8)
