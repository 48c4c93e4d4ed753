"""Two runs are compared on the same examples, chance is called chance, and what cannot be compared is refused."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from saved_run import logits, make_run
from scipy import stats
from small_run import recipe

from minbert.files import MinbertError
from multitask.compare import Comparison, compare_runs, find_interval, main, mcnemar, paired_bootstrap, spread
from multitask.evaluate import pearson
from multitask.flags import run_command
from multitask.recipe import TaskRecipe
from multitask.run_folder import find_runs, read_predictions, read_run


def bootstrap(kind, labels, first, second, draws=4000, seed=0):
    return paired_bootstrap(kind, np.asarray(labels, float), np.atleast_2d(first), np.atleast_2d(second), draws,
                            np.random.default_rng(seed))


def two_classifiers(count=400, seed=3):
    """Labels, and two predictions that mostly err on the same examples."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    wrong = generator.random(count) < 0.3
    return labels, np.where(wrong, 1 - labels, labels), np.where(wrong & (generator.random(count) < 0.8), 1 - labels, labels)


def two_regressors(count=120, seed=4):
    generator = np.random.default_rng(seed)
    labels = generator.random(count) * 5
    shared = generator.normal(size=count)
    return labels, labels + 2 * shared + generator.normal(size=count), labels + 2 * shared + generator.normal(size=count)


def three_tasks(sts=(1.0, 2.0, 4.0, 0.5)):
    return {"sst": ([0, 1, 2, 3], logits([0, 1, 2, 4])), "para": ([0, 1, 1, 0], [-1.0, 2.0, -3.0, -1.0]),
            "sts": ([1.0, 2.0, 3.0, 0.0], list(sts))}


def test_mean_and_deviation_by_hand():
    assert spread([1.0, 2.0, 3.0]) == (2.0, 1.0), "the squares are divided by n - 1, here 2"
    mean, deviation = spread([0.5])
    assert mean == 0.5 and math.isnan(deviation), "one value has no spread: 0 would claim that seeds do not matter"


@pytest.mark.exercise("8.4")
def test_mcnemar_by_hand():
    first = np.array([1, 0, 0, 0, 0, 0, 1, 1, 0], bool)
    second = np.array([0, 1, 1, 1, 1, 1, 1, 1, 0], bool)
    result = mcnemar(first, second)
    counts = (result.only_first, result.only_second)
    assert counts != (5, 1), "exchanged: the first count is of the examples that only the first run gets right"
    assert counts == (1, 5), f"1 example that only the first gets right and 5 that only the second does, got {counts}: those " \
        "that both get right, or wrong, do not count"
    assert result.p != pytest.approx(7 / 64), "one side alone: the test is two-sided, twice that"
    assert result.p != pytest.approx(12 / 64), "the chance of just these counts: add that of all at least as unequal"
    assert result.p < 1, "from the larger count: P(at most the smaller count) is the tail"
    assert result.p == pytest.approx(14 / 64), f"expected 2 P(at most 1 head in 6 throws) = 14 / 64, got {result.p:.4f}: the " \
        "exact binomial, not the chi-squared approximation"
    assert mcnemar(second, first).p == pytest.approx(result.p), "which run comes first must not matter to p"


@pytest.mark.exercise("8.4")
def test_mcnemar_of_equal_errors_is_one():
    right = np.array([True, False, True])
    assert mcnemar(np.array([True, False]), np.array([False, True])).p == 1.0, "a probability is at most 1"
    assert mcnemar(right, right).p == 1.0, "without examples that tell the runs apart there is no evidence at all: p is 1"


@pytest.mark.exercise("8.4")
@pytest.mark.parametrize("only_first, only_second", [(3, 9), (40, 61), (0, 5), (700, 820)])
def test_mcnemar_is_the_exact_binomial_test(only_first, only_second):
    total = only_first + only_second
    first = np.arange(total) < only_first
    assert mcnemar(first, ~first).p == pytest.approx(stats.binomtest(only_first, total).pvalue), \
        "p of the exact binomial test, not of its chi-squared approximation"


@pytest.mark.exercise("8.3")
def test_the_bootstrap_of_a_run_with_itself_is_zero():
    for kind, labels, first in (("classes", *two_classifiers()[:2]), ("score", *two_regressors()[:2])):
        assert np.all(bootstrap(kind, labels, first, first) == 0), "the two runs were scored on different resampled examples"


@pytest.mark.exercise("8.3")
def test_the_bootstrap_is_paired_and_centred():
    labels, first, second = two_classifiers()
    differences = (second == labels).astype(float) - (first == labels)
    draws = bootstrap("binary", labels, first, second)
    assert draws.shape == (4000,), f"a difference for each of the 4000 draws, got shape {draws.shape}"
    assert draws.mean() == pytest.approx(differences.mean(), abs=1e-3), "second minus first"
    expected = differences.std() / math.sqrt(len(labels))  # the sd of a mean of paired differences
    assert draws.std() > 0.5 * expected, "every draw is the same: draw the examples with replacement, anew for every draw"
    assert draws.std() < 1.3 * expected, (
        f"{draws.std() / expected:.2f} times too wide: 1.41 means that half as many were drawn, not N of the N examples; more, "
        "that resampling is unpaired, with other examples for each run")
    assert draws.std() == pytest.approx(expected, rel=0.06), "another spread than that of the mean of N paired differences"


@pytest.mark.exercise("8.3")
def test_the_bootstrap_of_pearson_is_that_of_a_plain_loop():
    labels, first, second = two_regressors()
    generator, plain = np.random.default_rng(7), []
    for _ in range(2000):
        rows = generator.integers(0, len(labels), len(labels))
        plain.append(pearson(second[rows], labels[rows]) - pearson(first[rows], labels[rows]))
    draws = bootstrap("score", labels, first, second)
    assert np.std(draws) == pytest.approx(np.std(plain), rel=0.08)
    assert find_interval(draws) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.02)


def test_scale_and_origin_of_predictions_change_no_draw_of_pearson():
    labels, first, second = two_regressors()
    draws = bootstrap("score", labels, first, second)
    assert bootstrap("score", labels, first * 1e-3 + 1e4, second) == pytest.approx(draws, abs=1e-7)


def test_the_same_seed_draws_the_same_and_another_draws_others():
    labels, first, second = two_regressors()
    draws = bootstrap("score", labels, first, second)
    assert np.array_equal(draws, bootstrap("score", labels, first, second))
    assert not np.array_equal(draws, bootstrap("score", labels, first, second, seed=1))


@pytest.mark.exercise("8.3")
def test_seeds_are_averaged_score_by_score():
    labels, first, second = two_regressors()
    assert bootstrap("score", labels, [first] * 3, second) == pytest.approx(bootstrap("score", labels, first, second)), \
        "three equal seeds say what one says"
    noise = np.random.default_rng(0).normal(size=(2, len(labels)))
    seeds = np.stack([labels + 3 * noise[0], labels - 3 * noise[0]])  # their mean prediction would be perfect
    draws = bootstrap("score", labels, seeds, labels)
    assert draws.mean() > 0.3, "the mean of the seeds' r, not the r of their mean prediction: that would be an ensemble"
    half = bootstrap("score", labels, [first, second], second).mean()
    assert half == pytest.approx(bootstrap("score", labels, first, second).mean() / 2, rel=1e-6), \
        "every seed counts: the mean over all seeds of a run, not the first one's score"


@pytest.mark.exercise("8.3")
def test_draws_where_r_is_undefined_are_left_out():
    labels, predictions = np.array([0.1, 0.7, 3.2]), np.array([1.3, 2.9, 1.7])
    draws = bootstrap("score", labels, predictions, -predictions)  # one draw in nine is the same example three times
    assert np.isnan(draws).mean() == pytest.approx(1 / 9, abs=0.02), \
        f"3 draws of 3 examples are one and the same in 1 of 9, not in {np.isnan(draws).mean():.2f}: draw N of the N examples, " \
        "with replacement"
    low, high = find_interval(draws)
    assert -2.001 < low <= high < 2.001, "a draw of equal examples has variance 0: dividing by its rounding gives any number"


@pytest.mark.parametrize("low, high, verdict", [(-0.1, 0.2, "within the noise"), (0.0, 0.0, "within the noise"),
                                                (0.01, 0.2, "B is better"), (-0.2, -0.1, "B is worse"),
                                                (math.nan, math.nan, "undefined")])
def test_a_difference_whose_interval_holds_zero_is_noise(low, high, verdict):
    assert Comparison("sst", [0.5], [0.6], (low + high) / 2, low, high).verdict == verdict


def test_runs_are_compared_by_their_own_recipes(tmp_path):
    """One run reads sts as a number, the other as five classes: the same answers must give no difference."""
    classes = replace(recipe(), tasks=recipe().tasks | {"sts": TaskRecipe(encoding="pair", target="classes5", decode="argmax")})
    labels = [0.0, 1.25, 5.0, 2.5, 3.75]
    make_run(tmp_path / "a", {"sts": (labels, [0.0, 1.25, 5.0, 3.75, 2.5])})
    make_run(tmp_path / "b", {"sts": (labels, logits([0, 1, 4, 3, 2]))}, some_recipe=classes)
    (one,) = compare_runs([read_run(tmp_path / "a")], [read_run(tmp_path / "b")], draws=200)
    assert one.difference == pytest.approx(0, abs=1e-12) and one.first[0] == pytest.approx(one.second[0])


def test_both_overall_scores_come_from_joint_draws(tmp_path):
    make_run(tmp_path / "a", three_tasks())
    make_run(tmp_path / "b", three_tasks(sts=(1.0, 3.0, 2.0, 0.1)))
    by_name = {one.name: one for one in compare_runs([read_run(tmp_path / "a")], [read_run(tmp_path / "b")])}
    assert list(by_name) == ["sst", "para", "sts", "overall_normalised", "overall_raw"]
    sts = by_name["sts"]
    for name, share in (("overall_normalised", 6), ("overall_raw", 3)):  # of (r + 1) / 2, half of r's difference counts
        assert by_name[name].difference == pytest.approx(sts.difference / share)
        assert (by_name[name].low, by_name[name].high) == pytest.approx((sts.low / share, sts.high / share)), \
            "only sts differs, so the overall draws are its own draws, scaled"
    assert by_name["sst"].test.p == 1.0 and sts.test is None, "McNemar's test is for right and wrong"


def test_only_common_tasks_are_compared_and_two_make_no_overall(tmp_path, capsys):
    make_run(tmp_path / "a", three_tasks())
    make_run(tmp_path / "b", {name: three_tasks()[name] for name in ("sst", "sts")})
    assert run_command(main, [str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    shown = capsys.readouterr().out
    assert "overall" not in shown and "not compared, since not all runs have them: para" in shown


def test_a_constant_prediction_is_undefined_and_not_a_crash(tmp_path, capsys):
    make_run(tmp_path / "a", three_tasks())
    make_run(tmp_path / "b", three_tasks(sts=(2.0, 2.0, 2.0, 2.0)))
    assert run_command(main, [str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("sts"))
    assert line.endswith("undefined") and "nan" not in line


def test_a_folder_of_seeds_is_one_side(tmp_path, capsys):
    make_run(tmp_path / "one", three_tasks())
    for seed, sts in ((10, (1.0, 2.0, 4.0, 0.5)), (9, (1.0, 3.0, 2.0, 0.1))):
        make_run(tmp_path / f"many/seed-{seed}", three_tasks(sts), seed=seed)
    many = find_runs(tmp_path / "many")
    assert [run.recipe.seed for run in many] == [9, 10], "by number: as text, 10 comes before 9"
    by_name = {one.name: one for one in compare_runs(find_runs(tmp_path / "one"), many, draws=100)}
    labels = three_tasks()["sts"][0]
    assert by_name["sts"].second == pytest.approx([pearson([1.0, 3.0, 2.0, 0.1], labels), pearson([1.0, 2.0, 4.0, 0.5], labels)])
    assert by_name["sst"].test is None, "McNemar's test compares two single runs"
    assert run_command(main, [str(tmp_path / "one"), str(tmp_path / "many")]) == 0
    shown = capsys.readouterr().out
    assert "2 seeds" in shown and "+-" in shown and "within the noise" in shown


def change_id(folder):
    path = folder / "outputs" / "sst-dev.csv"
    path.write_text(path.read_text().replace("sst2,", "other,"))


def run_again(folder, task, *answers):
    shutil.rmtree(folder)
    make_run(folder, three_tasks() | {task: answers})


def change_label(folder):
    run_again(folder, "sst", [0, 1, 3, 3], logits([0, 1, 2, 4]))


def alter_label(folder):
    path = folder / "outputs" / "sst-dev.csv"
    path.write_text(path.read_text().replace("sst2,2", "sst2,3"))


def take_label(folder):
    path = folder / "outputs" / "sst-dev.csv"
    path.write_text(path.read_text().replace("sst2,2", "sst2,"))


def drop_example(folder):
    run_again(folder, "sts", [1.0, 2.0, 3.0], [1.0, 2.0, 4.0])


def alter_score(folder):
    path = folder / "results.json"
    path.write_text(path.read_text().replace('"value": 0.75', '"value": 0.76', 1))


def drop_results(folder):
    (folder / "results.json").unlink()


def empty_results(folder):
    (folder / "results.json").write_text("{}")


def add_unknown_task(folder):
    results = json.loads((folder / "results.json").read_text())
    for part in ("tasks", "examples"):
        results["dev"][part]["cfimdb"] = {"accuracy": {"value": 1.0}}
    (folder / "results.json").write_text(json.dumps(results))


def add_column(folder):
    path = folder / "outputs" / "para-dev.csv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{head},output_1", *(f"{row},1" for row in rows)]) + "\n")


@pytest.mark.parametrize("damage, words", [
    (change_id, "not on the same examples: example 3 is 'sst2' and 'other'"),
    (change_label, "not on the same examples: the label of 'sst2' is 2 and 3"),
    (take_label, "sst-dev.csv: 'sst2' has label nan, which is none of sst's"),
    (alter_label, "'dev.tasks.sst.accuracy.value' is '0.75', but must be '0.5' by recipe.toml and outputs/"),
    (alter_score, "'dev.tasks.sst.accuracy.value' is '0.76', but must be '0.75' by recipe.toml and outputs/"),
    (drop_example, "not on the same examples: 4 and 3 examples"),
    (drop_results, "holds no finished run"), (empty_results, "lacks recipe, facts"),
    (add_unknown_task, "'cfimdb': not a task of the run's recipe"), (add_column, "2 columns of output"),
])
def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path, capsys, damage, words):
    make_run(tmp_path / "a", three_tasks())
    damage(make_run(tmp_path / "b", three_tasks()))
    assert run_command(main, [str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    shown = capsys.readouterr().err
    assert words in shown and shown.count("\n") == 2, shown


def test_a_split_without_labels_cannot_be_compared(tmp_path):
    no_labels = {"sst": ([None] * 4, logits([0, 1, 2, 3]))}
    runs = [read_run(make_run(tmp_path / name, three_tasks(), test=no_labels)) for name in "ab"]
    assert np.isnan(read_predictions(runs[0], "sst", "test").labels_N).all()
    with pytest.raises(MinbertError, match="not all examples have labels"):
        compare_runs(runs[:1], runs[1:], "test")


def test_a_seed_that_did_not_finish_is_named(tmp_path):
    make_run(tmp_path / "seed-1", three_tasks())
    (tmp_path / "seed-2").mkdir()
    with pytest.raises(MinbertError, match="seed-2 holds no finished run"):
        find_runs(tmp_path)


def test_folders_that_are_not_seeds_of_one_recipe_are_refused(tmp_path):
    make_run(tmp_path / "seed-1", three_tasks())
    make_run(tmp_path / "seed-2", three_tasks(), some_recipe=replace(recipe(), max_length=16), seed=2)
    with pytest.raises(MinbertError, match="differ in more than the seed"):
        find_runs(tmp_path)
