"""Scores: hand-worked numbers, scipy as the oracle, honest nan, and prediction files byte for byte."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from small_run import examples, make_model, recipe, tokenizer

from minbert.files import MinbertError
from multitask.evaluate import (
    CPU_TOKENS,
    Score,
    accuracy,
    fisher_interval,
    macro_f1,
    overall_normalised,
    overall_raw,
    pearson,
    predict,
    run_model,
    score_task,
    spearman,
    summarise,
    wilson_interval,
    write_predictions,
)
from multitask.recipe import TaskRecipe
from multitask.tables import TASKS
from multitask.targets import find_target


@pytest.mark.exercise("8.2")
def test_pearson_by_hand():
    # without their means of 2.5 the product is 4, and both squared lengths are 5
    found = pearson(np.array([1, 2, 3, 4]), np.array([1, 3, 2, 4]))
    assert found not in (4, 1, pytest.approx(4 / 3)), "the covariance alone, on no scale: divide by both standard deviations"
    assert found not in (pytest.approx(0.64), pytest.approx(4 / 25)), "r squared, or divided by the variances: a missing root"
    assert found not in (pytest.approx(0.6), pytest.approx(0.8 * 4 / 3)), "n in one place and n - 1 in the other"
    assert found != pytest.approx(29 / 30), "the cosine of the vectors as they are: subtract each side's mean first"
    assert found == pytest.approx(0.8), f"expected 4 / sqrt(5 * 5) = .8, got {found:.4f}"
    found = pearson(np.array([0, 0, 10]), np.array([1, 2, 4]))
    assert found != pytest.approx(0.8660254), "Spearman's correlation, of the ranks: Pearson's is of the values"
    assert found == pytest.approx(0.9449111825230679), f"expected .9449 for (0, 0, 10) and (1, 2, 4), got {found:.4f}"


@pytest.mark.exercise("8.2")
def test_pearson_keeps_its_sign_and_the_fractions_of_scores():
    x, y = np.array([0.2, 0.4, 0.9, 0.1]), np.array([2.4, 2.6, 2.9, 2.8])
    assert pearson(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1]), "were scores cast to whole numbers, 2.4 to 2?"
    assert pearson(x, -y) == pytest.approx(-pearson(x, y)), "r squared has no sign: is r squared, or its size taken?"


@pytest.mark.exercise("8.2")
def test_pearson_does_not_see_shift_or_scale():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    assert pearson(3 * x - 7, y) == pytest.approx(pearson(x, y)), "r does not depend on scale or origin: subtract both means, " \
        "divide by both standard deviations"
    assert pearson(-x, y) == pytest.approx(-pearson(x, y)), "r squared has no sign"


@pytest.mark.exercise("8.2")
@pytest.mark.parametrize("x, y", [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [2, 2, 2]), ([1], [1]), ([], []), ([0.1] * 3, [1, 2, 3])])
def test_an_undefined_correlation_is_nan_and_not_zero(x, y):
    found = pearson(np.array(x, dtype=float), np.array(y, dtype=float))
    assert math.isnan(found), f"r is not defined for {x} and {y}: nan, not {found}; 0 would say that there is no relation"


def test_an_undefined_rank_correlation_is_nan():
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3])) and math.isnan(spearman([1], [1]))


@pytest.mark.exercise("8.2")
def test_correlations_equal_scipys():
    generator = np.random.default_rng(1)
    x, y = generator.integers(0, 6, size=(2, 200)).astype(float)
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12), \
        "another r than the reference's: of the values, not the ranks (Spearman)"
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert fisher_interval(pearson(x, y), 200).low == pytest.approx(stats.pearsonr(x, y).confidence_interval().low)


def test_wilsons_interval_equals_scipys_at_the_edges_too():
    for correct, count in [(0, 10), (10, 10), (450, 1101), (1, 1)]:
        expected = stats.binomtest(correct, count).proportion_ci(method="wilson")
        found = wilson_interval(correct / count, count)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.exercise("8.1")
def test_accuracy_by_hand():
    predictions, labels = np.array([0, 0, 1, 4, 3, 4, 1]), np.array([0, 1, 1, 1, 3, 0, 1])
    found = accuracy(predictions, labels)
    assert found not in (4, pytest.approx(400 / 7)), "a share from 0 to 1, no count and no percentage"
    assert found != pytest.approx(3 / 7), "the share of the errors: count predictions that equal their label, not the wrong ones"
    assert found != pytest.approx(5 / 7), "near is not right: a prediction counts where it is equal to its label"
    assert found != round(4 / 7, 2), "rounded: 4 / 7 has more digits, and small differences between runs would vanish"
    assert found == pytest.approx(4 / 7), f"expected 4 of 7, got {found}"


@pytest.mark.exercise("8.1")
def test_the_accuracy_of_no_example_is_nan():
    found = accuracy(np.array([]), np.array([]))
    assert math.isnan(found), f"nan, not {found}: without an example there is no share, and 0 would be a score"


def test_macro_f1_by_hand():
    predictions, labels = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    # F1: class 0 2/3, class 1 2/4, class 2 0
    assert macro_f1(predictions, labels) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_overall_scores_are_the_courses_and_the_minimum_is_the_weakest_task():
    main = {"sst": Score(0.5, 0.47, 0.53), "para": Score(0.9, 0.89, 0.91), "sts": Score(0.8, 0.77, 0.83)}
    summary = summarise(main)
    assert summary["overall_raw"].value == overall_raw(0.5, 0.9, 0.8) == pytest.approx((0.5 + 0.9 + 0.8) / 3)
    assert overall_normalised(0.5, 0.9, 0.8) == pytest.approx((0.5 + 0.9 + 0.9) / 3), "r counts as (r + 1) / 2"
    assert summary["overall_normalised"].value == pytest.approx(overall_normalised(0.5, 0.9, 0.8))
    assert summary["overall_raw"].half_width == pytest.approx(math.sqrt(0.03**2 + 0.01**2 + 0.03**2) / 3)
    assert summary["minimum"].value == 0.5


def test_a_fourth_task_counts_for_the_minimum_and_not_for_the_courses_overall():
    main = {"sst": Score(0.5, 0.47, 0.53), "para": Score(0.9, 0.89, 0.91), "sts": Score(0.8, 0.77, 0.83)}
    summary = summarise(main | {"cfimdb": Score(0.3, 0.2, 0.4)})
    assert summary["overall_raw"].value == pytest.approx((0.5 + 0.9 + 0.8) / 3) and summary["minimum"].value == 0.3


def test_nan_is_the_weakest_and_makes_the_overall_nan():
    nothing = Score(math.nan, math.nan, math.nan)
    summary = summarise({"sst": Score(0.5, 0.4, 0.6), "sts": nothing})
    assert math.isnan(summary["minimum"].value) and math.isnan(summary["overall_raw"].value)


def test_a_tasks_main_score_comes_first():
    assert next(iter(score_task(TASKS["sts"], np.array([1.0, 2, 3]), np.array([1.0, 3, 2])))) == "pearson"
    assert next(iter(score_task(TASKS["sst"], np.array([1]), np.array([1])))) == "accuracy"


def predictions(task: str, outputs: list, **settings) -> list:
    encoding = "pair" if TASKS[task].is_pair else "single"
    target = find_target(TASKS[task], TaskRecipe(encoding=encoding, **settings))
    return target.decode(torch.tensor(outputs, dtype=torch.float32)).tolist()


@pytest.mark.parametrize("task, settings, outputs, text", [
    ("sst", {}, [[0, 1, 0, 0, 0], [0, 0, 0, 0, 3]], "id \t Predicted_Sentiment \nab1 , 1 \ncd2 , 4 \n"),
    ("sst", {"target": "regression"}, [1.4, 7], "id \t Predicted_Sentiment \nab1 , 1 \ncd2 , 4 \n"),
    ("para", {}, [2.5, -1], "id \t Predicted_Is_Paraphrase \nab1 , 1.0 \ncd2 , 0.0 \n"),
    # the course's scripts print a float32 with all the digits of a double
    ("sts", {}, [2.4, 4], "id \t Predicted_Similiary \nab1 , 2.4000000953674316 \ncd2 , 4.0 \n"),
    ("sts", {"target": "classes6", "decode": "argmax"}, [[0, 0, 9, 0, 0, 0], [0, 0, 0, 0, 0, 1]],
     "id \t Predicted_Similiary \nab1 , 2.0 \ncd2 , 5.0 \n"),
])
def test_prediction_files_are_the_courses_byte_for_byte(tmp_path, task, settings, outputs, text):
    write_predictions(tmp_path / "out.csv", TASKS[task], ["ab1", "cd2"], predictions(task, outputs, **settings))
    assert (tmp_path / "out.csv").read_bytes() == text.encode()


@pytest.mark.parametrize("number", [2.4, np.float32(2.4)])
def test_an_array_is_written_with_all_its_digits_too(tmp_path, number):
    write_predictions(tmp_path / "out.csv", TASKS["sts"], ["a"], np.array([number]))
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == f"a , {float(number)!r} "


def test_an_example_that_stands_in_the_file_twice_is_written_twice(tmp_path):
    """The reader only warns of it: a run must not fail at its very end, when the predictions are written."""
    write_predictions(tmp_path / "out.csv", TASKS["para"], ["a", "b", "a"], [1.0, 0.0, 1.0])
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == ["a , 1.0 ", "b , 0.0 ", "a , 1.0 "]


@pytest.mark.parametrize("ids", [["a"], ["a", "b", "c"]])
def test_predictions_that_do_not_match_their_ids_are_not_written(tmp_path, ids):
    with pytest.raises(MinbertError, match="2 predictions for"):
        write_predictions(tmp_path / "out.csv", TASKS["para"], ids, [1.0, 0.0])
    assert not (tmp_path / "out.csv").exists()


def with_sts(**settings):
    some_recipe = recipe()
    return replace(some_recipe, tasks=some_recipe.tasks | {"sts": TaskRecipe(encoding="pair", **settings)})


def test_a_symmetric_task_does_not_see_the_order_of_a_pair():
    some = examples("sts", 20)
    swapped = [example.swapped() for example in some]
    plain, symmetric = make_model(with_sts()), make_model(with_sts(symmetric=True))
    forwards, backwards = predict(plain, tokenizer(), "sts", some), predict(plain, tokenizer(), "sts", swapped)
    assert not np.allclose(forwards, backwards), "without it the model must see the order, or this test shows nothing"
    both = predict(symmetric, tokenizer(), "sts", some)
    assert np.array_equal(both, predict(symmetric, tokenizer(), "sts", swapped)), "f(a, b) == f(b, a), to the last bit"
    assert np.allclose(both, (forwards + backwards) / 2, atol=1e-6), "the mean of the two orders' outputs"


def test_predictions_come_in_the_order_of_the_examples_and_without_dropout():
    some, model = examples("sst", 40), make_model(recipe(), dropout=0.3)
    outputs = predict(model, tokenizer(), "sst", some)
    assert np.array_equal(outputs, predict(model, tokenizer(), "sst", some)), "two answers to one question: is dropout on?"
    alone = np.concatenate([predict(model, tokenizer(), "sst", [one]) for one in some])
    assert np.allclose(outputs, alone, atol=1e-4), "predictions must come back in the examples' order, not in that of the batches"


def test_outputs_come_in_the_targets_columns():
    for settings, shape in (({}, (7,)), ({"target": "classes6"}, (7, 6)), ({"target": "classes6", "symmetric": True}, (7, 6))):
        model = make_model(with_sts(**settings))
        outputs = predict(model, tokenizer(), "sts", examples("sts", 7))
        assert outputs.shape == shape and outputs.dtype == np.float32 and model.training
        assert model.targets["sts"].decode(torch.from_numpy(outputs)).shape == (7,)


def test_the_overall_scores_take_the_tasks_by_name():
    scores = {"sst": 0.5, "para": 0.9, "sts": 0.8}
    for overall in (overall_raw, overall_normalised):
        assert overall(**scores) == overall(0.5, 0.9, 0.8)


@pytest.mark.parametrize("score", [accuracy, pearson, macro_f1])
@pytest.mark.parametrize("shape, other", [((1,), (1, 2, 1)), ((3, 1), (3,)), ((3, 1), (1, 3)), ((3, 1), (3, 1)), ((3,), (4,))])
def test_shapes_that_would_be_compared_all_with_all_are_refused(score, shape, other):
    with pytest.raises(ValueError, match=re.escape(f"shape {shape} and labels of shape {other}")):
        score(np.ones(shape), np.ones(other))


def test_no_examples_are_no_prediction():
    with pytest.raises(MinbertError, match="sts: there is no example"):
        predict(make_model(recipe()), tokenizer(), "sts", [])


def test_batches_of_predictions_fit_into_a_processors_cache():
    model, sizes = make_model(recipe()), []

    def compute(tokens):
        sizes.append(tokens.ids_BT.numel())
        return tokens.mask_BT.sum(dim=1)

    some = examples("sst", 400)
    lengths = run_model(model, tokenizer(), "sst", some, compute)
    assert lengths.tolist() == [len(example.pieces[0]) + 2 for example in some]
    assert CPU_TOKENS / 2 < max(sizes) <= CPU_TOKENS


def test_an_error_in_the_middle_leaves_the_models_mode():
    model = make_model(recipe()).train()
    with pytest.raises(ZeroDivisionError):
        run_model(model, tokenizer(), "sst", examples("sst", 3), lambda tokens: 1 / 0)
    assert all(module.training for module in model.modules()), "whoever goes on would train without dropout"
