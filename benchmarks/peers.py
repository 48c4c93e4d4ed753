"""The peers' training and inference loops, written the ordinary way.

`OrdinaryLoop` is what a tutorial on `transformers` shows: BertModel, random order, each batch padded to its longest, torch's
fused AdamW, clipping. The tokens of its sentences are made beforehand, as ours are, so that a step is the step alone.
"""

import random
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.setting import Setting
from minbert.bert import BertModel
from minbert.files import MinbertError
from multitask.data import Encoding, Example, collate
from multitask.tables import TASKS

TOLERANCE = 1e-5
LONGEST = 128  # tokens of a sequence, as `baseline`'s
COLUMNS = {"sst": 5, "para": 1, "sts": 1, "cfimdb": 2}
ENCODINGS = {"sst": Encoding("single", max_length=LONGEST), "para": Encoding("pair", max_length=LONGEST),
             "sts": Encoding("pair", max_length=LONGEST), "cfimdb": Encoding("single", max_length=512)}


def task_loss(task: str, output_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Cross-entropy for classes, binary cross-entropy for pairs, squared error for similarity."""
    if COLUMNS[task] > 1:
        return nn.functional.cross_entropy(output_BC, labels_B)
    if task == "para":
        return nn.functional.binary_cross_entropy_with_logits(output_BC[:, 0], labels_B)
    return nn.functional.mse_loss(output_BC[:, 0], labels_B)


class OrdinaryLoop:
    """`transformers`' BertModel with a linear head for each task. `model` is a BertModel of theirs."""

    def __init__(self, setting: Setting, model: nn.Module, data: dict[str, Sequence[Example]], batch_size: int,
                 freeze: bool = False) -> None:
        self.setting, self.model, self.data, self.batch_size = setting, model.train(), data, batch_size
        width = model.config.hidden_size
        self.heads = nn.ModuleDict({task: nn.Sequential(nn.Dropout(0.1), nn.Linear(width, COLUMNS[task])) for task in data})
        model.requires_grad_(not freeze)
        self.parameters = [parameter for module in (model, self.heads) for parameter in module.parameters()
                           if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=2e-5, fused=True)
        self.random = random.Random(0)
        self.read = self.padded = 0  # tokens so far: real ones, and with padding

    def step(self, tasks: Iterable[str]) -> int:
        """One step of the optimizer on a batch of each task; returns how many real tokens were in them."""
        before = self.read
        for task in tasks:
            output_BC, labels_B = self.output(task, self.random.sample(self.data[task], self.batch_size))
            task_loss(task, output_BC, labels_B).backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return self.read - before

    def output(self, task: str, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """(output_BC, labels_B)."""
        batch = collate(examples, TASKS[task], self.setting.tokenizer, ENCODINGS[task])
        vectors = self.model(input_ids=batch.tokens.ids_BT, attention_mask=batch.tokens.mask_BT,
                             token_type_ids=batch.tokens.segment_BT).pooler_output
        self.read += int(batch.tokens.mask_BT.sum())
        self.padded += batch.tokens.mask_BT.numel()
        return self.heads[task](vectors), batch.labels


def largest(differences: Iterable[float | Tensor]) -> float:
    """nan where one of them is nan, which max() would pass over."""
    return float(torch.tensor(list(differences)).max())


def largest_difference(ours: BertModel, theirs: nn.Module, setting: Setting,
                       examples: dict[str, Sequence[Example]] | None = None) -> float:
    """Between the two models' vectors of every token and sentence of each task's `examples`, dropout off; where none are given,
    of a batch of its dev examples."""
    modes = ours.training, theirs.training
    ours.eval()
    theirs.eval()
    differences = []
    with torch.no_grad():
        for task, some in (examples or {task: splits.dev[:64] for task, splits in setting.data.items()}).items():
            tokens = collate(some, TASKS[task], setting.tokenizer, ENCODINGS[task]).tokens
            inputs = {"input_ids": tokens.ids_BT, "attention_mask": tokens.mask_BT, "token_type_ids": tokens.segment_BT}
            our_output, their_output = ours(**inputs), theirs(**inputs)
            difference_BTD = (our_output["last_hidden_state"] - their_output.last_hidden_state)[tokens.mask_BT.bool()]
            differences += [difference_BTD, our_output["pooler_output"] - their_output.pooler_output]
    ours.train(modes[0])
    theirs.train(modes[1])
    return largest(difference.abs().max() for difference in differences)


def describe_difference(difference: float, what: str = "vectors of 64 dev examples of each task") -> str:
    """Raises MinbertError where two models that ought to be one differ by more than TOLERANCE."""
    if not difference <= TOLERANCE:
        raise MinbertError(f"our model's output and theirs differ by {difference:.1e}, more than {TOLERANCE}", exit_code=1)
    return f"with the same weights and no dropout, {what} differ by at most {difference:.1e}"
