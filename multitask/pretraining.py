"""Objectives for further pre-training of the encoder: ranking and contrastive losses on sentence vectors.

Henderson et al. 2017 (ranking), Gao et al. 2021 (SimCSE), Hadsell et al. 2006 (margin). Unlike public course code: vectors
are normalised AND scaled in the ranking loss, and no sentence stands in a batch twice, where it would be its own
negative. Those that predict words are in word_prediction.py.
"""

# B batch, T tokens, Q tokens asked for (all T, or the first alone), D hidden, K pairs (of one group), N sentences

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minbert.bert import initialise
from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer
from multitask.batches import BatchStream
from multitask.data import Batch, Encoding, Example, collate, make_generator
from multitask.heads import mean_pool
from multitask.model import MultitaskBert
from multitask.objectives import Objective
from multitask.recipe import PretrainingRecipe
from multitask.tables import TASKS
from multitask.targets import at_least_float32
from multitask.word_prediction import KINDS, collate_texts, each_text_once, make_word_prediction


# Exercise 11.2: ranking loss
def ranking_loss(anchors_KD: Tensor, positives_KD: Tensor, scale: float = 20.0) -> Tensor:
    """How badly each anchor picks out its own positive among all K: ln K where it can only guess, 0 at best.

    Steps: the cosine of every anchor with every positive; times `scale`; cross-entropy of each row, whose right
    answer is its own number. All other positives are negatives, so they should not mean the same.
    """
    # J = -1/K sum_i (S_ii - log sum_j exp S_ij),  S_ij = C cos(a_i, p_j)
    with torch.autocast(anchors_KD.device.type, enabled=False):  # a bfloat16 product would leave a score two or three digits
        unit_KD, other_KD = (F.normalize(at_least_float32(vectors_KD)) for vectors_KD in (anchors_KD, positives_KD))
        scores_KK = scale * unit_KD @ other_KD.T
    return F.cross_entropy(scores_KK, torch.arange(len(scores_KK), device=scores_KK.device))


# Exercise 11.3: margin contrastive loss
def margin_contrastive_loss(u_BD: Tensor, v_BD: Tensor, labels_B: Tensor, margin: float = 0.5,
                            distance: str = "cosine") -> Tensor:
    """Pulls pairs of label 1 together and pushes those of label 0 apart until they are `margin` away.

    Steps: the distance d, 1 minus the cosine, or Euclidean; half its square for label 1, half the square of what it lacks
    of the margin for label 0; the mean. The Euclidean distance is of the vectors as they are: BERT's are so long (about 15)
    that no two of them are within a margin of 0.5. It has 1e-6 added to every difference, for a slope at d = 0.
    """
    if distance not in ("cosine", "euclidean"):
        raise ValueError(f"margin_contrastive_loss: distance {distance!r} is not 'cosine' or 'euclidean'")
    u_BD, v_BD = at_least_float32(u_BD), at_least_float32(v_BD)
    cosine = distance == "cosine"
    distance_B = 1 - F.cosine_similarity(u_BD, v_BD) if cosine else F.pairwise_distance(u_BD, v_BD, eps=1e-6)
    labels_B = labels_B.to(distance_B.dtype)
    # L = 1/2 (y d^2 + (1 - y) max(0, m - d)^2)
    return (labels_B * distance_B**2 + (1 - labels_B) * F.relu(margin - distance_B) ** 2).mean() / 2


def plan_class_pairs(labels: Sequence[int], per_class: int, generator: torch.Generator) -> list[list[int]]:
    """The batches of one pass, as places in `labels`: `per_class` groups of one pair of every class; first the anchors
    of all groups, then in the same order their positives.

    A pair is two different places drawn at random, of a class with one example twice the same. There are as many batches
    as it takes to draw as many sentences as there are.
    """
    classes = [[place for place, label in enumerate(labels) if label == one] for one in sorted(set(labels))]
    plan = []
    for _ in range(math.ceil(len(labels) / (2 * per_class * len(classes)))):
        draws = [(one, torch.randperm(len(one), generator=generator)[:2].tolist()) for _ in range(per_class) for one in classes]
        plan.append([one[draw[side]] for side in (0, -1) for one, draw in draws])
    return plan


class ClassPairStream(BatchStream):
    """Batches from `plan_class_pairs`; their size follows from the number of classes."""

    def __init__(self, examples: Sequence[Example], per_class: int, seed: int,
                 collate_them: Callable[[Sequence[Example]], Batch], name: str) -> None:
        self.per_class = per_class
        super().__init__(examples, 0, seed, collate_them, name, lambda example: 0)

    def _enter(self, pass_number: int, position: int) -> None:
        self.pass_number, self.position = pass_number, position
        generator = make_generator(self.seed, self.name, pass_number)
        self._plan = plan_class_pairs([example.label for example in self.examples], self.per_class, generator)


class SentenceObjective:
    """An objective on the vectors of sentences that come in pairs: first the pairs' first sentences, then their second."""

    def __init__(self, name: str, recipe: PretrainingRecipe, stream: BatchStream, note: str = "") -> None:
        self.name, self.recipe, self.stream, self.note = name, recipe, stream, note

    def next_batch(self) -> Batch:
        return self.stream.next_batch()

    def output(self, model: MultitaskBert, batch: Batch) -> Tensor:
        """sentence_BD."""
        tokens, is_cls = batch.tokens, self.recipe.pooling == "cls"
        hidden_BQD = model.encoder.encode("", model.embed("", tokens), tokens.attention_mask, first_only=is_cls)
        return hidden_BQD[:, 0] if is_cls else mean_pool(hidden_BQD, tokens.mask_BT)


class Ranking(SentenceObjective):
    """Each sentence finds its partner among the partners of its group of `group` pairs (0: of the whole batch)."""

    def __init__(self, name: str, recipe: PretrainingRecipe, stream: BatchStream, note: str = "", group: int = 0) -> None:
        super().__init__(name, recipe, stream, note)
        self.group = group

    def loss(self, sentence_BD: Tensor, batch: Batch) -> Tensor:
        anchors_ND, positives_ND = sentence_BD.chunk(2)
        size = self.group or len(anchors_ND)
        groups = zip(anchors_ND.split(size), positives_ND.split(size), strict=True)
        return torch.stack([ranking_loss(*pairs, self.recipe.scale) for pairs in groups]).mean()


class SimCSE(Ranking):
    """Each sentence finds itself under another dropout mask (Gao et al. 2021, section 3), through a layer that only
    training has. Its loss on dev does not exist: without dropout both are the same."""

    def output(self, model: MultitaskBert, batch: Batch) -> Tensor:
        if not any(isinstance(part, nn.Dropout) and part.training and part.p > 0 for part in model.encoder.modules()):
            raise MinbertError("simcse compares a sentence under two dropout masks, but the encoder's dropout is off",
                               "train mode, a model with dropout above 0, and no select_by = \"loss\"")
        return model.pretraining[self.name](super().output(model, batch))


class MarginContrastive(SentenceObjective):
    """Paraphrases near each other, other pairs at least the margin apart."""

    def loss(self, sentence_BD: Tensor, batch: Batch) -> Tensor:
        u_ND, v_ND = sentence_BD.chunk(2)
        return margin_contrastive_loss(u_ND, v_ND, batch.labels, self.recipe.margin, self.recipe.distance)


def make_pretraining(name: str, recipe: PretrainingRecipe, examples: Mapping[str, Sequence[Example]], model: MultitaskBert,
                     tokenizer: BertTokenizer, batch_size: int, seed: int, model_folder: Path | None) -> Objective:
    """The objective of that name on the examples, by task; its `note` is what a user should know, or empty.

    What it trains besides the encoder is in model.pretraining[name]; what is there already is used as it is.
    sentiment_ranking's batches have 2 sentences per class and `per_class`, whatever `batch_size` is.
    Raises MinbertError where the examples do not suffice, or the model has too few positions for them.
    """
    check_positions(recipe, examples, model)
    if name in KINDS:
        return make_word_prediction(name, recipe, examples, model, tokenizer, batch_size, seed, model_folder)
    text, pair = (Encoding(kind, max_length=recipe.max_length) for kind in ("single", "independent"))
    if name == "sentiment_ranking":
        collate_them = partial(collate_texts, tokenizer=tokenizer, encoding=text)
        return make_sentiment_ranking(name, recipe, examples["sst"], collate_them, seed)
    if name == "simcse":
        chosen, encoding, kind = each_text_once(examples), text, SimCSE
        collate_them = partial(collate_twice, tokenizer=tokenizer, encoding=text)
        add_projection(name, model)
    elif name == "ranking":
        chosen, encoding, kind = [example for example in examples["para"] if example.label == 1], pair, Ranking
        collate_them = partial(collate_unrepeated, tokenizer=tokenizer, encoding=pair)
    else:
        chosen, encoding, kind = examples["para"], pair, MarginContrastive
        collate_them = partial(collate, task=TASKS["para"], tokenizer=tokenizer, encoding=pair)
    if not chosen:
        raise MinbertError(f"{name}: not one of the examples will do", "ranking needs pairs of label 1, the others any text")
    return kind(name, recipe, BatchStream(chosen, batch_size, seed, collate_them, name, encoding.length))


def check_positions(recipe: PretrainingRecipe, examples: Mapping[str, Sequence[Example]], model: MultitaskBert) -> None:
    """Raises MinbertError where one of the texts, each read by itself and cut at max_length, is too long for the model."""
    encoding, positions = Encoding("independent", max_length=recipe.max_length), model.encoder.config.max_position_embeddings
    longest = max((encoding.length(example) for task in examples.values() for example in task), default=0)
    if longest > positions:
        raise MinbertError(f"stages.pretraining.max_length {recipe.max_length} leaves a text {longest} tokens, more than the "
                           f"model's {positions} positions", f"set it to {positions} or less")


def make_sentiment_ranking(name: str, recipe: PretrainingRecipe, examples: Sequence[Example],
                           collate_them: Callable[[Sequence[Example]], Batch], seed: int) -> Ranking:
    """Ranking in groups of one pair of each class that there is."""
    counts = Counter(example.label for example in examples)
    if len(counts) < 2:
        raise MinbertError(f"{name}: all sentences are of one class: nothing to tell apart", "it needs two or more")
    missing = [label for label in range(TASKS["sst"].low, TASKS["sst"].high + 1) if label not in counts]
    single = sorted(label for label, count in counts.items() if count == 1)
    notes = [f"no sentence has label {label}: the class is left out" for label in missing]
    notes += [f"one sentence alone has label {label}: it is paired with itself" for label in single]
    stream = ClassPairStream(examples, recipe.per_class, seed, collate_them, name)
    return Ranking(name, recipe, stream, f"{name}: {'; '.join(notes)}" if notes else "", group=len(counts))


def collate_twice(examples: Sequence[Example], tokenizer: BertTokenizer, encoding: Encoding) -> Batch:
    """Every text in two rows, one batch apart; the ids once."""
    batch = collate_texts([*examples, *examples], tokenizer, encoding)
    return replace(batch, ids=batch.ids[: len(examples)])


def collate_unrepeated(examples: Sequence[Example], tokenizer: BertTokenizer, encoding: Encoding) -> Batch:
    """The pairs without those that share a text with an earlier one, whose negatives would be paraphrases."""
    kept, seen = [], set()
    for example in examples:
        if seen.isdisjoint(example.texts):
            kept.append(example)
        seen.update(example.texts)
    return collate(kept, TASKS["para"], tokenizer, encoding)


def add_projection(name: str, model: MultitaskBert) -> None:
    """Puts the layer that only training has into model.pretraining[name], unless one is there already."""
    if name not in model.pretraining:
        projection = nn.Sequential(nn.Linear(model.encoder.hidden_size, model.encoder.hidden_size), nn.Tanh())
        projection.apply(lambda module: initialise(module, model.encoder.config.initializer_range))
        model.pretraining[name] = projection.to(next(model.encoder.parameters()).device)
