"""How many models' answers become one: which members are chosen, and how they are combined. Arrays in, arrays out.

The rules of the five course reports, and greedy selection (Caruana et al. 2004). Public code resolves a tied vote to the lowest
label; here the probabilities decide.
"""

# N examples, M members (models), C classes

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from multitask.compare import main_scores

FOLDS = 5
ROUNDS = 20  # members that greedy selection takes at most, counting repeats


@dataclass(frozen=True)
class Answers:
    """What M members say to N examples of a task. `values` are what `mean` averages: for a task with scores the predictions,
    shape (M, N), else the classes' probabilities, shape (M, N, C)."""

    kind: str  # the task's
    labels_N: np.ndarray
    predictions_MN: np.ndarray
    values: np.ndarray

    def of(self, members: Sequence[int]) -> "Answers":
        """Of these members; one that is named twice counts twice."""
        return Answers(self.kind, self.labels_N, self.predictions_MN[list(members)], self.values[list(members)])

    def on(self, rows: np.ndarray) -> "Answers":
        return Answers(self.kind, self.labels_N[rows], self.predictions_MN[:, rows], self.values[:, rows])

    def scores(self) -> np.ndarray:
        """Each member's accuracy, or Pearson's r; where r is not defined, less than any."""
        return np.nan_to_num(main_scores(self.kind, self.labels_N, self.predictions_MN), nan=-2.0)


# Exercise 8.5: ensembling by majority
def vote(predictions_MN: np.ndarray, probabilities_MNC: np.ndarray, scores_M: np.ndarray) -> np.ndarray:
    """labels_N: for each example the label that most members predict.

    Steps: count the votes for each class and keep those with the most; of these, those with the largest probability,
    summed over all members; of these, those that the voter with the best dev score voted for; of these, the lowest.
    """
    votes_MNC = predictions_MN[:, :, None] == np.arange(probabilities_MNC.shape[-1])
    summed_NC = probabilities_MNC.sum(axis=0).round(9)  # equal sums must not differ by their rounding
    voter_NC = np.where(votes_MNC, scores_M[:, None, None], -np.inf).max(axis=0)
    kept_NC = np.ones(summed_NC.shape, dtype=bool)
    for points_NC in (votes_MNC.sum(axis=0), summed_NC, voter_NC):
        points_NC = np.where(kept_NC, points_NC, -np.inf)
        kept_NC &= points_NC == points_NC.max(axis=1, keepdims=True)
    return kept_NC.argmax(axis=1)


def combine_by_vote(answers: Answers, scores_M: np.ndarray) -> np.ndarray:
    """predictions_N: the vote on classes, the mean of scores."""
    return answers.values.mean(axis=0) if answers.kind == "score" else vote(answers.predictions_MN, answers.values, scores_M)


def combine_by_mean(answers: Answers, scores_M: np.ndarray) -> np.ndarray:
    """predictions_N: the class with the highest mean probability, the lowest of equals; the mean of scores."""
    mean = answers.values.mean(axis=0)
    return mean if answers.kind == "score" else mean.argmax(axis=-1)


def choose_all(dev: Answers, threshold: float | None) -> list[int]:
    return list(range(len(dev.values)))


def choose_best(dev: Answers, threshold: float | None) -> list[int]:
    """The member with the best dev score; the first of equals."""
    return [int(dev.scores().argmax())]


def choose_above(dev: Answers, threshold: float | None) -> list[int]:
    """The members with a dev score above the threshold; the best one where there is none."""
    return np.flatnonzero(dev.scores() > threshold).tolist() or choose_best(dev, threshold)


def choose_greedily(dev: Answers, threshold: float | None) -> list[int]:
    """Members, with repeats, whose mean scores well on dev (Caruana et al. 2004, sections 2.1 and 2.2).

    Steps: ROUNDS times add the member, new or again, with which the mean scores best; keep the shortest of the best starts
    of that list.
    """
    chosen, scores = [], []
    for _ in range(ROUNDS):
        means = [combine_by_mean(dev.of([*chosen, member]), np.empty(0)) for member in range(len(dev.values))]
        reached_M = np.nan_to_num(main_scores(dev.kind, dev.labels_N, np.stack(means)), nan=-2.0)
        chosen.append(int(reached_M.argmax()))
        scores.append(reached_M.max())
    return chosen[:int(np.argmax(scores)) + 1]


@dataclass(frozen=True)
class Rule:
    """How members are chosen, by their answers to labelled examples (and a threshold), and their answers combined."""

    choose: Callable[[Answers, float | None], list[int]]
    combine: Callable[[Answers, np.ndarray], np.ndarray]

    def answer(self, chosen_on: Answers, asked: Answers, threshold: float | None) -> tuple[list[int], np.ndarray]:
        """The members, and their predictions_N for `asked`."""
        members = self.choose(chosen_on, threshold)
        return members, self.combine(asked.of(members), chosen_on.of(members).scores())

    def cross_fit(self, dev: Answers, threshold: float | None) -> np.ndarray:
        """predictions_N for dev: each fifth of it is answered by members chosen on the other four."""
        shuffled_N = np.random.default_rng(0).permutation(len(dev.labels_N))
        result_N = np.empty(len(dev.labels_N))
        for fold in np.array_split(shuffled_N, FOLDS):
            rest = np.setdiff1d(shuffled_N, fold)
            result_N[fold] = self.answer(dev.on(rest), dev.on(fold), threshold)[1]
        return result_N


RULES = {
    "mode": Rule(choose_all, combine_by_vote),
    "mean": Rule(choose_all, combine_by_mean),
    "best": Rule(choose_best, combine_by_vote),
    "thresholds": Rule(choose_above, combine_by_vote),
    "greedy": Rule(choose_greedily, combine_by_mean),
}
