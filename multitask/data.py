"""Rows of a table -> examples, tokenised once -> the tensors of a batch.

Unlike in the course's loaders a pair is one sequence with token types.
"""

# B batch, T tokens
import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import torch
from torch import Tensor

from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer, truncate_pair
from multitask.recipe import Recipe
from multitask.tables import PREPROCESS, Table, Task

Encoded = tuple[list[int], list[int]]  # token ids (or tags) with [CLS] and [SEP], token types


@dataclass(frozen=True, slots=True)
class Example:
    """A row, tokenised."""

    id: str
    texts: tuple[str, ...]
    label: int | float | None
    pieces: tuple[list[int], ...]  # the word-piece ids of each text, without [CLS] and [SEP]
    tags: tuple[list[int], ...] | None = None  # as many for each text: every piece's part of speech

    def swapped(self) -> "Example":
        """The example with the texts of its pair in the other order."""
        return replace(self, texts=self.texts[::-1], pieces=self.pieces[::-1], tags=self.tags and self.tags[::-1])


@dataclass(frozen=True)
class Encoding:
    """How an example becomes token ids."""

    kind: str  # "single" for one text; a pair is one sequence ("pair") or two ("independent")
    token_types: str = "bert"  # marks the second text of a pair with 1; "zeros" marks nothing, as the course does
    max_length: int = 512
    second_cls: bool = False  # a pair is [CLS] a [SEP] [CLS] b [SEP], as two encoded sentences in a row are

    @property
    def specials(self) -> int:
        """How many of a sequence's tokens are [CLS] and [SEP]."""
        return 2 if self.kind != "pair" else 4 if self.second_cls else 3

    def full_length(self, example: Example) -> int:
        """Tokens of the example's longest sequence, [CLS] and [SEP] included, before truncation."""
        lengths = [len(ids) for ids in example.pieces]
        return (sum if self.kind == "pair" else max)(lengths) + self.specials

    def length(self, example: Example) -> int:
        """Columns the example takes up in a batch."""
        return min(self.full_length(example), self.max_length)


def find_encoding(recipe: Recipe, task: str) -> Encoding:
    """How the recipe encodes this task's texts."""
    settings = recipe.tasks[task]
    return Encoding(settings.encoding, settings.token_types, recipe.max_length, settings.second_cls)


@dataclass(frozen=True)
class Tokens:
    """What the model reads, int64: ids; 1 for a token and 0 for padding; 0 or 1 for the segment; the part of speech of
    each piece, 0 for [CLS], [SEP] and padding, or None where the examples have none. `is_full`: no row has padding."""

    ids_BT: Tensor
    mask_BT: Tensor
    segment_BT: Tensor
    tags_BT: Tensor | None = None
    is_full: bool = False

    @property
    def attention_mask(self) -> Tensor | None:
        """mask_BT, or None where there is nothing to hide: attention is spared a pass over its scores."""
        return None if self.is_full else self.mask_BT

    def to(self, device: torch.device | str) -> "Tokens":
        tags_BT = None if self.tags_BT is None else move(self.tags_BT, device)
        return Tokens(move(self.ids_BT, device), move(self.mask_BT, device), move(self.segment_BT, device), tags_BT, self.is_full)


@dataclass(frozen=True)
class Batch:
    """B examples. With independent encoding `tokens` has 2B rows: B first texts, then the B second ones.

    `labels`, shape (B,), are int64 for classes, else float32; None where one of the examples has no label.
    """

    ids: tuple[str, ...]
    tokens: Tokens
    labels: Tensor | None

    def to(self, device: torch.device | str) -> "Batch":
        labels = None if self.labels is None else move(self.labels, device)
        return Batch(self.ids, self.tokens.to(device), labels)


def move(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on that device; a GPU fetches it while the program goes on."""
    if torch.device(device).type == "cuda" and not tensor.is_cuda:
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=tensor.is_pinned())


def tokenise(table: Table, tokenizer: BertTokenizer, preprocess: str = "raw") -> list[Example]:
    """One example per row, in the file's order. `preprocess` is a key of PREPROCESS."""
    def split(text: str) -> list[int]:
        return tokenizer.text_to_ids(PREPROCESS[preprocess](text, table.task))

    return [Example(row.id, row.texts, row.label, tuple(map(split, row.texts))) for row in table.rows]


def count_truncated(examples: Sequence[Example], encoding: Encoding) -> int:
    """How many examples lose tokens to `encoding.max_length`."""
    return sum(encoding.full_length(example) > encoding.max_length for example in examples)


def take_part(examples: Sequence[Example], task: Task, part: tuple[float, float], seed: int) -> list[Example]:
    """The part [start, end) of the examples, each label's share of it as in the whole, in the examples' order.

    1. Shuffle. 2. Sort into classes by label, scores by the nearest whole number. 3. Take [start, end) of each class.
    With one seed, parts that do not overlap share no example, and parts that make up [0, 1] hold every one.

    Raises MinbertError where the part is too small to hold an example.
    """
    classes: dict[int, list[int]] = {}
    for place in torch.randperm(len(examples), generator=make_generator(seed, task.name, "part")).tolist():
        classes.setdefault(round(examples[place].label), []).append(place)
    start, end = part
    taken = [place for places in classes.values() for place in places[round(start * len(places)): round(end * len(places))]]
    if not taken:
        raise MinbertError(f"{task.name}: [{start}, {end}] of {len(examples)} examples holds none", "take a larger part")
    return [examples[place] for place in sorted(taken)]


def make_generator(*key: int | str) -> torch.Generator:
    """Random numbers that depend on the key alone."""
    text = "/".join(map(str, key)).encode()  # hash() would differ from run to run
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:7], "big"))


def join_parts(parts: Sequence[list[int]], cls_id: int, sep_id: int, encoding: Encoding) -> Encoded:
    """(ids, token types) of one text, `[CLS] a [SEP]`, or of a pair, `[CLS] a [SEP] b [SEP]`, types 1 behind the first [SEP].

    Cuts right ends, of a pair the longer one's first. Tags go the same way, with tags for `cls_id` and `sep_id`.
    """
    budget = encoding.max_length - encoding.specials
    if sum(map(len, parts)) > budget:
        if budget < 0:
            raise MinbertError(f"max_length {encoding.max_length} has no room for the {encoding.specials} special tokens",
                               f"give a max_length of {encoding.specials} or more")
        kept = truncate_pair(*map(len, parts), budget, "longest_first") if len(parts) == 2 else (budget,)
        parts = [part[:count] for part, count in zip(parts, kept, strict=True)]
    ids = [cls_id, *parts[0], sep_id]
    types = [0] * len(ids)
    for second in parts[1:]:
        ids += [*([cls_id] if encoding.second_cls else []), *second, sep_id]
        types += [1] * (len(ids) - len(types))
    return ids, types


def pad(sequences: Sequence[Encoded], pad_id: int, token_types: str, tags: Sequence[list[int]] | None = None) -> Tokens:
    """One row per sequence, filled up at its end to the longest."""
    width = max(len(ids) for ids, _ in sequences)

    def fill(rows: Iterable[list[int]], filling: int = 0) -> Tensor:
        return torch.tensor([row + [filling] * (width - len(row)) for row in rows])

    return Tokens(
        fill((ids for ids, _ in sequences), pad_id),
        fill([1] * len(ids) for ids, _ in sequences),
        fill(types for _, types in sequences) * int(token_types == "bert"),
        None if tags is None else fill(tags),
        is_full=all(len(ids) == width for ids, _ in sequences),
    )


def collate(examples: Sequence[Example], task: Task, tokenizer: BertTokenizer, encoding: Encoding) -> Batch:
    """The examples as one batch, padded to its longest sequence; a pair is truncated as a whole.

    Either all of the examples have tags, or none.
    """
    def join(texts: Sequence[Sequence[list[int]]], cls_id: int, sep_id: int) -> list[Encoded]:
        if encoding.kind != "pair":
            texts = [(text[side],) for side in range(len(task.texts)) for text in texts]
        return [join_parts(parts, cls_id, sep_id, encoding) for parts in texts]

    sequences, tags = join([example.pieces for example in examples], tokenizer.cls_id, tokenizer.sep_id), None
    if any(example.tags for example in examples):
        tags = [row for row, _ in join([example.tags for example in examples], 0, 0)]
    tokens = pad(sequences, tokenizer.pad_id, encoding.token_types, tags)
    labels = [example.label for example in examples]
    dtype = torch.int64 if task.kind == "classes" else torch.float32
    labels_B = None if None in labels else torch.tensor(labels, dtype=dtype)
    return Batch(tuple(example.id for example in examples), tokens, labels_B)


def join_texts(texts: Sequence[tuple[Tensor, Tensor]], cls_id: int, sep_id: int, encoding: Encoding) -> Tokens:
    """One or two texts, each tokenised and padded on its own, as `collate` would have encoded them.

    `texts` holds ids_BT and mask_BT of each. 1. Take padding, [CLS] and [SEP] off. 2. Truncate and join. 3. Pad.
    """
    sides = [take_off_specials(ids_BT, mask_BT, cls_id, sep_id) for ids_BT, mask_BT in texts]
    rows = zip(*sides, strict=True) if encoding.kind == "pair" else ((text,) for side in sides for text in side)
    sequences = [join_parts(parts, cls_id, sep_id, encoding) for parts in rows]
    return pad(sequences, 0, encoding.token_types).to(texts[0][0].device)  # any id will do: the mask hides it


def take_off_specials(ids_BT: Tensor, mask_BT: Tensor, cls_id: int, sep_id: int) -> list[list[int]]:
    rows = []
    for row, mask in zip(ids_BT.tolist(), mask_BT.tolist(), strict=True):
        ids = list(compress(row, mask))
        start = 1 if ids[:1] == [cls_id] else 0
        rows.append(ids[start:-1] if ids[-1:] == [sep_id] else ids[start:])
    return rows


if __name__ == "__main__":  # python -m multitask.data check | download
    from multitask.data_check import main
    from multitask.flags import run_command

    sys.exit(run_command(main, sys.argv[1:]))
