"""The tokenizer: hand-worked cases, recorded answers of the Rust reference, and (oracle) the live reference.

DIFFERENCES lists the classes of characters in which the reference's own versions part. Beyond characters:
- Literal [CLS], [SEP], ... in a text are special tokens in Rust and Python; Google's code spells them out.
- A word of 101 to 200 characters is [UNK] in Rust and Python, in pieces with Google.
- An odd token, when both texts of a pair are too long, is the longer one's in Rust, A's in Python and Google.
- A lone surrogate is an error in Rust, dropped in Python, kept by Google.
- A max_length with no room for [CLS] and [SEP] cuts nothing in Rust; with us it is an error.
- ("a", "") is a pair in Rust; called through transformers it is a single text, but [("a", "")] is a pair.
- Rust lower-cases by Unicode 17, we by Python's own version: letters assigned in between stay as they are
  with us (A7CB, 10D50, ... under Python 3.11). They are in no vocabulary: [UNK] with either.
- Rust does not take apart what came after Unicode 12 (LATER_COMPOSED), we do. They are in no vocabulary.
"""

import copy
import csv
import functools
import json
import os
import pickle
import random
import re
import runpy
import sys
import types
import unicodedata
from pathlib import Path

import pytest
import torch

from minbert import tokenizer as module
from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden" / "tokenizer.json").read_text(encoding="utf-8"))
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "film", "is", "good", "un", "una", "##aff", "##able", "##ffable", "a", "b", "c", "##b", "e"]
WORDS += ["x", "##x", ".", "!", "[", "]", "sep", "é", "E", "\u2028", "##ß"]
PAD, UNK, CLS, SEP, MASK, THE, FILM, IS, GOOD = range(9)

# class, example, words in Rust (and ours), in transformers' old Python code, in Google's first code
DIFFERENCES = [
    ("private use (Co)", "a\ue000b", ["ab"], ["ab"], ["a\ue000b"]),
    ("unassigned (Cn)", "a\u0378b", ["a\u0378b"], ["ab"], ["a\u0378b"]),
    ("controls after Unicode 8 (Cf)", "a\u08e2b", ["a\u08e2b"], ["ab"], ["ab"]),
    ("marks after Unicode 8 (Mn)", "a\u07fdb", ["a\u07fdb"], ["ab"], ["ab"]),
    ("punctuation after Unicode 8 (P*)", "a\u2e43b", ["a\u2e43b"], *[["a", "\u2e43", "b"]] * 2),
    ("a punctuation till Unicode 11", "a\u166db", ["a", "\u166d", "b"], ["a\u166db"], ["a\u166db"]),
    ("a punctuation till Unicode 10", "a\U000111c9b", ["a", "\U000111c9", "b"], ["ab"], ["ab"]),
    ("a mark till Unicode 13", "a\u1734b", ["ab"], ["a\u1734b"], ["a\u1734b"]),
    ("ideographs 2B820 to 2B91F", "a\U0002b820b", ["a\U0002b820b"], *[["a", "\U0002b820", "b"]] * 2),
    ("capital sigma at a word's end", "ΟΔΟΣ", ["οδοσ"], ["οδος"], ["οδος"]),
]
# what Python 3.11 (Unicode 14) to Unicode 18 take apart and Rust does not
LATER_COMPOSED = {chr(0x11938), chr(0x105C9), chr(0x105E4), chr(0x11383), chr(0x11385), chr(0x1138E),
                  chr(0x11391), chr(0x113C5), chr(0x113C7), chr(0x113C8), *map(chr, range(0x16121, 0x16129)),
                  *map(chr, range(0x16D68, 0x16D6B))}


@pytest.fixture
def tokenizer() -> BertTokenizer:
    return BertTokenizer(SPECIALS + WORDS)


def split_words(text: str, lowercase: bool = True) -> list[str]:
    """The words of a text by the readable functions alone: no table, no cache."""
    return "".join(module.rewrite_character(character, lowercase) for character in text).split()


# ---------------------------------------------------------------- a text becomes words


@pytest.mark.parametrize(("text", "words", "lesson"), [
    ("The film", ["the", "film"], "an uncased model sees lower case only"),
    (" a \t b\nc\r\nd  ", ["a", "b", "c", "d"], "tab and line ends are white space; no word is empty"),
    ("a\u00a0b\u2003c\u3000d\u2028e\u2029f", list("abcdef"), "so are the blanks of categories Zs, Zl and Zp"),
    ("a\x00b\x07c\x0bd\x0ce\x1cf\x85g", ["abcdefg"], "controls vanish, even those str.split() splits at"),
    ("a\ufffdb\u200bc\u00add\ue000e", ["abcde"], "U+FFFD, formats (Cf) and private use (Co) vanish"),
    ("don't", ["don", "'", "t"], "punctuation is a word of its own"),
    ("$5+^x~`|", ["$", "5", "+", "^", "x", "~", "`", "|"], "all visible ASCII but letters and digits counts"),
    ("5€ x→y ☃", ["5€", "x→y", "☃"], "symbols beyond ASCII (categories S*) do not"),
    ("¿qué—sí…", ["¿", "que", "—", "si", "…"], "but categories P* do, in any script"),
    ("x中文y", ["x", "中", "文", "y"], "each ideograph is a word of its own"),
    ("\uf900", ["\u8c48"], "a compatibility ideograph decomposes to the ordinary one"),
    ("かな한", ["かな\u1112\u1161\u11ab"], "kana and Hangul are no ideographs; NFD takes Hangul apart"),
    ("Café cafe\u0301 Å", ["cafe", "cafe", "a"], "composed and decomposed accents go alike"),
    ("İ", ["i"], "the dot of the Turkish capital I is a mark after NFD: it goes before lower-casing"),
    ("\u1f0c\u03c1\u03c7\u03ae", ["αρχη"], "every mark of a letter goes, not the first one only"),
    ("a\u037eb", ["a", ";", "b"], "the Greek question mark is ';' after NFD: look for punctuation then"),
    ("a≠b", ["a", "=", "b"], "≠ decomposes to '=' and a mark"),
    ("\u0301", [], "a mark alone leaves nothing"),
    ("x\U0002b920y", ["x", "\U0002b920", "y"], "behind the gap in the reference's table"),
])
def test_a_text_becomes_words(text: str, words: list[str], lesson: str):
    assert split_words(text) == words, lesson


@pytest.mark.parametrize(("name", "text", "rust"), [row[:3] for row in DIFFERENCES])
def test_where_versions_differ_ours_is_the_rust_one(name: str, text: str, rust: list[str]):
    assert split_words(text) == rust, f"{name}: the Rust reference says otherwise (find_category, IDEOGRAPHS)"


def test_a_cased_model_keeps_capitals_and_accents():
    assert split_words("Ça, C'EST\u0301", lowercase=False) == ["Ça", ",", "C", "'", "EST\u0301"], \
        "lowercase=False skips strip_accents altogether, and nothing else"
    cased = BertTokenizer(SPECIALS + WORDS, lowercase=False)
    assert cased.tokenize("É é E") == ["[UNK]", "é", "E"]


def test_single_steps():
    assert [module.clean_character(c) for c in "a\t\u00a0\u2028\u200b"] == ["a", " ", " ", " ", ""]
    assert module.strip_accents("ÉΟΔΟΣ") == "eοδοσ", "lower-case character by character: no final sigma"


def test_punctuation_of_ascii_is_four_runs():
    runs = [*range(33, 48), *range(58, 65), *range(91, 97), *range(123, 127)]
    assert [code for code in range(128) if module.is_punctuation(chr(code))] == runs


def test_the_table_of_later_characters_hides_no_early_one():
    early = "ab09 .,!\u061f\u3002\u0300\u0301\u05b0\u064b\u0483\u200b\u00ad\ufeff\u1ab0\u1dc0\u20d0\U000e0100"
    assert [module.find_category(c) for c in early] == [unicodedata.category(c) for c in early], \
        "a range of ORDINARY_IN_UNICODE_8 is too wide: its characters would lose their category"


# ---------------------------------------------------------------- a word becomes pieces


@pytest.mark.exercise("1.1")
@pytest.mark.parametrize(("word", "pieces", "lesson"), [
    ("film", ["film"], "a word of the vocabulary is one piece: the first piece has no ##, and the last character counts"),
    ("unaffable", ["una", "##ffable"], "the longest first piece wins, although un ##aff ##able fits as well"),
    ("unaff", ["[UNK]"], "greedy never goes back: una leaves ##ff, no piece, so un ##aff is not found"),
    ("ab", ["a", "##b"], "behind the first piece only pieces with ## in front count"),
    ("abc", ["[UNK]"], "c is a word, ##c is no piece: the whole word is [UNK], not only its end"),
    ("ßa", ["[UNK]"], "##ß may not begin a word"),
    ("x" * 100, ["x"] + ["##x"] * 99, "100 characters are allowed"),
    ("x" * 101, ["[UNK]"], "a word of 101 characters is too long: it is [UNK]"),
])
def test_a_word_becomes_its_longest_pieces(word: str, pieces: list[str], lesson: str):
    assert module.split_word(word, dict.fromkeys(SPECIALS + WORDS, 0)) == pieces, lesson


@pytest.mark.exercise("1.1")
def test_the_start_of_an_unknown_word_is_not_kept():
    found = module.split_word("abc", {"[UNK]": 1, "a": 2, "##b": 3, "##": 4})
    assert found != ["a", "##b", "[UNK]"], "where no piece fits the whole word is [UNK]: the pieces found so far must go"
    assert found == ["[UNK]"], "where no piece fits the whole word is [UNK], once; an empty piece is none"


@pytest.mark.exercise("1.1")
def test_the_limit_of_100_counts_what_cleaning_left(tokenizer):
    assert tokenizer.tokenize("x\u0301" * 100 + "\u200b") == ["x"] + ["##x"] * 99, \
        "count the characters of the word after accents and controls are gone"
    assert tokenizer.tokenize("x" * 101 + " a") == ["[UNK]", "a"]
    assert tokenizer.tokenize("x." * 99 + "x") == ["x", "."] * 99 + ["x"], \
        "the limit is for words, not for what stands between blanks"


# ---------------------------------------------------------------- special tokens in a text


def test_a_literal_special_token_is_the_special_token(tokenizer):
    assert tokenizer.text_to_ids("a[SEP]b [MASK]. [[PAD]]") == [
        tokenizer.vocabulary.index(t) for t in ("a", "[SEP]", "b", "[MASK]", ".", "[", "[PAD]", "]")], \
        "the reference looks for [SEP] and its like first, also next to letters"
    assert tokenizer.tokenize("[sep] [S\x00EP]") == ["[", "sep", "]"] * 2, "spelt exactly, in the raw text"


def test_text_that_is_not_trusted_cannot_spell_special_tokens():
    strict = BertTokenizer(SPECIALS + WORDS, allow_special=False)
    assert strict.tokenize("a[SEP]b [SEP]") == ["a", "[", "sep", "]", "b", "[", "sep", "]"]
    assert not set(strict.text_to_ids(" ".join(SPECIALS))) & {PAD, CLS, SEP, MASK}


# ---------------------------------------------------------------- one text and two, truncated


@pytest.mark.exercise("1.3")
def test_one_text_is_cls_text_sep(tokenizer):
    assert tokenizer.join([THE, FILM]) == ([CLS, THE, FILM, SEP], [0, 0, 0, 0]), \
        "one text is [CLS] text [SEP], its types are all 0"
    assert tokenizer.join([]) == ([CLS, SEP], [0, 0]), "an empty text is [CLS] [SEP]"


@pytest.mark.exercise("1.3")
def test_a_pair_has_types_0_to_the_first_sep_and_1_behind_it(tokenizer):
    ids, types = tokenizer.join([THE, FILM], [GOOD])
    assert ids != [CLS, THE, FILM, SEP, GOOD], "the last [SEP] is missing: a pair is [CLS] A [SEP] B [SEP]"
    assert ids != [CLS, THE, FILM, SEP, CLS, GOOD, SEP], "the second text has a [CLS] of its own: there is one, at the start"
    assert ids != [CLS, THE, FILM, SEP, SEP, GOOD, SEP], "two [SEP] between the texts: that is another model's (RoBERTa's) way"
    assert ids != [CLS, THE, FILM, GOOD, SEP], "the [SEP] between the texts is missing: a pair is [CLS] A [SEP] B [SEP]"
    assert ids == [CLS, THE, FILM, SEP, GOOD, SEP], "a pair is [CLS] A [SEP] B [SEP]"
    assert 1 in types, "all types are 0: the second text and its [SEP] have type 1"
    assert types != [0, 0, 0, 1, 1, 1], "the first [SEP] belongs to the first text: its type is 0"
    assert types != [0, 0, 0, 0, 1, 0], "the last [SEP] belongs to the second text: its type is 1"
    assert types == [0, 0, 0, 0, 1, 1], "types are 0 up to the first [SEP], itself included, and 1 behind it"
    assert tokenizer.join([THE], []) == ([CLS, THE, SEP, SEP], [0, 0, 0, 1]), "an empty text is a text"


@pytest.mark.exercise("1.3")
def test_truncation_takes_from_the_right_and_keeps_the_special_tokens(tokenizer):
    ids, types = tokenizer.join([5, 6, 7, 8], max_length=4)
    assert len(ids) == 4, f"max_length 4 gave {len(ids)} ids: [CLS] and [SEP] count, the text gets what they leave"
    assert SEP in ids, "the [SEP] was cut off: truncate the text first, then put the special tokens round it"
    assert ids[1:3] != [7, 8], "the left end was cut off: the right end goes, the start of a text stays"
    assert (ids, types) == ([CLS, 5, 6, SEP], [0] * 4), "[CLS], the first two tokens, [SEP]"
    assert tokenizer.join([5, 6, 7, 8], [9, 10, 11, 12], max_length=8) == (
        [CLS, 5, 6, SEP, 9, 10, 11, SEP], [0] * 4 + [1] * 4), "three special tokens leave 5: 2 for A, 3 for B"
    assert tokenizer.join([5, 6], max_length=4)[0] == [CLS, 5, 6, SEP], "what just fits is left alone"
    assert tokenizer.join([], [5, 6], max_length=5, truncation="only_first")[0] == [CLS, SEP, 5, 6, SEP]
    assert tokenizer.join([5] * 600, truncation="do_not_truncate")[0] == [CLS] + [5] * 600 + [SEP]


@pytest.mark.exercise("1.2")
@pytest.mark.parametrize(("lengths", "budget", "strategy", "kept", "lesson"), [
    ((10, 10), 7, "longest_first", (3, 4), "of two equals B counts as the longer: it gets the odd token"),
    ((11, 10), 7, "longest_first", (4, 3), "the longer text gets the odd token"),
    ((10, 11), 7, "longest_first", (3, 4), "the longer text gets the odd token"),
    ((2, 10), 7, "longest_first", (2, 5), "the shorter keeps all when it has less than half, the other gets the rest"),
    ((10, 2), 7, "longest_first", (5, 2), "the shorter keeps all when it has less than half, the other gets the rest"),
    ((4, 4), 7, "longest_first", (3, 4), "each over half by a little"),
    ((9, 0), 7, "longest_first", (7, 0), "one text alone gets everything"),
    ((10, 10), 7, "legacy", (4, 3), "the published code takes from B when equal: A keeps the odd token"),
    ((10, 11), 7, "legacy", (4, 3), "even when B was longer"),
    ((10, 3), 7, "only_first", (4, 3), "only_first: A gives all that must go, B keeps its tokens"),
    ((3, 10), 7, "only_second", (3, 4), "only_second: B gives all that must go, A keeps its tokens"),
    ((9, 9), 0, "only_first", (0, 0), "a budget of nothing empties both"),
])
def test_truncation_by_hand(lengths: tuple, budget: int, strategy: str, kept: tuple, lesson: str):
    assert module.truncate_pair(*lengths, budget, strategy) == kept, lesson


@pytest.mark.exercise("1.2")
def test_legacy_is_one_token_at_a_time():
    for length_a in range(12):
        for length_b in range(12):
            for budget in range(length_a + length_b):
                a, b = length_a, length_b
                while a + b > budget:
                    a, b = (a - 1, b) if a > b else (a, b - 1)
                assert module.truncate_pair(length_a, length_b, budget, "legacy") == (a, b), \
                    f"legacy, {length_a} + {length_b} tokens to {budget}: one goes at a time, from the longer, from B if equal"


@pytest.mark.exercise("1.2")
@pytest.mark.parametrize(("lengths", "strategy"), [
    ((9, 7), "only_first"), ((7, 9), "only_second"), ((9, 0), "only_second")])
def test_only_first_and_only_second_keep_a_token_or_refuse(lengths: tuple, strategy: str):
    try:
        kept = module.truncate_pair(*lengths, 7, strategy)
    except MinbertError as error:
        assert re.search(f"{strategy}.*{lengths[0]} \\+ {lengths[1]} tokens to 7", str(error)), "say the strategy and the lengths"
    else:
        pytest.fail(f"{strategy} kept {kept}: the text that gives all must keep a token, or the call be refused (MinbertError)")


@pytest.mark.exercise("1.3")
@pytest.mark.parametrize(("second", "specials"), [(None, 2), ([], 3)])
def test_a_length_without_room_for_the_special_tokens_is_refused(tokenizer, second, specials: int):
    assert len(tokenizer.join([5, 6], second, max_length=specials)[0]) == specials
    with pytest.raises(MinbertError, match=f"max_length {specials - 1} has no room for the {specials}"):
        tokenizer.join([5, 6], second, max_length=specials - 1)


# ---------------------------------------------------------------- the call


def test_one_text_gives_flat_lists_and_a_batch_lists_of_lists(tokenizer):
    one = tokenizer("The film!")
    assert one == {"input_ids": [CLS, THE, FILM, tokenizer.vocabulary.index("!"), SEP],
                   "token_type_ids": [0] * 5, "attention_mask": [1] * 5}
    assert tokenizer(["The film!"]) == {name: [values] for name, values in one.items()}
    assert tokenizer(("the", "film")) == tokenizer(["the", "film"]), "a tuple is a batch, not a pair"
    assert tokenizer([]) == {"input_ids": [], "token_type_ids": [], "attention_mask": []}
    assert tokenizer("the", "film")["input_ids"] == [CLS, THE, SEP, FILM, SEP]
    assert tokenizer(["the", ""], ["film", "is"])["token_type_ids"] == [[0, 0, 0, 1, 1], [0, 0, 1, 1]]


def test_padding_is_id_0_type_0_mask_0_on_the_right(tokenizer):
    batch = tokenizer(["the film", "the"], ["is", "is good"], padding=True, pad_to_multiple_of=4)
    assert batch["input_ids"] == [
        [CLS, THE, FILM, SEP, IS, SEP, PAD, PAD], [CLS, THE, SEP, IS, GOOD, SEP, PAD, PAD]], "padding stands on the right, id 0"
    assert batch["token_type_ids"] == [[0, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 0, 0]], \
        "padding has type 0, behind a second text as well"
    assert batch["attention_mask"] == [[1] * 6 + [0, 0]] * 2, "the mask is 1 at padding: the model must not look at padding"
    assert tokenizer(["the", "the film"], padding="longest")["attention_mask"] == [[1, 1, 1, 0], [1] * 4]
    assert tokenizer(["the", "the film"])["attention_mask"] == [[1] * 3, [1] * 4], "only if asked for"


def test_padding_to_max_length_does_not_truncate(tokenizer):
    texts = ["the", "the film is good"]
    rows = tokenizer(texts, padding="max_length", max_length=5)["input_ids"]
    assert [len(row) for row in rows] == [5, 6], "padding makes longer, only truncation makes shorter"
    rows = tokenizer(texts, padding="max_length", truncation=True, max_length=5)["input_ids"]
    assert [len(row) for row in rows] == [5, 5]
    assert len(BertTokenizer(SPECIALS, max_length=64)("a", padding="max_length")["input_ids"]) == 64


@pytest.mark.parametrize(("options", "length", "lesson"), [
    ({}, 602, "nothing asked, nothing cut"),
    ({"max_length": 9}, 9, "max_length alone truncates"),
    ({"max_length": 9, "truncation": False}, 602, "unless truncation is switched off"),
    ({"max_length": 9, "padding": True}, 602, "or padding is asked for"),
    ({"truncation": True}, 64, "without a max_length it is the tokenizer's"),
    ({"truncation": True, "max_length": 9}, 9, "True is longest_first"),
    ({"truncation": "do_not_truncate", "max_length": 9}, 602, "the ecosystem's word for False"),
])
def test_when_truncation_is_on(options: dict, length: int, lesson: str):
    tokenizer = BertTokenizer(SPECIALS, max_length=64)
    assert len(tokenizer("a " * 600, **options)["input_ids"]) == length, lesson
    assert BertTokenizer(SPECIALS).max_length == 512


def test_tensors_are_long_and_batch_by_tokens(tokenizer):
    batch = tokenizer(["the film", "the"], padding=True, return_tensors="pt")
    assert list(batch) == ["input_ids", "token_type_ids", "attention_mask"]
    assert {(tensor.dtype, tuple(tensor.shape)) for tensor in batch.values()} == {(torch.int64, (2, 4))}
    assert tokenizer("the", return_tensors="pt")["input_ids"].tolist() == [[CLS, THE, SEP]], "a batch of one"
    assert tokenizer([], return_tensors="pt")["input_ids"].shape == (0, 0)
    with pytest.raises(MinbertError, match="rows of 3 to 4 ids make no tensor") as error:
        tokenizer(["the film", "the"], return_tensors="pt")
    assert "padding=True" in error.value.hint


def test_decode_joins_pieces_to_words(tokenizer):
    ids = tokenizer("The UNAFFABLE film!")["input_ids"]
    assert tokenizer.decode(ids) == "[CLS] the unaffable film ! [SEP]"
    assert tokenizer.decode(torch.tensor(ids), skip_special_tokens=True) == "the unaffable film !"
    assert tokenizer.decode([tokenizer.vocabulary.index("##able"), FILM]) == "##able film", "nothing to join"
    assert (tokenizer.decode([]), tokenizer.ids_to_tokens([UNK, THE])) == ("", ["[UNK]", "the"])


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(("call", "message"), [
    (lambda t: t(None), "a text must be a str, not NoneType: None"),
    (lambda t: t(5), "a text must be a str, not int: 5"),
    (lambda t: t(b"film"), "a text must be a str, not bytes: b'film'"),
    (lambda t: t(["the", None]), "a text must be a str, not NoneType: None"),
    (lambda t: t([("the", "film")]), r"a text must be a str, not tuple: \('the', 'film'\)"),
    (lambda t: t("the", ["film"]), "a text must be a str, not list"),
    (lambda t: t(["the", "a"], "xy"), "text is a list of 2, text_pair is 'xy'"),
    (lambda t: t(["the", "a"], ["film"]), r"text is a list of 2, text_pair is \['film'\]"),
    (lambda t: t.text_to_ids(float("nan")), "a text must be a str, not float: nan"),
    (lambda t: t("a \ud83d b"), r"lone surrogate U\+D83D"),
    (lambda t: t("a", truncation="longest"), "truncation 'longest' is not one of 'longest_first', "),
    (lambda t: t("a", padding="yes"), "padding 'yes' is not one of 'longest', 'max_length', 'do_not_pad'"),
    (lambda t: t("a", return_tensors="tf"), "return_tensors 'tf' is not one of None, 'pt'"),
    (lambda t: t("a", truncation=True, max_length=1), "max_length 1 has no room for the 2 special tokens"),
    (lambda t: t("a", padding=True, truncation=True, max_length=10, pad_to_multiple_of=8), "10 is not a mul"),
    (lambda t: t.decode([1, 999]), "id 999 is outside the vocabulary, 0 to 29"),
    (lambda t: t.decode([30]), "id 30 is outside the vocabulary"),
    (lambda t: t.decode([-1]), "id -1 is outside the vocabulary"),
])
def test_wrong_arguments_are_named(tokenizer, call, message: str):
    with pytest.raises(MinbertError, match=message) as error:
        call(tokenizer)
    assert error.value.hint, "say the way out"


def test_a_long_wrong_text_is_quoted_in_part(tokenizer):
    with pytest.raises(MinbertError) as error:
        tokenizer(b"x" * 10_000)
    assert len(str(error.value)) < 120


def test_a_vocabulary_is_checked():
    with pytest.raises(MinbertError, match="lines 6 and 8 both hold 'the'"):
        BertTokenizer([*SPECIALS, "the", "film", "the"])
    with pytest.raises(MinbertError, match=r"no \[CLS\], \[MASK\] in its 3 lines"):
        BertTokenizer(["[PAD]", "[UNK]", "[SEP]"])


# ---------------------------------------------------------------- from files


def write_model(folder: Path, vocabulary: str = "\n".join(SPECIALS + WORDS), settings: str = "{}") -> Path:
    (folder / "vocab.txt").write_bytes(vocabulary.encode("utf-8"))
    (folder / "tokenizer_config.json").write_text(settings, encoding="utf-8", newline="")
    return folder


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_line_is_the_id(tmp_path: Path, line_end: str):
    folder = write_model(tmp_path, "".join(token + line_end for token in SPECIALS + WORDS))
    tokenizer = BertTokenizer.from_pretrained(folder)
    assert tokenizer.vocabulary == SPECIALS + WORDS, "strip the line end only: U+2028 is a token here"
    assert (tokenizer.pad_id, tokenizer.unknown_id, tokenizer.mask_id) == (PAD, UNK, MASK)
    assert (tokenizer.cls_id, tokenizer.sep_id, len(tokenizer)) == (CLS, SEP, 30)
    (folder / "tokenizer_config.json").unlink()
    tokenizer = BertTokenizer.from_pretrained(folder)
    assert tokenizer.lowercase and tokenizer.max_length == 512, "the defaults without tokenizer_config.json"


def test_settings_come_from_tokenizer_config(tmp_path: Path):
    settings = {"do_lower_case": False, "model_max_length": 128, "strip_accents": None, "sep_token": "[SEP]"}
    tokenizer = BertTokenizer.from_pretrained(str(write_model(tmp_path, settings=json.dumps(settings))))
    assert (tokenizer.lowercase, tokenizer.max_length) == (False, 128)
    endless = json.dumps({"model_max_length": 10**30})
    tokenizer = BertTokenizer.from_pretrained(write_model(tmp_path, settings=endless))
    assert (tokenizer.lowercase, tokenizer.max_length) == (True, 512), "10^30 stands for 'not known'"


@pytest.mark.parametrize(("settings", "message"), [
    ("{", "tokenizer_config.json: is not JSON"),
    ("[1]", "tokenizer_config.json: holds list, not a table"),
    ("[]", "tokenizer_config.json: holds list, not a table"),
    ('""', "tokenizer_config.json: holds str, not a table"),
    ('{"do_lower_case": "yes"}', "do_lower_case is 'yes'"),
    ('{"strip_accents": false}', "strip_accents is False"),
    ('{"tokenize_chinese_chars": false}', "tokenize_chinese_chars is False"),
    ('{"model_max_length": "512"}', "model_max_length '512' is not a whole number"),
    ('{"model_max_length": 2}', "model_max_length 2 is not a whole number"),
])
def test_settings_that_cannot_be_followed_are_refused(tmp_path: Path, settings: str, message: str):
    with pytest.raises(MinbertError, match=message):
        BertTokenizer.from_pretrained(write_model(tmp_path, settings=settings))


def test_bad_vocabulary_files_are_named(tmp_path: Path):
    with pytest.raises(MinbertError, match=r"cannot read .*vocab\.txt: No such file"):
        BertTokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n[UNK]\ncaf\xe9\n")
    with pytest.raises(MinbertError, match=r"vocab\.txt: line 3 \(byte 15\) is not UTF-8"):
        BertTokenizer.from_pretrained(tmp_path)
    with pytest.raises(MinbertError, match=r"vocab\.txt: vocabulary: lines 1 and 2 both hold 'a'"):
        BertTokenizer.from_pretrained(write_model(tmp_path, "a\na\n"))


def test_a_name_is_left_to_the_hub(tmp_path: Path, monkeypatch):
    asked = []
    hub = types.ModuleType("minbert.hub")
    hub.find_model = lambda name: asked.append(name) or types.SimpleNamespace(folder=write_model(tmp_path))
    monkeypatch.setitem(sys.modules, "minbert.hub", hub)
    assert len(BertTokenizer.from_pretrained("some-model")) == 30 and asked == ["some-model"]


# ---------------------------------------------------------------- the cache changes nothing


@functools.cache
def make_pools() -> list[list[str]]:
    """Characters by kind, all assigned in this Python's Unicode."""
    codes = [*range(0x20000), *range(0x20000, 0x30000, 53), *range(0xE0000, 0xE0200), 0xF0000, 0x10FFFD]
    category = {c: unicodedata.category(c) for c in map(chr, codes)}
    assigned = [c for c in category if category[c] not in ("Cn", "Cs")]
    # ASCII, Latin, Greek and Cyrillic, Hebrew and Arabic, India, kana, ideographs, Hangul, emoji
    blocks = [(0, 0x80), (0xA0, 0x250), (0x370, 0x530), (0x590, 0x700), (0x900, 0xE00), (0x3040, 0x3100),
              (0x4E00, 0x9FFF), (0xAC00, 0xD7A4), (0x1F300, 0x1FAFF)]
    return [
        list("abcdefghijklmnopqrstuvwxyz"), ["\u200d", "\ufe0f", " "], assigned,
        *([c for c in map(chr, range(*block)) if c in category and category[c] != "Cn"] for block in blocks),
        [c for c in assigned if category[c][0] == "M"], [c for c in assigned if category[c][0] in "PS"],
        [c for c in assigned if category[c] in ("Cc", "Cf", "Zs", "Zl", "Zp")],
        [c for c in assigned if unicodedata.decomposition(c)], [c for c in assigned if c.lower() != c],
    ]


def make_strings(count: int, seed: int, tokens: list[str]) -> list[str]:
    """Random strings of 1 to 40 characters of a few kinds, with letters, blanks and some `tokens`."""
    generator = random.Random(seed)
    pools = [*make_pools(), [*SPECIALS, "[sep]", "##"], tokens, tokens]
    strings = []
    for _ in range(count):
        chosen = [*generator.choices(pools, k=generator.randint(1, 4)), pools[0], [" "]]
        length = generator.randint(1, 40)
        strings.append("".join(generator.choice(generator.choice(chosen)) for _ in range(length)))
    return strings


def test_the_cache_changes_nothing(monkeypatch):
    strings = make_strings(300, seed=1, tokens=WORDS)
    expected = [BertTokenizer(SPECIALS + WORDS).text_to_ids(text) for text in strings]
    monkeypatch.setattr(module, "CACHED_WORDS", 5)
    tokenizer = BertTokenizer(SPECIALS + WORDS)
    for text, ids in zip(strings * 2, expected * 2, strict=True):
        assert tokenizer.text_to_ids(text) == ids
        assert 0 < len(tokenizer._cache) <= 5, "in use, and bounded: a cache without bound is a leak"
    long = "b" * 101
    tokenizer.text_to_ids(long)
    assert long not in tokenizer._cache, "a text without blanks may be as long as a book: not to be kept"


def test_the_fast_way_equals_the_readable_functions():
    ids = {token: i for i, token in enumerate(SPECIALS + WORDS)}
    strict = BertTokenizer(SPECIALS + WORDS, allow_special=False)
    for text in make_strings(300, seed=2, tokens=WORDS):
        slow = [ids[piece] for word in split_words(text) for piece in module.split_word(word, ids)]
        assert strict.text_to_ids(text) == slow, f"{text!a}: the table or the split at blanks errs"


def test_a_caller_may_change_the_ids(tokenizer):
    first = tokenizer.text_to_ids("film")
    first.append(99)
    assert tokenizer.text_to_ids("film") == [FILM], "what is returned must be a copy of what the cache holds"


def test_a_tokenizer_can_be_pickled_and_copied(tokenizer):
    expected = tokenizer("The film, UNAFFABLE!")
    for twin in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):
        assert twin("The film, UNAFFABLE!") == expected and twin.tokenize("good é") == ["good", "e"]


# ---------------------------------------------------------------- the reference's answers, recorded


def describe(case: dict) -> str:
    return ascii(f"{case['text'][:12]}|{(case['pair'] or '')[:12]}|{case['max_length']}")


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=describe)
def test_ids_and_types_are_the_recorded_ones(case: dict):
    tokenizer = BertTokenizer(list(GOLDEN["vocabulary"]))
    encoding = tokenizer(case["text"], case["pair"], max_length=case["max_length"],
                         truncation=case["max_length"] is not None and case["truncation"])
    ids = [GOLDEN["vocabulary"][token] for token in tokenizer.ids_to_tokens(encoding["input_ids"])]
    assert ids == case["ids"], f"ours: {tokenizer.ids_to_tokens(encoding['input_ids'])}"
    assert encoding["token_type_ids"] == case["types"]


# ---------------------------------------------------------------- the live reference


@pytest.fixture(scope="module")
def make_golden() -> dict:
    return runpy.run_path(str(HERE / "make_golden_tokenizer.py"))


@pytest.fixture(scope="module")
def rust(make_golden):
    return make_golden["find_reference"]()


@pytest.fixture(scope="module")
def real(minilm: Path) -> BertTokenizer:
    return BertTokenizer.from_pretrained(minilm)


def read_rows() -> tuple[list[str], list[tuple[str, str]], str]:
    """All texts and pairs of the course's data, or of the sample corpora where that is not at hand."""
    folder = Path(os.environ.get("MINBERT_DATA", HERE.parents[1] / "shared" / "data"))
    if not folder.is_dir():
        folder = HERE.parent / "multitask" / "sample_data"
    texts, pairs = [], []
    for path in sorted(folder.glob("*.csv")):
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                values = map(row.get, ("sentence", "sentence1", "sentence2"))
                found = [value for value in values if value is not None]
                texts += found
                pairs += [tuple(found)] if len(found) == 2 else []
    return texts, pairs, str(folder)


def assert_same_encodings(ours: dict, theirs: list, inputs: list) -> None:
    for row, encoding in enumerate(theirs):
        assert ours["input_ids"][row] == encoding.ids, f"{inputs[row]!a}: {encoding.tokens}"
        assert ours["token_type_ids"][row] == encoding.type_ids
        assert ours["attention_mask"][row] == encoding.attention_mask


@pytest.mark.oracle
def test_the_recorded_answers_are_the_live_ones(make_golden):
    assert make_golden["build"]() == GOLDEN, "python tests/make_golden_tokenizer.py, then git diff"


@pytest.mark.oracle
def test_real_texts_and_pairs_are_encoded_as_by_the_reference(real, rust):
    texts, pairs, folder = read_rows()
    if not texts:
        pytest.skip(f"no *.csv files in {folder}: set MINBERT_DATA to a folder of course files")
    print(f"{len(texts)} texts, {len(pairs)} pairs from {folder}")
    assert_same_encodings(real(texts), rust.encode_batch(texts), texts)
    assert_same_encodings(real(*map(list, zip(*pairs, strict=True))), rust.encode_batch(pairs), pairs)


@pytest.mark.oracle
def test_padded_truncated_batches_of_real_pairs_are_the_references(real, rust):
    _, pairs, _ = read_rows()
    pairs = pairs[:2000]
    rust.enable_truncation(24)
    rust.enable_padding(pad_to_multiple_of=8)
    theirs = rust.encode_batch(pairs)
    rust.no_truncation()
    rust.no_padding()
    firsts, seconds = map(list, zip(*pairs, strict=True))
    ours = real(firsts, seconds, padding=True, truncation=True, max_length=24, pad_to_multiple_of=8)
    assert_same_encodings(ours, theirs, pairs)


@pytest.mark.oracle
@pytest.mark.parametrize("lowercase", [True, False])
def test_random_strings_are_encoded_as_by_the_reference(real, rust, minilm, lowercase: bool):
    from tokenizers import BertWordPieceTokenizer
    if not lowercase:
        real = BertTokenizer(real.vocabulary, lowercase=False)
        rust = BertWordPieceTokenizer(str(minilm / "vocab.txt"), lowercase=False)
    strings = make_strings(20_000, seed=11 + lowercase, tokens=real.vocabulary[1000:30000:7])
    theirs = rust.encode_batch(strings)
    assert_same_encodings(real(strings), theirs, strings)
    unknown = sum(encoding.ids.count(real.unknown_id) for encoding in theirs) / sum(map(len, theirs))
    assert unknown < 0.5, f"{unknown:.0%} of the ids are [UNK]: such strings test little"


@pytest.mark.oracle
@pytest.mark.parametrize("lowercase", [True, False])
def test_every_assigned_character_becomes_the_references_words(lowercase: bool):
    from tokenizers import normalizers, pre_tokenizers
    normalize = normalizers.BertNormalizer(lowercase=lowercase).normalize_str
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    table = module.CharacterTable(lowercase)
    differing = []
    for character in map(chr, range(0x110000)):
        text = f"a{character}b"
        assigned = unicodedata.category(character) not in ("Cn", "Cs")
        if assigned and text.translate(table).split() != [word for word, _ in split(normalize(text))]:
            differing.append(character)
    later = {c for c in LATER_COMPOSED if unicodedata.normalize("NFD", c) != c} if lowercase else set()
    assert set(differing) == later, f"{len(differing)} characters differ, such as {ascii(differing[:20])}"


@pytest.mark.oracle
def test_no_entry_of_the_vocabulary_depends_on_the_order_of_marks(real):
    kept = {c for c in "".join(real.vocabulary) if unicodedata.combining(c) and module.strip_accents(c)}
    assert not kept, "NFD also sorts marks in a row, our table does not: harmless while no entry has one"


@pytest.mark.oracle
@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
def test_every_truncation_length_gives_the_references_ids(real, rust, strategy: str):
    pairs = [(0, 0), (0, 9), (9, 0), (1, 1), (5, 5), (6, 5), (5, 6), (2, 9), (9, 2), (12, 13), (13, 12)]
    for length_a, length_b in [*pairs, (0, None), (9, None)]:
        a = " ".join("abcdefghijklm"[:length_a])
        b = None if length_b is None else " ".join("nopqrstuvwxyz"[:length_b])
        for max_length in range(2 if b is None else 3, 32):
            rust.enable_truncation(max_length, strategy=strategy)
            try:
                theirs = rust.encode(a, b)
            except Exception as error:
                assert "Truncation error" in str(error)
                with pytest.raises(MinbertError, match="truncation"):
                    real(a, b, truncation=strategy, max_length=max_length)
                continue
            finally:
                rust.no_truncation()
            ours = real(a, b, truncation=strategy, max_length=max_length)
            assert (ours["input_ids"], ours["token_type_ids"]) == (theirs.ids, theirs.type_ids), max_length


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
def test_the_call_understands_options_as_transformers_does(real, minilm):
    from transformers import AutoTokenizer
    theirs = AutoTokenizer.from_pretrained(minilm)
    text, other = "The film isn't unaffable at all, is it?", "No [MASK]."
    batch = [text, other, ""]
    inputs = [(text,), (text, other), (batch,), (batch, batch[::-1]), (tuple(batch),)]
    for given in inputs:
        for padding in (False, True, "longest", "max_length", "do_not_pad"):
            for truncation in (None, False, True, "longest_first", "only_first", "do_not_truncate"):
                for max_length in (None, 10, 16):
                    for multiple in (None, 4):
                        options = {"padding": padding, "max_length": max_length,
                                   "pad_to_multiple_of": multiple}
                        options |= {} if truncation is None else {"truncation": truncation}
                        try:
                            expected = dict(theirs(*given, **options))
                        except Exception:
                            with pytest.raises(MinbertError):
                                real(*given, **options)
                            continue
                        assert real(*given, **options) == expected, (given, options)
    expected = theirs([text, other], padding=True, return_tensors="pt")
    ours = real([text, other], padding=True, return_tensors="pt")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in ours.items())


@pytest.mark.oracle
def test_decode_is_the_references_without_its_clean_up(real, rust):
    from tokenizers import decoders
    generator = random.Random(3)
    plain = decoders.WordPiece(cleanup=False)
    for _ in range(300):
        ids = generator.choices(range(len(real)), k=generator.randint(1, 20))
        assert real.decode(ids) == plain.decode([rust.id_to_token(i) for i in ids])


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "text", "rust_words", "python_words"), [row[:4] for row in DIFFERENCES])
def test_the_versions_differ_as_listed(make_golden, rust, name, text, rust_words: list, python_words: list):
    from transformers.models.bert.tokenization_bert_legacy import BasicTokenizer
    assert make_golden["find_words"](rust, text) == rust_words
    assert BasicTokenizer().tokenize(text) == python_words
