"""The vocabulary head that pre-training used: a score for every word piece at every token (Devlin et al. 2019, 3.1)."""

# B batch, T tokens, D hidden, V vocabulary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minbert.bert import ACTIVATIONS, initialise
from minbert.config import BertConfig


class VocabularyHead(nn.Module):
    """Linear, activation, LayerNorm, then the word embedding turned round (tied: one matrix serves both ends)."""

    def __init__(self, config: BertConfig, word_embedding: nn.Embedding) -> None:
        super().__init__()
        self.transform = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.apply(lambda module: initialise(module, config.initializer_range))
        self._embedding = (word_embedding,)  # in a tuple, so that its weight counts as the encoder's and not as ours

    # Exercise 4.5: the vocabulary head
    def forward(self, hidden_BTD: Tensor) -> Tensor:
        """scores_BTV, before the softmax.

        Steps: transform; activation; LayerNorm; dot product with every word vector; add the bias.
        """
        transformed_BTD = self.norm(self.activation(self.transform(hidden_BTD)))
        return F.linear(transformed_BTD, self._embedding[0].weight, self.bias)
