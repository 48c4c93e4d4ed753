"""MultitaskBert: an example's prediction is its own, whatever stands beside it; pairs are joined as the tokenizer joins them."""

from dataclasses import replace

import pytest
import torch
from small_run import examples, make_model, recipe, tokenizer

from multitask.data import Example, collate
from multitask.evaluate import predict
from multitask.features import TAGS
from multitask.recipe import FeaturesRecipe, Recipe, TaskRecipe
from multitask.tables import TASKS

KINDS = [("sst", "pair"), ("para", "pair"), ("sts", "pair"), ("para", "independent"), ("sts", "independent")]


def with_task(task: str, **settings) -> Recipe:
    """The small recipe with other settings for one task."""
    some_recipe = recipe()
    encoding = {"encoding": "pair" if TASKS[task].is_pair else "single"}
    return replace(some_recipe, tasks=some_recipe.tasks | {task: TaskRecipe(**encoding | settings)})


def separately(task: str, some_examples: list, padding: int = 0) -> list[torch.Tensor]:
    """ids and masks of each sentence on its own, as the course's data loader hands them to predict_*."""
    words, tensors = tokenizer(), []
    for side in range(len(TASKS[task].texts)):
        sequences = [words.join(example.pieces[side])[0] for example in some_examples]
        width = max(len(ids) for ids in sequences) + padding
        tensors.append(torch.tensor([ids + [0] * (width - len(ids)) for ids in sequences]))
        tensors.append(torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in sequences]))
    return tensors


@pytest.mark.parametrize("task, encoding", KINDS)
def test_padding_batch_mates_and_order_never_change_a_prediction(task, encoding):
    model = make_model(recipe(encoding)).double().eval()
    some = examples(task, 8)
    method = {"sst": model.predict_sentiment, "para": model.predict_paraphrase, "sts": model.predict_similarity}[task]
    together = method(*separately(task, some))
    for index, example in enumerate(some):
        assert (method(*separately(task, [example])) - together[index]).abs().max() < 1e-10, \
            "a prediction depends on the other examples in the batch: padding inside a pair, or a mean over padding?"
    assert (method(*separately(task, some, padding=5)) - together).abs().max() < 1e-10, "more padding changes a prediction"
    backwards = method(*separately(task, some[::-1]))
    assert (backwards.flip(0) - together).abs().max() < 1e-10


@pytest.mark.parametrize("task, encoding", KINDS)
def test_predictions_equal_the_output_on_the_tokenizers_own_encoding(task, encoding):
    model = make_model(recipe(encoding)).double().eval()
    some = examples(task, 6)
    tokens = collate(some, TASKS[task], tokenizer(), model.encoding(task)).tokens
    assert (model.predict(task, *separately(task, some, padding=2)) - model.output(task, tokens)).abs().max() < 1e-12


@pytest.mark.parametrize("task", ["sst", "para"])
def test_a_text_too_long_for_the_recipe_is_cut_as_in_training(task):
    model, words = make_model(recipe()).double().eval(), tokenizer()
    some = [Example("long", ("the good film was red .",) * len(TASKS[task].texts), 0,
                    (words.text_to_ids("the good film was red . " * 8),) * len(TASKS[task].texts))]
    tokens = collate(some, TASKS[task], words, model.encoding(task)).tokens
    assert tokens.ids_BT.shape == (1, 32), "the recipe's max_length; the model has 40 positions, the text more than 40 tokens"
    assert (model.predict(task, *separately(task, some)) - model.output(task, tokens)).abs().max() < 1e-12


def test_independently_encoded_sentences_reach_the_head_in_order():
    model = make_model(recipe("independent")).double().eval()
    ids1, mask1, ids2, mask2 = separately("para", examples("para", 4))
    seen = []
    model.heads["para"].register_forward_hook(lambda module, inputs, output: seen.extend(inputs))
    model.predict_paraphrase(ids1, mask1, ids2, mask2)
    for vector, ids, mask in ((seen[0], ids1, mask1), (seen[1], ids2, mask2)):
        assert torch.allclose(vector, model.encoder.bert(ids, mask)["last_hidden_state"][:, 0], atol=1e-10), \
            "u must be sentence 1's vector and v sentence 2's"


def test_token_types_reach_the_encoder():
    model = make_model(recipe()).double().eval()
    before = model.predict_paraphrase(*separately("para", examples("para", 4)))
    with torch.no_grad():
        model.encoder.bert.embeddings.token_type.weight[1, :8] += 1.0
    assert not torch.allclose(before, model.predict_paraphrase(*separately("para", examples("para", 4)))), \
        "the second sentence of a pair must have token type 1"


def test_a_batch_of_one_keeps_its_axis():
    model = make_model(recipe()).eval()
    assert model.predict_sentiment(*separately("sst", examples("sst", 1))).shape == (1, 5)
    found = model.predict_similarity(*separately("sts", examples("sts", 1))).shape
    assert len(found) > 0, "a batch of one lost its axis: squeeze() takes every axis of length 1, squeeze(-1) the last alone"
    assert found == (1,), f"expected (B,) = (1,), got {tuple(found)}: (B, 1) beside labels (B,) is compared all with all"


def test_evaluation_gives_results_in_file_order_and_keeps_the_mode():
    model, some = make_model(recipe()).double().train(), examples("sts", 30)
    outputs = predict(model, tokenizer(), "sts", some)
    model.eval()
    expected = model.predict_similarity(*separately("sts", some))
    assert torch.allclose(torch.from_numpy(outputs).double(), expected, atol=1e-6)
    assert predict(model.train(), tokenizer(), "sts", some).tolist() == outputs.tolist() and model.training


def test_a_frozen_encoder_gets_no_gradient_and_no_dropout():
    model = make_model(recipe())
    model.freeze_encoder(True)
    model.train()
    assert not model.encoder.training and model.heads.training, "frozen, the encoder has its dropout off, its heads have not"
    tokens = collate(examples("sst", 4), TASKS["sst"], tokenizer(), model.encoding("sst")).tokens
    model.output("sst", tokens).sum().backward()
    assert all(parameter.grad is None for parameter in model.encoder.parameters()), "a frozen encoder must get no gradient"
    assert all(parameter.grad is not None for parameter in model.heads["sst"].parameters())
    model.freeze_encoder(False)
    assert model.train().encoder.training


def test_a_frozen_encoder_keeps_its_dropout_where_the_recipe_says_so():
    model = make_model(recipe())
    model.freeze_encoder(True, dropout=True)
    assert model.train().encoder.training and not any(one.requires_grad for one in model.encoder.parameters())
    model.freeze_encoder(True)
    assert not model.train().encoder.training


POOLINGS = [{"pooling": "cls"}, {"pooling": "pooler"}, {"pooling": "mean"}, {"pooling": "mean", "mean_of": "words"},
            {"pooling": "mixed", "mix": (0.3, 0.7)}, {"pooling": "mixed", "mean_of": "words"}]


@pytest.mark.parametrize("task, encoding", [("sst", "single"), ("para", "independent"), ("para", "pair")])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_leaves_padding_out(task, encoding, pooling):
    model = make_model(with_task(task, encoding=encoding, **pooling)).double().eval()
    some = examples(task, 5)
    assert (model.predict(task, *separately(task, some, padding=7))
            - model.predict(task, *separately(task, some))).abs().max() < 1e-10, f"{pooling}: padding is in the mean"


def vectors_of(task: str, some: list, **settings) -> torch.Tensor:
    model = make_model(with_task(task, **settings)).double().eval()
    return model.sentence(task, collate(some, TASKS[task], tokenizer(), model.encoding(task)).tokens)


def test_mixed_is_the_weighted_sum_of_cls_and_mean():
    some = examples("sst", 4)
    first, mean = vectors_of("sst", some, pooling="cls"), vectors_of("sst", some, pooling="mean")
    assert torch.allclose(vectors_of("sst", some, pooling="mixed", mix=(0.3, 0.9)), 0.3 * first + 0.9 * mean)
    assert torch.allclose(vectors_of("sst", some, pooling="mixed", mix=(1.0, 0.0)), first, atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"second_cls": True}])
def test_the_mean_of_words_is_without_cls_and_without_every_sep(settings):
    model = make_model(with_task("para", pooling="mean", mean_of="words", **settings)).double().eval()
    some = examples("para", 4)
    tokens = collate(some, TASKS["para"], tokenizer(), model.encoding("para")).tokens
    hidden = model.encoder.encode("para", model.embed("para", tokens), tokens.mask_BT)
    for row, example in enumerate(some):
        first, second = map(len, example.pieces)
        start = first + 3 if settings else first + 2  # behind [CLS], the first text, [SEP] and perhaps [CLS]
        words = torch.cat([hidden[row, 1:first + 1], hidden[row, start:start + second]])
        assert torch.allclose(model.sentence("para", tokens)[row], words.mean(dim=0)), "special tokens or padding are in it"


def test_a_sentence_without_words_has_a_finite_vector():
    empty = [Example("empty", ("",), 0, ([],)), *examples("sst", 2)]
    assert vectors_of("sst", empty, pooling="mean", mean_of="words")[0].abs().max() == 0


@pytest.mark.parametrize("encoding", ["pair", "independent"])
def test_an_output_is_the_read_out_of_the_sentence_of_the_embedding(encoding):
    model = make_model(recipe(encoding)).eval()
    tokens = collate(examples("para", 3), TASKS["para"], tokenizer(), model.encoding("para")).tokens
    vectors = model.sentence("para", tokens, model.embed("para", tokens))
    assert vectors.shape == (3 if encoding == "pair" else 6, 16), "independent pairs are stacked: 3 first, 3 second sentences"
    assert torch.equal(model.read_out("para", vectors), model.output("para", tokens))
    assert not torch.equal(model.output("para", tokens, model.embed("para", tokens) + 0.1), model.output("para", tokens))
    assert not list(model.pretraining), "a stage fills it"


def test_one_column_loses_its_axis_and_several_do_not():
    for task, settings, shape in (("sst", {}, (1, 5)), ("sst", {"target": "regression"}, (1,)), ("sts", {}, (1,)),
                                  ("sts", {"target": "classes5"}, (1, 5))):
        model = make_model(with_task(task, **settings)).eval()
        assert model.predict(task, *separately(task, examples(task, 1))).shape == shape


def test_the_courses_calls_keep_their_shapes_and_meaning_whatever_the_target():
    some = separately("sts", examples("sts", 3))
    for settings in ({"target": "classes6"}, {"output_range": "clamp"}, {"output_range": "sigmoid"}):
        model = make_model(with_task("sts", **settings)).eval()
        torch.nn.init.normal_(model.heads["sts"].layers[1].weight, std=50)
        found = model.predict_similarity(*some)
        assert found.shape == (3,) and found.min() >= 0 and found.max() <= 5
    for target in ("regression", "one_hot"):
        model = make_model(with_task("sst", target=target)).eval()
        torch.nn.init.normal_(model.heads["sst"].layers[1].weight, std=2)
        sentences = separately("sst", examples("sst", 20))
        logits = model.predict_sentiment(*sentences)
        assert logits.shape == (20, 5), "the course takes the argmax over five columns"
        assert torch.equal(logits.argmax(dim=1), model.targets["sst"].decode(model.predict("sst", *sentences)))


def test_a_symmetric_task_does_not_see_the_order_of_a_pair_and_trains_as_before():
    plain, symmetric = make_model(with_task("sts")), make_model(with_task("sts", symmetric=True))
    ids1, mask1, ids2, mask2 = separately("sts", examples("sts", 6))
    forwards, backwards = (ids1, mask1, ids2, mask2), (ids2, mask2, ids1, mask1)
    torch.manual_seed(0)
    trained = plain.predict("sts", *forwards)
    torch.manual_seed(0)
    assert torch.equal(symmetric.predict("sts", *forwards), trained), "in training the pair is read once, as it comes"
    plain.eval()
    symmetric.eval()
    one, other = plain.predict("sts", *forwards), plain.predict("sts", *backwards)
    assert not torch.allclose(one, other), "without it the model must see the order, or this test shows nothing"
    assert torch.equal(symmetric.predict("sts", *forwards), symmetric.predict("sts", *backwards))
    assert torch.allclose(symmetric.predict_similarity(*forwards), (one + other) / 2, atol=1e-6)


def test_parts_of_speech_start_as_nothing_learn_and_add_nothing_to_words_without_one():
    some_recipe = replace(recipe(), features=FeaturesRecipe(part_of_speech="textblob"))
    plain, model = make_model(recipe()).eval(), make_model(some_recipe).eval()
    some = examples("para", 4)
    tagged = [replace(one, tags=tuple([1 + place % 3 for place in range(len(piece))] for piece in one.pieces)) for one in some]
    words, encoding = tokenizer(), model.encoding("para")
    bare, tokens = (collate(rows, TASKS["para"], words, encoding).tokens for rows in (some, tagged))
    assert model.tags.weight.shape == (len(TAGS), 16) and plain.tags is None
    assert torch.equal(model.output("para", tokens), plain.output("para", bare)), "tags must start at zero, heads as without them"
    model.output("para", tokens).sum().backward()
    moved = model.tags.weight.grad.abs().sum(dim=1) > 0
    assert moved.nonzero()[:, 0].tolist() == [1, 2, 3], "the tags that occur learn; 0, for [CLS], [SEP] and padding, never"
    with torch.no_grad():
        model.tags.weight[1:] += torch.randn(len(TAGS) - 1, 16)
    assert not torch.allclose(model.output("para", tokens), model.output("para", bare))
    assert torch.equal(model.output("para", bare), plain.output("para", bare)), "no tags count as all 0"
    nothing = replace(tokens, tags_BT=torch.zeros_like(tokens.ids_BT))
    assert torch.equal(model.output("para", nothing), plain.output("para", bare))
    model.freeze_encoder(True)
    assert not model.tags.weight.requires_grad, "what feeds a frozen encoder is frozen too"


@pytest.mark.oracle
def test_padding_and_order_never_change_a_real_models_prediction(minilm):
    from minbert.tokenizer import BertTokenizer
    from multitask.checkpoint import build_model
    from multitask.recipe_files import load_recipe

    words = BertTokenizer.from_pretrained(minilm)
    torch.manual_seed(0)
    model = build_model(load_recipe("baseline"), minilm, words).eval()
    texts = [("A man is playing a guitar.", "Someone plays music."), ("Yes.", "The stock market fell by 3% on Tuesday, "
             "its worst day since the spring of last year."), ("What 's the fastest way to learn Italian?", "Ciao")]
    some = [Example(str(index), pair, 0, tuple(words.text_to_ids(text) for text in pair)) for index, pair in enumerate(texts)]
    with torch.no_grad():
        for task in ("sst", "para", "sts"):
            rows = [Example(one.id, one.texts[:1], 0, one.pieces[:1]) for one in some] if task == "sst" else some
            together = torch.from_numpy(predict(model, words, task, rows))
            alone = torch.cat([torch.from_numpy(predict(model, words, task, [row])) for row in rows])
            assert (together - alone).abs().max() < 1e-5
