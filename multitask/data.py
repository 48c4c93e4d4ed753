"""Rows of a table -> examples, tokenised once -> batches of similar length.

Unlike the course's loaders: a pair is one sequence with token types, padding is a few percent of a batch, not
half of it, and a pass over the data can be entered at any batch.
"""

# B batch, T tokens
import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, compress

import torch
from torch import Tensor

from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer, truncate_pair
from multitask.recipe import Recipe
from multitask.tables import PREPROCESS, Table, Task

POOL = 100  # batches that are sorted by length together
Encoded = tuple[list[int], list[int]]  # token ids with [CLS] and [SEP], token types


@dataclass(frozen=True, slots=True)
class Example:
    """A row, tokenised."""

    id: str
    texts: tuple[str, ...]
    label: int | float | None
    pieces: tuple[list[int], ...]  # the word-piece ids of each text, without [CLS] and [SEP]


@dataclass(frozen=True)
class Encoding:
    """How an example becomes token ids."""

    kind: str  # "single" for one text; a pair is one sequence ("pair") or two ("independent")
    token_types: str = "bert"  # marks the second text of a pair with 1; "zeros" marks nothing, as the course does
    max_length: int = 512

    def full_length(self, example: Example) -> int:
        """Tokens of the example's longest sequence, [CLS] and [SEP] included, before truncation."""
        lengths = [len(ids) for ids in example.pieces]
        return sum(lengths) + 3 if self.kind == "pair" else max(lengths) + 2

    def length(self, example: Example) -> int:
        """Columns the example takes up in a batch."""
        return min(self.full_length(example), self.max_length)


def find_encoding(recipe: Recipe, task: str) -> Encoding:
    """How the recipe encodes this task's texts."""
    return Encoding(recipe.tasks[task].encoding, recipe.tasks[task].token_types, recipe.max_length)


@dataclass(frozen=True)
class Tokens:
    """What the encoder reads, int64: ids; 1 for a token and 0 for padding; 0 or 1 for the segment."""

    ids_BT: Tensor
    mask_BT: Tensor
    segment_BT: Tensor

    def to(self, device: torch.device | str) -> "Tokens":
        return Tokens(self.ids_BT.to(device), self.mask_BT.to(device), self.segment_BT.to(device))


@dataclass(frozen=True)
class Batch:
    """B examples. With independent encoding `tokens` has 2B rows: B first texts, then the B second ones.

    `labels`, shape (B,), are int64 for classes, else float32; None where one of the examples has no label.
    """

    ids: tuple[str, ...]
    tokens: Tokens
    labels: Tensor | None

    def to(self, device: torch.device | str) -> "Batch":
        labels = None if self.labels is None else self.labels.to(device)
        return Batch(self.ids, self.tokens.to(device), labels)


def tokenise(table: Table, tokenizer: BertTokenizer, preprocess: str = "raw") -> list[Example]:
    """One example per row, in the file's order. `preprocess` is a key of PREPROCESS."""
    def split(text: str) -> list[int]:
        return tokenizer.text_to_ids(PREPROCESS[preprocess](text, table.task))

    return [Example(row.id, row.texts, row.label, tuple(map(split, row.texts))) for row in table.rows]


def count_truncated(examples: Sequence[Example], encoding: Encoding) -> int:
    """How many examples lose tokens to `encoding.max_length`."""
    return sum(encoding.full_length(example) > encoding.max_length for example in examples)


def pad(sequences: Sequence[Encoded], pad_id: int, token_types: str) -> Tokens:
    """One row per sequence, filled up at its end to the longest."""
    width = max(len(ids) for ids, _ in sequences)
    mark = int(token_types == "bert")
    return Tokens(
        torch.tensor([ids + [pad_id] * (width - len(ids)) for ids, _ in sequences]),
        torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in sequences]),
        torch.tensor([types + [0] * (width - len(types)) for _, types in sequences]) * mark,
    )


def collate(examples: Sequence[Example], task: Task, tokenizer: BertTokenizer, encoding: Encoding) -> Batch:
    """The examples as one batch, padded to its longest sequence; a pair is truncated as a whole."""
    if encoding.kind == "pair":
        parts = [example.pieces for example in examples]
    else:
        parts = [(example.pieces[side],) for side in range(len(task.texts)) for example in examples]
    sequences = [tokenizer.join(*part, max_length=encoding.max_length) for part in parts]
    tokens = pad(sequences, tokenizer.pad_id, encoding.token_types)
    labels = [example.label for example in examples]
    dtype = torch.int64 if task.kind == "classes" else torch.float32
    labels_B = None if None in labels else torch.tensor(labels, dtype=dtype)
    return Batch(tuple(example.id for example in examples), tokens, labels_B)


def join_texts(texts: Sequence[tuple[Tensor, Tensor]], cls_id: int, sep_id: int, encoding: Encoding) -> Tokens:
    """One or two texts, each tokenised and padded on its own, as `collate` would have encoded them.

    `texts` holds ids_BT and mask_BT of each.
    1. Take padding, [CLS] and [SEP] off. 2. Truncate. 3. Build [CLS] a [SEP] b [SEP] with its token types, or
    for single and independent encoding [CLS] a [SEP]. 4. Pad.
    """
    sides = [take_off_specials(ids_BT, mask_BT, cls_id, sep_id) for ids_BT, mask_BT in texts]
    sequences = []
    if encoding.kind == "pair":
        budget = encoding.max_length - 3
        for a, b in zip(*sides, strict=True):
            if len(a) + len(b) > budget:
                kept_a, kept_b = truncate_pair(len(a), len(b), budget, "longest_first")
                a, b = a[:kept_a], b[:kept_b]
            sequences.append(([cls_id, *a, sep_id, *b, sep_id], [0] * (len(a) + 2) + [1] * (len(b) + 1)))
    else:
        for text in chain(*sides):
            ids = [cls_id, *text[: encoding.max_length - 2], sep_id]
            sequences.append((ids, [0] * len(ids)))
    return pad(sequences, 0, encoding.token_types).to(texts[0][0].device)  # any id will do: the mask hides it


def take_off_specials(ids_BT: Tensor, mask_BT: Tensor, cls_id: int, sep_id: int) -> list[list[int]]:
    rows = []
    for row, mask in zip(ids_BT.tolist(), mask_BT.tolist(), strict=True):
        ids = list(compress(row, mask))
        start = 1 if ids[:1] == [cls_id] else 0
        rows.append(ids[start:-1] if ids[-1:] == [sep_id] else ids[start:])
    return rows


# Exercise 7.3: batches of similar length
def plan_pass(lengths: Sequence[int], batch_size: int, generator: torch.Generator) -> list[list[int]]:
    """The batches of one pass, as places in `lengths`; every place occurs once, the last short batch is kept.

    1. Shuffle. 2. Cut into pools of POOL batches. 3. Sort each pool by length; equal lengths stay shuffled.
    4. Cut the pools into batches. 5. Shuffle the batches of the whole pass.
    """
    order = torch.randperm(len(lengths), generator=generator).tolist()
    size = POOL * batch_size
    pools = [sorted(order[i : i + size], key=lengths.__getitem__) for i in range(0, len(order), size)]
    batches = [pool[i : i + batch_size] for pool in pools for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


class BatchStream:
    """Training batches without end. The order of pass p depends on (seed, name, p) and on nothing else.

    `collate` makes a batch of a list of examples; `length` says how many columns an example takes up in it.
    """

    def __init__(self, examples: Sequence[Example], batch_size: int, seed: int,
                 collate: Callable[[Sequence[Example]], Batch], name: str, length: Callable[[Example], int]):
        self.examples, self.batch_size, self.seed, self.name = examples, batch_size, seed, name
        self.collate = collate
        self.lengths = [length(example) for example in examples]
        self._enter(0, 0)

    def __len__(self) -> int:  # batches in a pass
        return len(self._plan)

    def next_batch(self) -> Batch:
        if self.position == len(self):
            self._enter(self.pass_number + 1, 0)
        places = self._plan[self.position]
        self.position += 1
        return self.collate([self.examples[place] for place in places])

    def state_dict(self) -> dict[str, int]:
        return {"pass": self.pass_number, "position": self.position}

    def load_state_dict(self, saved: dict[str, int]) -> None:
        """Continues where `state_dict` was taken, without making the batches before."""
        if not 0 <= saved["position"] <= len(self):
            raise MinbertError(f"{self.name}: batch {saved['position']} of a pass of {len(self)}",
                               "data or batch size differ from the run's")
        self._enter(saved["pass"], saved["position"])

    def _enter(self, pass_number: int, position: int) -> None:
        self.pass_number, self.position = pass_number, position  # of the batch that comes next
        key = f"{self.seed}/{self.name}/{pass_number}".encode()  # hash() would differ from run to run
        generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(key).digest()[:7], "big"))
        self._plan = plan_pass(self.lengths, self.batch_size, generator)


def training_batches(examples: Sequence[Example], task: Task, tokenizer: BertTokenizer, encoding: Encoding,
                     batch_size: int, seed: int) -> BatchStream:
    make_batch = partial(collate, task=task, tokenizer=tokenizer, encoding=encoding)
    return BatchStream(examples, batch_size, seed, make_batch, task.name, encoding.length)


def evaluation_batches(examples: Sequence[Example], task: Task, tokenizer: BertTokenizer, encoding: Encoding,
                       tokens_per_batch: int = 2048) -> Iterator[tuple[list[int], Batch]]:
    """(places in `examples`, their batch), longest first; up to `tokens_per_batch` ids, at least one row."""
    lengths = [encoding.length(example) for example in examples]
    order = sorted(range(len(examples)), key=lengths.__getitem__, reverse=True)
    rows_each = 2 if encoding.kind == "independent" else 1
    while order:
        count = max(1, tokens_per_batch // (lengths[order[0]] * rows_each))
        places, order = order[:count], order[count:]
        yield places, collate([examples[place] for place in places], task, tokenizer, encoding)


if __name__ == "__main__":  # python -m multitask.data check | download
    from multitask.data_check import main
    from multitask.flags import run_command

    sys.exit(run_command(main, sys.argv[1:]))
