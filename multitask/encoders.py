"""Which BERT serves which task: the seam between the tasks and minbert. An encoder embeds, encodes, pools.

Plain BERTs are below the name `bert`, what is added to them for the tasks below `parts`.
"""

# B batch, T tokens, Q tokens asked for (all T, or the first alone), D hidden

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from minbert.bert import BertModel
from minbert.config import BertConfig
from multitask.data import Tokens
from multitask.layers import LAYERS, PARTS, SIZES
from multitask.recipe import EncoderRecipe

ALL_TASKS = "all"  # the name of a part that all tasks share


class Encoder(nn.Module):
    """What all kinds have in common: a task's BERT does the work."""

    def berts(self) -> dict[str, BertModel]:
        """Every BERT by the task it serves; "" names the one that serves all."""
        raise NotImplementedError

    def find_bert(self, task: str) -> BertModel:
        raise NotImplementedError

    def shared_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that learn, and from more than one task: what tasks can disagree about."""
        raise NotImplementedError

    @property
    def config(self) -> BertConfig:
        return next(iter(self.berts().values())).config

    @property
    def hidden_size(self) -> int:
        return self.config.hidden_size

    def embed(self, task: str, tokens: Tokens, extra_BTD: Tensor | None = None) -> Tensor:
        """embedded_BTD; `extra_BTD` is added to the word vectors, before the LayerNorm."""
        bert = self.find_bert(task)
        words_BTD = bert.embeddings.word(tokens.ids_BT)
        if extra_BTD is not None:
            words_BTD = words_BTD + extra_BTD
        return bert.embed(token_type_ids=tokens.segment_BT, inputs_embeds=words_BTD)

    def encode(self, task: str, embedded_BTD: Tensor, mask: Tensor | None, first_only: bool = False) -> Tensor:
        """hidden_BQD: of all tokens, or with `first_only` of the first alone. `mask` is as for BertModel.encode."""
        return self.find_bert(task).encode(embedded_BTD, mask, first_only=first_only)

    def pool(self, task: str, hidden_BQD: Tensor) -> Tensor:
        """The pretrained pooler's pooled_BD."""
        return self.find_bert(task).pool(hidden_BQD)

    def set_trainable(self, trainable: bool) -> None:
        """Whether the encoder learns: of its parameters those that this kind of encoder trains at all."""
        self.requires_grad_(trainable)


class SharedEncoder(Encoder):
    """One BERT for every task."""

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        self.bert = bert

    def berts(self) -> dict[str, BertModel]:
        return {"": self.bert}

    def find_bert(self, task: str) -> BertModel:
        return self.bert

    def shared_parameters(self) -> dict[str, nn.Parameter]:
        return {name: parameter for name, parameter in self.named_parameters()
                if parameter.requires_grad and name.startswith(("bert.", f"parts.{ALL_TASKS}."))}


class SeparateEncoder(Encoder):
    """One BERT for each task: what one learns, the others never see."""

    def __init__(self, berts: Mapping[str, BertModel]) -> None:
        super().__init__()
        self.bert = nn.ModuleDict(berts)

    def berts(self) -> dict[str, BertModel]:
        return dict(self.bert.items())

    def find_bert(self, task: str) -> BertModel:
        return self.bert[task]

    def shared_parameters(self) -> dict[str, nn.Parameter]:
        return {}


class PartsEncoder(SharedEncoder):
    """One BERT whose layers take in the part of the task at hand (multitask.layers)."""

    def __init__(self, bert: BertModel, parts: Mapping[str, nn.Module]) -> None:
        super().__init__(bert)
        self.parts = nn.ModuleDict(parts)

    def encode(self, task: str, embedded_BTD: Tensor, mask: Tensor | None, first_only: bool = False) -> Tensor:
        part = self.parts[ALL_TASKS if ALL_TASKS in self.parts else task]
        for number, layer in enumerate(self.bert.layers):
            layer.part = partial(part, number)
        return super().encode(task, embedded_BTD, mask, first_only)


class AdapterEncoder(PartsEncoder):
    """Only the adapters and BERT's LayerNorms learn; the rest of BERT stays as it was pretrained."""

    def __init__(self, bert: BertModel, parts: Mapping[str, nn.Module]) -> None:
        super().__init__(bert, parts)
        self.set_trainable(True)

    def set_trainable(self, trainable: bool) -> None:
        self.bert.requires_grad_(False)
        norms = [module for module in self.bert.modules() if isinstance(module, nn.LayerNorm)]
        for module in (self.parts, *norms):
            module.requires_grad_(trainable)


def make_encoder(recipe: EncoderRecipe, tasks: Sequence[str], folder: Path) -> Encoder:
    """The recipe's encoder with the pretrained weights in `folder`; what it adds is drawn from torch's generator.

    Raises MinbertError where the folder holds no BERT, or the recipe's sizes do not fit it.
    """
    if recipe.kind == "shared":
        return SharedEncoder(BertModel.from_pretrained(folder))
    if recipe.kind == "separate":
        bert = BertModel.from_pretrained(folder)
        return SeparateEncoder({task: copy.deepcopy(bert) for task in tasks})
    bert = BertModel.from_pretrained(folder, LAYERS[recipe.kind])
    size = recipe.size or SIZES[recipe.kind]
    names = tasks if recipe.per_task else (ALL_TASKS,)
    parts = {name: PARTS[recipe.kind](bert.config, recipe, size) for name in names}
    return (AdapterEncoder if recipe.kind == "adapters" else PartsEncoder)(bert, parts)
