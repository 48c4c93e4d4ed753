"""Rows -> examples -> a batch: what is in it, and which part of the examples is taken."""

import runpy
import sys
from collections import Counter
from dataclasses import replace

import pytest
import torch

from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer
from multitask.data import (
    Batch,
    Encoding,
    Example,
    Tokens,
    collate,
    count_truncated,
    find_encoding,
    join_texts,
    pad,
    take_part,
    tokenise,
)
from multitask.recipe_files import load_recipe
from multitask.tables import SPLITS, TASKS, read_table

SST, PARA, STS = TASKS["sst"], TASKS["para"], TASKS["sts"]
WORDS = ["a", "b", "c", "d", "film", "good", "##s", "'", "?", ",", "."]
TOKENIZER = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
PAD, CLS, SEP = TOKENIZER.pad_id, TOKENIZER.cls_id, TOKENIZER.sep_id
A, B, C, D = (TOKENIZER.vocabulary.index(word) for word in "abcd")
PAIR, INDEPENDENT, SINGLE = Encoding("pair"), Encoding("independent"), Encoding("single")


def make(*texts: str, name: str = "x", label: float | None = 1) -> Example:
    return Example(name, texts, label, tuple(TOKENIZER.text_to_ids(text) for text in texts))


def test_a_row_becomes_an_example_in_the_files_order(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id\tsentence1\tsentence2\tis_duplicate\nX\tGood films?\tA\t1.0\ny\tb\tC \t0\n", encoding="utf-8")
    table = read_table(path, PARA, "train")
    first, second = tokenise(table, TOKENIZER)
    assert TOKENIZER.ids_to_tokens(first.pieces[0]) == ["good", "film", "##s", "?"], "no [CLS], no [SEP] yet"
    assert (first.id, first.texts, first.label) == ("x", ("Good films?", "A"), 1)
    assert (second.texts, second.pieces) == (("b", "C "), ([B], [C])), "raw texts stay as they are"
    cased = BertTokenizer(TOKENIZER.vocabulary, lowercase=False)
    raw, prepared = (tokenise(table, cased, name)[0].pieces[0][0] for name in ("raw", "cs224n"))
    assert (raw, prepared) == (TOKENIZER.unknown_id, first.pieces[0][0]), "cs224n lowers the case, raw does not"


def test_a_batch_is_padded_to_its_longest_example():
    batch = collate([make("a", name="p"), make("a b c", name="q")], SST, TOKENIZER, SINGLE)
    assert batch.ids == ("p", "q")
    assert batch.tokens.ids_BT.tolist() == [[CLS, A, SEP, PAD, PAD], [CLS, A, B, C, SEP]]
    assert batch.tokens.mask_BT.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], "the mask is 1 for a token, 0 for padding"
    assert batch.tokens.segment_BT.tolist() == [[0] * 5] * 2
    assert {batch.tokens.ids_BT.dtype, batch.tokens.mask_BT.dtype, batch.tokens.segment_BT.dtype} == {torch.int64}


def test_a_batch_without_padding_says_so_wherever_it_is():
    short, long = (Example("", ("",), 0, ([7] * count,)) for count in (2, 3))
    for examples, is_full in (([short, short], True), ([short, long], False)):
        tokens = collate(examples, SST, TOKENIZER, Encoding("single")).tokens
        assert tokens.is_full == tokens.to("cpu").is_full == bool(tokens.mask_BT.all()) == is_full
        assert tokens.attention_mask is (None if is_full else tokens.mask_BT)


def test_a_pair_is_one_sequence_whose_second_text_is_segment_1():
    pairs = [make("a", "b c"), make("d", "d")]
    tokens = collate(pairs, PARA, TOKENIZER, PAIR).tokens
    assert tokens.ids_BT.tolist() == [[CLS, A, SEP, B, C, SEP], [CLS, D, SEP, D, SEP, PAD]]
    assert tokens.segment_BT.tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0]], "token types 0 and 1, padding 0"
    zeros = collate(pairs, PARA, TOKENIZER, Encoding("pair", "zeros")).tokens
    assert zeros.segment_BT.tolist() == [[0] * 6] * 2 and torch.equal(zeros.ids_BT, tokens.ids_BT)


def test_independent_pairs_are_stacked_first_texts_first_and_padded_together():
    batch = collate([make("a", "b c"), make("d", "d")], STS, TOKENIZER, INDEPENDENT)
    expected = [[CLS, A, SEP, PAD], [CLS, D, SEP, PAD], [CLS, B, C, SEP], [CLS, D, SEP, PAD]]
    assert batch.tokens.ids_BT.tolist() == expected
    assert len(batch.ids) == len(batch.labels) == 2, "two pairs stay two examples, in four rows of tokens"


def test_classes_are_integers_and_similarities_keep_their_fraction():
    sentiment = collate([make("a", label=3)], SST, TOKENIZER, SINGLE).labels
    duplicate = collate([make("a", "b", label=1)], PARA, TOKENIZER, PAIR).labels
    similarity = collate([make("a", "b", label=2.4)], STS, TOKENIZER, PAIR).labels
    assert similarity.is_floating_point(), "an integer tensor would make 2 of 2.4"
    assert sentiment.dtype == torch.int64 and sentiment.tolist() == [3]
    assert duplicate.dtype == torch.float32 and duplicate.tolist() == [1.0]
    assert similarity.dtype == torch.float32
    assert similarity.tolist() == pytest.approx([2.4])
    assert sentiment.shape == duplicate.shape == similarity.shape == (1,), "a batch of one is still a batch"


def test_a_batch_with_an_unlabelled_example_has_no_labels():
    assert collate([make("a"), make("b", label=None)], SST, TOKENIZER, SINGLE).labels is None


def test_an_empty_sentence_is_cls_sep():
    assert collate([make("")], SST, TOKENIZER, SINGLE).tokens.ids_BT.tolist() == [[CLS, SEP]]


def test_a_pair_is_truncated_as_one_and_the_truncated_are_counted():
    pairs = [make("a a a a a a", "b"), make("a", "b b b b b b b"), make("a", "b")]
    short = Encoding("pair", max_length=8)
    tokens = collate(pairs, PARA, TOKENIZER, short).tokens
    assert tokens.ids_BT.tolist()[:2] == [[CLS, A, A, A, A, SEP, B, SEP], [CLS, A, SEP, B, B, B, B, SEP]]
    assert count_truncated(pairs, short) == 2 and count_truncated(pairs, PAIR) == 0
    assert count_truncated(pairs, Encoding("independent", max_length=8)) == 1, "8 and 9 tokens: only the second is cut"
    assert [short.length(pair) for pair in pairs] == [8, 8, 5]
    assert collate(pairs, PARA, TOKENIZER, Encoding("independent", max_length=4)).tokens.ids_BT.shape == (6, 4)


@pytest.mark.parametrize("max_length", [512, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3])
def test_the_tokenizer_would_join_and_cut_each_text_and_pair_the_same(max_length):
    texts = ["", "a", "a b c d", "d c b a d c b a", "a a a a a"]
    for a in texts:
        for b in texts:
            pair = make(a, b)
            tokens = collate([pair], STS, TOKENIZER, Encoding("pair", max_length=max_length)).tokens
            expected = TOKENIZER.join(*pair.pieces, max_length=max_length)
            assert (tokens.ids_BT[0].tolist(), tokens.segment_BT[0].tolist()) == expected
        tokens = collate([make(a)], SST, TOKENIZER, Encoding("single", max_length=max_length)).tokens
        assert tokens.ids_BT[0].tolist() == TOKENIZER.join(TOKENIZER.text_to_ids(a), max_length=max_length)[0]


def test_a_second_cls_opens_the_second_text_with_its_token_type():
    encoding = Encoding("pair", second_cls=True)
    pairs = [make("a", "b c"), make("d", "")]
    tokens = collate(pairs, PARA, TOKENIZER, encoding).tokens
    assert tokens.ids_BT.tolist() == [[CLS, A, SEP, CLS, B, C, SEP], [CLS, D, SEP, CLS, SEP, PAD, PAD]]
    assert tokens.segment_BT.tolist() == [[0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]], "the second [CLS] is of segment 1"
    assert encoding.full_length(pairs[0]) == 7, "four special tokens"
    single = Encoding("single", second_cls=True)
    assert single.full_length(make("a")) == 3, "one text has but one [CLS]"


def test_a_second_cls_counts_towards_the_longest_length():
    encoding = Encoding("pair", max_length=8, second_cls=True)
    tokens = collate([make("a a a a a", "b b b"), make("a a", "b b")], PARA, TOKENIZER, encoding).tokens
    assert tokens.ids_BT.tolist() == [[CLS, A, A, SEP, CLS, B, B, SEP]] * 2, "8 less 4 special tokens leave 4"
    assert count_truncated([make("a a a", "b b"), make("a a", "b b")], encoding) == 1
    with pytest.raises(MinbertError, match="max_length 3 has no room for the 4 special tokens"):
        collate([make("", "")], PARA, TOKENIZER, Encoding("pair", max_length=3, second_cls=True))


def test_the_recipe_says_whether_there_is_a_second_cls():
    recipe = load_recipe("baseline")
    assert not find_encoding(recipe, "para").second_cls
    recipe = replace(recipe, tasks=recipe.tasks | {"para": replace(recipe.tasks["para"], second_cls=True)})
    assert find_encoding(recipe, "para") == Encoding("pair", "bert", recipe.max_length, second_cls=True)


def tagged(*tags: list[int]) -> Example:
    """An example whose texts have a piece for each tag."""
    return replace(make(*[" ".join(["a"] * len(some)) for some in tags]), tags=tags)


def test_tags_stand_where_their_pieces_stand_and_are_0_elsewhere():
    pairs = [tagged([5], [6, 7]), tagged([8], [9])]
    assert collate(pairs, PARA, TOKENIZER, PAIR).tokens.tags_BT.tolist() == [[0, 5, 0, 6, 7, 0], [0, 8, 0, 9, 0, 0]]
    assert collate(pairs, PARA, TOKENIZER, INDEPENDENT).tokens.tags_BT.tolist() == [
        [0, 5, 0, 0], [0, 8, 0, 0], [0, 6, 7, 0], [0, 9, 0, 0]], "first texts first, as their ids"
    second = collate(pairs, PARA, TOKENIZER, Encoding("pair", second_cls=True)).tokens
    assert second.tags_BT.tolist() == [[0, 5, 0, 0, 6, 7, 0], [0, 8, 0, 0, 9, 0, 0]]
    assert second.tags_BT.dtype == torch.int64
    assert collate([make("a")], SST, TOKENIZER, SINGLE).tokens.tags_BT is None, "examples without tags have none"


@pytest.mark.parametrize("encoding", [Encoding(kind, max_length=7, second_cls=two) for kind, two in
                                      (("pair", False), ("pair", True), ("independent", False))])
def test_tags_are_cut_with_their_pieces(encoding):
    """Every tag here is the id of its piece."""
    pairs = [make("a b c d", "d c b a"), make("a", "a b c d a"), make("a b c d a b c", "d"), make("", "")]
    pairs = [replace(pair, tags=pair.pieces) for pair in pairs]
    tokens = collate(pairs, PARA, TOKENIZER, encoding).tokens
    special = (tokens.ids_BT == CLS) | (tokens.ids_BT == SEP) | (tokens.ids_BT == PAD)
    assert torch.equal(tokens.tags_BT, tokens.ids_BT.masked_fill(special, 0)), "tags and pieces have drifted apart"


def test_a_swapped_pair_has_everything_in_the_other_order():
    pair = tagged([1], [2, 3])
    swapped = pair.swapped()
    assert (swapped.texts, swapped.pieces, swapped.tags) == (("a a", "a"), ([A, A], [A]), ([2, 3], [1]))
    assert (swapped.id, swapped.label, swapped.swapped()) == (pair.id, pair.label, pair)
    assert make("a", "b").swapped().tags is None


def labelled(counts: dict[float, int]) -> list[Example]:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [make("a", name=str(place), label=label) for place, label in enumerate(labels)]


def test_a_part_has_each_labels_share_and_the_files_order():
    examples = labelled({0: 620, 1: 380})
    part = take_part(examples, PARA, (0, 0.15), seed=1)
    assert Counter(example.label for example in part) == {0: 93, 1: 57}, "15% of each label, not 15% of all"
    places = [int(example.id) for example in part]
    assert places == sorted(places), "the order is the file's"
    assert places[:93] != list(range(93)), "the first rows are no random part"


def test_parts_that_do_not_overlap_share_nothing_and_together_hold_everything():
    examples = labelled({0: 7, 0.2: 5, 1.4: 3, 2.5: 9, 5: 1, 4.8: 2})
    for cuts in ((0, 0.15, 1), (0, 0.1, 0.37, 0.9, 1), (0, 1 / 3, 2 / 3, 1)):
        parts = [take_part(examples, STS, part, seed=3) for part in zip(cuts, cuts[1:], strict=False)]
        assert sorted(example.id for part in parts for example in part) == sorted(example.id for example in examples)
    assert take_part(examples, STS, (0, 1), seed=3) == examples, "the whole is the whole"


def test_scores_are_one_class_with_those_that_round_the_same():
    examples = [make("a", name=str(place), label=place / 100) for place in range(500)]  # no label twice
    part = take_part(examples, STS, (0.5, 1), seed=1)
    counts = Counter(round(example.label) for example in part)
    whole = Counter(round(example.label) for example in examples)
    assert counts == {label: count - round(count / 2) for label, count in whole.items()}


def test_a_part_depends_on_seed_and_task_alone():
    examples, state = labelled({0: 50, 1: 50}), torch.get_rng_state()
    part = take_part(examples, PARA, (0, 0.5), seed=1)
    assert part == take_part(examples, PARA, (0, 0.5), seed=1) != take_part(examples, PARA, (0, 0.5), seed=2)
    assert part != take_part(examples, SST, (0, 0.5), seed=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_part_without_an_example_is_refused():
    with pytest.raises(MinbertError, match=r"para: \[0, 0.05\] of 4 examples holds none"):
        take_part(labelled({0: 2, 1: 2}), PARA, (0, 0.05), seed=1)


def test_a_batch_moves_to_a_device_whole():
    batch = Batch(("x",), Tokens(*torch.zeros(4, 1, 2, dtype=torch.int64)), torch.ones(1)).to("meta")
    tensors = (batch.tokens.ids_BT, batch.tokens.mask_BT, batch.tokens.segment_BT, batch.tokens.tags_BT, batch.labels)
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    untagged = Batch(("x",), replace(batch.tokens, tags_BT=None), None).to("meta")
    assert untagged.labels is None and untagged.tokens.tags_BT is None


def encode_alone(texts: list[str], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sentences as the course's scripts pad them: [CLS] a [SEP], then padding up to `width`."""
    tokens = pad([TOKENIZER.join(TOKENIZER.text_to_ids(text)) for text in texts], PAD, "bert")
    missing = width - tokens.ids_BT.shape[1]
    return tuple(torch.nn.functional.pad(tensor, (0, missing)) for tensor in (tokens.ids_BT, tokens.mask_BT))


@pytest.mark.parametrize("kind", ["pair", "independent"])
@pytest.mark.parametrize("token_types", ["bert", "zeros"])
@pytest.mark.parametrize("max_length", [512, 12, 9, 8, 5])
@pytest.mark.parametrize("second_cls", [False, True])
def test_separately_padded_sentences_are_joined_as_in_training(kind, token_types, max_length, second_cls):
    texts1 = ["a", "a b c d a b c d", "", "a a a a a", "[SEP] a [CLS]", "a b c"]
    texts2 = ["b", "c c", "d d d", "b b b b b b b", "[CLS] b [SEP]", "b c d"]
    encoding = Encoding(kind, token_types, max_length, second_cls)
    expected = collate([make(*pair) for pair in zip(texts1, texts2, strict=True)], STS, TOKENIZER, encoding).tokens
    joined = join_texts([encode_alone(texts1, 13), encode_alone(texts2, 20)], CLS, SEP, encoding)
    for name in ("ids_BT", "mask_BT", "segment_BT"):
        ours, right = getattr(joined, name), getattr(expected, name)
        assert torch.equal(ours, right), f"{name}: is padding left inside, or a [CLS] too many?\n{ours}\n{right}"


@pytest.mark.parametrize("max_length", [512, 6, 4])
def test_a_text_encoded_and_padded_alone_is_encoded_again_as_in_training(max_length):
    texts, encoding = ["a b c d a b", "", "a [SEP]", "a b c d"], Encoding("single", max_length=max_length)
    expected = collate([make(text) for text in texts], SST, TOKENIZER, encoding).tokens
    ids_BT, mask_BT = encode_alone(texts, 11)
    in_front = [int((mask == 0).sum()) for mask in mask_BT]  # padding in front, as some tokenizers have it
    for roll in ([0] * len(texts), in_front):
        sides = [torch.stack([row.roll(by) for row, by in zip(tensor, roll, strict=True)]) for tensor in (ids_BT, mask_BT)]
        joined = join_texts([tuple(sides)], CLS, SEP, encoding)
        assert torch.equal(joined.ids_BT, expected.ids_BT), "is a long text cut as training cuts it?"
        assert torch.equal(joined.mask_BT, expected.mask_BT) and not joined.segment_BT.any()


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_the_module_runs_check_and_download(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["data", "check", "--data_dir", str(tmp_path)])
    monkeypatch.setattr(BertTokenizer, "from_pretrained", lambda name: TOKENIZER)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("multitask.data", run_name="__main__")
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: no data files in {tmp_path}\nhint: ")


@pytest.mark.oracle
def test_separately_padded_real_pairs_are_joined_as_the_tokenizer_joins_them(course_data, minilm):
    tokenizer = BertTokenizer.from_pretrained(minilm)
    for split in SPLITS:
        examples = tokenise(read_table(course_data / STS.file_name(split), STS, split), tokenizer)[:400]
        sides = [tokenizer([example.texts[side] for example in examples], padding=True, return_tensors="pt")
                 for side in (0, 1)]
        texts = [(side["input_ids"], side["attention_mask"]) for side in sides]
        for encoding in (PAIR, Encoding("pair", "bert", 20)):
            joined = join_texts(texts, tokenizer.cls_id, tokenizer.sep_id, encoding)
            expected = collate(examples, STS, tokenizer, encoding).tokens
            assert torch.equal(joined.ids_BT, expected.ids_BT)
            assert torch.equal(joined.mask_BT, expected.mask_BT)
            assert torch.equal(joined.segment_BT, expected.segment_BT)
