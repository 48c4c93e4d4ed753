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


@pytest.mark.exercise("7.4")
def test_two_conflicting_gradients_by_hand():
    # g1' = (.5, .5), g2' = (0, 1)
    result = pcgrad(matrix((1, 0), (-1, 1)))
    assert torch.allclose(result, matrix((0.5, 1.5))[0]), \
        f"expected the SUM (.5, 1.5) of gradients projected off the original others where they conflict, got {result.tolist()}"


@pytest.mark.exercise("7.4")
def test_one_projection_by_hand():
    # g1 = (2, 0), g2 = (-4, 4): g1 . g2 = -8, |g2|^2 = 32, g1' = g1 + g2 / 4 = (1, 1)
    grads = matrix((2, 0), (-4, 4))
    combination = matrix((1, 0))[0]
    project(combination, grads @ grads.T, 1)
    found = (combination @ grads).tolist()
    assert found != [2, 0], "nothing happened: gradients with a negative product conflict, and combination_N is changed in place"
    assert found != pytest.approx([3, -1]), "the sign: subtract the projection, which is negative here; this adds to the conflict"
    assert found != pytest.approx([2 - 32**0.5, 32**0.5]), "divide by the square of the length of g_other, not by its length"
    assert found != pytest.approx([-6, 8]), "divide by the square of the norm of the other's gradient, not of g' itself"
    assert found == pytest.approx([1, 1]), f"expected g' - (g' . g2) / |g2|^2 g2 = (1, 1), got {found}"


@pytest.mark.exercise("7.4")
def test_gradients_that_agree_are_left_alone():
    grads = matrix((2, 0), (4, 4), (0, 3))
    for other in (1, 2):
        combination = matrix((1, 0, 0))[0]
        project(combination, grads @ grads.T, other)
        assert combination.tolist() == [1, 0, 0], \
            "gradients that agree, or stand at right angles, were projected: only a negative product is a conflict"


@pytest.mark.exercise("7.4")
def test_a_conflict_is_looked_for_in_the_gradient_as_it_is_by_now():
    turned = matrix((1, 1))[0]  # g1 off g2, which may conflict with g3 where g1 does not, and the other way round
    for third in (matrix((0.5, -3))[0], matrix((-1, 2))[0]):
        grads = torch.stack([*matrix((2, 0), (-4, 4)), third])
        combination = matrix((1, 0, 0))[0]
        for other in (1, 2):
            project(combination, grads @ grads.T, other)
        expected = turned - min(0.0, float(turned @ third)) / (third @ third) * third
        assert torch.allclose(combination @ grads, expected, atol=1e-10), \
            "whether g' conflicts with g_other goes by g' as it is projected so far, not by the task's first gradient"


def test_the_gradients_that_are_given_stay_as_they_are():
    grads = matrix((1, 0), (-1, 1), (0, -1))
    before = grads.clone()
    pcgrad(grads, seeded(0))
    GradVac()(grads, seeded(0))
    assert torch.equal(grads, before), "the gradients that were given are changed: project copies, the loop reads them again"


@pytest.mark.exercise("7.4")
def test_opposite_gradients_cancel_and_agreeing_ones_are_summed():
    assert pcgrad(matrix((1, 2), (-1, -2))).abs().max() < 1e-12
    agreeing = torch.rand(3, 1000, dtype=torch.float64, generator=seeded(0))
    assert torch.allclose(pcgrad(agreeing), agreeing.sum(dim=0), rtol=0, atol=1e-12), \
        "where no gradients conflict, nothing is projected: the result is their plain sum"


def test_without_a_conflict_the_result_is_the_sum_to_the_last_bit():
    agreeing = torch.rand(3, 1000, generator=seeded(0))
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


@pytest.mark.exercise("7.4")
def test_a_visit_to_oneself_by_hand():
    combination, products = torch.eye(3, dtype=torch.float64)[0].clone(), TURNED_ROUND @ TURNED_ROUND.T
    for other, expected in ((1, (math.sqrt(0.19), 0)), (2, (0.21794, 0.21794)), (0, (0.26204, 0.12691))):
        project(combination, products, other)
        assert torch.allclose(combination @ TURNED_ROUND, matrix(expected)[0], atol=1e-5), \
            f"task 1 after meeting task {other + 1}: each meeting is with the other's ORIGINAL gradient"


def test_only_visit_self_lets_a_task_meet_itself():
    assert (0, 0) not in draw_meetings(3, seeded(0)), "a task meets itself: the paper's j is never i"
    assert (0, 0) in draw_meetings(3, seeded(0), visit_self=True)
    assert sorted(draw_meetings(3, seeded(0), visit_self=True)) == list(itertools.product(range(3), repeat=2))
    results = [(pcgrad(TURNED_ROUND, seeded(seed)), pcgrad(TURNED_ROUND, seeded(seed), visit_self=True)) for seed in range(20)]
    assert any(not torch.allclose(paper, public) for paper, public in results), "visit_self changes nothing"
    two = torch.randn(2, 9, dtype=torch.float64, generator=seeded(0))
    assert torch.equal(pcgrad(two, seeded(1)), pcgrad(two, seeded(1), visit_self=True)), \
        "of two tasks none can end up against itself: (g1 - (g1.g2) g2 / g2.g2) . g1 >= 0"


def every_result(grads: torch.Tensor, visit_self: bool = False) -> list[torch.Tensor]:
    """What algorithm 1 may give: one result for every order in which every task can meet the others."""
    ends = []
    for task in range(len(grads)):
        ends.append([])
        for order in itertools.permutations([other for other in range(len(grads)) if visit_self or other != task]):
            projected = grads[task].clone()
            for other in order:
                projected -= min(0.0, float(projected @ grads[other])) / (grads[other] @ grads[other]) * grads[other]
            ends[-1].append(projected)
    return [sum(choice) for choice in itertools.product(*ends)]


@pytest.mark.exercise("7.4")
@pytest.mark.parametrize("visit_self", [False, True])
def test_the_result_is_that_of_the_algorithm_in_some_order(visit_self):
    for seed in range(20):
        grads = torch.randn(3, 7, dtype=torch.float64, generator=seeded(seed))
        result = pcgrad(grads, seeded(seed), visit_self=visit_self)
        assert any(torch.allclose(result, one, atol=1e-10) for one in every_result(grads, visit_self)), \
            "no order of the meetings gives this result: each task's gradient, as projected so far, is projected onto the " \
            "ORIGINAL gradients of the others, and the results are summed"


def test_a_task_is_never_projected_off_itself():
    possible, with_itself = every_result(TURNED_ROUND), every_result(TURNED_ROUND, visit_self=True)
    assert not all(any(torch.allclose(one, other) for other in possible) for one in with_itself), "the example shows nothing"
    for seed in range(20):
        result = pcgrad(TURNED_ROUND, seeded(seed))
        assert any(torch.allclose(result, one, atol=1e-12) for one in possible), \
            "a task met itself: g1' . g1 may be negative after two projections, and must then stay so"


@pytest.mark.parametrize("visit_self", [False, True])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_products_give_the_algorithm_as_printed(count, visit_self):
    for seed in range(50):
        grads = torch.randn(count, 7, dtype=torch.float64, generator=seeded(seed))
        expected = pcgrad_as_printed(grads, seeded(seed), visit_self)
        assert torch.allclose(pcgrad(grads, seeded(seed), visit_self=visit_self), expected, atol=1e-10), \
            "another sum than algorithm 1's: is each task projected off the ORIGINAL gradients of the others, one by one?"


@pytest.mark.exercise("7.4")
def test_the_result_for_two_tasks_conflicts_with_neither():
    for seed in range(50):
        grads = torch.randn(2, 9, dtype=torch.float64, generator=seeded(seed))
        assert (grads @ pcgrad(grads)).min() >= -1e-10, "with two tasks the projected sum conflicts with neither gradient"


def test_the_order_matters_and_comes_from_the_generator():
    grads = matrix((1, 0, 0), (-1, 1, 0), (-1, -1, 1), (0.5, -1, -1))
    results = [pcgrad(grads, seeded(seed)) for seed in (1, 1, 2, 3, 4)]
    assert torch.equal(results[0], results[1]), "the same generator must give the same order"
    assert any(not torch.allclose(results[0], other) for other in results[2:]), \
        "every seed gives the same result: the others are met in a fixed order, not in a random order"


@pytest.mark.exercise("7.4")
def test_a_gradient_of_zeros_changes_nothing():
    grads = matrix((1, 0), (-1, 1), (0, 0))
    assert torch.allclose(pcgrad(grads), pcgrad(grads[:2])), "a gradient of length 0 conflicts with nothing: is it divided by 0?"


@pytest.mark.exercise("7.5")
def test_a_gradient_of_zeros_has_no_cosine():
    for grads in (matrix((1, 0), (0, 0)), matrix((0, 0), (1, 0)), matrix((1, 0), (-1, 1), (0, 0))):
        vaccine = GradVac(beta=0.5)
        try:
            result = vaccine(grads, seeded(0))
        except (ZeroDivisionError, ValueError):
            pytest.fail("a gradient of length 0 has no cosine: nothing happens, and nothing is divided by its length")
        zero = [task for task in range(len(grads)) if not grads[task].any()]
        assert torch.isfinite(result).all() and not vaccine.targets_NNG[zero].any(), "a gradient of length 0 moves no target"


@pytest.mark.exercise("7.5")
def test_the_cosine_of_parallel_gradients_stays_a_cosine():
    for seed in range(300):  # rounding makes some of these cosines 1.0000000000000002
        row = torch.randn(1, 7, dtype=torch.float64, generator=seeded(seed))
        for factor in (3.0, -3.0):
            grads = torch.cat([row, factor * row])
            vaccine = GradVac(beta=0.0)
            vaccine.targets_NNG = torch.tensor([[[0.0], [0.5]], [[0.5], [0.0]]], dtype=torch.float64)
            try:
                vaccine(grads, seeded(0))
            except ValueError:
                pytest.fail("sqrt(1 - cosine^2) of a cosine that rounding has taken beyond -1 or 1: clamp it")
            assert not vaccine.targets_NNG.isnan().any()


@pytest.mark.exercise("7.5")
def test_a_target_of_1_can_be_reached_and_left():
    vaccine = GradVac(beta=1.0)
    vaccine(matrix((1, 0), (2, 0)), seeded(0))  # cosine 1 becomes the target
    try:
        result = vaccine(matrix((1, 0), (0, 1)), seeded(0))
    except (ZeroDivisionError, ValueError):
        pytest.fail("a target of 1 divides by sqrt(1 - target^2) = 0: keep targets a little below 1")
    assert torch.isfinite(result).all(), "a target of 1 divides by sqrt(1 - target^2) = 0: keep targets a little below 1"


@pytest.mark.exercise("7.5")
def test_the_vaccine_reaches_its_target_exactly():
    vaccine = GradVac(beta=0.0)
    vaccine.targets_NNG = torch.full((2, 2, 1), 0.5, dtype=torch.float64)
    vaccine.targets_NNG[1, 0] = -1.0  # the second gradient is left alone
    turned = vaccine(matrix((1, 0), (0, 1))) - matrix((0, 1))[0]
    assert not torch.equal(turned, matrix((1, 0))[0]), \
        "a cosine of 0 is below the target of .5: the gradient is to be turned, although the two do not conflict"
    assert torch.isclose(turned[1] / turned.norm(), torch.tensor(0.5, dtype=torch.float64)), (
        f"the cosine must reach the target of .5 exactly, got {turned[1] / turned.norm():.4f}: the target times "
        "sqrt(1 - cosine^2) less the cosine times sqrt(1 - target^2), over sqrt(1 - target^2)")
    assert torch.allclose(turned, matrix((1, 0.5773502691896258))[0])


@pytest.mark.exercise("7.5")
@pytest.mark.parametrize("size", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("cosine", [-0.8, -0.1, 0.3, 0.59])
def test_the_vaccine_turns_gradients_of_any_length_from_any_cosine(size, cosine):
    vaccine = GradVac(beta=0.0)
    vaccine.targets_NNG = torch.tensor([[[0.0], [0.6]], [[-1.0], [0.0]]], dtype=torch.float64)
    grads = matrix((size * cosine, size * math.sqrt(1 - cosine**2)), (2, 0))
    turned = vaccine(grads) - grads[1]
    found = float(turned[0] / turned.norm())
    assert found == pytest.approx(0.6, abs=1e-9), (
        f"from cosine {cosine} the cosine becomes {found:.4f}, not the target .6, for a gradient of length {size}: are its "
        "length, sqrt(1 - cosine^2) and sqrt(1 - target^2) each at their place?")


@pytest.mark.exercise("7.5")
def test_gradients_above_their_target_are_left_alone():
    vaccine = GradVac(beta=0.0)
    vaccine.targets_NNG = torch.full((2, 2, 1), 0.5, dtype=torch.float64)
    grads = matrix((1, 0.2), (1, 0))
    assert torch.allclose(vaccine(grads), grads.sum(dim=0)), "only a cosine below its target is lifted, not one above it"


@pytest.mark.exercise("7.5")
def test_targets_move_with_every_measured_cosine():
    vaccine = GradVac(beta=0.25)
    vaccine(matrix((1, 0), (1, 1)))
    risen = vaccine.targets_NNG[0, 1, 0].item()
    assert risen != 0, "targets must move at every step, also where no gradient is corrected: are they moved only when one is?"
    assert risen == pytest.approx(0.25 * math.sqrt(0.5)), "the target moves by beta: (1 - beta) target + beta cosine"
    vaccine = GradVac(beta=0.25)
    vaccine.targets_NNG = torch.tensor([[[0.0], [0.4]], [[0.4], [0.0]]], dtype=torch.float64)
    vaccine(matrix((1, 0), (0, 1)))
    assert vaccine.targets_NNG[0, 1, 0].item() == pytest.approx(0.75 * 0.4), \
        "the target moves towards the cosine measured BEFORE the correction, which is 0 here"


@pytest.mark.exercise("7.5")
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


@pytest.mark.exercise("7.5")
def test_with_targets_that_stay_at_zero_the_vaccine_is_pcgrad():
    vaccine = GradVac(beta=0.0)
    for seed in range(30):
        grads = torch.randn(3, 6, dtype=torch.float64, generator=seeded(seed))
        assert torch.allclose(vaccine(grads, seeded(seed)), pcgrad(grads, seeded(seed)), atol=1e-12)


@pytest.mark.exercise("7.5")
def test_the_vaccine_over_many_steps_is_the_algorithm_as_printed():
    ours, printed = GradVac(beta=0.3), GradVacAsPrinted(0.3, 3)
    common = torch.randn(8, dtype=torch.float64, generator=seeded(7))
    for seed in range(40):
        grads = torch.randn(3, 8, dtype=torch.float64, generator=seeded(seed)) + common
        assert torch.allclose(ours(grads, seeded(seed)), printed(grads, seeded(seed)), atol=1e-10)
    assert torch.allclose(ours.targets_NNG[..., 0], printed.targets, atol=1e-12)
    assert ours.targets_NNG.max() > 0.1, "targets must rise where tasks agree: are they moved only when a gradient is corrected?"


@pytest.mark.exercise("7.5")
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
    assert rows.grads_NP.tolist() == [[2, 2, 0, 0, 0, 0], [3, 3, 1, 1, 0, 0]], \
        "a row for each task's own gradient: does it hold an earlier task's as well, which were not cleared before it?"
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
