"""MultitaskBert: an encoder and one head per task. Calls the course's way, too (predict_sentiment and so on)."""

# B batch, T tokens, Q tokens asked for (all T, or the first alone), D hidden, C classes

from torch import Tensor, nn

from multitask.data import Encoding, Tokens, find_encoding, join_texts
from multitask.encoders import SharedEncoder
from multitask.heads import HEADS, mean_pool
from multitask.recipe import Recipe
from multitask.tables import TASKS


class MultitaskBert(nn.Module):
    """`cls_id` and `sep_id` are the tokenizer's: separately encoded sentences are joined into pairs with them."""

    def __init__(self, encoder: SharedEncoder, recipe: Recipe, cls_id: int, sep_id: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict({
            name: HEADS[task.head](TASKS[name], task, encoder.hidden_size) for name, task in recipe.tasks.items()
        })
        self.recipe, self.tasks = recipe, recipe.tasks
        self.cls_id, self.sep_id = cls_id, sep_id
        self.frozen = False

    def encoding(self, task: str) -> Encoding:
        """How this task's sentences become token ids."""
        return find_encoding(self.recipe, task)

    def freeze_encoder(self, frozen: bool) -> None:
        """Frozen, the encoder gets no gradient and keeps its dropout off: only the heads learn."""
        self.frozen = frozen
        self.encoder.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> "MultitaskBert":
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def output(self, task: str, tokens: Tokens, embedded_BTD: Tensor | None = None) -> Tensor:
        """output_BC for a task with classes, else output_B. `embedded_BTD` replaces the encoder's own embedding.

        Independently encoded pairs come stacked: the first half of the rows holds sentence 1, the second sentence 2.
        """
        if embedded_BTD is None:
            embedded_BTD = self.encoder.embed(task, tokens)
        first_only = self.tasks[task].pooling in ("cls", "pooler")
        hidden_BQD = self.encoder.encode(task, embedded_BTD, tokens.mask_BT, first_only)
        sentence_BD = self._pool(task, hidden_BQD, tokens.mask_BT)
        parts = sentence_BD.chunk(2) if self.tasks[task].encoding == "independent" else (sentence_BD,)
        output_BC = self.heads[task](*parts)
        # only the last axis is dropped, so that a batch of one stays a batch
        return output_BC if TASKS[task].kind == "classes" else output_BC.squeeze(-1)

    def _pool(self, task: str, hidden_BQD: Tensor, mask_BT: Tensor) -> Tensor:
        pooling = self.tasks[task].pooling
        if pooling == "mean":
            return mean_pool(hidden_BQD, mask_BT)
        return self.encoder.pool(task, hidden_BQD) if pooling == "pooler" else hidden_BQD[:, 0]

    def predict_sentiment(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Unnormalised log-probabilities (B, 5) of the five sentiments."""
        return self.predict("sst", input_ids, attention_mask)

    def predict_paraphrase(self, input_ids_1: Tensor, attention_mask_1: Tensor,
                           input_ids_2: Tensor, attention_mask_2: Tensor) -> Tensor:
        """One logit (B,) per pair; above 0 means a paraphrase."""
        return self.predict("para", input_ids_1, attention_mask_1, input_ids_2, attention_mask_2)

    def predict_similarity(self, input_ids_1: Tensor, attention_mask_1: Tensor,
                           input_ids_2: Tensor, attention_mask_2: Tensor) -> Tensor:
        """One similarity (B,) per pair on the labels' scale of 0 to 5, not clamped to it."""
        return self.predict("sts", input_ids_1, attention_mask_1, input_ids_2, attention_mask_2)

    def predict(self, task: str, ids1_BT: Tensor, mask1_BT: Tensor,
                ids2_BT: Tensor | None = None, mask2_BT: Tensor | None = None) -> Tensor:
        """This task's output for sentences tokenised one by one ([CLS] a [SEP] and padding), as the course hands them.

        Texts are truncated as in training. The result depends on neither padding nor on the batch's other sentences.
        """
        texts = [(ids1_BT, mask1_BT)] if ids2_BT is None else [(ids1_BT, mask1_BT), (ids2_BT, mask2_BT)]
        return self.output(task, join_texts(texts, self.cls_id, self.sep_id, self.encoding(task)))
