"""Predicting words: how many are masked and by what, which tokens see which, and where the vocabulary head comes from."""

import math

import pytest
import torch
from small_run import VOCABULARY, config, examples, make_model, recipe, tokenizer
from test_pretraining import make, sentences

from minbert.bert import BertModel
from minbert.files import MinbertError
from minbert.lm_head import VocabularyHead
from minbert.tensor_files import read_tensors, write_tensors
from minbert.weights import save_model
from multitask.pretraining import make_pretraining
from multitask.recipe import PretrainingRecipe
from multitask.word_prediction import IGNORED, mask_tokens, prefix_mask, shuffle_words

WORDS = torch.arange(5, 200)  # ordinary ids of a vocabulary of 200


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masked(rows: int = 2000, tokens: int = 50, rate: float = 0.15, count=None, first=None, is_word=None):
    """(ids, altered, labels) of rows * tokens random tokens."""
    ids = torch.randint(5, 200, (rows, tokens), generator=generator(1))
    is_word = torch.ones_like(ids, dtype=torch.bool) if is_word is None else is_word
    first = torch.arange(tokens).expand(rows, tokens) if first is None else first
    return ids, *mask_tokens(ids, is_word, first, rate, count, 4, WORDS, generator())


@pytest.mark.exercise("11.1")
def test_masking_has_devlins_rates():
    ids, altered, labels = masked()  # 1e5 tokens
    chosen = labels != IGNORED
    assert not chosen.all(), "every token has a label: only the chosen ones are to be predicted, the others are IGNORED"
    assert chosen.float().mean().item() == pytest.approx(0.15, abs=0.006), f"{chosen.float().mean():.0%} are chosen, not 15%"
    assert torch.equal(labels[chosen], ids[chosen]), "the labels are the ids before anything was altered"
    assert torch.equal(altered[~chosen], ids[~chosen]), "a token that was not chosen is altered"
    hidden, same = (altered == 4)[chosen].float().mean(), (altered == ids)[chosen].float().mean()
    assert hidden.item() == pytest.approx(0.8, abs=0.015), f"80% of the chosen tokens become [MASK], not {hidden:.0%}"
    assert same.item() == pytest.approx(0.1 + 0.1 / len(WORDS), abs=0.012), f"10% of the chosen tokens stay, not {same:.0%}"


@pytest.mark.exercise("11.1")
def test_every_row_is_masked_anew():
    _, _, labels = masked(200, 40)
    rows = {tuple(row) for row in (labels != IGNORED).int().tolist()}
    assert len(rows) > 150, f"{len(rows)} patterns in 200 rows: each row must draw numbers of its own"


@pytest.mark.exercise("11.1")
def test_what_replaces_a_word_is_any_ordinary_word():
    ids, altered, labels = masked(rows=4000)
    random = altered[(labels != IGNORED) & (altered != 4) & (altered != ids)]
    assert random.min() >= 5, "a word was replaced by a special token: draw from `ordinary_W`, in which there is no special token"
    assert random.min() == 5 and random.max() == 199, "every ordinary word may come"
    counts = torch.bincount(random, minlength=200)[5:]
    chi_square = ((counts - counts.float().mean()) ** 2 / counts.float().mean()).sum() / (len(WORDS) - 1)
    assert 0.5 < chi_square < 1.6, "all ordinary words are equally likely"


@pytest.mark.exercise("11.1")
@pytest.mark.parametrize("count", [None, torch.tensor([[30.0]])])
def test_only_words_are_chosen(count):
    is_word = torch.zeros(100, 20, dtype=torch.bool)
    is_word[:, 3:9] = True
    ids, altered, labels = masked(100, 20, 0.9, count, is_word=is_word)
    assert (labels[~is_word] == IGNORED).all(), "a special token or padding was chosen: only words are, see `is_word`"
    assert torch.equal(altered[~is_word], ids[~is_word]), "a special token or padding was altered, though not chosen"
    assert (labels[is_word] != IGNORED).float().mean() > 0.8, "with a rate of .9 most words are to be chosen"


@pytest.mark.exercise("11.1")
def test_a_count_is_kept_in_every_row():
    _, _, labels = masked(300, 40, count=torch.full((300, 1), 6.0))
    assert ((labels != IGNORED).sum(dim=1) == 6).all(), "where there is a count, so many tokens of each row are chosen"


@pytest.mark.exercise("11.1")
@pytest.mark.parametrize("count", [None, torch.full((3000, 1), 3.0)])
def test_a_word_is_masked_as_a_whole(count):
    first = torch.tensor([0, 1, 1, 1, 4, 5, 5, 7, 8, 8, 8, 8, 12, 13, 13]).expand(3000, 15)  # words of 1 to 4 pieces
    _, _, labels = masked(3000, 15, 0.2, count, first)
    chosen = labels != IGNORED
    assert torch.equal(chosen, chosen.gather(1, first)), "a word was torn apart"
    if count is None:
        assert chosen.float().mean().item() == pytest.approx(0.2, abs=0.01)
    else:
        assert chosen.sum(dim=1).min() == 3, "whole words, until there are enough pieces"
        assert chosen.sum(dim=1).max() <= 6, "not a word more than needed"


@pytest.mark.parametrize("choice, whole", [("bernoulli", False), ("count", False), ("bernoulli", True), ("count", True)])
def test_the_objective_masks_no_special_token_and_no_padding(choice, whole):
    odd = sentences("the cat sat", "the zebra sat on a red film", "dogs sats. [SEP] [MASK] cats", "blue")
    some = [*odd, *examples("sst", 60)]
    objective, _ = make("masked_lm", {"sst": some}, batch_size=8, mask_rate=0.5, mask_choice=choice, whole_word=whole)
    seen = 0
    for _ in range(3 * len(objective.stream)):
        place = objective.stream.state_dict()
        batch = objective.next_batch()
        chosen = batch.labels != IGNORED
        assert (batch.labels[chosen] >= 5).all(), "[PAD], [UNK], [CLS], [SEP] or [MASK] was chosen"
        assert not chosen[batch.tokens.mask_BT == 0].any(), "padding was chosen"
        objective.stream.load_state_dict(place)
        ids = objective.stream.next_batch().tokens.ids_BT  # the same batch, as it is in the data
        assert torch.equal(batch.labels[chosen], ids[chosen]), "the words before the masking are to be predicted"
        seen += int(chosen.sum())
        continues = torch.tensor([token.startswith("##") for token in VOCABULARY])[ids]
        if whole:
            assert torch.equal(chosen[:, 1:][continues[:, 1:]], chosen[:, :-1][continues[:, 1:]]), "a word was torn apart"
        if choice == "count" and not whole:
            lengths, words = batch.tokens.mask_BT.sum(1), ((ids >= 5) & (batch.tokens.mask_BT == 1)).sum(1)
            expected = torch.minimum((0.5 * lengths).round().clamp(min=1), words)
            assert torch.equal(chosen.sum(1), expected.long()), "half of the tokens, [CLS] and [SEP] counted, and at least one"
    assert seen > 100


def test_a_count_is_at_least_one_word_of_every_text():
    objective, _ = make("masked_lm", {"sst": sentences("good", "the cat sat", "bad film")}, mask_rate=0.01, mask_choice="count")
    assert (objective.next_batch().labels != IGNORED).sum(dim=1).tolist() == [1, 1, 1]


def test_a_batch_with_nothing_to_predict_costs_nothing():
    objective, model = make("masked_lm", mask_rate=1e-9)
    batch = objective.next_batch()
    loss = objective.loss(objective.output(model, batch), batch)
    loss.backward()
    assert loss.item() == 0, f"a batch with nothing to predict has loss 0, not {loss.item()}: do not divide by 0 tokens"
    assert all(weight.grad is None or not weight.grad.any() for weight in model.parameters())


def test_the_loss_is_the_mean_over_chosen_tokens():
    objective, model = make("masked_lm", mask_rate=0.5)
    batch = objective.next_batch()
    model.eval()
    scores = objective.output(model, batch)
    hidden = model.encoder.bert(batch.tokens.ids_BT, batch.tokens.mask_BT)["last_hidden_state"]
    everywhere = model.pretraining["masked_lm"](hidden).log_softmax(dim=-1)
    places = (batch.labels != IGNORED).nonzero().tolist()
    expected = -sum(everywhere[row, place, batch.labels[row, place]].item() for row, place in places) / len(places)
    assert objective.loss(scores, batch).item() == pytest.approx(expected, rel=1e-5), "the mean over the chosen tokens"
    assert len(scores) == len(places)
    uniform = objective.loss(torch.zeros_like(scores), batch).item()
    assert uniform == pytest.approx(math.log(len(VOCABULARY)), rel=1e-6), "no idea at all costs ln V"


def test_the_loss_is_taken_in_the_scores_own_precision_or_in_float32():
    objective, _ = make("masked_lm", mask_rate=0.5)
    batch = objective.next_batch()
    scores = torch.randn(int((batch.labels != IGNORED).sum()), len(VOCABULARY), dtype=torch.float64)
    assert objective.loss(scores, batch).dtype == torch.float64
    assert objective.loss(scores.bfloat16(), batch).dtype == torch.float32


# deshuffling


@pytest.mark.exercise("11.4")
def test_shuffling_moves_words_only_and_loses_none():
    ids = torch.randint(5, 200, (50, 12), generator=generator(2))
    is_word = torch.rand(50, 12, generator=generator(3)) < 0.7
    shuffled = shuffle_words(ids, is_word, generator())
    assert torch.equal(shuffled[~is_word], ids[~is_word]), "special tokens and padding stay where they are"
    for row in range(50):
        assert sorted(shuffled[row][is_word[row]].tolist()) == sorted(ids[row][is_word[row]].tolist()), \
            "a word is lost, and another there twice: every word must keep a place"
    assert (shuffled != ids).any(dim=1).float().mean() > 0.9, "the words are where they were: they come in no random order"


@pytest.mark.exercise("11.4")
def test_every_order_is_equally_likely():
    ids = torch.tensor([[1, 7, 8, 9, 2]]).repeat(6000, 1)
    is_word = torch.tensor([[False, True, True, True, False]]).expand(6000, 5)
    orders = shuffle_words(ids, is_word, generator())[:, 1:4].unique(dim=0, return_counts=True)[1]
    assert len(orders) > 1, "all rows have the same order: each row is to be shuffled in an order of its own, at random"
    assert len(orders) == 6 and (orders - 1000).abs().max() < 150, \
        f"the 6 orders of 3 words are equally likely, got them {orders.tolist()} times of 6000"


def test_deshuffling_predicts_what_stood_at_each_place():
    objective, _ = make("deshuffling", batch_size=40)
    place = objective.stream.state_dict()
    batch = objective.next_batch()
    objective.stream.load_state_dict(place)
    ids = objective.stream.next_batch().tokens.ids_BT
    real = batch.tokens.mask_BT.bool()
    assert torch.equal(batch.labels[real], ids[real]), "the labels are what stood at each place before the words were shuffled"
    assert (~real).any() and (batch.labels[~real] == IGNORED).all(), "padding is not to be predicted"
    assert not torch.equal(batch.tokens.ids_BT, ids)


# prefix language model


@pytest.mark.exercise("11.5")
def test_the_prefix_sees_itself_and_each_later_token_what_is_before_it():
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    visible = prefix_mask(mask, torch.tensor([2, 3])).int()
    assert visible.shape == (2, 5, 5), f"who sees whom: expected (B, T, T) = (2, 5, 5), got {tuple(visible.shape)}"
    assert not (visible[0, 4].sum() == 0 or visible[0, 0, :2].sum() == 0), "inverted: True is for what may be seen"
    assert visible[0].diagonal().all(), "every token sees itself"
    assert not visible[1, :, 4].any(), "padding is visible: nobody sees it, so the mask is for the third axis"
    assert not visible[0, 0, 4], "a token sees a later one, and so the word that it is to predict; are the axes exchanged?"
    assert visible[0, :2, :2].all(), "everyone sees the whole prefix: its first token sees its last, too"
    assert not visible[0, :2, 2].any(), "the prefix is one token too long: it is places 0 to prefix_B - 1"
    assert visible.tolist() == [
        [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]],
        [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 0]],
    ], "the rest sees the prefix and what stands before it; padding is seen by nobody, not by its own row either"


@pytest.mark.parametrize("fused", [False, True])
def test_a_token_of_the_rest_cannot_see_what_it_is_to_predict(fused):
    model = BertModel(config()).eval()
    for layer in model.layers:
        layer.attention.fused = fused
    ids = torch.randint(5, len(VOCABULARY), (1, 8), generator=generator())
    mask = prefix_mask(torch.ones(1, 8), torch.tensor([3]))
    maps = None if fused else []
    before = model.encode(model.embed(ids), mask, maps=maps)
    for attention in maps or ():
        assert not attention[:, :, :3, 3:].any(), "the prefix attends to what follows it"
        assert attention[:, :, :3, :3].all() and torch.allclose(attention.sum(-1), torch.ones(1, 4, 8))
    for changed in range(3, 8):
        other = ids.clone()
        other[0, changed] = 5 + (ids[0, changed] - 4) % (len(VOCABULARY) - 5)
        after = model.encode(model.embed(other), mask)
        assert torch.equal(after[:, :changed], before[:, :changed]), f"a token before {changed} sees it"
        assert not torch.allclose(after[:, changed], before[:, changed])
    first = model.encode(model.embed(ids), mask, first_only=True)
    assert torch.allclose(first, before[:, :1], atol=1e-6)


def test_a_mask_for_every_token_that_hides_padding_alone_is_the_usual_mask():
    model = BertModel(config()).eval()
    ids = torch.randint(5, len(VOCABULARY), (2, 6), generator=generator())
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    each = mask[:, None, :].expand(2, 6, 6)
    assert torch.equal(model.encode(model.embed(ids), mask), model.encode(model.embed(ids), each))


def test_the_rest_is_predicted_token_by_token():
    objective, _ = make("prefix_lm", batch_size=8)
    shares = set()
    for _ in range(2 * len(objective.stream)):
        batch = objective.next_batch()
        visible = objective.visible(batch)
        for row, (ids, labels) in enumerate(zip(batch.tokens.ids_BT.tolist(), batch.labels.tolist(), strict=True)):
            length = int(batch.tokens.mask_BT[row].sum())
            places = [place for place, label in enumerate(labels) if label != IGNORED]
            prefix = places[0] + 1
            assert 2 <= prefix <= length - 2, "[CLS] and a word before the cut, and a word and [SEP] after it"
            assert places == list(range(prefix - 1, length - 1))
            assert [labels[place] for place in places] == ids[prefix:length], "each predicts the next token"
            assert int(visible[row, 0].sum()) == prefix, "the mask and the labels must cut at the same place"
            shares.add((length, prefix))
    long = {prefix for length, prefix in shares if length == 14}
    assert {min(long), max(long)} == {2, 12} or len(long) > 5, "the cut is drawn from all places"


def test_three_words_are_cut_behind_the_first_or_the_second():
    objective, _ = make("prefix_lm", {"sst": sentences("good film cat")}, batch_size=1)
    counts = {int((objective.next_batch().labels != IGNORED).sum()) for _ in range(60)}
    assert counts == {2, 3}, "what is left to predict is two words and [SEP], or one word and [SEP]"


def test_the_prefix_objective_reads_with_the_prefix_mask():
    objective, model = make("prefix_lm", batch_size=1)
    batch = objective.next_batch()
    before = objective.output(model.eval(), batch)
    batch.tokens.ids_BT[0, -1] = 7  # [SEP], which the last score predicts
    assert torch.equal(objective.output(model, batch), before), "the last token is seen by those that are to predict it"
    batch.tokens.ids_BT[0, 1] = 5 + (batch.tokens.ids_BT[0, 1] - 4) % 20
    assert not torch.allclose(objective.output(model, batch), before)


@pytest.mark.parametrize("name", ["prefix_lm", "deshuffling"])
def test_a_text_of_one_word_is_skipped(name):
    objective, _ = make(name, {"sst": sentences("good", "bad film", "cat")})
    assert [example.texts for example in objective.stream.examples] == [("bad film",)]
    with pytest.raises(MinbertError, match="2 word pieces"):
        make(name, {"sst": sentences("good film")}, max_length=3)  # cut to one word


# the vocabulary head


def make_from(folder, model):
    given = {"sst": examples("sst", 9)}
    return make_pretraining("masked_lm", PretrainingRecipe(), given, model, tokenizer(), 4, 0, folder)


def save(folder, head: bool) -> VocabularyHead:
    """A folder with the model of seed 5, and its vocabulary head or none."""
    torch.manual_seed(5)
    model = BertModel(config())
    lm_head = VocabularyHead(config(), model.embeddings.word)
    torch.nn.init.normal_(lm_head.bias)
    save_model(folder, config(), model, VOCABULARY, lm_head if head else None)
    return lm_head


def test_the_checkpoints_vocabulary_head_is_used(tmp_path):
    stored = save(tmp_path, head=True)
    tensors = read_tensors(tmp_path / "model.safetensors")
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].clone()  # as some files do
    write_tensors(tmp_path / "model.safetensors", tensors)
    (tmp_path / "manifest.json").unlink()
    model = make_model(recipe())  # whose word embedding is another by now: an earlier stage has trained it
    objective = make_from(tmp_path, model)
    head = model.pretraining["masked_lm"]
    assert objective.note == ""
    for name, tensor in stored.state_dict().items():
        assert torch.equal(head.state_dict()[name], tensor), f"{name} is not the checkpoint's"
    hidden = torch.randn(1, 2, 16)
    head(hidden).sum().backward()
    assert model.encoder.bert.embeddings.word.weight.grad is not None, "the decoder must be the model's own word embedding"


def test_a_decoder_that_is_not_the_checkpoints_word_embedding_is_refused(tmp_path):
    save(tmp_path, head=True)
    tensors = read_tensors(tmp_path / "model.safetensors")
    tensors["cls.predictions.decoder.weight"] = torch.randn(len(VOCABULARY), 16)
    write_tensors(tmp_path / "model.safetensors", tensors)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(MinbertError, match="tied"):
        make_from(tmp_path, make_model(recipe()))


def test_without_a_head_in_the_checkpoint_a_random_one_is_announced(tmp_path):
    save(tmp_path, head=False)
    for folder in (tmp_path, None):
        model = make_model(recipe())
        objective = make_from(folder, model)
        assert "starts at random" in objective.note and "masked_lm" in model.pretraining
