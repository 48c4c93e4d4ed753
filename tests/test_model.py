"""MultitaskBert: an example's prediction is its own, whatever stands beside it; pairs are joined as the tokenizer joins them."""

import pytest
import torch
from small_run import examples, make_model, recipe, tokenizer

from multitask.data import Example, collate
from multitask.evaluate import predict
from multitask.tables import TASKS

KINDS = [("sst", "pair"), ("para", "pair"), ("sts", "pair"), ("para", "independent"), ("sts", "independent")]


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
    assert (method(*separately(task, some, padding=5)) - together).abs().max() < 1e-10
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
    assert model.predict_similarity(*separately("sts", examples("sts", 1))).shape == (1,)


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
    assert not model.encoder.training and model.heads.training
    tokens = collate(examples("sst", 4), TASKS["sst"], tokenizer(), model.encoding("sst")).tokens
    model.output("sst", tokens).sum().backward()
    assert all(parameter.grad is None for parameter in model.encoder.parameters())
    assert all(parameter.grad is not None for parameter in model.heads["sst"].parameters())
    model.freeze_encoder(False)
    assert model.train().encoder.training


@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler"])
def test_every_pooling_leaves_padding_out(pooling):
    from dataclasses import replace

    some_recipe = recipe()
    some_recipe = replace(some_recipe, tasks=some_recipe.tasks | {"sst": replace(some_recipe.tasks["sst"], pooling=pooling)})
    model = make_model(some_recipe).double().eval()
    some = examples("sst", 5)
    assert (model.predict("sst", *separately("sst", some, padding=7))
            - model.predict("sst", *separately("sst", some))).abs().max() < 1e-10


@pytest.mark.oracle
def test_padding_and_order_never_change_a_real_models_prediction(minilm):
    from minbert.tokenizer import BertTokenizer
    from multitask.checkpoint import build_model
    from multitask.recipe import load_recipe

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
