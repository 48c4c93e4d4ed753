"""Further pre-training: losses with known values, pairs that are true pairs, streams that may be entered anywhere."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from small_run import config, examples, make_model, recipe, tokenizer
from torch.utils._python_dispatch import TorchDispatchMode

from minbert.dropout import Dropout
from minbert.files import MinbertError
from multitask.data import Example
from multitask.pretraining import make_pretraining, margin_contrastive_loss, plan_class_pairs, ranking_loss
from multitask.recipe import PRETRAINING, FeaturesRecipe, PretrainingRecipe

SENTENCE_KINDS = ("ranking", "sentiment_ranking", "simcse", "margin_contrastive")


def make(name: str, given: dict | None = None, model=None, batch_size: int = 4, **settings):
    """(objective, model) on made-up examples."""
    model = model or make_model(recipe())
    given = given or {task: examples(task, 40) for task in ("sst", "para", "sts")}
    return make_pretraining(name, PretrainingRecipe(**settings), given, model, tokenizer(), batch_size, 3, None), model


def sentences(*texts: str, label: int | None = 0) -> list[Example]:
    words = tokenizer()
    return [Example(f"s{number}", (text,), label, (words.text_to_ids(text),)) for number, text in enumerate(texts)]


def paraphrases(*pairs: tuple[str, str], label: int = 1) -> list[Example]:
    words = tokenizer()
    return [Example(f"p{number}", pair, label, tuple(map(words.text_to_ids, pair))) for number, pair in enumerate(pairs)]


def step(objective, model) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss of the next batch and its gradients by parameter."""
    model.train().zero_grad()
    batch = objective.next_batch()
    loss = objective.loss(objective.output(model, batch), batch)
    loss.backward()
    return loss.detach(), {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


# ranking loss


@pytest.mark.exercise("11.2")
@pytest.mark.parametrize("count", [2, 5, 8])
def test_vectors_that_are_all_the_same_leave_only_a_guess(count):
    same = torch.ones(count, 3)
    assert ranking_loss(same, same).item() == pytest.approx(math.log(count), abs=1e-5), \
        "all scores equal: ln K, in the mean over the pairs, with the own positive among the K to choose from"


@pytest.mark.exercise("11.2")
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_pairs_at_right_angles_to_all_others_have_the_worked_loss(scale):
    vectors = torch.eye(5)
    expected = math.log(math.exp(scale) + 4) - scale  # .90483 for C = 1
    found = ranking_loss(vectors, vectors, scale).item()
    if scale > 1:
        assert found != pytest.approx(math.log(math.exp(1) + 4) - 1, abs=1e-5), "the scale is missing in the scores"
        assert found != pytest.approx(math.log(math.exp(1 / scale) + 4) - 1 / scale, abs=1e-5), "times the scale, not divided"
    for wrong in (math.log(math.exp(scale) + 4), math.log(math.exp(-scale) + 4) + scale):
        assert found != pytest.approx(wrong, abs=1e-5), "the right answer is on the diagonal: each anchor's own number"
    assert found == pytest.approx(expected, abs=1e-5), f"expected ln(e^C + 4) - C = {expected:.5f}, C = {scale}, got {found:.5f}"


@pytest.mark.exercise("11.2")
def test_a_single_pair_costs_nothing_and_teaches_nothing():
    anchor, positive = torch.randn(1, 4, requires_grad=True), torch.randn(1, 4)
    loss = ranking_loss(anchor, positive)
    loss.backward()
    assert loss.item() == 0 and not anchor.grad.any(), "with one positive to choose from there is no mistake to make"


@pytest.mark.exercise("11.2")
def test_the_length_of_a_vector_does_not_count():
    anchors, positives = torch.randn(4, 6), torch.randn(4, 6)
    stretched = ranking_loss(anchors * torch.tensor([[0.1], [3.0], [20.0], [1.0]]), positives * 7)
    assert stretched.item() == pytest.approx(ranking_loss(anchors, positives).item(), rel=1e-4), \
        "cosines: each vector is normalised, over its own elements; are the normalised vectors the ones that are multiplied?"


@pytest.mark.exercise("11.2")
def test_the_anchors_choose_among_the_positives_and_not_the_other_way_round():
    anchors, positives = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # anchor 1 finds its own; anchor 2 (score 0 of its own) prefers the other's (score 1)
    right, wrong = math.log(math.e + 1) - 1, math.log(math.e + 1)
    found = ranking_loss(anchors, positives, 1.0).item()
    assert found != pytest.approx(math.log(2), abs=1e-5), \
        "the positives choose among anchors, or anchors among anchors: anchors choose among positives, not the other way round"
    assert found == pytest.approx((right + wrong) / 2, abs=1e-5)
    turned = ranking_loss(positives, anchors, 1.0).item()
    assert turned == pytest.approx(math.log(2), abs=1e-5), "either column is as good a guess: ln 2"


def test_256_pairs_need_a_matrix_of_scores_and_no_box_of_differences():
    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **kwargs or {})
            if isinstance(result, torch.Tensor):
                self.numel = max(self.numel, result.numel())
            return result

    with Largest() as largest:
        ranking_loss(torch.randn(256, 64), torch.randn(256, 64))
    assert largest.numel == 256 * 256, "the vectors of all pairs side by side are (K, K, D): gigabytes for BERT's"


def test_bfloat16_training_does_not_round_the_scores():
    anchors, positives = torch.randn(6, 8), torch.randn(6, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = ranking_loss(anchors, positives)
    assert torch.equal(found, ranking_loss(anchors, positives)), "20 cos with eight bits"


@pytest.mark.parametrize("loss", [ranking_loss, lambda u, v: margin_contrastive_loss(u, v, torch.tensor([1.0, 0, 1, 0]), 3.0),
                                  lambda u, v: margin_contrastive_loss(u, v, torch.tensor([1.0, 0, 1, 0]), 9.0, "euclidean")])
def test_losses_of_vectors_keep_float64_and_have_true_gradients(loss):
    torch.manual_seed(0)
    u, v = torch.randn(2, 4, 5, dtype=torch.float64).unbind()
    assert loss(u, v).dtype == torch.float64 and loss(u.bfloat16(), v.bfloat16()).dtype == torch.float32
    assert torch.autograd.gradcheck(loss, (u.requires_grad_(), v.requires_grad_()))


# margin contrastive loss


@pytest.mark.exercise("11.3")
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("label, apart, expected", [(1, 0.3, 0.045), (0, 0.3, 0.02), (0, 0.5, 0.0), (0, 0.9, 0.0)])
def test_the_margin_loss_has_the_worked_values(distance, label, apart, expected):
    u = torch.tensor([[1.0, 0.0]])
    cosine = 1 - apart
    v = torch.tensor([[cosine, math.sqrt(1 - cosine**2)]]) if distance == "cosine" else torch.tensor([[1.0 + apart, 0.0]])
    found = margin_contrastive_loss(u, v, torch.tensor([float(label)]), 0.5, distance).item()
    lacking = 0.5 - apart
    if label == 1 or lacking > 0:
        assert found != pytest.approx(2 * expected, abs=1e-5), "the half is missing: half the square"
        assert found != pytest.approx(abs(apart if label else lacking) / 2, abs=1e-5), "the square is missing: half the square"
    assert not (label == 1 and found == pytest.approx(0.02, abs=1e-5)), "label 1 is to be pulled together, label 0 pushed apart"
    assert not (label == 0 and lacking < 0 and found == pytest.approx(lacking**2 / 2, abs=1e-5)), \
        "pairs beyond the margin cost nothing: max(0, margin - d), and mind its sign"
    assert not (distance == "cosine" and label == 1 and found == pytest.approx(0.7**2 / 2, abs=1e-5)), \
        "the cosine is no distance: that is 1 minus the cosine, 0 for equal vectors"
    assert found == pytest.approx(expected, abs=1e-5), (
        f"label {label}, d = {apart}, margin .5: expected {expected}, got {found:.4f}: half the square of d, or of what d "
        "lacks of the margin (mind the sign)")


@pytest.mark.exercise("11.3")
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_the_margin_loss_is_the_mean_over_pairs(distance):
    torch.manual_seed(0)
    u, v, labels = torch.randn(4, 5), torch.randn(4, 5), torch.tensor([1.0, 0.0, 1.0, 0.0])
    rows = [margin_contrastive_loss(u[i:i + 1], v[i:i + 1], labels[i:i + 1], 3.0, distance).item() for i in range(4)]
    assert margin_contrastive_loss(u, v, labels, 3.0, distance).item() == pytest.approx(sum(rows) / 4, rel=1e-4), \
        "the mean over pairs, not their sum"


@pytest.mark.exercise("11.3")
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_pairs_beyond_the_margin_are_left_alone(distance):
    u = torch.tensor([[1.0, 0.0]], requires_grad=True)
    margin_contrastive_loss(u, torch.tensor([[-1.0, 0.5]]), torch.zeros(1), 0.5, distance).backward()
    assert not u.grad.any(), "pairs beyond the margin are still pushed: max(0, margin - d), and mind its sign"


@pytest.mark.exercise("11.3")
def test_equal_vectors_of_different_meaning_are_pushed_apart():
    u = torch.ones(1, 3, requires_grad=True)
    margin_contrastive_loss(u, torch.ones(1, 3), torch.zeros(1), 0.5, "euclidean").backward()
    assert u.grad.isfinite().all() and u.grad.any(), "the root has no slope at 0: something small must be added to d"


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64])
def test_labels_may_be_yes_and_no_or_whole_numbers(dtype):
    u, v, labels = torch.randn(3, 4), torch.randn(3, 4), torch.tensor([1.0, 0.0, 1.0])
    assert torch.equal(margin_contrastive_loss(u, v, labels.to(dtype)), margin_contrastive_loss(u, v, labels))


def test_a_distance_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="distance 'cosin' is not 'cosine' or 'euclidean'"):
        margin_contrastive_loss(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1), distance="cosin")


# pairs


def test_a_class_gives_two_different_sentences_to_every_batch():
    labels = [0, 1, 2, 3, 4] * 6 + [2] * 7
    plan = plan_class_pairs(labels, 1, torch.Generator().manual_seed(0))
    assert len(plan) == math.ceil(37 / 10), "as many sentences are drawn in a pass as there are"
    for batch in plan:
        anchors, positives = batch[:5], batch[5:]
        assert [labels[place] for place in anchors] == [labels[place] for place in positives] == [0, 1, 2, 3, 4]
        assert not set(anchors) & set(positives), "a sentence must not be its own partner"
    assert len({tuple(batch) for batch in plan}) == len(plan), "every batch is drawn anew"


def test_a_class_with_one_sentence_pairs_it_with_itself_and_says_so():
    some = sentences("good", "bad", "big", "red", "small", label=1) + sentences("very good film", label=4)
    objective, _ = make("sentiment_ranking", {"sst": some})
    batch = objective.next_batch()
    assert batch.ids[1] == batch.ids[3], "the only sentence of class 4 must be both of its pair"
    assert "4" in objective.note and "itself" in objective.note
    for missing in (0, 2, 3):
        assert f"no sentence has label {missing}" in objective.note
    assert objective.stream.batch_size == 0 and len(batch.ids) == 4, "classes without a sentence have no row"


def test_sentences_of_one_class_alone_cannot_be_ranked():
    with pytest.raises(MinbertError, match="one class"):
        make("sentiment_ranking", {"sst": sentences("good", "bad")})


def test_pairs_of_one_class_are_not_each_others_negatives():
    objective, _ = make("sentiment_ranking", per_class=3)
    batch = objective.next_batch()
    assert len(batch.ids) == 30
    vectors = torch.eye(5).repeat(6, 1)  # each class its own direction: as good as it gets
    perfect = ranking_loss(torch.eye(5), torch.eye(5)).item()
    assert objective.loss(vectors, batch).item() == pytest.approx(perfect, abs=1e-6), \
        "a second pair of the same class must not count as a wrong answer"


def test_ranking_reads_the_paraphrases_and_no_other_pair():
    given = {"para": paraphrases(("good film", "very good"), ("bad", "very bad")) + paraphrases(("a cat", "a dog"), label=0)}
    objective, _ = make("ranking", given)
    assert [example.id for example in objective.stream.examples] == ["p0", "p1"]
    with pytest.raises(MinbertError, match="label 1"):
        make("ranking", {"para": paraphrases(("a", "an"), label=0)})


def test_no_sentence_of_a_ranking_batch_is_in_it_twice():
    given = {"para": paraphrases(("good", "very good"), ("good", "not bad"), ("red", "blue"), ("cat", "red"))}
    for _ in range(3):
        objective, _ = make("ranking", given)
        batch = objective.next_batch()
        rows = [tuple(row) for row in batch.tokens.ids_BT.tolist()]
        assert len(set(rows)) == len(rows) == 2 * len(batch.ids) == 4, "a repeated sentence is a negative of its own partner"


def test_the_margin_loss_reads_all_pairs_with_their_labels():
    objective, model = make("margin_contrastive", batch_size=40)
    batch = objective.next_batch()
    assert len(batch.ids) == 40 and set(batch.labels.tolist()) == {0.0, 1.0}
    model.eval()
    u, v = objective.output(model, batch).chunk(2)
    assert torch.equal(objective.loss(torch.cat([u, v]), batch), margin_contrastive_loss(u, v, batch.labels))


def test_simcse_is_the_ranking_loss_of_two_views():
    objective, model = make("simcse")
    batch = objective.next_batch()
    views = objective.output(model.train(), batch)
    first, second = views.chunk(2)
    rows = batch.tokens.ids_BT
    assert torch.equal(rows[: len(rows) // 2], rows[len(rows) // 2:]) and len(batch.ids) == len(rows) // 2
    assert not torch.allclose(first, second), "two dropout masks must give two vectors"
    assert torch.equal(objective.loss(views, batch), ranking_loss(first, second, 20.0))
    assert views.abs().max() <= 1, "the further layer ends in tanh"


def test_simcse_wants_dropout():
    objective, model = make("simcse")
    batch = objective.next_batch()
    with pytest.raises(MinbertError, match="dropout is off"):
        objective.output(model.eval(), batch)
    objective, model = make("simcse", model=make_model(recipe(), dropout=0.0))
    with pytest.raises(MinbertError, match="dropout is off"):
        objective.output(model.train(), batch)
    model.encoder.bert.layers[0].dropout = Dropout(0.1)
    objective.output(model.train(), batch)


@pytest.mark.parametrize("name", ["masked_lm", "prefix_lm", "deshuffling", "simcse"])
def test_objectives_on_text_read_each_text_of_every_task_once(name):
    given = {"sst": sentences("good film", "good film", "", label=1), "para": paraphrases(("good film", "a cat"))}
    objective, _ = make(name, given)
    assert sorted(example.texts for example in objective.stream.examples) == [("a cat",), ("good film",)]


# all of them


@pytest.mark.parametrize("name", PRETRAINING)
def test_every_objective_trains_the_encoder_and_what_it_adds_and_no_tasks_head(name):
    objective, model = make(name)
    added = {f"pretraining.{part}" for part, _ in model.pretraining.named_parameters()}
    loss, grads = step(objective, model)
    assert loss.dim() == 0 and loss > 0
    assert grads["encoder.bert.embeddings.word.weight"].any() and grads["encoder.bert.layers.0.attention.query.weight"].any()
    assert added <= grads.keys(), f"no gradient reaches {added - grads.keys()}: it is not part of the model"
    assert not any(part.startswith("heads") for part in grads)
    assert bool(added) == (name in ("masked_lm", "prefix_lm", "deshuffling", "simcse"))


@pytest.mark.parametrize("name", PRETRAINING)
def test_a_small_step_against_the_gradient_lowers_the_loss(name):
    objective, model = make(name)
    batch, losses = objective.next_batch(), []
    for _ in range(2):
        torch.manual_seed(1)  # the same dropout
        loss = objective.loss(objective.output(model.train(), batch), batch)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.grad is not None:
                    weight -= 1e-4 * weight.grad
        losses.append(loss.item())
    assert losses[1] < losses[0], f"from {losses[0]} to {losses[1]}"


@pytest.mark.parametrize("name", PRETRAINING)
def test_a_stream_entered_at_any_batch_goes_on_bit_for_bit(name):
    objective, model = make(name)
    for _ in range(len(objective.stream) - 1):  # the last batch of the first pass, and two of the second
        objective.next_batch()
    saved = copy.deepcopy(objective.stream.state_dict())
    after = [objective.next_batch() for _ in range(3)]
    resumed, _ = make(name, model=model)
    torch.manual_seed(99)  # what else is drawn does not matter
    resumed.stream.load_state_dict(saved)
    for expected in after:
        found = resumed.next_batch()
        assert found.ids == expected.ids
        assert torch.equal(found.tokens.ids_BT, expected.tokens.ids_BT), "what is altered must depend on the place alone"
        assert (found.labels is None and expected.labels is None) or torch.equal(found.labels, expected.labels)


@pytest.mark.parametrize("name", PRETRAINING)
def test_the_batches_of_two_passes_differ(name):
    objective, _ = make(name)
    passes = [[objective.next_batch().tokens.ids_BT.tolist() for _ in range(len(objective.stream))] for _ in range(2)]
    assert passes[0] != passes[1]


@pytest.mark.parametrize("name", ["masked_lm", "prefix_lm", "deshuffling"])
def test_one_batch_is_altered_anew_in_every_pass_and_at_every_place(name):
    words = "a an the good bad film cat dog sat ran".split()
    some = sentences(*(" ".join(words[number:] + words[:number]) for number in range(8)))
    objective, _ = make(name, {"sst": some}, batch_size=1)
    changes = {}
    for _ in range(5 * len(objective.stream)):
        place = objective.stream.state_dict()
        batch = objective.next_batch()
        objective.stream.load_state_dict(place)
        ids = objective.stream.next_batch().tokens.ids_BT
        order = [ids.tolist()[0].index(token) if token in ids else -1 for token in batch.tokens.ids_BT.tolist()[0]]
        changes.setdefault(objective.stream.pass_number, []).append((order, (batch.labels == -100).tolist()))
    firsts = [str(one[0]) for one in changes.values()]
    assert len(set(firsts)) > 1, "the first batch of every pass is altered in the same way: the pass must count"
    assert len(set(map(str, changes[0]))) > 1, "all batches of a pass are altered in the same way: the place must count"


@pytest.mark.parametrize("name", PRETRAINING)
def test_texts_are_cut_at_the_recipes_length(name):
    objective, _ = make(name, max_length=6)
    widths = {objective.next_batch().tokens.ids_BT.shape[1] for _ in range(len(objective.stream))}
    assert max(widths) == 6


@pytest.mark.parametrize("name", ["masked_lm", "simcse"])
def test_a_second_objective_goes_by_what_the_first_trains(name):
    objective, model = make(name)
    added = model.pretraining[name]
    make(name, model=model)
    assert model.pretraining[name] is added, "made anew for dev, the head would be one that nobody trains"


@pytest.mark.parametrize("name", SENTENCE_KINDS)
def test_mean_pooling_is_another_loss_and_padding_is_no_part_of_it(name):
    losses = {}
    for pooling in ("cls", "mean"):
        objective, model = make(name, pooling=pooling)
        torch.manual_seed(1)
        losses[pooling] = step(objective, model)[0]
    assert losses["cls"] != losses["mean"]
    batch = objective.next_batch()
    if name == "simcse":
        return
    with torch.no_grad():
        vectors = objective.output(model.eval(), batch)
        for row, vector in enumerate(vectors):
            real = batch.tokens.mask_BT[row].bool()
            hidden = model.encoder.bert(batch.tokens.ids_BT[row][None, real])["last_hidden_state"]
            assert torch.allclose(vector, hidden.mean(dim=1)[0], atol=1e-5)


@pytest.mark.parametrize("name", PRETRAINING)
def test_texts_longer_than_the_models_positions_are_refused_before_training(name):
    some = sentences(*["good film cat dog " * 12] * 3, label=0) + sentences("bad", "red", label=1)
    given = {"sst": some, "para": paraphrases(("good film " * 24, "bad"))}
    with pytest.raises(MinbertError, match="stages.pretraining.max_length 64 leaves a text 50 tokens, .* 40 positions") as caught:
        make(name, given)
    assert "40 or less" in caught.value.hint
    make(name, given, max_length=config().max_position_embeddings)[0].next_batch()


@pytest.mark.parametrize("name", PRETRAINING)
def test_parts_of_speech_are_read_where_they_do_not_give_the_words_away(name):
    def tag(some: list[Example]) -> list[Example]:
        return [replace(one, tags=tuple([1 + place % 3 for place in range(len(piece))] for piece in one.pieces)) for one in some]

    given = {task: tag(examples(task, 40)) for task in ("sst", "para", "sts")}
    _, grads = step(*make(name, given, make_model(replace(recipe(), features=FeaturesRecipe(part_of_speech="textblob")))))
    assert ("tags.weight" in grads and bool(grads["tags.weight"].any())) == (name in SENTENCE_KINDS)
