"""A CS224N starter's classes with the names and signatures of ours, so that the same tests run on both."""

# B batch, T tokens, D hidden, H heads, K size per head; mask as in minbert/attention.py
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import minbert
import optim
from minbert.config import BertConfig
from minbert.tensor_names import BUFFERS, NAMES, OURS, rename

SMALLEST = BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4)
STUDENT = SimpleNamespace(bert=None)
LAYER = {ours.removeprefix("layers.{i}."): theirs.removeprefix("bert_layers.{i}.")
         for ours, _, theirs in NAMES if ours.startswith("layers.")} | {"activation": "interm_af"}
ATTENTION = {name: name for name in ("query", "key", "value", "dropout")}
EMBEDDINGS = {ours.removeprefix("embeddings."): theirs
              for ours, _, theirs in NAMES if ours.startswith("embeddings.")} | {"dropout": "embed_dropout"}


def replace_ours(patch: pytest.MonkeyPatch, bert: ModuleType, optimizer: ModuleType) -> None:
    """Puts the student's classes where the tests import ours from."""
    patch.setattr(STUDENT, "bert", bert)
    for place, names in (
        (minbert.attention, {"SelfAttention": SelfAttention, "attention_probabilities": attention_probabilities}),
        (minbert.embeddings, {"BertEmbeddings": BertEmbeddings}),
        (minbert.bert, {"BertLayer": BertLayer, "BertModel": BertModel, "gelu": gelu}),
        (optim, {"AdamW": adapt_optimizer(optimizer.AdamW)}),
    ):
        for name, replacement in names.items():
            patch.setattr(place, name, replacement)


def missing_names() -> list[str]:
    """The starter's names of modules that the student's BertModel does not have."""
    found = {name.rpartition(".")[0] for name in start("BertModel", SMALLEST).state_dict()}
    return [theirs for _, _, theirs in NAMES if theirs.replace("{i}", "0") not in found]


def start(name: str, config: BertConfig) -> nn.Module:
    """A module of the student's class, with the sizes of our configuration."""
    theirs = getattr(STUDENT.bert.BertModel, "config_class", SimpleNamespace)(**dataclasses.asdict(config))
    theirs.name_or_path = ""  # the starter's constructor reads it, and only its from_pretrained() sets it
    return getattr(STUDENT.bert, name)(theirs)


def additive(mask: Tensor | None, tokens: int, dtype: torch.dtype) -> Tensor:
    """The course's mask, (B, 1, 1, T): 0 where attention may fall, -10000 at padding."""
    mask = torch.ones(1, 1, 1, tokens, dtype=torch.bool) if mask is None else mask
    return (1.0 - mask.to(dtype)) * -10000.0


def check(result: Tensor, shape: tuple[int, ...], method: str) -> Tensor:
    found = tuple(result.shape) if isinstance(result, Tensor) else repr(result)
    assert found == tuple(shape), f"{method} must return a tensor of shape {tuple(shape)}, it returned {found}"
    return result


@contextmanager
def given(theirs: nn.Module, **vectors: Tensor) -> Iterator[None]:
    """Inside, these parts of the model answer with these vectors, whatever they are asked."""
    kept = {name: getattr(theirs, name) for name in vectors}
    for name, vector in vectors.items():
        setattr(theirs, name, Answer(vector))
    try:
        yield
    finally:
        for name, part in kept.items():
            setattr(theirs, name, part)


class Answer(nn.Module):
    def __init__(self, vector: Tensor) -> None:
        super().__init__()
        self.vector = vector

    def forward(self, *asked) -> Tensor:
        return self.vector


class Adapter(nn.Module):
    """The student's module; its parts also answer to our names."""

    def __init__(self, theirs: nn.Module, names: dict[str, str]) -> None:
        super().__init__()
        self.theirs, self.names = theirs, names

    def __getattr__(self, name: str):
        if name in ("theirs", "names") or name not in self.names:
            return super().__getattr__(name)
        return attrgetter(self.names[name])(self.theirs)

    def state_dict(self) -> dict[str, Tensor]:
        return {rename(name, OURS): tensor for name, tensor in self.theirs.state_dict().items() if name not in BUFFERS}

    def named_parameters(self, *options, **more) -> Iterator[tuple[str, nn.Parameter]]:
        return ((rename(name, OURS), parameter) for name, parameter in self.theirs.named_parameters())


class SelfAttention(Adapter):
    def __init__(self, config: BertConfig, theirs: nn.Module | None = None) -> None:
        super().__init__(theirs or start("BertSelfAttention", config), ATTENTION)

    def forward(self, hidden_BTD: Tensor, mask: Tensor | None = None, maps: list[Tensor] | None = None) -> Tensor:
        mixed_BTD = self.theirs(hidden_BTD, additive(mask, hidden_BTD.shape[1], hidden_BTD.dtype))
        if maps is not None:
            query_BHTK, key_BHTK = (self.theirs.transform(hidden_BTD, part) for part in (self.query, self.key))
            maps.append(read_probabilities(self.theirs, query_BHTK, key_BHTK, mask))
        return check(mixed_BTD, hidden_BTD.shape, "BertSelfAttention.forward")


def attention_probabilities(query_BHQK: Tensor, key_BHTK: Tensor, mask: Tensor | None) -> Tensor:
    """probabilities_BHQT; in a starter all tokens ask, so the missing ones are put in and taken out again."""
    heads, asking, size = query_BHQK.shape[1:]
    config = BertConfig(hidden_size=heads * size, num_attention_heads=heads)
    attention = start("BertSelfAttention", config).eval().to(query_BHQK.dtype)
    query_BHTK = F.pad(query_BHQK, (0, 0, 0, key_BHTK.shape[2] - asking))
    return read_probabilities(attention, query_BHTK, key_BHTK, mask)[:, :, :asking]


def read_probabilities(attention: nn.Module, query_BHTK: Tensor, key_BHTK: Tensor, mask: Tensor | None) -> Tensor:
    """What the student's `attention` makes of values that are 1 for one token and 0 for all others: its probability."""
    batch, heads, tokens, size = query_BHTK.shape
    columns = []
    for first in range(0, tokens, size):  # a value has room for as many tokens as the head is wide
        value_TK = torch.eye(tokens, dtype=query_BHTK.dtype)[:, first : first + size]
        value_BHTK = F.pad(value_TK, (0, size - value_TK.shape[1])).repeat(batch, heads, 1, 1)
        mixed_BTD = attention.attention(key_BHTK, query_BHTK, value_BHTK, additive(mask, tokens, query_BHTK.dtype))
        check(mixed_BTD, (batch, tokens, heads * size), "BertSelfAttention.attention")
        columns.append(mixed_BTD.view(batch, tokens, heads, size).transpose(1, 2))
    return torch.cat(columns, dim=-1)[..., :tokens]


class BertLayer(Adapter):
    """The student's layer; its two halves are looked at from inside its forward()."""

    def __init__(self, config: BertConfig, theirs: nn.Module | None = None) -> None:
        super().__init__(theirs or start("BertLayer", config), LAYER)
        self.config = config

    @property
    def attention(self) -> SelfAttention:
        return SelfAttention(self.config, self.theirs.self_attention)

    def forward(self, hidden_BTD: Tensor, mask: Tensor | None = None) -> Tensor:
        output_BTD = self.theirs(hidden_BTD, additive(mask, hidden_BTD.shape[1], hidden_BTD.dtype))
        return check(output_BTD, hidden_BTD.shape, "BertLayer.forward")

    def attend(self, hidden_BTD: Tensor) -> Tensor:
        """What the feed-forward half reads."""
        read, dense, forward = [], self.theirs.interm_dense, self.theirs.interm_dense.forward
        dense.forward = lambda input: read.append(input) or forward(input)  # a hook is deaf to those who call forward()
        self(hidden_BTD)
        del dense.forward
        assert read, "BertLayer.forward never calls interm_dense: the feed-forward half is missing"
        return read[0]

    def feed_forward(self, attended_BTD: Tensor) -> Tensor:
        """The layer's output where the attention half's LayerNorm gave `attended_BTD`."""
        with given(self.theirs, attention_layer_norm=attended_BTD):
            return self(torch.zeros_like(attended_BTD))


def gelu(input: Tensor) -> Tensor:
    """The activation between a layer's two dense halves."""
    return start("BertLayer", SMALLEST).interm_af(input)


class BertEmbeddings(Adapter):
    def __init__(self, config: BertConfig) -> None:
        super().__init__(start("BertModel", config), EMBEDDINGS)

    def forward(self, words_BTD: Tensor, segment_BT: Tensor) -> Tensor:
        types_BTD = F.embedding(segment_BT, self.token_type.weight)
        with given(self.theirs, word_embedding=words_BTD, tk_type_embedding=types_BTD):
            return check(self.theirs.embed(torch.zeros_like(segment_BT)), words_BTD.shape, "BertModel.embed")


class BertModel(Adapter):
    """The types of the tokens, which a starter's embed() has at 0, are put in through its tk_type_embedding."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(start("BertModel", config), {"pooler": "pooler_dense"})
        self.config = config

    @property
    def embeddings(self) -> Adapter:
        return Adapter(self.theirs, EMBEDDINGS)

    @property
    def layers(self) -> list[BertLayer]:
        return [BertLayer(self.config, layer) for layer in self.theirs.bert_layers]

    def typed(self, token_type_ids: Tensor | None):
        table = self.theirs.tk_type_embedding.weight
        types = {} if token_type_ids is None else {"tk_type_embedding": F.embedding(token_type_ids, table)}
        return given(self.theirs, **types)

    def embed(self, input_ids: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        with self.typed(token_type_ids):
            return check(self.theirs.embed(input_ids), (*input_ids.shape, self.config.hidden_size), "BertModel.embed")

    def pool(self, hidden_BTD: Tensor) -> Tensor:
        """What the student's forward() makes of these last hidden states."""
        tokens_BT = torch.zeros(hidden_BTD.shape[:2], dtype=torch.long)
        self.theirs.encode = lambda *arguments, **options: hidden_BTD
        try:
            return self(tokens_BT)["pooler_output"]
        finally:
            del self.theirs.encode

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None,
                output_hidden_states: bool = False) -> dict[str, Tensor]:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        states = []
        hooks = [layer.register_forward_hook(lambda module, inputs, output: states.extend([inputs[0], output]))
                 for layer in self.theirs.bert_layers]
        with self.typed(token_type_ids):
            result = self.theirs(input_ids, mask)
        for hook in hooks:
            hook.remove()
        assert isinstance(result, dict) and {"last_hidden_state", "pooler_output"} <= set(result), \
            "BertModel.forward must return a dict of last_hidden_state and pooler_output"
        return result | ({"hidden_states": tuple(states[:1] + states[1::2])} if output_hidden_states else {})


def adapt_optimizer(theirs: type) -> type:
    """The student's AdamW, deaf to the options that only ours has."""

    class AdamW(theirs):
        fused = False

        def __init__(self, params, form: str = "cs224n", **options) -> None:
            super().__init__(params, **options)

        def step(self, *arguments):
            """Averages from torch.zeros(p.shape) get the weights' dtype, as in the course, where all is float32."""
            torch.set_default_dtype(self.param_groups[0]["params"][0].dtype)
            try:
                return super().step(*arguments)
            finally:
                torch.set_default_dtype(torch.float32)

    return AdamW
