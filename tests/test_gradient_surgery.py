"""PCGrad and Gradient Vaccine: the papers' algorithms step by step as the reference, closed forms, and classic mistakes."""

import itertools
import math

import pytest
import torch

from optim.gradient_surgery import GradientRows, GradVac, draw_meetings, pcgrad, project


def matrix(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def pcgrad_as_printed(grads: torch.Tensor, generator: torch.Generator, visit_self: bool = False) -> torch.Tensor:
    """Algorithm 1 on the vectors themselves."""
    result = torch.zeros_like(grads[0])
    order = draw_meetings(len(grads), generator, visit_self)
    for task in range(len(grads)):
        projected = grads[task].clone()
        for other in [second for first, second in order if first == task]:
            product = projected @ grads[other]
            if product < 0:
                projected -= product / (grads[other] @ grads[other]) * grads[other]
        result += projected
    return result


class GradVacAsPrinted:
    """Equations 3 and 4 on the vectors themselves, one group."""

    def __init__(self, beta: float, count: int) -> None:
        self.beta, self.targets = beta, torch.zeros(count, count, dtype=torch.float64)

    def __call__(self, grads: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        order, result = draw_meetings(len(grads), generator), torch.zeros_like(grads[0])
        for task in range(len(grads)):
            turned = grads[task].clone()
            for other in [second for first, second in order if first == task]:
                phi = float(turned @ grads[other] / turned.norm() / grads[other].norm())
                target = float(self.targets[task, other])
                if phi < target:
                    turned = turned + grads[other] * turned.norm() * (
                        target * math.sqrt(1 - phi**2) - phi * math.sqrt(1 - target**2)) / (
                        grads[other].norm() * math.sqrt(1 - target**2))
                self.targets[task, other] = (1 - self.beta) * target + self.beta * phi
            result += turned
        return result


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_two_conflicting_gradients_by_hand():
    # g1' = (.5, .5), g2' = (0, 1)
    result = pcgrad(matrix((1, 0), (-1, 1)))
    assert torch.allclose(result, matrix((0.5, 1.5))[0]), \
        f"expected the SUM (.5, 1.5) of gradients projected onto the original others, got {result.tolist()}"


def test_opposite_gradients_cancel_and_agreeing_ones_are_summed_to_the_last_bit():
    assert torch.equal(pcgrad(matrix((1, 2), (-1, -2))), torch.zeros(2, dtype=torch.float64))
    torch.manual_seed(0)
    agreeing = torch.rand(3, 1000)
    assert torch.equal(pcgrad(agreeing), agreeing.sum(dim=0))


def test_the_mean_is_the_sum_over_the_number_of_tasks():
    grads = matrix((1, 0), (-1, 1))
    assert torch.allclose(pcgrad(grads, merge="mean"), matrix((0.25, 0.75))[0]), "public code's 'mean' halves the sum (.5, 1.5)"
    agreeing = matrix((1, 2), (3, 4), (5, 6))
    assert pcgrad(agreeing, merge="mean").tolist() == [3, 4]
    with pytest.raises(ValueError, match="merge 'average' is not 'sum' or 'mean'"):
        pcgrad(grads, merge="average")


# g1 . g2 and g1 . g3 < 0; off both, g1' points against g1 itself
TURNED_ROUND = matrix((math.sqrt(0.19), -0.9), (0, 1), (-math.sqrt(0.5), math.sqrt(0.5)))


def test_a_visit_to_oneself_by_hand():
    combination, products = torch.eye(3, dtype=torch.float64)[0].clone(), TURNED_ROUND @ TURNED_ROUND.T
    for other, expected in ((1, (math.sqrt(0.19), 0)), (2, (0.21794, 0.21794)), (0, (0.26204, 0.12691))):
        project(combination, products, other)
        assert torch.allclose(combination @ TURNED_ROUND, matrix(expected)[0], atol=1e-5), \
            f"task 1 after meeting task {other + 1}: each meeting is with the other's ORIGINAL gradient"


def test_only_visit_self_lets_a_task_meet_itself():
    assert (0, 0) not in draw_meetings(3, seeded(0)) and (0, 0) in draw_meetings(3, seeded(0), visit_self=True)
    assert sorted(draw_meetings(3, seeded(0), visit_self=True)) == list(itertools.product(range(3), repeat=2))
    results = [(pcgrad(TURNED_ROUND, seeded(seed)), pcgrad(TURNED_ROUND, seeded(seed), visit_self=True)) for seed in range(20)]
    assert any(not torch.allclose(paper, public) for paper, public in results), "visit_self changes nothing"
    two = torch.randn(2, 9, dtype=torch.float64, generator=seeded(0))
    assert torch.equal(pcgrad(two, seeded(1)), pcgrad(two, seeded(1), visit_self=True)), \
        "of two tasks none can end up against itself: (g1 - (g1.g2) g2 / g2.g2) . g1 >= 0"


def test_a_task_is_never_projected_off_itself():
    grads = TURNED_ROUND
    # every order in which each task can meet the two others, and no other meeting
    ends = []
    for task in range(3):
        ends.append([])
        for order in itertools.permutations([other for other in range(3) if other != task]):
            projected = grads[task].clone()
            for other in order:
                projected -= min(0.0, float(projected @ grads[other])) / (grads[other] @ grads[other]) * grads[other]
            ends[-1].append(projected)
    assert any(torch.allclose(end, matrix((0.21794, 0.21794))[0], atol=1e-5) for end in ends[0])
    possible = [sum(choice) for choice in itertools.product(*ends)]
    for seed in range(20):
        result = pcgrad(grads, seeded(seed))
        assert any(torch.allclose(result, one, atol=1e-12) for one in possible), \
            "a task met itself: g1' . g1 may be negative after two projections, and must then stay so"


@pytest.mark.parametrize("visit_self", [False, True])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_products_give_the_algorithm_as_printed(count, visit_self):
    for seed in range(50):
        grads = torch.randn(count, 7, dtype=torch.float64, generator=seeded(seed))
        expected = pcgrad_as_printed(grads, seeded(seed), visit_self)
        assert torch.allclose(pcgrad(grads, seeded(seed), visit_self=visit_self), expected, atol=1e-12)


def test_the_result_for_two_tasks_conflicts_with_neither():
    for seed in range(50):
        grads = torch.randn(2, 9, dtype=torch.float64, generator=seeded(seed))
        assert (grads @ pcgrad(grads)).min() >= -1e-12


def test_the_order_matters_and_comes_from_the_generator():
    grads = matrix((1, 0, 0), (-1, 1, 0), (-1, -1, 1), (0.5, -1, -1))
    results = [pcgrad(grads, seeded(seed)) for seed in (1, 1, 2, 3, 4)]
    assert torch.equal(results[0], results[1]) and any(not torch.allclose(results[0], other) for other in results[2:])


def test_a_gradient_of_zeros_changes_nothing():
    grads = matrix((1, 0), (-1, 1), (0, 0))
    assert torch.allclose(pcgrad(grads), pcgrad(grads[:2]))
    assert torch.isfinite(GradVac()(grads)).all()


def test_the_vaccine_reaches_its_target_exactly():
    vaccine = GradVac(beta=0.0)
    vaccine.targets_NNG = torch.full((2, 2, 1), 0.5, dtype=torch.float64)
    vaccine.targets_NNG[1, 0] = -1.0  # the second gradient is left alone
    turned = vaccine(matrix((1, 0), (0, 1))) - matrix((0, 1))[0]
    assert torch.allclose(turned, matrix((1, 0.5773502691896258))[0])
    assert torch.isclose(turned[1] / turned.norm(), torch.tensor(0.5, dtype=torch.float64))


def test_the_formula_that_a_report_prints_misses_the_target():
    # it has phi^2 instead of sqrt(1 - phi^2) and does not divide by sqrt(1 - target^2)
    g, other = torch.randn(2, 50, dtype=torch.float64, generator=seeded(0))
    phi, target = float(torch.cosine_similarity(g, other, dim=0)), 0.3
    printed = g + other * g.norm() / other.norm() * (target - phi**2 - phi * math.sqrt(1 - target**2))
    vaccine = GradVac(beta=0.0)
    vaccine.targets_NNG = torch.tensor([[[0.0], [target]], [[-1.0], [0.0]]], dtype=torch.float64)
    ours = vaccine(torch.stack([g, other])) - other
    assert phi < target and float(torch.cosine_similarity(ours, other, dim=0)) == pytest.approx(target)
    assert abs(float(torch.cosine_similarity(printed, other, dim=0)) - target) > 0.005


def test_with_targets_that_stay_at_zero_the_vaccine_is_pcgrad():
    vaccine = GradVac(beta=0.0)
    for seed in range(30):
        grads = torch.randn(3, 6, dtype=torch.float64, generator=seeded(seed))
        assert torch.allclose(vaccine(grads, seeded(seed)), pcgrad(grads, seeded(seed)), atol=1e-12)


def test_the_vaccine_over_many_steps_is_the_algorithm_as_printed():
    ours, printed = GradVac(beta=0.3), GradVacAsPrinted(0.3, 3)
    common = torch.randn(8, dtype=torch.float64, generator=seeded(7))
    for seed in range(40):
        grads = torch.randn(3, 8, dtype=torch.float64, generator=seeded(seed)) + common
        assert torch.allclose(ours(grads, seeded(seed)), printed(grads, seeded(seed)), atol=1e-10)
    assert torch.allclose(ours.targets_NNG[..., 0], printed.targets, atol=1e-12)
    assert ours.targets_NNG.max() > 0.1, "targets must rise where tasks agree: are they moved only when a gradient is corrected?"


def test_beta_one_takes_the_last_cosine_as_target():
    vaccine = GradVac(beta=1.0)
    vaccine(matrix((1, 0), (1, 1)))
    assert vaccine.targets_NNG[0, 1, 0].item() == pytest.approx(math.sqrt(0.5))


def test_groups_have_targets_of_their_own():
    grads = matrix((1, 0, 1, 0), (-1, 1, 1, 1))
    whole = torch.cat([GradVac()(grads[:, :2]), GradVac()(grads[:, 2:])])
    assert torch.allclose(GradVac(groups=[2, 2])(grads), whole)
    assert not torch.allclose(GradVac()(grads), whole)
    with pytest.raises(ValueError, match="groups of 3 parameters in all, the gradients have 4"):
        GradVac(groups=[1, 2])(grads)


def test_the_vaccines_state_goes_on_where_it_was():
    one, other = GradVac(beta=0.3), GradVac(beta=0.3)
    for seed in range(3):
        one(torch.randn(3, 5, generator=seeded(seed)), seeded(seed))
    other.load_state_dict(one.state_dict())
    grads = torch.randn(3, 5, generator=seeded(9))
    assert torch.equal(one(grads, seeded(9)), other(grads, seeded(9)))


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="beta 2 is not a number from 0 to 1"):
        GradVac(beta=2)


def test_rows_hold_each_tasks_gradient_and_give_the_combined_one_back():
    shared, other, unused = (torch.ones(2, requires_grad=True) for _ in range(3))
    rows = GradientRows([shared, other, unused], 2)
    (2 * shared).sum().backward()
    rows.take(0)
    (3 * shared + other).sum().backward()
    rows.take(1)
    assert rows.grads_NP.tolist() == [[2, 2, 0, 0, 0, 0], [3, 3, 1, 1, 0, 0]]
    rows.put(rows.grads_NP.sum(dim=0))
    assert shared.grad.tolist() == [5, 5] and other.grad.tolist() == [1, 1]
    assert unused.grad is None, "a gradient of zeros would let weight decay and old momentum move an unused parameter"


def test_every_task_draws_an_order_of_its_own():
    alike = 0
    for seed in range(200):
        meetings = draw_meetings(4, seeded(seed))
        first, second = ([other for one, other in meetings if one == task and other > 1] for task in (0, 1))
        alike += first == second
    assert 70 < alike < 130, f"tasks 1 and 2 met tasks 3 and 4 in the same order {alike} times of 200: is it one order for all?"


def test_a_task_that_stops_using_a_parameter_has_no_gradient_of_the_last_step_there():
    shared, other = (torch.ones(1, requires_grad=True) for _ in range(2))
    rows = GradientRows([shared, other], 1)
    for loss, expected in ((lambda: 2 * shared + 3 * other, [2, 3]), (lambda: 2 * shared, [2, None])):
        loss().sum().backward()
        rows.take(0)
        assert rows.grads_NP[0].tolist() == [value or 0 for value in expected], "the row still holds an earlier gradient"
        rows.put(rows.grads_NP.sum(dim=0))
        found = [parameter.grad and parameter.grad.item() for parameter in (shared, other)]
        assert found == expected, "a parameter that this step did not use must get no gradient, whatever steps before it used"
        shared.grad = other.grad = None
