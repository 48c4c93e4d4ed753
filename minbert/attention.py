"""Multi-head self-attention by hand: split, score, mask, mix, join (Vaswani et al. 2017, section 3.2)."""

# B batch, T tokens, Q the tokens that ask (all T, or the first alone), D hidden, H heads, K size per head
# mask: True where attention may fall, (B, 1, 1, T), or (B, 1, T, T) where every token has a mask of its own

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minbert.config import BertConfig
from minbert.dropout import Dropout

ALL = slice(None)


# Exercise 3.1: split into heads
def split_heads(hidden_BTD: Tensor, heads: int) -> Tensor:
    """x_BHTK: the hidden vector of every token cut into `heads` equal parts.

    Steps: view D as H times K, then bring the head axis in front of the token axis.
    """
    batch, tokens, hidden = hidden_BTD.shape
    return hidden_BTD.view(batch, tokens, heads, hidden // heads).transpose(1, 2)


# Exercise 3.2: join the heads
def join_heads(mixed_BHTK: Tensor) -> Tensor:
    """mixed_BTD: the inverse of `split_heads`.

    Steps: bring the token axis back in front of the head axis, then lay the heads side by side.
    """
    batch, heads, tokens, size = mixed_BHTK.shape
    return mixed_BHTK.transpose(1, 2).reshape(batch, tokens, heads * size)


# Exercise 3.3: scaled dot-product attention
def attention_probabilities(query_BHQK: Tensor, key_BHTK: Tensor, mask: Tensor | None) -> Tensor:
    """probabilities_BHQT: how much every token attends to every other; each row sums to 1.

    Steps: score by the dot product of query and key; divide by the square root of the head size; give keys that
    may not be seen, as padding (mask False), the smallest number there is; softmax over the keys. A row that may see
    no key at all comes out uniform rather than nan, because the smallest finite number is used and not -inf.
    """
    # softmax(Q K^T / sqrt(d_k))
    scores_BHQT = query_BHQK @ key_BHTK.transpose(-2, -1) / math.sqrt(query_BHQK.shape[-1])
    if mask is not None:
        scores_BHQT = scores_BHQT.masked_fill(~mask, torch.finfo(scores_BHQT.dtype).min)
    return scores_BHQT.softmax(dim=-1)


class SelfAttention(nn.Module):
    """Every token's new vector: a mixture of all tokens' values.

    With `fused = True` the same product is left to torch's scaled_dot_product_attention. A test holds the two equal for
    every token that may see some key. Of one that may see none, as in a sentence of padding alone, the result means
    nothing: by hand it is the mean of all values, torch's is 0.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = Dropout(config.attention_probs_dropout_prob)
        self.fused = False

    # Exercise 3.4: multi-head self-attention
    def forward(self, hidden_BTD: Tensor, mask: Tensor | None = None,
                maps: list[Tensor] | None = None, asking: slice = ALL) -> Tensor:
        """mixed_BQD, for the tokens that are `asking` (all of them, unless only some results are needed).

        Where `maps` is a list, probabilities_BHQT is added to it.

        Steps: project to query, key and value and split each into heads; attention probabilities; dropout on the
        probabilities; mix the values; join the heads. (The output projection belongs to the layer.)
        """
        query_BHQK = split_heads(self.query(hidden_BTD[:, asking]), self.heads)
        key_BHTK = split_heads(self.key(hidden_BTD), self.heads)
        value_BHTK = split_heads(self.value(hidden_BTD), self.heads)
        if mask is not None and mask.shape[2] > 1:  # one row for all tokens serves whoever asks
            mask = mask[:, :, asking]
        if self.fused and maps is None:
            rate = self.dropout.p if self.training else 0.0
            return join_heads(F.scaled_dot_product_attention(query_BHQK, key_BHTK, value_BHTK, mask, rate))
        probabilities_BHQT = attention_probabilities(query_BHQK, key_BHTK, mask)
        if maps is not None:
            maps.append(probabilities_BHQT)
        return join_heads(self.dropout(probabilities_BHQT) @ value_BHTK)
