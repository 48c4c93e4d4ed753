"""Examples -> batches of similar length, for training without end and for evaluation.

Unlike in the course's loaders padding is a few percent of a batch, not half of it, and a pass over the data can be
entered at any batch.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer
from multitask import processes
from multitask.data import Batch, Encoding, Example, collate, make_generator
from multitask.tables import Task

POOL = 100  # batches that are sorted by length together


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
    A pass has every example once, or with `resample` so many of them, drawn anew with replacement.

    With several processes and `split`, each gets its part of every batch, `own` of its rows; else each gets all of it. `share`
    is what the mean loss of the rows at hand counts in the sum over all processes, so that this sum is the batch's mean loss.
    """

    split, own, share = False, 1.0, 1.0

    def __init__(self, examples: Sequence[Example], batch_size: int, seed: int,
                 collate: Callable[[Sequence[Example]], Batch], name: str, length: Callable[[Example], int],
                 resample: int = 0):
        self.examples, self.batch_size, self.seed, self.name = examples, batch_size, seed, name
        self.collate, self.resample = collate, resample
        self.lengths = [length(example) for example in examples]
        self._enter(0, 0)

    def __len__(self) -> int:  # batches in a pass
        return len(self._plan)

    @property
    def left_in_pass(self) -> int:
        """Batches until this pass is over; a finished pass is followed by the next."""
        return len(self) - self.position or len(self)

    def next_batch(self) -> Batch:
        if self.position == len(self):
            self._enter(self.pass_number + 1, 0)
        places = self._plan[self.position]
        self.position += 1
        part = processes.own_part(places) if self.split else places
        self.own = len(part) / len(places)
        self.share = self.own if self.own < 1 else 1 / processes.count()
        return self.collate([self.examples[place] for place in part])

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
        generator = make_generator(self.seed, self.name, pass_number)
        drawn = range(len(self.examples))
        if self.resample:
            drawn = torch.randint(len(self.examples), (self.resample,), generator=generator).tolist()
        plan = plan_pass([self.lengths[place] for place in drawn], self.batch_size, generator)
        self._plan = [[drawn[i] for i in batch] for batch in plan]


def training_batches(examples: Sequence[Example], task: Task, tokenizer: BertTokenizer, encoding: Encoding,
                     batch_size: int, seed: int, resample: int = 0) -> BatchStream:
    make_batch = partial(collate, task=task, tokenizer=tokenizer, encoding=encoding)
    return BatchStream(examples, batch_size, seed, make_batch, task.name, encoding.length, resample)


def evaluation_batches(examples: Sequence[Example], task: Task, tokenizer: BertTokenizer, encoding: Encoding,
                       tokens_per_batch: int) -> Iterator[tuple[list[int], Batch]]:
    """(places in `examples`, their batch), longest first; up to `tokens_per_batch` ids, at least one row."""
    lengths = [encoding.length(example) for example in examples]
    order = sorted(range(len(examples)), key=lengths.__getitem__, reverse=True)
    rows_each = 2 if encoding.kind == "independent" else 1
    while order:
        count = max(1, tokens_per_batch // (lengths[order[0]] * rows_each))
        places, order = order[:count], order[count:]
        yield places, collate([examples[place] for place in places], task, tokenizer, encoding)
