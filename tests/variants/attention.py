"""Attention written in three other ways, all correct: what a test of an exercise must accept."""

# B batch, T tokens, Q the tokens that ask, D hidden, H heads, K size per head

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from minbert import attention
from minbert.attention import ALL


def rows_for(mask: Tensor | None, asking: slice) -> Tensor | None:
    return mask if mask is None or mask.shape[2] == 1 else mask[:, :, asking]


def split_by_permute(hidden_BTD: Tensor, heads: int) -> Tensor:
    return hidden_BTD.unflatten(-1, (heads, -1)).permute(0, 2, 1, 3)


def join_by_flatten(mixed_BHTK: Tensor) -> Tensor:
    return mixed_BHTK.permute(0, 2, 1, 3).flatten(2)


def einsum_probabilities(query_BHQK: Tensor, key_BHTK: Tensor, mask: Tensor | None) -> Tensor:
    """The course's additive mask of -10000."""
    scores_BHQT = torch.einsum("bhqk,bhtk->bhqt", query_BHQK, key_BHTK) * query_BHQK.shape[-1] ** -0.5
    if mask is not None:
        scores_BHQT = scores_BHQT + (1.0 - mask.to(scores_BHQT.dtype)) * -10000.0
    return F.softmax(scores_BHQT, -1)


def einsum_forward(self, hidden_BTD: Tensor, mask: Tensor | None = None, maps: list | None = None, asking: slice = ALL) -> Tensor:
    query, key, value = (split_by_permute(part(hidden_BTD), self.heads) for part in (self.query, self.key, self.value))
    probabilities_BHQT = einsum_probabilities(query[:, :, asking], key, rows_for(mask, asking))
    if maps is not None:
        maps += [probabilities_BHQT]
    return torch.einsum("bhqt,bhtk->bqhk", self.dropout(probabilities_BHQT), value).flatten(2)


def softmax_by_hand(query_BHQK: Tensor, key_BHTK: Tensor, mask: Tensor | None) -> Tensor:
    """The query is scaled before the product; exponentials, less the largest, over their sum."""
    scores_BHQT = (query_BHQK / math.sqrt(query_BHQK.shape[-1])).matmul(key_BHTK.mT)
    if mask is not None:
        scores_BHQT = torch.where(mask, scores_BHQT, torch.full_like(scores_BHQT, -1e4))
    powers_BHQT = (scores_BHQT - scores_BHQT.amax(-1, keepdim=True)).exp()
    return powers_BHQT / powers_BHQT.sum(-1, keepdim=True)


def forward_head_by_head(self, hidden_BTD: Tensor, mask: Tensor | None = None, maps: list | None = None,
                         asking: slice = ALL) -> Tensor:
    query, key, value = self.query(hidden_BTD[:, asking]), self.key(hidden_BTD), self.value(hidden_BTD)
    size = hidden_BTD.shape[-1] // self.heads
    mixed, seen = [], []
    for head in range(self.heads):
        part = slice(head * size, (head + 1) * size)
        one = softmax_by_hand(query[:, None, :, part], key[:, None, :, part], rows_for(mask, asking))
        seen.append(one)
        mixed.append((self.dropout(one) @ value[:, None, :, part])[:, 0])
    if maps is not None:
        maps.append(torch.cat(seen, dim=1))
    return torch.cat(mixed, dim=-1)


def probabilities_by_logarithms(query_BHQK: Tensor, key_BHTK: Tensor, mask: Tensor | None) -> Tensor:
    scores_BHQT = torch.matmul(query_BHQK, key_BHTK.transpose(2, 3)).div_(math.sqrt(query_BHQK.shape[3]))
    if mask is not None:
        scores_BHQT.masked_fill_(mask.logical_not(), -1e30 if scores_BHQT.dtype != torch.float16 else -6e4)
    return F.log_softmax(scores_BHQT, dim=3).exp()


def forward_by_torch(self, hidden_BTD: Tensor, mask: Tensor | None = None, maps: list | None = None,
                     asking: slice = ALL) -> Tensor:
    """torch's scaled_dot_product_attention, with a mask to add; the maps on the side."""
    query, key, value = (attention.split_heads(part(hidden_BTD), self.heads) for part in (self.query, self.key, self.value))
    query, mask = query[:, :, asking], rows_for(mask, asking)
    if maps is not None:
        maps.append(probabilities_by_logarithms(query, key, mask))
    bias = None if mask is None else torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, -1e4)
    rate = self.dropout.p if self.training else 0.0
    return attention.join_heads(F.scaled_dot_product_attention(query, key, value, bias, rate))


PLACE = "minbert.attention."
VARIANTS = {
    "einsum and an added mask": {
        "split_heads": split_by_permute, "join_heads": join_by_flatten, "attention_probabilities": einsum_probabilities,
        "SelfAttention.forward": einsum_forward},
    "head by head": {"attention_probabilities": softmax_by_hand, "SelfAttention.forward": forward_head_by_head},
    "torch's own": {"attention_probabilities": probabilities_by_logarithms, "SelfAttention.forward": forward_by_torch},
}
