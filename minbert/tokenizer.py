"""BERT's WordPiece tokenizer, uncased or cased: text -> token ids, alone, in pairs and in batches.

Source: Devlin et al. 2019, sections 3 and A.2; the pieces are those of Wu et al. 2016, section 4.1. Where the
published programs differ we do as the Rust one, which most people use; but what it passes over in silence we
refuse: a maximum length with no room for [CLS] and [SEP], an id outside the vocabulary.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from minbert.files import MinbertError, error_from_os, read_table

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SPECIAL_PATTERN = re.compile("(" + "|".join(map(re.escape, SPECIAL_TOKENS)) + ")")
TRUNCATIONS = ("longest_first", "only_first", "only_second", "legacy", "do_not_truncate")
PADDINGS = ("longest", "max_length", "do_not_pad")
LONGEST_WORD = 100  # characters; a longer word is [UNK]
DEFAULT_LENGTH = 512
LONGEST_LENGTH = 131_072  # some files write 10^30 for "no limit"
CACHED_WORDS = 262_144

# The reference leaves out 2B820 to 2B91F (a slip in its table), so we do too.
IDEOGRAPHS = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B81F), (0x2B920, 0x2CEAF),
              (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
# The reference has the categories of Unicode 8 (2015), Python newer ones. In these ranges lie the controls,
# marks and punctuation of Unicode 9 to 18, and none of Unicode 8: to the reference all of it is ordinary.
ORDINARY_IN_UNICODE_8 = """
    5C8-5C9 61D 7FD 890-8E2 9FD-9FE A76 AFA-AFF B53-B55 C04-C3C C77 C84 D00 D3B-D3C D81 EBA ECE 180F-1886
    1ABF-1AF0 1B4E-1B4F 1B7D-1B7F 1DF6-1DFB 2E43-2E63 A82C A8C5 A8FF A9BD 10D24-10F89 11070-11074
    110C2-110CD 111CF 1123E-11241 1133B 113BB-1145E 11660-1166C 116B9 1182F-11FFF 12FF1-1612F 16D6D-16F4F
    16FE2-16FE4 1CF00-1D128 1D25B-1D25C 1E000-1E6F5 1E944-1E95F"""
ORDINARY_RANGES = [[int(end, 16) for end in ends.split("-")] for ends in ORDINARY_IN_UNICODE_8.split()]
OTHER_IN_UNICODE_8 = {"\u166d": "Po", "\u1734": "Mn", "\U0001171e": "Mn", "\U000111c9": "Po"}


def find_category(character: str) -> str:
    """The character's general category ("Lu", "Po", ...) by Unicode 8, whichever the version of Python."""
    if any(ends[0] <= ord(character) <= ends[-1] for ends in ORDINARY_RANGES):
        return "Lo"
    return OTHER_IN_UNICODE_8.get(character) or unicodedata.category(character)


def clean_character(character: str) -> str:
    """A blank for white space (tab, line ends, categories Zs, Zl, Zp); nothing for U+FFFD (it stands where decoding
    failed), controls, formats and private use (Cc, Cf, Co); otherwise the character itself."""
    category = find_category(character)
    if character in "\t\n\r" or category in ("Zs", "Zl", "Zp"):
        return " "
    if character == "\ufffd" or category in ("Cc", "Cf", "Co"):
        return ""
    return character


def strip_accents(text: str) -> str:
    """The text without accents and in lower case: "É" -> "e".

    1. Take letters and accents apart (canonical decomposition, NFD): "É" -> "E" and U+0301.
    2. Drop the accents (category Mn, nonspacing mark).
    3. Lower-case each character by itself: a capital sigma becomes the same small one wherever it stands.
    """
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(character.lower() for character in decomposed if find_category(character) != "Mn")


def is_punctuation(character: str) -> bool:
    """Whether it is a word of its own: categories P*, and all visible ASCII but letters and digits ("$")."""
    if "!" <= character <= "~":
        return not character.isalnum()
    return find_category(character).startswith("P")


def rewrite_character(character: str, lowercase: bool) -> str:
    """What one character of a text becomes before the text is split at the blanks; no step looks at neighbours.

    1. Clean it. 2. If uncased: strip the accent, lower-case. 3. Put blanks round punctuation and ideographs.
    """
    text = clean_character(character)
    if lowercase:
        text = strip_accents(text)
    ideograph = any(first <= ord(character) <= last for first, last in IDEOGRAPHS)
    return "".join(f" {part} " if ideograph or is_punctuation(part) else part for part in text)


# Exercise 1.1: word pieces
def split_word(word: str, vocabulary: Mapping[str, int]) -> list[str]:
    """The pieces of one word, greedy, longest match first: "unaffable" -> "una", "##ffa", "##ble".

    1. A word of more than 100 characters is [UNK].
    2. From the left take the longest piece the vocabulary has; all but the first are spelt with "##" before.
    3. Go on behind it to the end. Where no piece fits, the whole word is [UNK].
    """
    if len(word) > LONGEST_WORD:
        return ["[UNK]"]
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:
            return ["[UNK]"]
        pieces.append(piece)
        start = end
    return pieces


# Exercise 1.2: truncate a pair
def truncate_pair(length_a: int, length_b: int, budget: int, strategy: str) -> tuple[int, int]:
    """How many tokens of A and of B are kept, `budget` in all; to be asked only where there are more.

    longest_first: each may keep half, and the longer one (B, if equal) an odd token; what one leaves, the other gets.
    legacy: the odd token is A's, as when tokens go one by one from the longer, from B if equal (Google).
    only_first, only_second: that text gives all, and must keep a token (but a budget of 0 empties both).
    """
    if strategy in ("longest_first", "legacy"):
        odd_to_a = strategy == "legacy" or length_a > length_b
        half_b = budget // 2 if odd_to_a else budget - budget // 2
        kept_b = min(length_b, max(half_b, budget - length_a))
        return budget - kept_b, kept_b
    if budget == 0:
        return 0, 0
    whole = length_b if strategy == "only_first" else length_a
    if whole >= budget:
        raise MinbertError(f"truncation {strategy!r} cannot cut {length_a} + {length_b} tokens to {budget}",
                           "use truncation='longest_first' or a greater max_length")
    return (budget - whole, whole) if strategy == "only_first" else (whole, budget - whole)


class CharacterTable(dict):
    """Code point -> what `rewrite_character` makes of it, worked out when first met; for str.translate."""

    def __init__(self, lowercase: bool):
        self.lowercase = lowercase

    def __missing__(self, code: int) -> str:
        if 0xD800 <= code <= 0xDFFF:
            raise MinbertError(f"the text holds half a character (lone surrogate U+{code:04X})",
                               "drop it: text.encode('utf-8', 'ignore').decode('utf-8')")
        self[code] = rewrite_character(chr(code), self.lowercase)
        return self[code]


class IdCache(dict):
    """What stands between two blanks of a text -> its ids, worked out when first met; emptied when full."""

    def __init__(self, find_ids: Callable[[str], list[int]]):
        self.find_ids = find_ids

    def __missing__(self, raw: str) -> tuple[int, ...]:
        ids = tuple(self.find_ids(raw))
        if len(self) >= CACHED_WORDS:
            self.clear()
        if len(raw) <= LONGEST_WORD:
            self[raw] = ids
        return ids


class BertTokenizer:
    """Texts to ids and back, with one vocabulary.

    lowercase: the model is uncased, "É" is "e". allow_special: "[SEP]" and its like in a text are the special
    tokens, as in the reference; False, for texts not to be trusted, spells them out: "[", "sep", "]".
    max_length: what to truncate to when asked to truncate and given no length.

    Raises MinbertError for a vocabulary with a token twice or without one of the special tokens.
    """

    def __init__(self, vocabulary: list[str], lowercase: bool = True, allow_special: bool = True,
                 max_length: int = DEFAULT_LENGTH):
        self.vocabulary, self.lowercase, self.allow_special = list(vocabulary), lowercase, allow_special
        self.max_length = max_length
        self._ids = {token: position for position, token in enumerate(self.vocabulary)}
        if len(self._ids) < len(self.vocabulary):
            first = next(i for i, token in enumerate(self.vocabulary) if self._ids[token] != i)
            token, last = self.vocabulary[first], self._ids[self.vocabulary[first]]
            raise MinbertError(f"vocabulary: lines {first + 1} and {last + 1} both hold {token!r}",
                               "a token has one line: fetch the model's vocab.txt again")
        if missing := [token for token in SPECIAL_TOKENS if token not in self._ids]:
            raise MinbertError(f"vocabulary: no {', '.join(missing)} in its {len(self)} lines",
                               "this is not the vocab.txt of a BERT: fetch the model's again")
        self.pad_id, self.unknown_id, self.cls_id, self.sep_id, self.mask_id = (
            self._ids[token] for token in SPECIAL_TOKENS)
        self._characters, self._cache = CharacterTable(lowercase), IdCache(self._find_ids)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path) -> "BertTokenizer":
        """The tokenizer of a model folder, or of a model that minbert.hub finds by its name.

        Reads vocab.txt and, where it is there, tokenizer_config.json (do_lower_case, model_max_length).
        """
        folder = Path(name_or_path)
        if not folder.is_dir():
            from minbert.hub import find_model
            folder = find_model(str(name_or_path)).folder
        settings = read_settings(folder / "tokenizer_config.json")
        vocabulary = read_vocabulary(folder / "vocab.txt")
        try:
            return cls(vocabulary, **settings)
        except MinbertError as error:
            raise MinbertError(f"{folder / 'vocab.txt'}: {error}", error.hint) from error

    def __len__(self) -> int:
        return len(self.vocabulary)

    def tokenize(self, text: str) -> list[str]:
        return self.ids_to_tokens(self.text_to_ids(text))

    def text_to_ids(self, text: str) -> list[int]:
        """The ids of a text without [CLS] and [SEP] round it. Raises MinbertError unless `text` is a str."""
        if not isinstance(text, str):
            raise MinbertError(f"a text must be a str, not {type(text).__name__}: {text!r:.60}",
                               "empty cells of a table read as None or nan: leave them out, or give ''")
        # Words never reach across a blank, so what stands between two is looked up in one go.
        return list(chain.from_iterable(map(self._cache.__getitem__, text.split(" "))))

    def _find_ids(self, raw: str) -> list[int]:
        """1. Cut out special tokens. 2. Rewrite the rest, split it into words. 3. Split words into pieces."""
        ids = []
        for place, part in enumerate(SPECIAL_PATTERN.split(raw) if self.allow_special else [raw]):
            if place % 2:  # re puts what the pattern matched at the odd places
                ids.append(self._ids[part])
                continue
            for word in part.translate(self._characters).split():
                ids += [self._ids[piece] for piece in split_word(word, self._ids)]
        return ids

    def ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """The tokens of a list or tensor [T] of ids. Raises MinbertError for an id outside the vocabulary."""
        ids = [int(i) for i in ids]
        if wrong := [i for i in ids if not 0 <= i < len(self)]:
            raise MinbertError(f"id {wrong[0]} is outside the vocabulary, 0 to {len(self) - 1}",
                               "use the tokenizer of the model that the ids are for")
        return [self.vocabulary[i] for i in ids]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The tokens in one line, pieces joined to words; blanks that encoding put round "." or "'" stay."""
        tokens = self.ids_to_tokens(ids)
        kept = [token for token in tokens if not (skip_special_tokens and token in SPECIAL_TOKENS)]
        return " ".join(kept).replace(" ##", "")

    # Exercise 1.3: one text or two, with special tokens
    def join(self, ids_a: list[int], ids_b: list[int] | None = None, max_length: int = DEFAULT_LENGTH,
             truncation: str = "longest_first") -> tuple[list[int], list[int]]:
        """(ids, types) of `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`, `max_length` ids or fewer.

        1. The budget of A and B is what the special tokens leave of `max_length`; the right ends go.
        2. Types are 0 up to the first [SEP], itself included, and 1 behind it.
        """
        check_choice("truncation", truncation, TRUNCATIONS)
        length_b, specials = (0, 2) if ids_b is None else (len(ids_b), 3)
        if truncation != "do_not_truncate" and len(ids_a) + length_b + specials > max_length:
            if max_length < specials:
                raise MinbertError(f"max_length {max_length} has no room for the {specials} special tokens",
                                   f"give a max_length of {specials} or more")
            kept_a, kept_b = truncate_pair(len(ids_a), length_b, max_length - specials, truncation)
            ids_a, ids_b = ids_a[:kept_a], ids_b and ids_b[:kept_b]
        ids = [self.cls_id, *ids_a, self.sep_id]
        if ids_b is None:
            return ids, [0] * len(ids)
        return [*ids, *ids_b, self.sep_id], [0] * len(ids) + [1] * (len(ids_b) + 1)

    def __call__(self, text: str | list[str], text_pair: str | list[str] | None = None,
                 padding: bool | str = False, truncation: bool | str | None = None,
                 max_length: int | None = None, return_tensors: str | None = None,
                 pad_to_multiple_of: int | None = None) -> dict:
        """input_ids, token_type_ids and attention_mask, with the ecosystem's options.

        A str gives flat lists, a list of str lists of lists; return_tensors="pt" gives LongTensors [B, T].
        padding: False, True or "longest", "max_length". truncation: False, True or "longest_first",
        "only_first", "only_second", "legacy"; if not given, a `max_length` without padding truncates.
        """
        if truncation is None:
            truncation = max_length is not None and padding is False
        truncation = {True: "longest_first", False: "do_not_truncate"}.get(truncation, truncation)
        padding = {True: "longest", False: "do_not_pad"}.get(padding, padding)
        check_choice("padding", padding, PADDINGS)
        check_choice("return_tensors", return_tensors, (None, "pt"))
        length, multiple = self.max_length if max_length is None else max_length, pad_to_multiple_of or 1
        if truncation != "do_not_truncate" and padding != "do_not_pad" and length % multiple:
            raise MinbertError(f"max_length {length} is not a multiple of pad_to_multiple_of {multiple}",
                               f"give a max_length of {length - length % multiple}")
        rows = [self.join(self.text_to_ids(a), None if b is None else self.text_to_ids(b), length, truncation)
                for a, b in list_pairs(text, text_pair)]
        longest = max((len(ids) for ids, _ in rows), default=0)
        width = {"do_not_pad": 0, "longest": longest, "max_length": length}[padding]
        width += -width % multiple
        encoding = {
            "input_ids": [ids + [self.pad_id] * (width - len(ids)) for ids, _ in rows],
            "token_type_ids": [types + [0] * (width - len(types)) for _, types in rows],
            "attention_mask": [[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in rows],
        }
        if return_tensors == "pt":
            return {name: make_tensor(values) for name, values in encoding.items()}
        return {name: values[0] for name, values in encoding.items()} if isinstance(text, str) else encoding


def list_pairs(text: str | list[str], text_pair: str | list[str] | None) -> list[tuple]:
    """(first, second) for each row; one text is one row, and a second text that is not there is None."""
    if not isinstance(text, (list, tuple)):
        return [(text, text_pair)]
    seconds = [None] * len(text) if text_pair is None else text_pair
    if not isinstance(seconds, (list, tuple)) or len(seconds) != len(text):
        raise MinbertError(f"text is a list of {len(text)}, text_pair is {text_pair!r:.60}",
                           "give a second text for each first, in a list")
    return list(zip(text, seconds, strict=True))


def check_choice(name: str, value: object, choices: tuple) -> None:
    if value not in choices:
        listed = ", ".join(map(repr, choices))
        raise MinbertError(f"{name} {value!r} is not one of {listed}", "choose one of them")


def make_tensor(rows: list[list[int]]) -> Tensor:
    """A LongTensor [B, T]. Raises MinbertError for rows of different lengths."""
    lengths = {len(row) for row in rows} or {0}
    if len(lengths) > 1:
        raise MinbertError(f"rows of {min(lengths)} to {max(lengths)} ids make no tensor", "pass padding=True")
    return torch.tensor(rows, dtype=torch.long).reshape(len(rows), max(lengths))


def read_vocabulary(path: Path) -> list[str]:
    """The tokens of a vocab.txt, one a line; the number of the line, from 0, is the id."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise error_from_os(error, path, "read") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"{path}: line {line} (byte {error.start}) is not UTF-8"
        raise MinbertError(message, "fetch the file again") from error
    # Not splitlines(): that would also split at U+2028 and U+0085, which a vocabulary may hold.
    return text.replace("\r\n", "\n").rstrip("\n").split("\n")


def read_settings(path: Path) -> dict:
    """What a tokenizer_config.json says, as arguments of BertTokenizer; nothing where there is no such file.

    Raises MinbertError for settings that only another tokenizer could follow.
    """
    if not path.exists():
        return {}
    settings = read_table(path)
    lowercase, length = settings.get("do_lower_case", True), settings.get("model_max_length", DEFAULT_LENGTH)
    for name, known in (("do_lower_case", (True, False)), ("strip_accents", (None, lowercase)),
                        ("tokenize_chinese_chars", (True, None))):
        if settings.get(name, known[0]) not in known:
            raise MinbertError(f"{path}: {name} is {settings[name]!r}, which minBERT cannot follow",
                               "choose a model with BERT's own tokenizer, such as bert-base-uncased")
    if not isinstance(length, int) or length < 3:
        raise MinbertError(f"{path}: model_max_length {length!r} is not a whole number from 3 up", "correct the file")
    return {"lowercase": lowercase, "max_length": length if length <= LONGEST_LENGTH else DEFAULT_LENGTH}
