"""The gradient of the word table, kept from step to step: a batch touches a few hundred of its 30,000 rows.

Autograd makes the whole matrix anew for every batch (47 MB for MiniLM, 94 MB for bert-base): a seventh of a small step on a
CPU, most of it the system's, which hands out the memory and clears it. Here a batch's rows are added to a matrix that stays.
The numbers are the same, but for rounding where several passes add up. Nothing is won where the table decodes masked words, too.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from multitask.encoders import Encoder


class WordGradient:
    """Of the BERT that serves all tasks, where there is one, on a CPU; others' tables are left to autograd."""

    def __init__(self, encoder: Encoder) -> None:
        bert = encoder.berts().get("")
        self.embedding = bert.embeddings.word if bert else None
        self.kept = None

    @contextmanager
    def kept_in_place(self) -> Iterator[None]:
        """Inside, backward() adds the rows of the pass's words to the table's .grad, a dense matrix from the first batch on."""
        if self.embedding is None or self.embedding.weight.device.type != "cpu" or not self.embedding.weight.requires_grad:
            yield
            return
        if self.embedding.weight.grad is None:
            self.kept = torch.zeros_like(self.embedding.weight) if self.kept is None else self.kept.zero_()
            self.embedding.weight.grad = self.kept
        self.embedding.sparse = True  # the rows alone: what they are added to is dense, and stays so
        try:
            yield
        finally:
            self.embedding.sparse = False
