"""Sentences to ids: our tokenizer, in Python, beside the `tokenizers` library, in Rust, and `transformers`' way of calling it.

Ours is cold when it has met no word yet (a new one each time, whose making counts), and warm when it has met them all. All give
the same ids, here without [CLS] and [SEP]. Rust's time lasts until the ids are Python's, for training needs them so; it notes
more than ids, such as every token's place in the text.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import torch

from benchmarks.rows import Outcome, Row, speed_row
from benchmarks.setting import Setting
from benchmarks.timing import Timing, interleave, own_seconds
from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

Ids = list[list[int]]
ROUNDS = 5
PART = 8  # of what takes longest only every eighth sentence is timed: its rate does not depend on how many there are
CALL = 16  # sentences in a call of transformers'


def measure(setting: Setting) -> Outcome:
    """All sentences of the three tasks' train and dev files, for torch's number of threads."""
    texts = [text for table in setting.tables.values() for row in table.rows for text in row.texts]
    threads = torch.get_num_threads()
    with rust_threads(threads):
        rust, theirs = make_rust(setting), make_theirs(setting)
        ids = encode(setting.tokenizer, texts)
        check_equal(texts, ids, encode_rust(rust, texts), "tokenizers")
        check_equal(texts[::PART], ids[::PART], theirs(texts[::PART], add_special_tokens=False)["input_ids"], "transformers")
        busy = find_busy(partial(rust.encode_batch, texts))
        timing = interleave(make_variants(setting, texts, sum(map(len, ids)), rust, theirs), ROUNDS)
    return Outcome(make_rows(timing, threads), f"the ids of all {len(texts):,} sentences are the same", (
        f"{sum(map(len, ids)):,} tokens; a single thread and transformers' calls are timed on one sentence of {PART}",
        f"Rust, given {threads} threads, kept {busy:.1f} processors busy"), timing.dropped, timing.disturbed)


def make_variants(setting: Setting, texts: Sequence[str], tokens: int, rust: "Tokenizer", theirs: "PreTrainedTokenizerBase"
                  ) -> dict[str, Callable[[], float]]:
    """Ways to encode the texts, or every `PART`th of them where that takes long, by name; each call returns the tokens it made.
    `tokens` are all texts' together."""
    ours, part = setting.tokenizer, texts[::PART]
    tokens_of_part = sum(map(len, encode(ours, part)))

    def timed(work: Callable[..., object], *arguments: object, tokens: int = tokens) -> Callable[[], int]:
        def run() -> int:
            work(*arguments)
            return tokens

        return run

    return {
        "cold": timed(lambda: encode(BertTokenizer(ours.vocabulary, ours.lowercase), texts)),
        "warm": timed(encode, ours, texts),
        "rust": timed(encode_rust, rust, texts),
        "rust, ids unread": timed(partial(rust.encode_batch, add_special_tokens=False), texts),
        "rust, no places": timed(partial(encode_rust, fast=True), rust, texts),
        "rust, 1 thread": timed(encode_in_one_thread, rust, part, tokens=tokens_of_part),
        "transformers": timed(call_by_batches, theirs, part, tokens=tokens_of_part),
    }


def make_rows(timing: Timing, threads: int) -> tuple[Row, ...]:
    rust = f"tokenizers (Rust), {threads} threads"
    return (speed_row("tokenizing, cold", rust, timing, "cold", "rust", "tokens/s", goal=1.4),
            speed_row("tokenizing, warm", rust, timing, "warm", "rust", "tokens/s", goal=3.0),
            *(speed_row("tokenizing, cold", against, timing, "cold", name, "tokens/s") for against, name in (
                (f"{rust}, its ids left unread", "rust, ids unread"),
                (f"{rust}, encode_batch_fast (no places)", "rust, no places"),
                ("tokenizers (Rust), 1 thread", "rust, 1 thread"),
                (f"transformers' AutoTokenizer, {CALL} sentences a call", "transformers"))))


@contextmanager
def rust_threads(count: int) -> Iterator[None]:
    """Inside, `tokenizers` has so many threads. Only the first number above 1 counts: it makes them once for a process."""
    wanted = {"TOKENIZERS_PARALLELISM": "true" if count > 1 else "false", "RAYON_NUM_THREADS": str(count)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})


def make_rust(setting: Setting) -> "Tokenizer":
    """Theirs for the model's vocabulary, without padding or truncation."""
    from tokenizers import BertWordPieceTokenizer, Tokenizer

    made = BertWordPieceTokenizer(str(setting.folder / "vocab.txt"), lowercase=setting.tokenizer.lowercase)
    return Tokenizer.from_str(made.to_str())


def make_theirs(setting: Setting) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(setting.folder)


def encode(tokenizer: BertTokenizer, texts: Sequence[str]) -> Ids:
    return [tokenizer.text_to_ids(text) for text in texts]


def encode_rust(rust: "Tokenizer", texts: Sequence[str], fast: bool = False) -> Ids:
    """`fast` leaves out the places of tokens."""
    work = rust.encode_batch_fast if fast else rust.encode_batch
    return [encoding.ids for encoding in work(texts, add_special_tokens=False)]


def encode_in_one_thread(rust: "Tokenizer", texts: Sequence[str]) -> Ids:
    with rust_threads(1):
        return encode_rust(rust, texts)


def call_by_batches(theirs: "PreTrainedTokenizerBase", texts: Sequence[str]) -> None:
    """As an ordinary training loop does."""
    for start in range(0, len(texts), CALL):
        theirs(texts[start: start + CALL], padding=True, truncation=True, return_tensors="pt")


def find_busy(work: Callable[[], object]) -> float:
    """How many processors the work keeps busy."""
    started, own = time.perf_counter(), own_seconds()
    work()
    return (own_seconds() - own) / (time.perf_counter() - started)


def check_equal(texts: Sequence[str], ours: Ids, theirs: Ids, name: str) -> None:
    """Raises MinbertError for the first sentence of which ours and theirs make other ids."""
    for text, our_ids, their_ids in zip(texts, ours, theirs, strict=True):
        if our_ids != their_ids:
            raise MinbertError(f"{name} makes other ids of {text!r:.60}: {their_ids}, ours are {our_ids}", exit_code=1)
