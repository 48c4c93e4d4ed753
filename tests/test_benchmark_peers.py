"""The benchmarks' peers do the work that ours do: same loss from same weights, every example as often, as many steps."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from small_run import VOCABULARY, config

from benchmarks import epochs, frozen, inference, long_texts, steps, techniques, timing
from benchmarks.ours import POOLERS
from benchmarks.peers import ENCODINGS, OrdinaryLoop, task_loss
from benchmarks.setting import Setting
from benchmarks.starter import StarterAdamW, StarterLoop
from minbert.bert import BertModel
from minbert.files import MinbertError
from minbert.weights import save_model
from multitask.checkpoint import build_model
from multitask.command_line import SAMPLE_DATA
from multitask.data import Encoding, collate
from multitask.model import MultitaskBert
from multitask.recipe_files import load_recipe
from multitask.stage import Parts
from multitask.tables import COURSE_TASKS, TASKS
from multitask.train import run_stage
from optim.adamw import AdamW

pytestmark = pytest.mark.oracle
APART = [f"tasks.{task}.{setting}" for task in ("para", "sts") for setting in ("encoding=independent", "features=concat")]


@pytest.fixture(scope="module")
def setting(tmp_path_factory) -> Setting:
    """A tiny model without dropout, and the bundled samples."""
    folder = tmp_path_factory.mktemp("tiny")
    small = replace(config(dropout=0.0), max_position_embeddings=128)
    torch.manual_seed(0)
    save_model(folder, small, BertModel(small), VOCABULARY)
    return Setting(str(folder), SAMPLE_DATA)


@pytest.fixture
def bert(setting):
    from transformers import BertModel as TheirBert

    return TheirBert.from_pretrained(setting.folder)


def make_model(setting: Setting, settings: list[str]) -> MultitaskBert:
    """Ours without dropout, with heads whose outputs are far from 0."""
    model = build_model(load_recipe("baseline", [*POOLERS, *settings]), setting.folder, setting.tokenizer).eval()
    for parameter in model.heads.parameters():
        torch.nn.init.normal_(parameter)
    return model


def our_loss(model: MultitaskBert, setting: Setting, task: str, count: int) -> torch.Tensor:
    batch = collate(setting.data[task].train[:count], TASKS[task], setting.tokenizer, model.encoding(task))
    return model.targets[task].loss(model.output(task, batch.tokens), batch.labels)


def take_heads(loop, model: MultitaskBert) -> None:
    loop.model.eval()
    loop.heads.eval()
    for task, head in loop.heads.items():
        head[1].load_state_dict(model.heads[task].layers[-1].state_dict())


@pytest.mark.parametrize("task", COURSE_TASKS)
def test_the_ordinary_loop_has_our_loss(setting, bert, task):
    model = make_model(setting, [])
    loop = OrdinaryLoop(setting, bert, {task: splits.train for task, splits in setting.data.items()}, batch_size=8)
    take_heads(loop, model)
    theirs = task_loss(task, *loop.output(task, setting.data[task].train[:20]))
    torch.testing.assert_close(theirs, our_loss(model, setting, task, 20), atol=1e-5, rtol=0)


@pytest.mark.parametrize("task", COURSE_TASKS)
def test_the_starters_loop_has_our_loss_where_pairs_are_encoded_apart(setting, bert, task):
    model = make_model(setting, APART)
    loop = StarterLoop(setting, bert, setting.tables, batch_size=8)
    take_heads(loop, model)
    theirs = task_loss(task, *loop.output(task, setting.tables[task, "train"].rows[:20]))
    torch.testing.assert_close(theirs, our_loss(model, setting, task, 20), atol=1e-5, rtol=0)


def test_the_starters_loop_counts_tokens_as_the_ordinary_loop_does(setting, bert):
    loop = StarterLoop(setting, bert, setting.tables, batch_size=8)
    for task in COURSE_TASKS:
        before = loop.read
        loop.output(task, setting.tables[task, "train"].rows[:50])
        assert loop.read - before == sum(map(ENCODINGS[task].length, setting.data[task].train[:50])), task


def test_a_step_of_the_starters_loop_reads_a_batch_of_each_task_and_moves_all_it_trains(setting, bert):
    loop = StarterLoop(setting, bert, setting.tables, batch_size=8)
    before = [parameter.detach().clone() for parameter in loop.heads.parameters()]
    assert loop.step(COURSE_TASKS) == loop.read > 3 * 8
    assert not any(torch.equal(*pair) for pair in zip(before, loop.heads.parameters(), strict=True)), "a head has not moved"


def test_the_starters_adamw_is_the_handouts():
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(tensor) for tensor in torch.randn(7, 5).repeat(2, 1, 1).unbind())
    optimizers = AdamW([ours], lr=0.01, eps=1e-6, weight_decay=0.01, form="cs224n"), StarterAdamW([theirs], lr=0.01)
    for _ in range(5):
        ours.grad = torch.randn(7, 5)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=0)


def test_both_sides_of_frozen_see_every_example_ten_times(setting, bert, monkeypatch):
    data = setting.cut(0.1)
    recipe = load_recipe("baseline", [*POOLERS, "stages.0.epochs=10", "stages.0.train=last-linear-layer"])
    seen = {"ours": Counter(), "theirs": Counter()}

    def watch(state, *others):
        for name, objective in state.objectives.items():
            def counting(places, name=name, collate=objective.stream.collate):
                seen["ours"].update((name, place) for place in places)
                return collate(places)

            objective.stream.collate = counting
        return run_stage(state, *others)

    class Watched(OrdinaryLoop):
        def output(self, task, examples):
            seen["theirs"].update((task, data[task].train.index(example)) for example in examples)
            return super().output(task, examples)

    monkeypatch.setattr(frozen, "run_stage", watch)
    read = frozen.train_ours(recipe, Parts(make_model(setting, []), setting.tokenizer, data))
    loop = Watched(setting, bert, {task: splits.train for task, splits in data.items()}, 32, freeze=True)
    assert read == frozen.train_theirs(loop) == 10 * sum(len(splits.train) for splits in data.values())
    assert seen["ours"] == seen["theirs"] == {(task, place): 10 for task in data for place in range(len(data[task].train))}


def test_a_frozen_loop_moves_the_heads_alone(setting, bert):
    loop = OrdinaryLoop(setting, bert, {task: splits.train for task, splits in setting.data.items()}, 8, freeze=True)
    encoder, heads = ({name: tensor.clone() for name, tensor in module.state_dict().items()} for module in (bert, loop.heads))
    loop.step(COURSE_TASKS)
    assert all(torch.equal(encoder[name], tensor) for name, tensor in bert.state_dict().items()), "a frozen encoder has moved"
    assert not any(torch.equal(heads[name], tensor) for name, tensor in loop.heads.state_dict().items()), "a head has not moved"


def test_frozen_measures_what_it_says(setting, monkeypatch):
    monkeypatch.setattr(frozen, "ROUNDS", 1)
    monkeypatch.setattr(frozen, "SHARE", 0.1)
    monkeypatch.setattr(timing, "LIMIT", float("inf"))  # whatever else the machine does
    outcome = frozen.measure(setting)
    assert [(row.goal, len(row.ratios)) for row in outcome.rows] == [(15, 1), (None, 1)]
    with pytest.raises(MinbertError, match="expected 20 on both sides"):
        frozen.check_examples({20, 19}, 20)


@pytest.mark.parametrize("peer, needed", [("OurTraining", "torch"), ("TheirTrainer", "accelerate"),
                                          ("TheirCrossEncoder", "datasets")])
def test_an_epoch_is_the_same_work_on_every_side(setting, peer, needed):
    pytest.importorskip(needed, reason=f"requirements-dev.txt has {needed}")
    tables = epochs.cut(setting.tables, 0.1)
    assert getattr(epochs, peer)(setting, tables).train() == epochs.count_work(tables)


def test_transformers_trainer_gets_the_token_ids_that_ours_does(setting):
    theirs = epochs.TheirTrainer(setting, setting.tables)
    for task in COURSE_TASKS:
        rows = theirs.encode(task, setting.tables[task, "train"].rows[:50])
        ours = collate(setting.data[task].train[:50], TASKS[task], setting.tokenizer, ENCODINGS[task]).tokens
        for place, row in enumerate(rows):
            length = len(row["input_ids"])
            assert ours.mask_BT[place].sum() == length, f"{task}, row {place}"
            assert ours.ids_BT[place, :length].tolist() == row["input_ids"], f"{task}, row {place}"
            assert ours.segment_BT[place, :length].tolist() == row["token_type_ids"], f"{task}, row {place}"


def shrink(monkeypatch) -> None:
    """What the benchmarks do becomes small."""
    monkeypatch.setattr(steps, "BATCH", 8)
    monkeypatch.setattr(frozen, "SHARE", 0.1)
    monkeypatch.setitem(ENCODINGS, "cfimdb", Encoding("single", max_length=128))  # the tiny model's positions
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    monkeypatch.setattr(steps, "BERT_BASE", replace(steps.BERT_BASE, **small))


@pytest.mark.parametrize("module, measure, expected", [
    (steps, "measure", [(2.4, False), (2.8, False), (5.0, False), (0.4, False), (0.4, False), (None, False)]),
    (steps, "measure_small", [(None, False), (None, False), (None, False), (5.0, False)]),
    (steps, "measure_bert_base", [(2.1, False), (None, False)]),
    (long_texts, "measure", [(None, False)] * 3),
    (inference, "measure", [(2.5, False)]),
    (techniques, "measure", [(1.12, True), (None, True), (2.7, True), (3.1, True)]),
])
def test_each_benchmark_measures_what_it_says(setting, monkeypatch, module, measure, expected):
    monkeypatch.setattr(module, "interleave", lambda variants, *_, **__: timing.interleave(variants, 1, warm_up=False))
    monkeypatch.setattr(timing, "LIMIT", float("inf"))
    shrink(monkeypatch)
    outcome = getattr(module, measure)(setting)
    assert [(row.goal, row.at_most) for row in outcome.rows] == expected
    assert all(row.ratio > 0 for row in outcome.rows) and "differ" in outcome.same


@pytest.mark.parametrize("module, measure, expected", [
    (steps, "measure", [3.0] * 3), (steps, "measure_small", [3.0] * 4), (steps, "measure_bert_base", [3.0]),
    (long_texts, "measure", [3.0, 3.0, 1.0]), (inference, "measure", [3.0]), (frozen, "measure", [3.0, 3.0]),
    (epochs, "measure_whole", [3.0]),
])
def test_a_ratio_above_1_is_ours_being_faster(setting, monkeypatch, module, measure, expected):
    """Ours takes a second, theirs three, for as much work."""
    def rounds(variants, *_, **__) -> timing.Timing:
        for variant in variants.values():
            variant()
        peers = ("their", "starter", "without dropout")
        seconds = {name: 3.0 if any(peer in name for peer in peers) else 1.0 for name in variants}
        return timing.Timing((timing.Round({name: timing.Sample(6.0, each) for name, each in seconds.items()}, 0.0),), 0)

    monkeypatch.setattr(module, "interleave", rounds)
    monkeypatch.setattr(frozen, "check_examples", lambda *_: None)  # as much work as was said above
    shrink(monkeypatch)
    assert [row.ratio for row in getattr(module, measure)(setting).rows[:len(expected)]] == expected


def test_work_that_is_not_the_expected_is_an_error():
    work = epochs.Work(read=64, steps=2, predicted=5)
    assert epochs.checked("theirs", work, work) == 64
    with pytest.raises(MinbertError, match="steps=3"):
        epochs.checked("theirs", replace(work, steps=3), work)


def test_an_epoch_is_measured_beside_both_trainers(setting, monkeypatch):
    pytest.importorskip("datasets", reason="requirements-dev.txt has datasets")
    for module, name, value in ((timing, "LIMIT", float("inf")), (epochs, "ROUNDS", 1), (epochs, "TRAINER_SHARE", 0.1),
                                (epochs, "CROSS_SHARE", 0.1)):
        monkeypatch.setattr(module, name, value)
    outcome = epochs.measure(setting)
    assert [(row.goal, len(row.ratios)) for row in outcome.rows] == [(2.5, 1), (None, 1)]


def test_a_whole_epoch_is_measured_once(setting, monkeypatch):
    pytest.importorskip("accelerate", reason="requirements-dev.txt has accelerate")
    monkeypatch.setattr(timing, "LIMIT", float("inf"))
    outcome = epochs.measure_whole(setting)
    assert [(row.goal, len(row.ratios)) for row in outcome.rows] == [(2.5, 1)]
