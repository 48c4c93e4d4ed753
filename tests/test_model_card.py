"""best/ for others: what its card says is true and harmless, and other libraries get minBERT's vectors out of it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_run import examples, make_model, recipe, save_tiny_bert, tokenizer
from test_run import make_setting

from minbert.files import verify_manifest
from multitask.checkpoint import build_model, load_checkpoint, save_checkpoint
from multitask.data import collate
from multitask.model_card import model_card, shorten_command
from multitask.recipe import EncoderRecipe, FeaturesRecipe, Recipe
from multitask.run import run
from multitask.sentence_files import find_pooling_task
from multitask.tables import TASKS

pytestmark = pytest.mark.usefixtures("without_figures")

TEXTS = ["a good film", "cat", "the bad dogs ran . is it one or two ?", "the cat ran " * 20]  # the last is cut to 32 tokens
FACTS = {"model": "minilm", "model_note": "a note on it", "data": "the user's files", "model_sha256": "ab" * 32,
         "data_sha256": {"sst-train": "cd" * 32}}


def pooled(some: Recipe, **poolings: str) -> Recipe:
    """The recipe with another pooling for each of these tasks."""
    return replace(some, tasks=some.tasks | {name: replace(some.tasks[name], pooling=pooling)
                                             for name, pooling in poolings.items()})


def of_all(pooling: str) -> Recipe:
    return pooled(recipe("independent"), sst=pooling, para=pooling, sts=pooling)


def front_matter(card: str) -> dict[str, object]:
    """The card's YAML, of which it uses only `key: JSON`."""
    head = card.split("---\n")[1]
    return {key: json.loads(value) for key, value in (line.split(": ", 1) for line in head.splitlines())}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    setting = make_setting(save_tiny_bert(folder / "tiny"), folder, facts=FACTS, command="/home/me/python train.py --seed 1")
    return setting, run(recipe(epochs=1), setting)


def test_after_the_run_the_card_has_scores_on_both_scales_with_intervals(finished):
    setting, results = finished
    card = (setting.folder / "best" / "README.md").read_text(encoding="utf-8")
    for measure in ("overall_normalised", "overall_raw"):
        score = results["dev"][measure]
        assert f"{measure} | {score.value:.3f} | {score.low:.3f} to {score.high:.3f}" in card.replace("\\", "")
    assert "On test:" in card and "epoch 1, chosen by overall_normalised on dev" in card
    verify_manifest(setting.folder / "best")
    assert load_checkpoint(setting.folder / "best").recipe == recipe(epochs=1)


def test_the_card_says_what_it_takes_to_do_it_again(finished):
    setting, _ = finished
    card = (setting.folder / "best" / "README.md").read_text(encoding="utf-8")
    for said in ("cd" * 32, "ab" * 32, "a note on it", "seed: 11711", "    python train.py --seed 1", "English only"):
        assert said in card, f"the card does not say {said!r}"
    assert "/home/me" not in card, "a card is shown to others: the path of one's Python does not belong there"


def test_before_the_run_has_ended_the_card_says_that_there_are_no_scores():
    card = model_card(recipe(), FACTS, "python x")
    assert "no scores yet" in card and "|---|---|---|" not in card


def test_sample_data_is_called_what_it_is():
    assert "Do not use its answers" in model_card(recipe(), FACTS | {"data": "bundled samples"}, "python x")
    assert "Do not use its answers" not in model_card(recipe(), FACTS, "python x")


def test_front_matter_is_yaml_that_hubs_know():
    table = front_matter(model_card(recipe(), FACTS, "python x"))
    assert table["language"] == "en" and table["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert table["library_name"] == "sentence-transformers"
    assert "base_model" not in front_matter(model_card(recipe(), FACTS | {"model": "my-folder"}, "python x")), "no hub has it"
    other = front_matter(model_card(replace(recipe(), encoder=EncoderRecipe(kind="pal")), FACTS, "python x"))
    assert "library_name" not in other, "the BERT alone is not the model"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "[click](http://evil.example)", "![x](http://evil.example/p.png)",
                                  "a|b|c", "`code`", "**bold** _it_", "x\n# heading\n\n    code", "x\n---\nlicense: mit"])
def test_names_from_outside_are_plain_text(name):
    dangerous = re.compile(r"<script|(?<!\\)\]\(|(?<!\\)\*\*bold|(?<!\\)`code|^# heading|^license|(?<!\\)\|b", re.MULTILINE)
    facts = {"model": name, "model_note": name, "data": name, "data_sha256": {name: "ab"}}
    card = model_card(replace(recipe(), name=name, source=name), facts, f"python {json.dumps(name)}")
    body = "\n".join(line for line in card.split("---\n", 2)[2].splitlines() if not line.startswith("    "))
    assert not (found := dangerous.search(body)), f"{found[0]!r} is not escaped"
    assert len(re.findall("(?m)^---$", card)) == 2, "the name ended the front matter"


def test_a_command_is_one_line_that_can_be_typed():
    assert shorten_command("/usr/bin/python3 train.py --set 'a=[1, 2]'") == "python train.py --set 'a=[1, 2]'"
    assert "\n" not in shorten_command("python 'a\nb'")


@pytest.mark.parametrize("some, expected", [
    (recipe("pair"), "sst"), (recipe("independent"), "para"), (pooled(recipe("independent"), para="mixed"), "sts"),
    (pooled(recipe("pair"), sst="mixed"), "para"), (of_all("mixed"), None),
    (replace(recipe(), encoder=EncoderRecipe(kind="adapters")), None),
])
def test_the_exported_vector_is_that_of_a_task_that_compares_sentences(some, expected):
    assert find_pooling_task(some, "") == expected


def test_where_tasks_pool_differently_the_card_says_what_is_exported():
    card = model_card(pooled(recipe("independent"), para="mean"), FACTS, "python x")
    assert "the mean of all tokens' vectors, as para reads it" in card and "Otherwise pool: sst, sts." in card
    assert "not made for sentence-transformers" in model_card(of_all("mixed"), FACTS, "python x")
    tags = replace(recipe(), features=FeaturesRecipe(part_of_speech="textblob"), preprocess="cs224n")
    assert "parts of speech" in model_card(tags, FACTS, "python x") and 'preprocess = "cs224n"' in model_card(tags, FACTS, "p")


def test_a_pooling_that_cannot_be_written_leaves_no_files(tmp_path):
    save_checkpoint(tmp_path / "best", of_all("mixed"), make_model(of_all("mixed")), tokenizer(), "# a card\n")
    assert not (tmp_path / "best" / "modules.json").exists()


@pytest.mark.parametrize("kind, places", [("shared", ("",)), ("separate", ("sst", "para", "sts"))])
def test_the_manifests_list_what_was_added(kind, places, tmp_path):
    best = save(tmp_path, replace(of_all("cls"), encoder=EncoderRecipe(kind=kind)))
    for place in places:
        verify_manifest(best / place)
        assert "modules.json" in json.loads((best / place / "manifest.json").read_text(encoding="utf-8"))["files"]


def save(folder: Path, some: Recipe) -> Path:
    model = build_model(some, save_tiny_bert(folder / "tiny"), tokenizer())
    with torch.no_grad():
        for number, bert in enumerate(model.encoder.berts().values()):
            for parameter in bert.parameters():  # as if trained: the tasks' BERTs differ, the pooler's bias is not 0
                parameter += 0.05 * (number + 1) * torch.randn(parameter.shape)
    save_checkpoint(folder / "best", some, model, tokenizer(), "# a card\n")
    return folder / "best"


def our_vectors(best: Path, task: str) -> torch.Tensor:
    """What minBERT's task reads of each text before its head, computed one by one."""
    model = load_checkpoint(best).model
    (template,) = examples("sst", 1)
    rows = []
    for text in TEXTS:
        one = replace(template, texts=(text, text), pieces=(tokenizer().text_to_ids(text),) * 2)
        tokens = collate([one], TASKS["para"], tokenizer(), replace(model.encoding(task), kind="independent")).tokens
        with torch.no_grad():
            rows.append(model.sentence(task, tokens)[0])
    return torch.stack(rows)


@pytest.mark.oracle
@pytest.mark.parametrize("some, task", [
    *((of_all(pooling), "para") for pooling in ("cls", "mean", "pooler")), (pooled(recipe("pair"), sst="pooler"), "sst"),
    (pooled(recipe("independent"), sst="mixed", para="mean", sts="mixed"), "para")])
def test_sentence_transformers_gets_the_vectors_that_the_task_reads(some, task, tmp_path):
    from sentence_transformers import SentenceTransformer

    best = save(tmp_path, some)
    assert find_pooling_task(some, "") == task
    theirs = SentenceTransformer(str(best), device="cpu").encode(TEXTS, convert_to_tensor=True)
    assert torch.allclose(theirs, our_vectors(best, task), atol=1e-5), "sentence-transformers pools or encodes differently"
    verify_manifest(best)


@pytest.mark.oracle
def test_each_of_separate_encoders_opens_with_its_own_tasks_vector(tmp_path):
    from sentence_transformers import SentenceTransformer

    some = replace(pooled(recipe("independent"), sst="mean", para="pooler"), encoder=EncoderRecipe(kind="separate"))
    best = save(tmp_path, some)
    for task in some.tasks:
        theirs = SentenceTransformer(str(best / task), device="cpu").encode(TEXTS, convert_to_tensor=True)
        assert torch.allclose(theirs, our_vectors(best, task), atol=1e-5), task
        verify_manifest(best / task)


@pytest.mark.oracle
@pytest.mark.parametrize("pooling", ["cls", "pooler"])
def test_best_opens_as_a_bert_model_with_equal_outputs(pooling, tmp_path):
    from transformers import AutoTokenizer
    from transformers import BertModel as ReferenceModel

    best = save(tmp_path, of_all(pooling))
    theirs, info = ReferenceModel.from_pretrained(best, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    reading = AutoTokenizer.from_pretrained(best)
    ours, inputs = load_checkpoint(best), reading(TEXTS[:3], padding=True, return_tensors="pt")
    expected = tokenizer()(TEXTS[:3], padding=True, return_tensors="pt")
    assert all(torch.equal(inputs[name], expected[name]) for name in expected)
    with torch.no_grad():
        found, wanted = theirs.eval()(**inputs), ours.model.encoder.bert(**expected)
    real = expected["attention_mask"].bool()
    assert torch.allclose(found.last_hidden_state[real], wanted["last_hidden_state"][real], atol=1e-5)
    assert torch.allclose(found.pooler_output, wanted["pooler_output"], atol=1e-5)
