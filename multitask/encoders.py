"""Which BERT serves which task: the seam between the tasks and minbert. An encoder embeds, encodes, pools."""

# B batch, T tokens, Q tokens asked for (all T, or the first alone), D hidden

from torch import Tensor, nn

from minbert.bert import BertModel
from multitask.data import Tokens


class SharedEncoder(nn.Module):
    """One BERT for every task."""

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        self.bert = bert

    @property
    def hidden_size(self) -> int:
        return self.bert.config.hidden_size

    def embed(self, task: str, tokens: Tokens) -> Tensor:
        """embedded_BTD."""
        return self.bert.embed(tokens.ids_BT, tokens.segment_BT)

    def encode(self, task: str, embedded_BTD: Tensor, mask_BT: Tensor, first_only: bool = False) -> Tensor:
        """hidden_BQD: of all tokens, or with `first_only` of the first alone."""
        return self.bert.encode(embedded_BTD, mask_BT, first_only=first_only)

    def pool(self, task: str, hidden_BQD: Tensor) -> Tensor:
        """The pretrained pooler's pooled_BD."""
        return self.bert.pool(hidden_BQD)
