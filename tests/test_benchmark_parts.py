"""Benchmarks of single parts: the tokenizer, AdamW, the start of a process, and memory. What they compare is equal, or they stop;
nothing is timed here that matters, and the peers are stood in for but where a test is an oracle's."""

import json
import os
from dataclasses import asdict, replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from small_run import VOCABULARY, config
from torch import nn

from benchmarks import adamw, memory, starting, timing, tokenizing
from benchmarks.setting import Setting
from minbert.bert import BertModel
from minbert.files import MinbertError
from minbert.weights import save_model
from multitask.command_line import SAMPLE_DATA

needs_linux = pytest.mark.skipif(not memory.RESET.exists(), reason="memory is measured on Linux only")
SMALL = replace(config(), max_position_embeddings=128)


@pytest.fixture(scope="module")
def setting(tmp_path_factory) -> Setting:
    """A tiny model and the bundled samples."""
    folder = tmp_path_factory.mktemp("tiny")
    save_model(folder, SMALL, BertModel(SMALL), VOCABULARY)
    return Setting(str(folder), SAMPLE_DATA)


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    for module in (adamw, starting, tokenizing):
        monkeypatch.setattr(module, "ROUNDS", 1)
    monkeypatch.setattr(timing, "ATTEMPTS", 1)


def goals(rows) -> list[tuple[float, bool]]:
    return [(row.goal, row.at_most) for row in rows if row.goal]


class Rust:
    """Stands in for the `tokenizers` library; "good" has another id here if it `errs`."""

    def __init__(self, setting: Setting, errs: bool) -> None:
        self.tokenizer, self.errs, self.calls = setting.tokenizer, errs, []

    def encode_batch(self, texts, add_special_tokens=True):
        self.calls.append((len(texts), add_special_tokens, os.environ["TOKENIZERS_PARALLELISM"]))
        good = self.tokenizer.text_to_ids("good")[0]
        return [SimpleNamespace(ids=[self.tokenizer.unknown_id if self.errs and i == good else i
                                     for i in self.tokenizer.text_to_ids(text)]) for text in texts]

    encode_batch_fast = encode_batch


@pytest.fixture
def rust(setting, monkeypatch):
    def theirs(texts, add_special_tokens=True, padding=False, **options):
        return setting.tokenizer(texts, padding=padding) if add_special_tokens else {
            "input_ids": [setting.tokenizer.text_to_ids(text) for text in texts]}

    made = Rust(setting, errs=False)
    monkeypatch.setattr(tokenizing, "make_rust", lambda setting: made)
    monkeypatch.setattr(tokenizing, "make_theirs", lambda setting: theirs)
    return made


def test_tokenizing_is_held_against_two_threads_cold_and_warm(setting, rust, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    outcome = tokenizing.measure(setting)
    assert goals(outcome.rows) == [(1.4, False), (3.0, False)]
    assert all(row.against == "tokenizers (Rust), 2 threads" for row in outcome.rows if row.goal)
    texts = sum(len(row.texts) for table in setting.tables.values() for row in table.rows)
    assert f"all {texts:,} sentences" in outcome.same
    assert {count for count, specials, parallel in rust.calls if parallel == "true"} == {texts}, "with two threads: all sentences"
    assert (-(-texts // tokenizing.PART), False, "false") in rust.calls, "one thread was measured on a part"


def test_another_id_in_one_sentence_ends_the_tokenizing_benchmark(setting, rust):
    rust.errs = True
    with pytest.raises(MinbertError, match="tokenizers makes other ids of '.*good") as raised:
        tokenizing.measure(setting)
    assert raised.value.exit_code == 1, "a figure of unequal work is no user's mistake"


def test_a_cold_tokenizer_has_met_no_word(setting, rust, monkeypatch):
    met = []
    monkeypatch.setattr(tokenizing, "encode", lambda tokenizer, texts: met.append(len(tokenizer._cache)) or
                        [tokenizer.text_to_ids(text) for text in texts])
    variants = tokenizing.make_variants(setting, ["a good film", "a bad film"], 6, rust, None)
    met.clear()
    assert [variants[name]() for name in ("cold", "warm", "cold")] == [6, 6, 6], "a variant tells how many tokens it made"
    assert met[0] == met[2] == 0 < met[1]


def test_the_environment_is_as_before_when_rust_has_had_its_threads(monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "perhaps")
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    with tokenizing.rust_threads(2):
        assert (os.environ["TOKENIZERS_PARALLELISM"], os.environ["RAYON_NUM_THREADS"]) == ("true", "2")
        with tokenizing.rust_threads(1):
            assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
        assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
    assert os.environ["TOKENIZERS_PARALLELISM"] == "perhaps" and "RAYON_NUM_THREADS" not in os.environ


@pytest.mark.oracle
def test_tokenizing_with_the_real_peers(setting):
    assert "are the same" in tokenizing.measure(setting).same


def test_adamw_is_held_against_torchs_fused_in_time_and_in_memory(setting, monkeypatch):
    monkeypatch.setattr(adamw, "run_child", lambda module, order: {adamw.OURS: 1.5, adamw.FUSED: 0.25}.get(order["name"], 90.0))
    outcome = adamw.measure(setting, SMALL)
    assert goals(outcome.rows) == [(1.1, True), (1.0, True)]
    assert [row.against.split(",")[:2] for row in outcome.rows[:2]] == [["torch", " fused"], ["torch", " fused"]]
    assert outcome.rows[1].ratio == 1.5 / 1.25 and not outcome.rows[1].is_met, "more than fused's and a megabyte is too much"
    assert adamw.memory_row(1.0, 0.0).is_met


@pytest.mark.parametrize("wrong", [torch.optim.Adam, partial(torch.optim.AdamW, amsgrad=True, betas=(0.8, 0.999))])
def test_weights_that_other_steps_lead_to_end_the_adamw_benchmark(setting, monkeypatch, wrong):
    monkeypatch.setitem(adamw.OPTIMIZERS, adamw.FUSED, wrong)
    with pytest.raises(MinbertError, match="three steps of ours and of torch, fused leave weights that differ"):
        adamw.measure(setting, SMALL)


def test_the_optimizers_share_gradients_and_nothing_else():
    weights, gradients = [torch.zeros(3)], [torch.ones(3)]
    made = adamw.make_optimizers(adamw.OPTIMIZERS, weights, gradients)
    parameters = [optimizer.param_groups[0]["params"][0] for optimizer in made.values()]
    assert all(parameter.grad is gradients[0] for parameter in parameters)
    adamw.step(made[adamw.OURS], 2)
    assert parameters[0].abs().min() > 0 and not any(parameter.any() for parameter in parameters[1:]) and not weights[0].any()


def test_bert_base_has_110_million_weights():
    assert sum(map(torch.Size.numel, adamw.find_shapes(adamw.BERT_BASE))) == 109_482_240


@needs_linux
def test_what_a_step_takes_beyond_what_was_there_is_seen(monkeypatch, capsys):
    class Greedy(torch.optim.SGD):
        def step(self):
            self.held = torch.ones(100_000_000)  # 400 MB

    class Modest(Greedy):
        def step(self):
            self.held = torch.ones(1)

    monkeypatch.setattr(adamw, "keep_nothing", lambda: None)
    found = []
    for kind in (Greedy, Modest):
        monkeypatch.setitem(adamw.OPTIMIZERS, adamw.OURS, lambda parameters, kind=kind, **options: kind(parameters, lr=1.0))
        adamw.measure_memory([json.dumps({"name": adamw.OURS})], SMALL)
        found.append(float(capsys.readouterr().out))
    assert found[0] > 300 > 100 > found[1], "a step makes a new tensor while the last one's is there still"


def test_a_start_is_held_against_transformers(setting, monkeypatch):
    slow = "v = [1.0, 2.000001]; import time; time.sleep(0.5)"
    monkeypatch.setattr(starting, "PROGRAMS", {"ours": "v = [1.0, 2.0]", "theirs": slow, "torch": "pass"})
    monkeypatch.setattr(starting, "SHOW", "\nprint(v)")
    outcome = starting.measure(setting)
    assert goals(outcome.rows) == [(0.38, True)] and outcome.rows[0].ratio < 1, "how much of their time ours takes"
    assert "by at most 9.5e-07" in outcome.same


def test_a_start_that_loads_something_else_ends_the_benchmark(setting, monkeypatch):
    monkeypatch.setattr(starting, "PROGRAMS", {"ours": "v = [1.0]", "theirs": "v = [1.1]", "torch": "pass"})
    monkeypatch.setattr(starting, "SHOW", "\nprint(v)")
    with pytest.raises(MinbertError, match="differ by 1.0e-01"):
        starting.measure(setting)


def test_a_start_that_fails_ends_the_benchmark_with_its_last_words(setting):
    with pytest.raises(MinbertError, match="status 1") as raised:
        starting.run(setting, "raise SystemExit('no such ' + folder)")
    assert raised.value.hint.strip() == f"no such {setting.folder}"


def test_what_a_start_takes_beyond_torch_is_taken_within_a_round():
    def one(torch, ours, theirs):
        return timing.Round({name: timing.Sample(1, seconds) for name, seconds in (
            ("torch", torch), ("ours", ours), ("theirs", theirs))}, 0.0)

    found = timing.Timing((one(2, 3, 6), one(4, 4.5, 10)), 0)
    assert starting.split_seconds(found) == [pytest.approx(each) for each in ([2, 4], [1, 0.5], [4, 6])]


@pytest.mark.oracle
def test_ours_and_theirs_start_with_the_same_model(setting):
    assert "differ by at most" in starting.measure(setting).same


@needs_linux
def test_a_peak_is_what_the_work_took_at_its_highest():
    before = memory.peak(lambda: None, 1)  # and not what is resident now: earlier tests' memory goes back
    took = memory.peak(lambda: torch.ones(16_000_000), 2) - before
    assert 60 < took < 100, "64 MB, given back each time"
    assert memory.peak(lambda: None, 1) - before < 30, "an earlier peak counts no more"


@needs_linux
def test_what_earlier_work_has_left_behind_is_no_part_of_a_peak():
    tensors = [torch.ones(25_000) for _ in range(600)]  # 60 MB in small pieces, of which the C library lets go only when told to
    before, tensors[:-1] = memory.resident("VmRSS"), []
    assert before - memory.peak(lambda: None, 1) > 40
    assert len(tensors) == 1, "the last one is still there"


def test_where_memory_cannot_be_measured_the_benchmark_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "missing")
    with pytest.raises(MinbertError, match="only be measured on Linux"):
        memory.resident("VmRSS")


def found(vectors, batches=(80.0, 70.0), points=(50.0,)) -> dict:
    return asdict(memory.Answer(300.0, 10.0, [64, 60], list(batches), [60.0, 50.0], list(points), vectors))


def test_peaks_of_memory_are_held_against_transformers(setting, monkeypatch):
    orders = []

    def run_child(module, order):
        orders.append(memory.Order(**order))
        return found([[1.0]]) if order["side"] == "ours" else found([[1.0]], batches=(100.0, 100.0), points=(100.0,))

    monkeypatch.setattr(memory, "run_child", run_child)
    outcome = memory.measure(setting, SMALL, points=[(8, 32)])
    assert goals(outcome.rows) == [(0.8, True), (0.8, True)] and outcome.rows[0].ratios == (0.8, 0.7)
    assert [(order.side, order.size) for order in orders] == [("ours", 16), ("theirs", 16), ("ours", 32), ("theirs", 32)]
    assert orders[0].model != orders[2].model == str(setting.folder)
    assert all(replace(ours, side="theirs") == theirs for ours, theirs in (orders[:2], orders[2:])), "the same for both sides"
    assert any("| 8 | 32 | 50 | 100 | 0.50x |" in line for line in outcome.details)


def test_sentence_vectors_that_differ_end_the_memory_benchmark(setting, monkeypatch):
    monkeypatch.setattr(memory, "run_child", lambda module, order: found([[1.0 if order["side"] == "ours" else 1.1]]))
    with pytest.raises(MinbertError, match="differ by 1.0e-01"):
        memory.measure(setting, SMALL, points=[])


@needs_linux
@pytest.mark.parametrize("side", ["ours", pytest.param("theirs", marks=pytest.mark.oracle)])
def test_a_process_that_trains_tells_its_peaks(setting, side, monkeypatch, capsys):
    monkeypatch.setattr(memory, "keep_nothing", lambda: None)
    order = memory.Order(setting.model, str(SAMPLE_DATA), size=4, batches=2, points=[(4, 16), (2, 32)], side=side)
    memory.answer([json.dumps(asdict(order))])
    told = memory.Answer(**json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert told.libraries > 100 and told.weights == pytest.approx(count_weights() * 4e-6, rel=0.03), "and the heads"
    assert [len(told.batches), len(told.in_use), len(told.points), len(told.lengths)] == [2, 2, 2, 2]
    assert torch.tensor(told.vectors).shape == (4, SMALL.hidden_size)


def count_weights() -> int:
    return sum(map(nn.Parameter.numel, BertModel(SMALL).parameters()))


@needs_linux
@pytest.mark.parametrize("side", ["ours", pytest.param("theirs", marks=pytest.mark.oracle)])
def test_every_step_is_on_the_batch_that_was_asked_for(setting, side):
    batches = [setting.data[memory.TASK].train[:4], setting.data[memory.TASK].train[4:6]]
    trainer = {"ours": memory.Ours, "theirs": memory.Theirs}[side](setting, batches[0])
    read = []
    embedding = (trainer.loop.model.encoder.bert.embeddings.word if side == "ours"
                 else trainer.loop.model.embeddings.word_embeddings)
    embedding.register_forward_hook(lambda module, inputs, output: read.append(len(inputs[0])))
    for batch in (*batches, batches[0]):
        trainer.step(batch)
    assert read == [4, 2, 4]


def test_a_process_that_fails_ends_the_benchmark(capfd):
    with pytest.raises(MinbertError, match="ended with status"):
        memory.run_child("json.tool", {})
    assert capfd.readouterr().err, "its own message goes to the screen"
