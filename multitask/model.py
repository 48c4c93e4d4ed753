"""MultitaskBert: an encoder and one head per task. Calls the course's way, too (predict_sentiment and so on)."""

# B batch, T tokens, Q tokens asked for (all T, or the first alone), D hidden, C columns of the output
# N sentence vectors: B, or 2 B for pairs that are encoded independently (their tokens come as 2 B rows, too)

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from multitask.data import Encoding, Tokens, find_encoding, join_texts
from multitask.encoders import Encoder
from multitask.features import TAGS
from multitask.heads import HEADS, mean_pool
from multitask.recipe import Recipe
from multitask.tables import TASKS
from multitask.targets import find_target


class MultitaskBert(nn.Module):
    """`cls_id` and `sep_id` are the tokenizer's: separately encoded sentences are joined into pairs with them.

    Independently encoded pairs come stacked, as tokens and as vectors: B first sentences, then the B second ones.
    """

    def __init__(self, encoder: Encoder, recipe: Recipe, cls_id: int, sep_id: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict({
            name: HEADS[task.head](TASKS[name], task, encoder.hidden_size) for name, task in recipe.tasks.items()
        })
        self.pretraining = nn.ModuleDict()  # further heads, while a stage of pre-training has them
        self.tags = None
        if recipe.features.part_of_speech != "none":
            self.tags = nn.Embedding(len(TAGS), encoder.hidden_size, padding_idx=0)  # row 0, no tag known, stays zero
            nn.init.zeros_(self.tags.weight)  # the pretrained model as it is, until tags have learned something
        self.recipe, self.tasks = recipe, recipe.tasks
        self.targets = {name: find_target(TASKS[name], task) for name, task in recipe.tasks.items()}
        self.cls_id, self.sep_id = cls_id, sep_id
        self.frozen = self.quiet = False

    def encoding(self, task: str) -> Encoding:
        """How this task's sentences become token ids."""
        return find_encoding(self.recipe, task)

    def freeze_encoder(self, frozen: bool, dropout: bool = False) -> None:
        """Frozen, the encoder gets no gradient, and keeps its dropout off unless `dropout`: only the heads learn."""
        self.frozen, self.quiet = frozen, frozen and not dropout
        self.encoder.set_trainable(not frozen)
        if self.tags:
            self.tags.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> "MultitaskBert":
        super().train(mode)
        if self.quiet:
            self.encoder.eval()
        return self

    def embed(self, task: str, tokens: Tokens) -> Tensor:
        """embedded_BTD, what the first layer reads: the encoder's, with the parts of speech where the recipe has them."""
        has_tags = self.tags is not None and tokens.tags_BT is not None
        return self.encoder.embed(task, tokens, extra_BTD=self.tags(tokens.tags_BT) if has_tags else None)

    def sentence(self, task: str, tokens: Tokens, embedded_BTD: Tensor | None = None) -> Tensor:
        """vectors_ND. `embedded_BTD` replaces what `embed` makes of the tokens."""
        if embedded_BTD is None:
            embedded_BTD = self.embed(task, tokens)
        first_only = self.tasks[task].pooling in ("cls", "pooler")
        hidden_BQD = self.encoder.encode(task, embedded_BTD, tokens.attention_mask, first_only)
        return self._pool(task, hidden_BQD, tokens)

    def read_out(self, task: str, vectors_ND: Tensor) -> Tensor:
        """output_BC, or output_B where the target has one column."""
        parts = vectors_ND.chunk(2) if self.tasks[task].encoding == "independent" else (vectors_ND,)
        output_BC = self.heads[task](*parts)
        # only the last axis is dropped, so that a batch of one stays a batch
        return output_BC.squeeze(-1) if self.targets[task].columns == 1 else output_BC

    def output(self, task: str, tokens: Tokens, embedded_BTD: Tensor | None = None) -> Tensor:
        """From tokens to what `targets[task]` takes."""
        return self.read_out(task, self.sentence(task, tokens, embedded_BTD))

    def _pool(self, task: str, hidden_BQD: Tensor, tokens: Tokens) -> Tensor:
        settings = self.tasks[task]
        if settings.pooling == "pooler":
            return self.encoder.pool(task, hidden_BQD)
        if settings.pooling == "cls":
            return hidden_BQD[:, 0]
        mask_BT = tokens.mask_BT
        if settings.mean_of == "words":
            mask_BT = mask_BT * (tokens.ids_BT != self.cls_id) * (tokens.ids_BT != self.sep_id)
        mean_BD = mean_pool(hidden_BQD, mask_BT)
        if settings.pooling == "mean":
            return mean_BD
        return settings.mix[0] * hidden_BQD[:, 0] + settings.mix[1] * mean_BD

    def predict_sentiment(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Unnormalised log-probabilities (B, 5) of the five sentiments."""
        output = self.predict("sst", input_ids, attention_mask)
        if self.targets["sst"].columns > 1:
            return output
        # a number is no distribution yet: the nearer a class, the likelier it is
        return -(output[:, None] - torch.arange(TASKS["sst"].classes, device=output.device)).square()

    def predict_paraphrase(self, input_ids_1: Tensor, attention_mask_1: Tensor,
                           input_ids_2: Tensor, attention_mask_2: Tensor) -> Tensor:
        """One logit (B,) per pair; above 0 means a paraphrase."""
        return self.predict("para", input_ids_1, attention_mask_1, input_ids_2, attention_mask_2)

    def predict_similarity(self, input_ids_1: Tensor, attention_mask_1: Tensor,
                           input_ids_2: Tensor, attention_mask_2: Tensor) -> Tensor:
        """One similarity (B,) per pair on the labels' scale of 0 to 5; clamped to it only if the recipe says so."""
        output = self.predict("sts", input_ids_1, attention_mask_1, input_ids_2, attention_mask_2)
        return self.targets["sts"].decode(output)

    def predict(self, task: str, ids1_BT: Tensor, mask1_BT: Tensor,
                ids2_BT: Tensor | None = None, mask2_BT: Tensor | None = None) -> Tensor:
        """This task's output for sentences tokenised one by one ([CLS] a [SEP] and padding), as the course hands them.

        Texts are truncated as in training; they have no parts of speech. The result depends on neither padding nor on
        the batch's other sentences. In eval mode, where the recipe says `symmetric`, the mean of both orders.
        """
        texts = [(ids1_BT, mask1_BT)] if ids2_BT is None else [(ids1_BT, mask1_BT), (ids2_BT, mask2_BT)]
        both = self.tasks[task].symmetric and not self.training
        outputs = [self.output(task, join_texts(order, self.cls_id, self.sep_id, self.encoding(task)))
                   for order in ((texts, texts[::-1]) if both else (texts,))]
        return torch.stack(outputs).mean(dim=0)


@contextmanager
def dropout_off(model: nn.Module) -> Iterator[None]:
    """Inside, nothing is dropped; afterwards every module is in its own mode again. May be nested."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
