"""A training loop in the style of the course's starter, written for this comparison; no line is anybody's.

What it does as such starters do: every batch is tokenised from its texts when its turn comes; the two texts of a pair are
encoded each by itself, padded to its own longest, and their vectors joined before the head; order is random; AdamW goes
through the parameters in Python, one after the other, with a new tensor for every product. What is better than theirs: the
tokens come from `transformers`' compiled tokenizer, a call per text of the batch (the starter's own, in Python, takes three
times as long), and the encoder may be `transformers`' BertModel with attn_implementation="eager".
"""

import math
import random
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.peers import COLUMNS, LONGEST, task_loss
from benchmarks.setting import Setting
from multitask.tables import TASKS, Row, Table


class StarterAdamW(torch.optim.Optimizer):
    """AdamW as the course's handout has it, in its efficient form."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-6,
                 weight_decay: float = 0.01) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            beta_1, beta_2 = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient, state = parameter.grad.data, self.state[parameter]
                if not state:
                    state |= {"t": 0, "m": torch.zeros_like(gradient), "v": torch.zeros_like(gradient)}
                state["t"] += 1
                state["m"] = beta_1 * state["m"] + (1 - beta_1) * gradient
                state["v"] = beta_2 * state["v"] + (1 - beta_2) * gradient**2
                rate = group["lr"] * math.sqrt(1 - beta_2 ** state["t"]) / (1 - beta_1 ** state["t"])
                parameter.data = parameter.data - rate * state["m"] / (torch.sqrt(state["v"]) + group["eps"])
                parameter.data = parameter.data - group["lr"] * group["weight_decay"] * parameter.data


class StarterLoop:
    """An encoder with a linear head for each task, over one vector or two. `model` is a BertModel of `transformers`."""

    def __init__(self, setting: Setting, model: nn.Module, tables: dict[tuple[str, str], Table], batch_size: int) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(setting.folder)
        self.model, self.batch_size = model.train(), batch_size
        self.rows = {task: table.rows for (task, split), table in tables.items() if split == "train"}
        width = model.config.hidden_size
        self.heads = nn.ModuleDict({task: nn.Sequential(nn.Dropout(0.1), nn.Linear(len(TASKS[task].texts) * width, COLUMNS[task]))
                                    for task in self.rows})
        self.optimizer = StarterAdamW([*model.parameters(), *self.heads.parameters()], lr=2e-5)
        self.random = random.Random(0)
        self.read = 0  # real tokens so far

    def step(self, tasks: Iterable[str]) -> int:
        """One step on the sum of the tasks' losses, a batch of each. Returns how many real tokens the same examples are with
        a pair in one sequence, as the other loops count: the second [CLS] of pairs encoded apart is no more work done."""
        before, loss = self.read, torch.zeros(())
        for task in tasks:
            loss = loss + task_loss(task, *self.output(task, self.random.sample(self.rows[task], self.batch_size)))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return self.read - before

    def output(self, task: str, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """(output_BC, labels_B)."""
        vectors, lengths_B = [], torch.ones(len(rows), dtype=torch.int64)
        for texts in zip(*(row.texts for row in rows), strict=True):
            tokens = self.tokenizer(list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
            vectors.append(self.model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).pooler_output)
            lengths_B += tokens["attention_mask"].sum(dim=1) - 1  # one [CLS] for all texts
        self.read += int(lengths_B.clamp(max=LONGEST).sum())
        dtype = torch.int64 if TASKS[task].kind == "classes" else torch.float32
        return self.heads[task](torch.cat(vectors, dim=1)), torch.tensor([row.label for row in rows], dtype=dtype)
