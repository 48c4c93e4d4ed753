"""`python -m multitask.predict`: the answers are the run's own, and every mistake is one line."""

import io
import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_run import VOCABULARY, make_model, recipe, save_tiny_bert, tokenizer

from minbert.tokenizer import BertTokenizer
from multitask.checkpoint import Checkpoint, build_model, load_checkpoint, save_checkpoint
from multitask.flags import run_command
from multitask.outputs import read_outputs
from multitask.predict import Input, answer, find_checkpoint, main, make_examples, to_line, to_text
from multitask.recipe import EncoderRecipe, FeaturesRecipe, Recipe, TaskRecipe
from multitask.run import run
from multitask.tables import TASKS

pytestmark = pytest.mark.usefixtures("without_figures")

ROOT = Path(__file__).parents[1]
PAIR = ("a good film", "the bad cat")


def save(folder: Path, some_recipe: Recipe, encoder: str = "shared") -> Path:
    """A checkpoint of an untrained model, as a run's best/."""
    if encoder == "shared":
        model = make_model(some_recipe)
    else:
        model = build_model(some_recipe, save_tiny_bert(folder / "tiny"), tokenizer())
    save_checkpoint(folder / "best", some_recipe, model, tokenizer(), "# a card\n")
    return folder


def only(some_recipe: Recipe, *names: str, **changes) -> Recipe:
    stage = replace(some_recipe.stages[0], objectives=names, budget=None)
    return replace(some_recipe, tasks={name: some_recipe.tasks[name] for name in names}, stages=(stage,), select_by=names[0],
                   **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("run"), recipe("pair"))


def call(capsys, *arguments) -> str:
    code = run_command(main, list(map(str, arguments)))
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def refuse(capsys, *arguments) -> str:
    """The one line and the hint of a mistake."""
    assert run_command(main, list(map(str, arguments))) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and len(error.splitlines()) == 2 and "hint: " in error, error
    return error


def ask(folder: Path, *texts: str) -> dict:
    inputs = [Input("here", texts)]
    return json.loads(to_line(inputs[0], answer(load_checkpoint(folder / "best"), inputs)[0][0]))


def test_answers_are_those_of_the_runs_prediction_files(tmp_path):
    """The same examples through predict and through the run that made outputs/ must agree number for number."""
    from test_run import make_setting

    setting = make_setting(save_tiny_bert(tmp_path / "tiny"), tmp_path)
    run(recipe(epochs=1), setting)
    checkpoint = load_checkpoint(find_checkpoint(setting.folder))
    for task in ("sst", "para", "sts"):
        some = setting.data[task].dev
        saved = read_outputs(setting.folder / "outputs" / f"{task}-dev.csv").outputs
        answers, _ = answer(checkpoint, [Input("", example.texts) for example in some])
        for given, output in zip(answers, saved, strict=True):
            (said,) = given[task]
            if task == "sst":
                expected = torch.tensor(output).softmax(-1).tolist()
                assert list(said["probabilities"].values()) == pytest.approx(expected, abs=1e-5)
                assert said["label"] == expected.index(max(expected)), "the class is not the likeliest one"
            if task == "para":
                assert said["probability"] == pytest.approx(1 / (1 + math.exp(-output)), abs=1e-5), "is it the logit's sigmoid?"
                assert said["paraphrase"] == (output > 0)
            if task == "sts":
                assert said["similarity"] == pytest.approx(min(5, max(0, output)), abs=1e-5)


def test_one_sentence_gets_sentiment_and_two_all_tasks(folder, capsys):
    one = call(capsys, "--run", folder, "a good film")
    assert "sst" in one and "very negative 0." in one and "paraphrase" not in one and "similarity" not in one
    two = call(capsys, "--run", folder / "best", *PAIR)
    assert "sst 1" in two and "sst 2" in two and "paraphrase, probability" in two and "similarity" in two
    assert two.count("recipe test, seed 11711") == 1


def test_json_has_the_same_keys_whatever_is_asked(folder, capsys):
    one = json.loads(call(capsys, "--run", folder, "--json", "a good film"))
    two = json.loads(call(capsys, "--run", folder, "--json", *PAIR))
    assert list(one) == list(two) == ["sentences", "sst", "para", "sts"]
    assert one["para"] is None and one["sts"] is None and len(one["sst"]) == 1 and len(two["sst"]) == 2
    assert list(two["sst"][0]) == ["label", "class", "probabilities"]
    assert sum(two["sst"][0]["probabilities"].values()) == pytest.approx(1)
    assert list(two["para"]) == ["paraphrase", "probability"] and 0 <= two["sts"]["similarity"] <= 5
    assert one["sst"][0]["probabilities"] == pytest.approx(two["sst"][0]["probabilities"])


def test_the_answer_depends_on_neither_the_batch_nor_the_order(folder):
    checkpoint = load_checkpoint(folder / "best")
    inputs = [Input("", PAIR), Input("", ("a film",)), Input("", ("the cat sat", "a dog ran and ran and ran ."))]
    together, _ = answer(checkpoint, inputs)
    for one, expected in zip(inputs, together, strict=True):
        alone = answer(checkpoint, [one])[0][0]
        for task in expected:
            for left, right in zip(alone[task], expected[task], strict=True):
                flat = [list(side["probabilities"].values()) if "probabilities" in side else list(side.values())[-1]
                        for side in (left, right)]
                assert flat[0] == pytest.approx(flat[1], abs=1e-5), f"{task} answers another input's question"


@pytest.mark.parametrize("names, asked, keys", [
    (("sst",), PAIR, {"sst"}), (("sts",), PAIR, {"sts"}), (("para", "sts"), PAIR, {"para", "sts"})])
def test_only_the_runs_tasks_answer(names, asked, keys, tmp_path):
    given = ask(save(tmp_path, only(recipe("independent"), *names)), *asked)
    assert set(given) == {"sentences", *keys}


def test_cfimdb_has_two_classes(tmp_path):
    tasks = {"cfimdb": TaskRecipe(encoding="single")}
    stage = replace(recipe().stages[0], objectives=("cfimdb",))
    given = ask(save(tmp_path, replace(recipe(), tasks=tasks, stages=(stage,), select_by="cfimdb")), "a good film")
    assert list(given["cfimdb"][0]["probabilities"]) == ["negative", "positive"]


def test_two_orders_are_averaged_where_the_recipe_says_so(tmp_path):
    some = recipe("pair")
    symmetric = replace(some, tasks={name: replace(task, symmetric=name != "sst") for name, task in some.tasks.items()})
    plain, both = save(tmp_path / "plain", some), save(tmp_path / "both", symmetric)
    logits = [math.log(p / (1 - p)) for p in (ask(plain, *order)["para"]["probability"] for order in (PAIR, PAIR[::-1]))]
    assert logits[0] != pytest.approx(logits[1], abs=1e-6), "the test needs a model that the order matters to"
    expected = 1 / (1 + math.exp(-sum(logits) / 2))
    assert ask(both, *PAIR)["para"]["probability"] == pytest.approx(expected, abs=1e-6)
    assert ask(both, *PAIR)["para"] == pytest.approx(ask(both, *PAIR[::-1])["para"])


def test_texts_are_prepared_as_in_training():
    cased = BertTokenizer([*VOCABULARY, "GOOD"], lowercase=False)
    for preprocess, expected in (("cs224n", "good"), ("raw", "GOOD")):
        checkpoint = Checkpoint(make_model(recipe()), cased, replace(recipe(), preprocess=preprocess))
        (example,) = make_examples(checkpoint, TASKS["sst"], [("GOOD",)])
        assert cased.ids_to_tokens(example.pieces[0]) == [expected], f"preprocess = {preprocess!r} was not followed"


def test_parts_of_speech_reach_the_model(tmp_path):
    (tmp_path / "tags.tsv").write_text("good\tJJ\n", encoding="utf-8")
    some = replace(recipe(), features=FeaturesRecipe(part_of_speech="file", tag_file=str(tmp_path / "tags.tsv")))
    model = make_model(some)
    with torch.no_grad():
        model.tags.weight[1:] = 3 * torch.randn(model.tags.weight[1:].shape)
    save_checkpoint(tmp_path / "best", some, model, tokenizer(), "")
    tagged = ask(tmp_path, "a good film")["sst"][0]["probabilities"]
    (tmp_path / "tags.tsv").write_text("red\tJJ\n", encoding="utf-8")
    assert tagged != ask(tmp_path, "a good film")["sst"][0]["probabilities"], "the tags of the text made no difference"


def test_each_task_has_its_own_encoder_where_the_recipe_says_so(tmp_path):
    some = replace(recipe(), encoder=EncoderRecipe(kind="separate"))
    given = ask(save(tmp_path, some, "separate"), *PAIR)
    assert set(given) == {"sentences", "sst", "para", "sts"}


@pytest.mark.parametrize("target, keys", [("regression", "sst"), ("one_hot", "sst")])
def test_targets_without_probabilities_invent_none(target, keys, tmp_path, capsys):
    some = recipe()
    some = replace(some, tasks=some.tasks | {"sst": replace(some.tasks["sst"], target=target)})
    save(tmp_path, some)
    assert ask(tmp_path, "a film")["sst"][0]["probabilities"] is None
    assert "negative 0." not in call(capsys, "--run", tmp_path, "a film")


def test_a_text_that_is_too_long_is_cut_with_a_note(folder, capsys):
    assert run_command(main, ["--run", str(folder), "cat " * 50]) == 0
    captured = capsys.readouterr()
    assert "note   sst reads 32 tokens and cut the rest: the command line" in captured.err


def test_files_and_pipes_hold_one_sentence_a_line_or_two_with_a_tab(folder, tmp_path, capsys, monkeypatch):
    path = tmp_path / "in.txt"
    path.write_bytes("\ufeffa good film\r\nthe cat\ta dog\r\n\r\n".replace("\r\n\r\n", "\r\n").encode())
    wanted = call(capsys, "--run", folder, "--json", "--file", path)
    assert [json.loads(line)["sentences"] for line in wanted.splitlines()] == [["a good film"], ["the cat", "a dog"]]
    for extra in ((), ("-",), ("--file", "-")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
        assert call(capsys, "--run", folder, "--json", *extra) == wanted, extra


@pytest.mark.parametrize("data, message", [
    (b"a film\n\nthe cat\n", ":2: a sentence is empty"), (b"\n", "in.txt holds no sentence"),
    (b"a\t\n", ":1: a sentence is empty"),
    (b"a\tb\tc\n", ":1: 3 sentences"), (b"a film\ncaf\xe9\n", ":2: byte 0xe9 at offset"), (b"\x1f\x8b123", "gzip"),
])
def test_what_is_wrong_in_a_file_is_named_with_its_line(data, message, folder, tmp_path, capsys):
    path = tmp_path / "in.txt"
    path.write_bytes(data)
    error = refuse(capsys, "--run", folder, "--file", path)
    assert str(path) in error and message in error


@pytest.mark.parametrize("arguments, message", [
    (("a", "b", "c"), "3 sentences given"), (("",), "sentence 1 is empty"), (("a", " "), "sentence 2 is empty"),
    (("caf\udce9",), "sentence 1 holds bytes that are not UTF-8"), (("a", "--file", "x"), "both sentences and --file"),
    (("--file", "no-such-file"), "cannot read no-such-file"), (("--jsn", "a"), "unknown flag --jsn"),
])
def test_mistakes_of_the_command_line_are_one_line(arguments, message, folder, capsys):
    assert message in refuse(capsys, "--run", folder, *arguments)


def test_nothing_to_read_is_said(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert "no sentence given" in refuse(capsys, "--run", folder)


def test_a_single_sentence_for_pair_tasks_is_refused(tmp_path, capsys):
    save(tmp_path, only(recipe(), "para", "sts"))
    assert "one sentence, but this run compares two (para, sts)" in refuse(capsys, "--run", tmp_path, "a film")
    path = tmp_path / "in.txt"
    path.write_text("a\tb\na film\n", encoding="utf-8")
    assert f"{path}:2" in refuse(capsys, "--run", tmp_path, "--file", path)


def test_what_is_no_run_is_refused_with_the_way_out(folder, tmp_path, capsys):
    assert "is no folder" in refuse(capsys, "--run", tmp_path / "nowhere", "a")
    assert "holds no checkpoint" in refuse(capsys, "--run", tmp_path, "a")
    (tmp_path / "results.json").write_text('{"members": []}', encoding="utf-8")
    assert "an ensemble has no model of its own" in refuse(capsys, "--run", tmp_path, "a")
    shutil.copytree(folder, tmp_path / "seeds" / "seed-1")
    shutil.copytree(folder, tmp_path / "seeds" / "seed-2")
    assert str(tmp_path / "seeds" / "seed-2") in refuse(capsys, "--run", tmp_path / "seeds", "a")


@pytest.mark.parametrize("name", ["heads.safetensors", "model.safetensors", "vocab.txt"])
def test_a_damaged_checkpoint_is_refused(name, folder, tmp_path, capsys):
    shutil.copytree(folder / "best", tmp_path / "best")
    with open(tmp_path / "best" / name, "r+b") as file:
        file.seek(-3, 2)
        file.write(b"xyz")
    assert f"SHA-256 mismatch for {name}" in refuse(capsys, "--run", tmp_path, "a film")


def test_the_screen_shows_no_control_characters():
    shown = to_text(Input("", ("a\x1b[31mfilm\u202e",)), {"sst": []})
    assert "\x1b" not in shown and "\u202e" not in shown and "film" in shown


def test_a_closed_pipe_is_no_error(folder):
    command = f'"{sys.executable}" -m multitask.predict --run "{folder}" | head -n 1'
    done = subprocess.run(command, shell=True, cwd=ROOT, input="a good film\n" * 3000, capture_output=True, text=True)
    assert done.stdout.startswith("model ") and done.stderr == ""
