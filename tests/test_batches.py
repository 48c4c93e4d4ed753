"""Batches of similar length: every example once, much shuffled, little padding, and a pass that may be entered anywhere."""

import hashlib
from collections import Counter
from functools import partial

import pytest
import torch

from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer
from multitask.batches import POOL, BatchStream, evaluation_batches, plan_pass, training_batches
from multitask.data import Encoding, Example, collate, count_truncated, tokenise
from multitask.tables import TASKS, read_table

SST, PARA, STS = TASKS["sst"], TASKS["para"], TASKS["sts"]
TOKENIZER = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d"])
PAIR, SINGLE = Encoding("pair"), Encoding("single")


def make(*texts: str, name: str = "x") -> Example:
    return Example(name, texts, 1, tuple(TOKENIZER.text_to_ids(text) for text in texts))


def singles(count: int) -> list[Example]:
    """Examples of 1 to 40 words in an order that has nothing to do with their length."""
    return [make(" ".join(["a"] * (1 + 37 * i % 40)), name=str(i)) for i in range(count)]


def stream(examples: list[Example], batch_size: int = 4, seed: int = 1, resample: int = 0) -> BatchStream:
    return training_batches(examples, SST, TOKENIZER, SINGLE, batch_size, seed, resample)


def draw(batches: BatchStream, count: int) -> list[tuple[str, ...]]:
    return [batches.next_batch().ids for _ in range(count)]


def test_each_pass_has_each_example_once_and_keeps_the_short_batch():
    examples = singles(43)
    batches = stream(examples)
    assert len(batches) == 11
    for _ in range(3):
        drawn = draw(batches, 11)
        assert sorted(name for ids in drawn for name in ids) == sorted(example.id for example in examples)
        assert sorted(map(len, drawn)) == [3] + [4] * 10


def test_fewer_examples_than_a_batch_make_a_pass_of_one_batch():
    assert sorted(draw(stream(singles(3), batch_size=8), 2)[1]) == ["0", "1", "2"]


def test_one_seed_gives_one_order_and_another_seed_task_or_pass_another():
    examples = singles(60)
    order = draw(stream(examples), 15)
    assert draw(stream(examples), 15) == order
    assert draw(stream(examples, seed=2), 15) != order
    other = BatchStream(examples, 4, 1, partial(collate, task=SST, tokenizer=TOKENIZER, encoding=SINGLE), "para",
                        SINGLE.length)
    assert draw(other, 15) != order, "two tasks of one size would go through their files in step"
    both = draw(stream(examples), 30)
    assert both[:15] != both[15:], "every pass has the same order"
    assert sorted(both[:15]) != sorted(both[15:]), "examples meet the same batch mates in every pass"


def test_the_order_comes_from_a_hash_that_is_the_same_in_every_process():
    """Python's hash() is not: a resumed run would lose its place."""
    examples = singles(60)
    expected = []
    for key in (b"1/sst/0", b"1/sst/1"):
        generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(key).digest()[:7], "big"))
        expected += plan_pass([SINGLE.length(example) for example in examples], 4, generator)
    assert draw(stream(examples), 30) == [tuple(examples[place].id for place in places) for places in expected]


@pytest.mark.parametrize("count", [4, 10, 300])
def test_resampling_draws_so_many_examples_anew_in_each_pass(count):
    examples = singles(40)
    batches = stream(examples, resample=count)
    assert len(batches) == -(-count // 4)
    passes = [[name for ids in draw(batches, len(batches)) for name in ids] for _ in range(3)]
    assert [len(names) for names in passes] == [count] * 3 and len(set(map(tuple, map(sorted, passes)))) == 3
    assert draw(stream(examples, resample=count), 5) == draw(stream(examples, resample=count), 5)
    assert draw(stream(examples, resample=count), 5) != draw(stream(examples, seed=2, resample=count), 5)


def test_resampling_puts_back_what_it_draws():
    batches = stream(singles(40), resample=4000)
    counts = Counter(name for ids in draw(batches, 1000) for name in ids)
    assert len(counts) == 40 and max(counts.values()) < 160, "100 times each on average, and not always the same"
    assert len(set(counts.values())) > 5, "drawn with replacement the counts differ; is this a shuffle?"


def test_resampled_batches_hold_texts_of_similar_length():
    examples = singles(400)
    batches, lengths = stream(examples, resample=400), {example.id: SINGLE.length(example) for example in examples}
    sizes = [[lengths[name] for name in ids] for ids in draw(batches, 100)]
    assert sum(map(sum, sizes)) > 0.95 * sum(len(batch) * max(batch) for batch in sizes), "much padding"


def test_a_resampled_stream_can_be_entered_at_every_position():
    batches = stream(singles(9), resample=10)
    for _ in range(8):
        entered = stream(singles(9), resample=10)
        entered.load_state_dict(batches.state_dict())
        assert entered.next_batch().ids == batches.next_batch().ids


def test_other_random_numbers_neither_change_the_order_nor_are_changed():
    batches, torch_state = stream(singles(30)), torch.get_rng_state()
    order = draw(batches, 8)
    assert torch.equal(torch.get_rng_state(), torch_state), "a stream has a generator of its own"
    torch.manual_seed(99)
    assert draw(stream(singles(30)), 8) == order


def test_a_stream_can_be_entered_at_every_position_without_making_the_batches_before():
    examples, all_batches, made = singles(22), stream(singles(22)), []
    for position in range(20):
        state = all_batches.state_dict()
        assert set(state) == {"pass", "position"}
        entered = stream(examples)
        entered.collate = lambda some, entered=entered.collate: made.append(1) or entered(some)
        entered.load_state_dict(state)
        assert made == [], "batches were made and thrown away"
        expected = all_batches.next_batch().ids
        assert entered.next_batch().ids == expected, f"other batch after entering at batch {position}"
        assert entered.state_dict() == all_batches.state_dict()
        made.clear()


def test_a_state_of_other_data_is_refused():
    with pytest.raises(MinbertError, match="batch 7 of a pass of 6"):
        stream(singles(22)).load_state_dict({"pass": 0, "position": 7})


def plan(lengths: list[int], batch_size: int, seed: int = 0) -> list[list[int]]:
    return plan_pass(lengths, batch_size, torch.Generator().manual_seed(seed))


def draw_lengths(count: int) -> list[int]:
    return torch.randint(5, 60, (count,), generator=torch.Generator().manual_seed(9)).tolist()


@pytest.mark.exercise("7.3")
@pytest.mark.parametrize("count, batch_size", [(1, 4), (4, 4), (43, 4), (5 * POOL * 2 + 3, 5), (2 * POOL * 2, 2)])
def test_every_place_is_in_a_pass_once(count, batch_size):
    batches = plan(draw_lengths(count), batch_size)
    assert max(map(len, batches)) <= batch_size, f"a batch of {max(map(len, batches))}, batch_size is {batch_size}"
    counts = Counter(place for batch in batches for place in batch)
    wrong = sum(counts[place] != 1 for place in range(count))
    assert not 0 < wrong == count % batch_size, f"{wrong} examples are lost: the last short batch is to be kept"
    assert wrong == 0 and len(counts) == count, (
        f"every example occurs once in a pass, {wrong} of {count} do not: are some lost at the end of a batch or a pool, or "
        "places within a pool taken for places in the data?")


@pytest.mark.exercise("7.3")
def test_only_one_batch_of_a_pass_is_short():
    sizes = Counter(map(len, plan(draw_lengths(5 * POOL * 2 + 3), 5)))
    assert sizes == {5: 2 * POOL, 3: 1}, f"only the last short batch may be short, got {dict(sizes)} batches of each size"


@pytest.mark.exercise("7.3")
def test_a_pass_groups_similar_lengths_and_shuffles_the_batches():
    lengths = draw_lengths(5000)
    batches = plan(lengths, 16)
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert 1 - sum(lengths) / padded < 0.05, f"{1 - sum(lengths) / padded:.0%} is padding: are pools sorted by length?"
    means = torch.tensor([sum(lengths[i] for i in batch) / len(batch) for batch in batches])
    steps = (means[1:] - means[:-1]).abs().mean()
    assert steps > 10, f"neighbouring batches differ by {steps:.1f} tokens: are batches shuffled after the sort?"
    place_of_longest = [max(range(len(one)), key=lambda b, one=one: max(lengths[i] for i in one[b]))
                        for one in (plan(lengths, 16, seed) for seed in range(5))]
    assert len(set(place_of_longest)) > 1, "the longest batch comes at the same place in every pass"


@pytest.mark.exercise("7.3")
def test_equal_lengths_stay_shuffled():
    spread = [max(batch) - min(batch) for batch in plan([7] * 400, 4)]
    assert sum(spread) / len(spread) > 100, "examples of one length come in the file's order: shuffle before the sort"


@pytest.mark.exercise("7.3")
def test_examples_have_other_batch_mates_in_every_pass():
    lengths = list(range(3 * POOL * 2))  # no two are equal: sorted as a whole, neighbours would always be the same
    one, other = ({frozenset(batch) for batch in plan(lengths, 2, seed)} for seed in (1, 2))
    same = len(one & other) / len(one)
    assert same < 0.5, f"{same:.0%} of the examples have the same batch mates in two passes: is all data sorted as one pool?"


@pytest.mark.exercise("7.3")
def test_a_plan_comes_from_its_generator_alone():
    lengths = draw_lengths(100)
    torch.manual_seed(1)
    first = plan(lengths, 4)
    torch.manual_seed(2)
    assert plan(lengths, 4) == first, "the order must come from the generator that is handed in, not from the global one"
    assert plan(lengths, 4, seed=1) != first, "another seed must give another order"


@pytest.mark.parametrize("kind, side", [("pair", 1), ("independent", 2)])
def test_evaluation_batches_hold_every_example_once_within_their_budget(kind, side):
    examples = [make(*[" ".join(["a"] * n) for n in (1 + 7 * i % 30, 1 + 11 * i % 30)], name=str(i)) for i in range(50)]
    seen = []
    for places, batch in evaluation_batches(examples, STS, TOKENIZER, Encoding(kind), tokens_per_batch=200):
        assert batch.ids == tuple(examples[place].id for place in places), "places lead back to the file's order"
        assert batch.tokens.ids_BT.numel() <= 200 and len(batch.tokens.ids_BT) == side * len(places)
        seen += places
    assert sorted(seen) == list(range(50))


def test_an_example_beyond_the_budget_is_a_batch_of_its_own():
    batches = list(evaluation_batches(singles(5), SST, TOKENIZER, SINGLE, tokens_per_batch=1))
    assert [len(places) for places, _ in batches] == [1] * 5


def test_evaluation_batches_do_not_change_a_prediction():
    """Every row of a batch, without its padding, is what the example gives alone."""
    examples = [make("a b c d a", "b"), make("c", "d"), make("", "a b"), make("a", "b c d")]
    for places, batch in evaluation_batches(examples, STS, TOKENIZER, PAIR, tokens_per_batch=2048):
        for row, place in enumerate(places):
            alone = collate([examples[place]], STS, TOKENIZER, PAIR).tokens
            real = batch.tokens.mask_BT[row].bool()
            assert torch.equal(batch.tokens.ids_BT[row][real], alone.ids_BT[0])
            assert torch.equal(batch.tokens.segment_BT[row][real], alone.segment_BT[0])


@pytest.mark.oracle
def test_padding_of_the_real_files_is_below_three_percent(course_data, minilm):
    tokenizer = BertTokenizer.from_pretrained(minilm)
    for task in (SST, PARA, STS):
        examples = tokenise(read_table(course_data / task.file_name("train"), task, "train"), tokenizer)
        encoding = Encoding("pair" if task.is_pair else "single")
        for batch_size in (16, 32):
            batches = training_batches(examples, task, tokenizer, encoding, batch_size, seed=11711)
            masks = [batches.next_batch().tokens.mask_BT for _ in range(len(batches))]
            share = 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)
            assert share < 0.03, f"{task.name}, batches of {batch_size}: {share:.1%} of the ids are padding"
        assert count_truncated(examples, encoding) == 0
