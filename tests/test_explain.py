"""`python -m minbert.explain`: the shapes are the model's own, and what it says of tokens is true."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_run import config, save_tiny_bert, tokenizer

from minbert.attention import attention_probabilities
from minbert.bert import ACTIVATIONS, BertModel
from minbert.explain import describe_pieces, describe_shapes, explain, list_stages, run, watch

ROOT = Path(__file__).parents[1]
SIZES = {"B": 1, "D": 16, "H": 4, "K": 4, "I": 32}  # of small_run's BERT


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("explain") / "tiny")


def stages(model: BertModel):
    return [stage for part in list_stages(ACTIVATIONS[model.config.hidden_act]).values() for stage in part]


def printed_shapes(lines: list[str]) -> dict[str, tuple[int, ...]]:
    found = (re.match(r"  (\w+_[A-Z]+) +(\d+(?: x \d+)*) ", line) for line in lines)
    return {match[1]: tuple(map(int, match[2].split(" x "))) for match in found if match}


@pytest.mark.parametrize("first, second, tokens", [("a good film", None, 5), ("a good film", "the bad cat", 9), ("", None, 2)])
def test_each_shape_has_the_axes_that_its_name_says(first, second, tokens):
    model = BertModel(config())
    shapes = printed_shapes(explain(tokenizer(), model.eval(), first, second))
    assert {"embedded_BTD", "query_BHQK", "scores_BHQT", "probabilities_BHQT", "mixed_BQD", "attended_BQD", "hidden_BTD",
            "pooled_BD"} <= shapes.keys(), "a stage is missing: was a variable renamed in the model?"
    sizes = SIZES | {"T": tokens, "Q": tokens}
    for name, shape in shapes.items():
        axes = name.rpartition("_")[2]
        assert shape == tuple(sizes[axis] for axis in axes), f"{name} is shown as {shape}: its letters say otherwise"


def test_every_layer_is_seen_and_shapes_come_from_the_run_itself(monkeypatch):
    model = BertModel(config()).eval()
    inputs = {"input_ids": torch.ones(3, 7, dtype=torch.long)}
    shapes = watch(model, inputs, stages(model))
    assert all(shapes.values()), f"not seen: {[stage.name for stage, found in shapes.items() if not found]}"
    by_name = {stage.name: found for stage, found in shapes.items()}
    assert by_name["scores_BHQT"] == [(3, 4, 7, 7)] * 2, "one entry for each of two layers, with the batch that was given"
    assert by_name["pooled_BD"] == [(3, 16)]
    monkeypatch.setattr(model, "encode", lambda embedded_BTD, *rest: embedded_BTD[:, :5])
    shapes = {stage.name: found for stage, found in watch(model, inputs, stages(model)).items()}
    assert shapes["scores_BHQT"] == [] and shapes["words_BTD"] == [(3, 7, 16)], "what did not run must not be shown"


def test_watching_leaves_no_trace_even_when_the_model_fails():
    model = BertModel(config())
    with pytest.raises(ValueError, match="positions"):
        watch(model, {"input_ids": torch.ones(1, 99, dtype=torch.long)}, stages(model))
    assert sys.getprofile() is None, "the profiler is still on: everything after this is slow"


def test_a_function_without_the_variable_is_said_not_to_be_seen(monkeypatch):
    """A student's attention may name its tensors as it likes."""
    def other_names(query, key, mask):
        return attention_probabilities(query, key, mask)

    monkeypatch.setattr("minbert.explain.attention_probabilities", other_names)
    lines = describe_shapes(BertModel(config()).eval(), {"input_ids": torch.ones(1, 4, dtype=torch.long)})
    assert any("scores_BHQT" in line and "not seen" in line for line in lines)


def test_tokens_stand_with_ids_types_and_mask():
    lines = explain(tokenizer(), BertModel(config()).eval(), "cats ran", "xyz")
    rows = [line.split() for line in lines[1:8]]
    assert [row[1] for row in rows] == ["[CLS]", "cat", "##s", "ran", "[SEP]", "[UNK]", "[SEP]"]
    assert [row[2] for row in rows] == [str(tokenizer()._ids[row[1]]) for row in rows]
    assert [row[3] for row in rows] == list("0000011") and {row[4] for row in rows} == {"1"}


def test_pieces_and_unknown_words_are_pointed_out():
    pieces, unknown = describe_pieces(["[CLS]", "cat", "##s", "[UNK]", "play", "##ed", "##s", "cat", "##s", "[SEP]"], 33)
    assert "cats = cat ##s, playeds = play ##ed ##s" in pieces and "33 entries" in pieces
    assert "1 here" in unknown
    assert describe_pieces(["[CLS]", "cat", "[SEP]"], 33) == [], "nothing is in pieces, so nothing is to be said"


def test_a_text_beyond_the_positions_is_cut_and_the_note_says_so():
    lines = explain(tokenizer(), BertModel(config()).eval(), "cat " * 60)
    assert any("cut to 40 of 62 tokens" in line for line in lines)
    assert printed_shapes(lines)["hidden_BTD"] == (1, 40, 16)


def test_the_command_names_model_and_places_in_the_source(model_folder, capsys):
    assert run(["a good film", "the cat", "--model", str(model_folder)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("model  tiny: 2 layers, 4 heads, hidden size 16,")
    for place in re.findall(r"(\w+\.py) ([\w.]+)", text):
        name = place[1].rpartition(".")[2]
        assert f"def {name}(" in (ROOT / "minbert" / place[0]).read_text(encoding="utf-8"), place
    assert "2 times with the same shapes" in text


@pytest.mark.parametrize("sentence, model, message", [
    ("a film", "no/such/model/anywhere", "neither a folder nor a name"), ("caf\udce9", "", "half a character"),
])
def test_mistakes_are_one_line(sentence, model, message, model_folder, capsys):
    assert run([sentence, "--model", model or str(model_folder)]) == 2
    assert message in capsys.readouterr().err.splitlines()[0]


def test_an_open_exercise_is_named(model_folder, monkeypatch, capsys):
    def blank(*arguments):
        raise NotImplementedError("Exercise 4.4: the pooler")

    monkeypatch.setattr(BertModel, "pool", blank)
    assert run(["a film", "--model", str(model_folder)]) == 2
    assert capsys.readouterr().err == "error: Exercise 4.4: the pooler is still to be written\n"


def test_a_closed_pipe_is_no_error(model_folder):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "minbert.explain", "a film", "--model", str(model_folder)], cwd=ROOT,
                          stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.returncode == 0 and "Traceback" not in done.stderr and "Error" not in done.stderr, done.stderr


@pytest.mark.oracle
def test_the_real_model_is_explained_fast(minilm):
    before = sum(os.times()[2:4])
    done = subprocess.run([sys.executable, "-m", "minbert.explain", "a charming film", "a delightful movie", "--model", "minilm"],
                          cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed_shapes(done.stdout.splitlines())["scores_BHQT"] == (1, 12, 9, 9)
    assert sum(os.times()[2:4]) - before < 5, "seconds of processor time; it was 2: what needless thing is imported?"
