"""An ensemble is its members' answers and nothing else: no order, no hidden choice, no dev example that chose its own score."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from saved_run import logits, make_run
from scipy.special import softmax
from small_run import recipe

from minbert.files import MinbertError
from multitask.compare import compare_runs
from multitask.ensemble import build_ensemble, find_probabilities, main
from multitask.ensemble_rules import RULES, Answers, choose_above, choose_best, choose_greedily, combine_by_mean, vote
from multitask.flags import run_command
from multitask.recipe import TaskRecipe
from multitask.run_folder import find_runs, read_predictions, read_run
from multitask.tables import TASKS

LIMITS = {"sst": 0.5, "para": 0.5, "sts": 0.5}


def probabilities(*rows):
    """(M, 1, C): one example."""
    return np.array(rows, dtype=float)[:, None, :]


def vote_on_one(labels, rows, scores):
    return int(vote(np.array(labels)[:, None], probabilities(*rows), np.array(scores))[0])


def classes_of(labels, predictions):
    """Answers to a binary task by models that are sure of their predictions."""
    predictions = np.array(predictions)
    return Answers("binary", np.array(labels, dtype=float), predictions, np.eye(2)[predictions.astype(int)])


def scores_of(labels, predictions):
    return Answers("score", np.array(labels, dtype=float), np.array(predictions), np.array(predictions))


def draw_tasks(skill: float, seed: int, count: int = 60) -> dict[str, tuple[list, np.ndarray]]:
    """The three tasks' labels, the same for every seed, and a model's outputs that know them a little."""
    labels, noise = np.random.default_rng(0), np.random.default_rng(seed)
    sst, para, sts = labels.integers(0, 5, count), labels.integers(0, 2, count), labels.integers(0, 51, count) / 10
    return {"sst": (sst.tolist(), skill * np.eye(5)[sst] + noise.normal(size=(count, 5))),
            "para": (para.tolist(), skill * (2 * para - 1) + noise.normal(size=count)),
            "sts": (sts.tolist(), skill * sts + 2 * noise.normal(size=count))}


def draw_runs(folder: Path, members: int = 3) -> list[Path]:
    return [make_run(folder / f"run{seed}", draw_tasks(0.6 + 0.2 * seed, seed), test=draw_tasks(0.6 + 0.2 * seed, 50 + seed))
            for seed in range(members)]


def combine(folders, rule, limits=LIMITS):
    return build_ensemble([read_run(folder) for folder in folders], rule, limits)


@pytest.mark.exercise("8.5")
def test_the_label_of_most_members_wins():
    assert vote_on_one([2, 1, 1], [[0, 0, 1], [0, 0.51, 0.49], [0, 0.51, 0.49]], [0.9, 0.1, 0.1]) == 1, \
        "votes count before probabilities and dev scores; every member has one vote"


@pytest.mark.exercise("8.5")
def test_a_tied_vote_goes_to_the_larger_summed_probability_of_all_members():
    rows = [[0.4, 0.35, 0.25], [0.05, 0.45, 0.5], [0.4, 0.2, 0.4], [0.0, 0.1, 0.9]]
    assert vote_on_one([0, 2, 0, 2], rows, [0.1, 0.2, 0.1, 0.1]) == 2, "a tie does not go to the lowest label"
    assert vote_on_one([0, 2, 0, 2], rows, [0.9, 0.1, 0.1, 0.1]) == 2, "the summed probabilities count before the best voter"
    rows = [[0.6, 0.4, 0.0], [0.3, 0.5, 0.2], [0.1, 0.3, 0.6]]  # sums 1, 1.2, .8; of the class's own voter .6, .5, .6
    assert vote_on_one([0, 1, 2], rows, [0.1, 0.1, 0.1]) == 1, \
        "the probabilities are summed over all members, not only over those that voted for the class"


@pytest.mark.exercise("8.5")
def test_a_vote_tied_in_probability_goes_to_the_best_voter_on_dev_and_then_to_the_lowest_class():
    rows = [[0.1, 0.6, 0.3], [0.1, 0.3, 0.6]]
    assert vote_on_one([1, 2], rows, [0.5, 0.6]) == 2, "equal votes and probabilities: the best voter on dev decides"
    assert vote_on_one([2, 1], rows[::-1], [0.5, 0.6]) == 1, "equal votes and probabilities: the best voter on dev decides"
    assert vote_on_one([1, 2], rows, [0.5, 0.5]) == 1, "equal in everything: the lowest class"


def test_probabilities_that_are_equal_but_for_rounding_are_tied():
    rows = [[0.1 + 0.2, 0.3, 0.4], [0.3, 0.1 + 0.2 - 1e-12, 0.4], [0.0, 0.0, 1.0]]
    assert vote_on_one([0, 1, 2], [row[:2] + [0.0] for row in rows], [0.1, 0.2, 0.0]) == 1


def test_no_order_of_the_voters_changes_a_vote():
    generator = np.random.default_rng(0)
    rows = softmax(generator.normal(size=(6, 500, 3)).round(1), axis=-1)
    scores = np.array([0.5, 0.6, 0.5, 0.7, 0.4, 0.6])
    expected = vote(rows.argmax(-1), rows, scores)
    for _ in range(5):
        order = generator.permutation(6)
        assert np.array_equal(vote(rows.argmax(-1)[order], rows[order], scores[order]), expected)


def test_the_mean_is_of_probabilities_and_of_scores():
    answers = Answers("classes", np.zeros(1), np.array([[0], [1], [1]]), probabilities([0.9, 0.1], [0.4, 0.6], [0.45, 0.55]))
    assert combine_by_mean(answers, np.zeros(3)).tolist() == [0], "one sure member outweighs two that are not: no vote"
    assert combine_by_mean(scores_of([1, 2], [[1.0, 2.0], [2.0, 5.0]]), np.zeros(2)).tolist() == [1.5, 3.5]


def test_thresholds_above_all_members_leave_the_best_one():
    dev = classes_of([0, 1, 1, 0], [[0, 1, 0, 1], [0, 1, 1, 1], [1, 0, 0, 1]])  # accuracies 0.5, 0.75, 0
    assert choose_above(dev, 0.99) == [1] == choose_best(dev, None)
    assert choose_above(dev, 0.4) == [0, 1]
    assert choose_above(dev, 0.5) == [1], "a member must be above its threshold"
    undefined = scores_of([1, 2, 3], [[2.0, 2.0, 2.0], [3.0, 2.0, 1.0]])
    assert choose_best(undefined, None) == [1], "an undefined r is worse than r = -1"


def test_greedy_selection_takes_what_helps_and_takes_it_again():
    labels = np.array([0, 1, 0, 1, 0, 1])
    sure, weak = np.eye(2)[labels], np.full((6, 2), 0.5)
    first, second = weak.copy(), weak.copy()
    first[:4], first[4:] = sure[:4], 0.55 - 0.1 * sure[4:]  # right on four, a little wrong on two
    second[4:], second[:4] = sure[4:], 0.55 - 0.1 * sure[:4]  # the other way round
    wrong = 1 - sure
    values = np.stack([wrong, first, second])
    dev = Answers("classes", labels.astype(float), values.argmax(-1), values)
    chosen = choose_greedily(dev, None)
    assert chosen == [1, 2], "the best member, then the one that mends its errors, and nothing after a perfect score"
    assert np.array_equal(combine_by_mean(dev.of(chosen), np.zeros(2)), labels)
    # twice the first member outweighs one of the second
    noise = np.random.default_rng(1).normal(size=40)
    truth = np.linspace(0, 5, 40)
    pair = scores_of(truth, [truth + noise, truth - 3 * noise])
    assert sorted(choose_greedily(pair, None)[:4]) == [0, 0, 0, 1], "three to one cancels the noise: members may repeat"


def test_the_best_member_alone_is_never_better_than_the_greedy_choice_on_what_it_was_chosen_by():
    for seed in range(5):
        generator = np.random.default_rng(seed)
        dev = classes_of(generator.integers(0, 2, 30), generator.integers(0, 2, (4, 30)))
        chosen = choose_greedily(dev, None)
        reached = np.mean(combine_by_mean(dev.of(chosen), np.zeros(0)) == dev.labels_N)
        assert reached >= dev.scores().max()


@pytest.mark.parametrize("rule", RULES)
def test_no_dev_example_has_a_say_in_its_own_answer(rule):
    generator = np.random.default_rng(2)
    labels, predictions = generator.integers(0, 2, 25), generator.integers(0, 2, (6, 25))
    before = RULES[rule].cross_fit(classes_of(labels, predictions), 0.55)
    for row in range(25):
        other = labels.copy()
        other[row] = 1 - other[row]
        after = RULES[rule].cross_fit(classes_of(other, predictions), 0.55)
        assert after[row] == before[row], "the members that answer an example were chosen by its own label"


def test_choosing_among_guessers_flatters_and_cross_fitting_does_not():
    generator = np.random.default_rng(3)
    flattered, honest = [], []
    for _ in range(12):
        labels = generator.integers(0, 2, 60)
        dev = classes_of(labels, generator.integers(0, 2, (12, 60)))
        flattered.append(np.mean(RULES["best"].answer(dev, dev, None)[1] == labels))
        honest.append(np.mean(RULES["best"].cross_fit(dev, None) == labels))
    assert np.mean(flattered) > 0.56, "the best of twelve coins on the very throws that it was chosen by"
    assert abs(np.mean(honest) - 0.5) < 0.05, "coins are worth 0.5: chosen and scored on the same examples?"


def test_the_dev_score_is_the_cross_fitted_one(tmp_path):
    folders = [make_run(tmp_path / str(seed), {"sst": draw_tasks(0.0, seed)["sst"]}) for seed in range(20, 28)]
    results, answers = combine(folders, "best")
    honest, flattered = (results[split]["tasks"]["sst"]["accuracy"].value for split in ("dev", "dev_flattered"))
    assert flattered == max(read_run(folder).results["dev"]["tasks"]["sst"]["accuracy"]["value"] for folder in folders)
    assert honest < flattered - 0.03, "the best of eight guessers is no better than a guess on examples that did not choose it"
    assert honest == np.mean(answers["sst"]["dev"].predictions_N == answers["sst"]["dev"].labels_N)


@pytest.mark.parametrize("rule", RULES)
def test_one_model_equals_itself(tmp_path, rule):
    (folder,) = draw_runs(tmp_path, members=1)
    results, answers = combine([folder], rule)
    run = read_run(folder)
    for name in ("sst", "para", "sts"):
        for split in ("dev", "dev_flattered", "test"):
            alone = read_predictions(run, name, split.partition("_")[0]).predictions_N
            assert answers[name][split].predictions_N == pytest.approx(alone, abs=1e-12), (name, split)
        single, ours = run.results["dev"]["tasks"][name], results["dev"]["tasks"][name]
        assert all(ours[measure].value == pytest.approx(score["value"]) for measure, score in single.items())


@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_the_members_changes_nothing(tmp_path, rule):
    folders = draw_runs(tmp_path)
    results, answers = combine(folders, rule)
    again, answers_again = combine([folders[2], folders[0], folders[1]], rule)
    assert results == again
    for name, splits in answers.items():
        for split, one in splits.items():
            assert np.array_equal(one.predictions_N, answers_again[name][split].predictions_N), (name, split)


def test_best_takes_each_tasks_best_run(tmp_path):
    strong, weak = draw_tasks(3.0, 1), draw_tasks(0.2, 2)
    a = make_run(tmp_path / "a", {"sst": strong["sst"], "para": weak["para"], "sts": strong["sts"]})
    b = make_run(tmp_path / "b", {"sst": weak["sst"], "para": strong["para"], "sts": weak["sts"]})
    results, _ = combine([a, b], "best")
    assert results["members"] == {"sst": {str(a): 1}, "para": {str(b): 1}, "sts": {str(a): 1}}
    assert results["dev"]["overall_raw"].value > max(read_run(folder).results["dev"]["overall_raw"]["value"] for folder in (a, b))


def test_runs_of_single_tasks_make_an_ensemble_of_all(tmp_path):
    tasks = draw_tasks(1.0, 1)
    folders = [make_run(tmp_path / name, {name: tasks[name]}) for name in tasks]
    results, _ = combine(folders, "mean")
    assert list(results["dev"]["tasks"]) == ["sst", "para", "sts"] and results["seconds"] == 180


def test_probabilities_are_read_as_the_target_meant_them(tmp_path):
    def read(task, outputs, **settings):
        some_recipe = replace(recipe(), tasks={task: TaskRecipe(encoding="pair" if task == "para" else "single", **settings)})
        run = read_run(make_run(tmp_path / task / settings.get("target", ""), {task: ([0, 1], outputs)}, some_recipe=some_recipe))
        return find_probabilities(run, TASKS[task], read_predictions(run, task, "dev"))

    assert read("para", [np.log(3), -np.log(3)]) == pytest.approx(np.array([[0.25, 0.75], [0.75, 0.25]])), \
        "the one logit is that of yes, class 1"
    assert read("sst", np.log([[1, 2, 1, 1, 5], [6, 1, 1, 1, 1]])) == pytest.approx(
        np.array([[0.1, 0.2, 0.1, 0.1, 0.5], [0.6, 0.1, 0.1, 0.1, 0.1]])), "softmax over the classes"
    rows = [[0.1, 0.2, 0.1, 0.1, 0.5], [0.6, 0.1, 0.1, 0.1, 0.1]]
    assert read("sst", rows, target="one_hot") == pytest.approx(np.array(rows)), "squared error trains probabilities: no softmax"
    assert read("sst", [1.6, -3.0], target="regression") == pytest.approx(np.eye(5)[[2, 0]]), "all on the nearest class"


def test_the_folder_holds_predictions_scores_and_what_they_are_worth(tmp_path, capsys):
    folders = draw_runs(tmp_path)
    out = tmp_path / "ensemble"
    assert run_command(main, [*map(str, folders), "--rule", "greedy", "--out", str(out)]) == 0
    results = json.loads((out / "results.json").read_text())
    assert "cross-fitted" in results["notes"]["dev"] and "flattered" in results["notes"]["dev_flattered"]
    assert set(results["members"]["sst"]) <= {str(folder) for folder in folders}
    assert {"dev", "dev_flattered", "test"} <= set(results) and results["dev"]["examples"]["sst"] == 60
    shown = capsys.readouterr().out
    assert "cross-fitted" in shown and "flattered by selection" in shown and "overall_normalised" in shown
    sst = (out / "predictions" / "sst-dev-output.csv").read_text().splitlines()
    assert sst[0] == "id \t Predicted_Sentiment " and sst[1].split(" , ")[1].strip() in set("01234"), "classes are whole numbers"
    para = (out / "predictions" / "para-test-output.csv").read_text().splitlines()
    assert para[0] == "id \t Predicted_Is_Paraphrase " and para[1].split(" , ")[1].strip() in {"0.0", "1.0"}
    scored = {one.name: one for one in compare_runs(find_runs(folders[0]), find_runs(out), draws=100)}
    assert scored["sst"].second == [pytest.approx(results["dev"]["tasks"]["sst"]["accuracy"]["value"])], \
        "an ensemble's outputs are its cross-fitted predictions, and compare reads them"


def test_test_without_labels_is_predicted_and_not_scored(tmp_path):
    blind = {name: ([None] * 60, rows) for name, (_, rows) in draw_tasks(1.0, 9).items()}
    folders = [make_run(tmp_path / letter, draw_tasks(1.0, seed), test=blind) for seed, letter in enumerate("ab")]
    out = tmp_path / "out"
    assert run_command(main, [*map(str, folders), "--rule", "mean", "--out", str(out)]) == 0
    assert "test" not in json.loads((out / "results.json").read_text())
    with open(out / "outputs" / "sts-test.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60 and rows[0]["label"] == "" and rows[0]["output_0"]


def test_thresholds_are_read_on_the_scale_they_are_given_on(tmp_path):
    folders = draw_runs(tmp_path)
    r = [read_run(folder).results["dev"]["tasks"]["sts"]["pearson"]["value"] for folder in folders]
    between = (sorted(r)[0] + sorted(r)[1]) / 2
    for scale, limit in (("r", between), ("normalised", (between + 1) / 2)):
        out = tmp_path / scale
        assert run_command(main, [*map(str, folders), "--rule", "thresholds", "--thresholds", "sst=0", "para=.99", f"sts={limit}",
                                  "--threshold_scale", scale, "--out", str(out)]) == 0
        members = json.loads((out / "results.json").read_text())["members"]
        assert [len(members[name]) for name in ("sst", "para", "sts")] == [3, 1, 2], scale


@pytest.mark.parametrize("arguments, words", [
    (["--rule", "thresholds"], "needs one threshold for each of the tasks para, sst, sts"),
    (["--rule", "thresholds", "--thresholds", "sst=.5"], "needs one threshold for each"),
    (["--rule", "thresholds", "--thresholds", "sts=x"], "'x' is not a number"),
    (["--rule", "thresholds", "--thresholds", "stt=.5"], "is not TASK=NUMBER"),
    (["--rule", "mean", "--thresholds", "sst=.5"], "only go with --rule thresholds"),
    (["--rule", "mean", "--threshold_scale", "r"], "only go with --rule thresholds"),
    (["--rule", "medain"], "invalid choice"), (["RUN0", "--rule", "mean"], "named twice"),
])
def test_wrong_flags_are_refused_in_one_line(tmp_path, capsys, arguments, words):
    folders = [str(folder) for folder in draw_runs(tmp_path, members=2)]
    arguments = [folders[0] if argument == "RUN0" else argument for argument in arguments]
    out = tmp_path / "out"
    assert run_command(main, [*folders, *arguments, "--out", str(out)]) == 2
    shown = capsys.readouterr().err
    assert words in shown and shown.count("\n") == 2, shown
    assert not out.exists()


def test_nothing_is_overwritten_and_nothing_half_done(tmp_path, capsys):
    a, b = draw_runs(tmp_path, members=2)
    assert run_command(main, [str(a), str(b), "--rule", "mean", "--out", str(a)]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    (b / "outputs" / "sts-test.csv").unlink()
    assert run_command(main, [str(a), str(b), "--rule", "mean", "--out", str(tmp_path / "new")]) == 2
    assert "sts-test.csv" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_members_must_have_answered_the_same_examples(tmp_path):
    a = make_run(tmp_path / "a", {"sst": ([0, 1, 2], logits([0, 1, 2]))})
    b = make_run(tmp_path / "b", {"sst": ([0, 1, 3], logits([0, 1, 2]))})
    with pytest.raises(MinbertError, match="not on the same examples: the label of 'sst2' is 2 and 3"):
        combine([a, b], "mean")
