"""Word pieces to vectors: the sum of what, where and which sentence (Devlin et al. 2019, figure 2)."""

# B batch, T tokens, D hidden

from torch import Tensor, nn

from minbert.config import BertConfig
from minbert.dropout import Dropout


class BertEmbeddings(nn.Module):
    """Word + position + token-type embedding, then LayerNorm and dropout."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        # the row of [PAD] gets no gradient; its loaded value is kept, so it is not zero
        self.word = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    # Exercise 2.1: embeddings
    def forward(self, words_BTD: Tensor, segment_BT: Tensor) -> Tensor:
        """embedded_BTD: what the first layer reads.

        Steps: look up the position vectors of 0..T-1 and the token-type vectors; add both to the word vectors;
        LayerNorm; dropout. Positions start at 0 for every sentence.
        """
        position_TD = self.position.weight[: words_BTD.shape[1]]
        # e = Word[ids] + Type[segment] + Pos[0..T-1];  x_0 = Dropout(LayerNorm(e))
        embedded_BTD = words_BTD + self.token_type(segment_BT) + position_TD
        return self.dropout(self.norm(embedded_BTD))
