"""Targets: losses and predictions in closed form, labels that stay what they are, divergences that are 0 only between equals."""

import math

import pytest
import torch

from multitask.recipe import TaskRecipe
from multitask.tables import TASKS
from multitask.targets import (
    bernoulli_symmetric_kl,
    classes_to_scores,
    find_target,
    paraphrase_loss,
    scores_to_classes,
    sentiment_loss,
    similarity_loss,
    squared_error,
    symmetric_kl,
)


def make_target(task: str, **settings):
    encoding = "pair" if TASKS[task].is_pair else "single"
    return find_target(TASKS[task], TaskRecipe(encoding=encoding, **settings))


def near(number: float, expected: float) -> bool:
    return math.isclose(number, expected, rel_tol=1e-5, abs_tol=1e-6)


CASES = [("sst", {}), ("sst", {"target": "regression"}), ("sst", {"target": "one_hot"}), ("para", {}), ("sts", {}),
         ("sts", {"output_range": "clamp"}), ("sts", {"target": "classes5"}), ("sts", {"target": "classes6", "decode": "argmax"}),
         ("cfimdb", {})]


def outputs_for(target, rows: int, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return torch.randn(rows) if target.columns == 1 else torch.randn(rows, target.columns)


def labels_for(task: str, rows: int) -> torch.Tensor:
    """As data.collate makes them."""
    labels = torch.rand(rows) * 5 if TASKS[task].kind == "score" else torch.arange(rows) % TASKS[task].classes
    return labels if TASKS[task].kind == "classes" else labels.float()


@pytest.mark.exercise("6.3")
def test_sentiment_loss_is_cross_entropy():
    # softmax: 1/4 and 3/4
    loss = sentiment_loss(torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([1])).item()
    # the softmax of 1/4 and 3/4 has .622 for the second class
    assert not math.isclose(loss, 0.4741, abs_tol=1e-3), "the softmax is taken twice: the loss's own is enough"
    assert math.isclose(loss, -math.log(0.75), rel_tol=1e-5), f"expected -log(3/4) = .2877 for logits 0 and log 3, got {loss:.4f}"
    other = sentiment_loss(torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([0])).item()
    assert math.isclose(other, math.log(4), rel_tol=1e-5), "-log p of the label's own class: label 0 is the first column"


@pytest.mark.exercise("6.3")
def test_the_cross_entropy_is_the_mean_over_rows():
    output, labels = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]), torch.tensor([2, 1])
    rows = [sentiment_loss(output[i:i + 1], labels[i:i + 1]).item() for i in (0, 1)]
    assert sentiment_loss(output, labels).item() == pytest.approx(sum(rows) / 2, rel=1e-5), \
        "the mean over rows, not their sum: a short last batch must not count less, or a long one more, for each row"


@pytest.mark.exercise("6.3")
def test_paraphrase_loss_is_binary_cross_entropy_of_a_logit():
    loss = paraphrase_loss(torch.tensor([math.log(3.0), 0.0]), torch.tensor([1.0, 0.0]))
    assert math.isclose(loss.item(), (-math.log(0.75) + math.log(2)) / 2, rel_tol=1e-6), \
        "-log s(z) for label 1, -log(1 - s(z)) for 0: is it the sigmoid twice, or none, before the loss?"


@pytest.mark.exercise("6.3")
def test_similarity_loss_keeps_fractions_of_labels():
    loss = similarity_loss(torch.tensor([2.0, 1.0]), torch.tensor([2.4, 0.8]))
    assert math.isclose(loss.item(), (0.4**2 + 0.2**2) / 2, rel_tol=1e-5), \
        "were the labels cast to whole numbers, or every row compared with every label instead of its own label?"


@pytest.mark.exercise("6.3")
@pytest.mark.parametrize("loss, labels", [(paraphrase_loss, [1.0, 0.0]), (similarity_loss, [2.4, 0.8])])
def test_the_losses_of_pairs_are_means_over_rows(loss, labels):
    output, labels = torch.tensor([2.0, 1.0]), torch.tensor(labels)
    rows = [loss(output[i:i + 1], labels[i:i + 1]).item() for i in (0, 1)]
    assert loss(output, labels).item() == pytest.approx(sum(rows) / 2, rel=1e-5) and \
        loss(output[:1], labels[:1]).item() == pytest.approx(loss(output[[0, 0]], labels[[0, 0]]).item(), rel=1e-5), \
        "the mean over the batch's own rows, not a sum over a fixed batch size: a short last batch must not count less"


def test_classes_as_numbers_are_learned_by_squared_error_to_the_number():
    target = make_target("sst", target="regression")
    assert target.columns == 1
    assert target.loss(torch.tensor([1.5, 4.0]), torch.tensor([2, 2])).item() == pytest.approx((0.25 + 4) / 2)
    found = target.decode(torch.tensor([-3.0, 0.49, 0.5, 2.5, 3.4, 9.0]))
    assert found.tolist() == [0, 0, 1, 3, 3, 4], "clip(floor(y + 0.5), 0, 4): halves go up, not to even numbers"
    assert found.dtype == torch.int64, "prediction files hold 3 and not 3.0"


def test_one_hot_outputs_are_learned_by_squared_error_to_one_for_the_class():
    target = make_target("sst", target="one_hot")
    output = torch.tensor([[0.0, 0.5, 0.0, 0.0, 0.0]])
    assert target.loss(output, torch.tensor([1])).item() == pytest.approx(0.25 / 5)
    assert target.loss(output, torch.tensor([0])).item() == pytest.approx((1 + 0.25) / 5)
    assert target.decode(torch.tensor([[-3.0, 0.2, 0.1, 0.0, 0.0]])).tolist() == [1], "the largest, not the largest in size"


@pytest.mark.parametrize("count, scores, classes", [
    (6, [0.0, 0.4, 0.5, 1.5, 2.5, 2.4, 4.5, 5.0], [0, 0, 1, 2, 3, 2, 5, 5]),
    (5, [0.0, 0.6, 0.625, 1.8, 1.875, 3.125, 4.4, 5.0], [0, 0, 1, 1, 2, 3, 4, 4]),
])
def test_scores_become_the_nearest_class_and_halves_go_up(count, scores, classes):
    assert scores_to_classes(torch.tensor(scores), count, 0, 5).tolist() == classes, \
        "torch.round would take 2.5 to 2, a truncation 2.4 and 2.6 alike"


def test_classes_of_scores_are_read_back_onto_the_scale():
    logits = torch.tensor([[0.0, 0.0, math.log(2.0), 0.0, 0.0]])  # probabilities 1/6 and, for class 2, 1/3
    assert classes_to_scores(logits, "argmax", 0, 5).tolist() == [2.5], "class 2 of 0..4 is 2.5 of 0..5"
    skewed = torch.tensor([[math.log(3.0), 0.0, -99.0, -99.0, -99.0]])
    assert classes_to_scores(skewed, "expectation", 0, 5).item() == pytest.approx(1.25 * 0.25), "3/4 at 0, 1/4 at 1.25"
    six = torch.full((1, 6), -99.0).index_fill(1, torch.tensor([3]), 0.0)
    assert [classes_to_scores(six, by, 0, 5).item() for by in ("argmax", "expectation")] == pytest.approx([3, 3])


@pytest.mark.parametrize("name, count", [("classes5", 5), ("classes6", 6)])
def test_score_classes_are_learned_by_cross_entropy_to_the_nearest_class(name, count):
    target = make_target("sts", target=name)
    assert target.columns == count
    output = torch.zeros(1, count).index_fill(1, torch.tensor([count - 1]), math.log(3.0))
    assert target.loss(output, torch.tensor([4.9])).item() == pytest.approx(-math.log(3 / (count + 2)))
    for decode in ("argmax", "expectation"):
        decoded = make_target("sts", target=name, decode=decode).decode(torch.eye(count) * 50)
        assert decoded.tolist() == pytest.approx(torch.linspace(0, 5, count).tolist(), abs=1e-5)


def test_predictions_are_of_the_labels_kind():
    assert make_target("sst").decode(torch.tensor([[0.1, 0.9], [2.0, 1.0]])).tolist() == [1, 0]
    assert make_target("para").decode(torch.tensor([0.1, -0.1, 0.0])).tolist() == [1.0, 0.0, 0.0], \
        "a logit above 0 is a probability above a half: do not compare the logit with .5"
    assert make_target("sts").decode(torch.tensor([2.4])).tolist() == pytest.approx([2.4])


def test_a_clamp_is_for_predictions_only():
    free, clamped = make_target("sts"), make_target("sts", output_range="clamp")
    output, labels = torch.tensor([-1.0, 2.4, 7.0]), torch.tensor([0.0, 2.0, 5.0])
    assert free.decode(output).tolist() == output.tolist()
    assert clamped.decode(output).tolist() == pytest.approx([0.0, 2.4, 5.0])
    assert clamped.loss(output, labels) == free.loss(output, labels), "a clamped loss has no gradient beyond the scale"


@pytest.mark.parametrize("task, settings", CASES)
def test_a_loss_is_the_mean_over_rows_however_many_there_are(task, settings):
    target = make_target(task, **settings)
    output, labels = outputs_for(target, 5), labels_for(task, 5)
    rows = torch.stack([target.loss(output[i:i + 1], labels[i:i + 1]) for i in range(5)])
    assert torch.allclose(target.loss(output, labels), rows.mean()), "a short last batch must not count less per row"


@pytest.mark.parametrize("task, settings", CASES)
def test_predictions_lie_on_the_labels_scale(task, settings):
    target = make_target(task, **settings)
    predictions = target.decode(outputs_for(target, 20))
    assert predictions.shape == (20,)
    if settings or task != "sts":
        assert (predictions >= TASKS[task].low).all() and (predictions <= TASKS[task].high).all()


@pytest.mark.exercise("6.4")
def test_symmetric_kl_by_hand():
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log()
    found = symmetric_kl(p, q).item()
    assert not near(found, 0.0), "rows of one example have no divergence: is the softmax over the batch?"
    assert not (near(found, 0.5108256) or near(found, 0.3680642)), "one direction only: KL(P || Q) + KL(Q || P)"
    assert not near(found, 0.4394449), "half of it: KL(P || Q) + KL(Q || P) has no half, and is the sum over classes"
    assert near(found, 0.8788898), f"expected 0.5108 + 0.3681, got {found:.4f}"
    both = symmetric_kl(torch.cat([p, p]), torch.cat([q, p])).item()
    assert near(both, 0.8788898 / 2), "the mean over rows, not their sum"
    assert near(symmetric_kl(p + 7, q - 3).item(), 0.8788898), "logits have no zero point: is the softmax missing?"


@pytest.mark.exercise("6.4")
def test_symmetric_kl_compares_each_row_with_its_own_counterpart():
    torch.manual_seed(0)
    output, other = torch.randn(2, 3, 4)
    rows = sum(symmetric_kl(output[i:i + 1], other[i:i + 1]).item() for i in range(3)) / 3
    assert near(symmetric_kl(output, other).item(), rows), "the mean over rows; the softmax is over classes, never over the batch"


@pytest.mark.exercise("6.4")
def test_symmetric_kl_is_symmetric_with_a_gradient_to_both_outputs():
    torch.manual_seed(0)
    output, other = (torch.randn(3, 4).requires_grad_() for _ in range(2))
    value = symmetric_kl(output, other)
    assert near(symmetric_kl(other, output).item(), value.item()), "one direction only: it must not matter which is first"
    grads = torch.autograd.grad(value, (output, other), allow_unused=True)
    assert all(grad is not None and grad.any() for grad in grads), "an output is detached: both must get a gradient"


@pytest.mark.exercise("6.5")
def test_the_one_logit_form_by_hand():
    # s(0) = .5 and s(log 9) = .9, as in symmetric KL by hand
    found = bernoulli_symmetric_kl(torch.tensor([0.0]), torch.tensor([math.log(9.0)])).item()
    assert not near(found, 0.0), "0 for different answers: a softmax over one logit, or over a batch of one, is always 1"
    assert not near(found, 0.2351147), "yes is counted, no is forgotten: the sum has (1 - p) log((1 - p) / (1 - q)) as well"
    assert near(found, 0.8788898), f"expected 0.5108 + 0.3681, got {found:.4f}: are the probabilities rounded?"


@pytest.mark.exercise("6.5")
def test_the_one_logit_form_is_symmetric_kl_of_the_two_classes_in_the_mean_over_rows():
    torch.manual_seed(0)
    z, w = torch.randn(2, 6, dtype=torch.float64)
    p, q = z.sigmoid(), w.sigmoid()
    kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log() + q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()
    found = bernoulli_symmetric_kl(z, w).item()
    assert found != pytest.approx(kl.sum().item()), "the mean over rows, not their sum"
    assert found == pytest.approx(kl.mean().item(), rel=1e-9), \
        "each row's yes and no against its counterpart's: is it a softmax over the batch, or are probabilities rounded?"


def test_squared_error_by_hand():
    assert squared_error(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.5])).item() == pytest.approx((4 + 0.25) / 2)


@pytest.mark.parametrize("task, settings", CASES)
def test_a_divergence_is_zero_between_equals_only_symmetric_and_a_mean_over_rows(task, settings):
    target = make_target(task, **settings)
    output, other = outputs_for(target, 4, seed=1).requires_grad_(), outputs_for(target, 4, seed=2)
    value = target.divergence(output, other)
    assert value.item() > 0.01, "0 for every output: is it a softmax over one logit?"
    assert torch.autograd.grad(value, output)[0].abs().min() > 1e-5, "every row must be pulled towards the other output"
    assert target.divergence(other, output).item() == pytest.approx(value.item(), rel=1e-5)
    rows = torch.stack([target.divergence(output[i:i + 1], other[i:i + 1]) for i in range(4)])
    assert torch.allclose(value, rows.mean()), "rows are compared with their own counterpart, never with each other"
    itself = target.divergence(output, output.detach().clone())
    assert itself.item() == 0 and torch.autograd.grad(itself, output)[0].abs().max() < 1e-7


def test_divergences_are_not_computed_in_bfloat16():
    output = torch.tensor([2.0], dtype=torch.bfloat16)
    for divergence in (bernoulli_symmetric_kl, squared_error):
        assert divergence(output, output - 0.5).dtype == torch.float32
        assert divergence(output.double(), output.double() + 1e-9).item() > 0, "double precision must be kept"
    assert symmetric_kl(output[None].expand(1, 3), output[None].expand(1, 3)).dtype == torch.float32


def test_the_divergence_fits_the_target():
    assert {make_target("sst").divergence, make_target("sts", target="classes5").divergence} == {symmetric_kl}
    assert make_target("para").divergence is bernoulli_symmetric_kl
    for task, settings in (("sts", {}), ("sst", {"target": "regression"}), ("sst", {"target": "one_hot"})):
        assert make_target(task, **settings).divergence is squared_error


@pytest.mark.parametrize("task, settings", CASES)
def test_losses_keep_float64_and_have_true_gradients(task, settings):
    target, labels = make_target(task, **settings), labels_for(task, 4)
    output = outputs_for(target, 4).double()
    assert target.loss(output, labels).dtype == torch.float64, "rounded to float32, 1e-9 is out of reach"
    assert target.loss(output.bfloat16(), labels).dtype == torch.float32
    assert torch.autograd.gradcheck(lambda output: target.loss(output, labels), output.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float64])
def test_paraphrase_labels_may_be_whole_numbers(dtype):
    output, labels = torch.tensor([1.5, -0.5, 0.1]), torch.tensor([1.0, 0.0, 0.0])
    assert torch.equal(paraphrase_loss(output, labels.to(dtype)), paraphrase_loss(output, labels))


@pytest.mark.parametrize("shape, other", [pytest.param((4,), (4,), marks=pytest.mark.exercise("6.4")),
                                          pytest.param((4, 1), (4, 1), marks=pytest.mark.exercise("6.4")),
                                          ((2, 3, 4), (2, 3, 4)), ((4, 3), (1, 3))])
def test_the_symmetric_kl_of_anything_but_rows_of_classes_is_refused(shape, other):
    try:
        symmetric_kl(torch.randn(shape), torch.randn(other))
    except ValueError:
        return
    pytest.fail(f"shapes {shape} and {other} were taken: the softmax of a single logit is always 1, of a single axis the batch's")
