"""What a task adds to BERT's layers, and the layers that take it in: projected attention, low rank, adapters.

Stickland & Murray 2019 (projected attention layers, low rank), Houlsby et al. 2019 (adapters), and the concatenating
variant of a CS224N report. The added modules of one task are one module, its "part", and stand outside of BERT: the
layers here have the parameters of BertLayer and no others. Public copies let the projected attention run over the
batch's sentences instead of a sentence's tokens, forget its mask, or start both projections at zero, where no gradient
ever moves them.
"""

# B batch, T tokens, Q the tokens that ask (all T, or the first alone), D hidden, P the part's own size; a mask is as in
# minbert/attention.py

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from minbert.attention import ALL, SelfAttention
from minbert.bert import BertLayer, gelu, initialise
from minbert.config import BertConfig
from minbert.files import MinbertError
from multitask.recipe import EncoderRecipe

SIZES = {"pal": 204, "low_rank": 100, "concat_pal": 204, "adapters": 64}  # where the recipe names none


class ProjectedAttention(nn.Module):
    """One task's projected attention: two projections that all layers share, and a small attention for every layer.

    1,819,836 parameters for bert-base with the paper's size of 204. Raises MinbertError where the heads do not fit.
    """

    def __init__(self, config: BertConfig, recipe: EncoderRecipe, size: int) -> None:
        super().__init__()
        if size % recipe.heads:
            fitting = recipe.heads * max(1, round(size / recipe.heads))
            raise MinbertError(f"encoder: size {size} is not a multiple of heads {recipe.heads}", f"--set encoder.size={fitting}")
        small = dataclasses.replace(config, hidden_size=size, num_attention_heads=recipe.heads)
        self.down = nn.Linear(config.hidden_size, size)
        self.up = nn.Linear(size, config.hidden_size)
        self.layers = nn.ModuleList(SelfAttention(small) for _ in range(config.num_hidden_layers))
        self.apply(lambda module: initialise(module, config.initializer_range))

    # Exercise 9.1: projected attention
    def forward(self, number: int, hidden_BTD: Tensor, mask: Tensor | None, asking: slice = ALL) -> Tensor:
        """extra_BQD, what the task adds to layer `number`, whose input is `hidden_BTD`.

        Steps: project down; attend to the sentence's tokens in the small space, with this layer's weights; project up;
        GELU (the authors' code has it, the paper's equation does not). There is no output matrix in between.
        """
        # TS(h) = GELU(V_D MultiHead(V_E h))   V_E is `down`, V_D is `up`
        mixed_BQP = self.layers[number](self.down(hidden_BTD), mask, asking=asking)
        return gelu(self.up(mixed_BQP))


class LowRank(nn.Module):
    """One task's low-rank layers: projected attention's plainer rival, two matrices for every layer."""

    def __init__(self, config: BertConfig, recipe: EncoderRecipe, size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleDict({"down": nn.Linear(config.hidden_size, size), "up": nn.Linear(size, config.hidden_size)})
            for _ in range(config.num_hidden_layers)
        )
        self.apply(lambda module: initialise(module, config.initializer_range))

    def forward(self, number: int, hidden_BTD: Tensor, mask: Tensor | None, asking: slice = ALL) -> Tensor:
        """extra_BQD; every token by itself, so the mask is not needed."""
        layer = self.layers[number]
        # TS(h) = V_D GELU(V_E h)   V_E is `down`, V_D is `up`
        return layer["up"](gelu(layer["down"](hidden_BTD[:, asking])))


class ConcatenatedAttention(nn.Module):
    """Projected attention beside BERT's own: a linear layer makes one vector of the two, in every layer.

    Started as [I 0] it passes BERT's own on unchanged; the projected attention then learns from the second step on.
    """

    def __init__(self, config: BertConfig, recipe: EncoderRecipe, size: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.attention = ProjectedAttention(config, recipe, size)
        self.layers = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(config.num_hidden_layers))
        for merge in self.layers:
            initialise(merge, config.initializer_range)
            if recipe.start == "identity":
                nn.init.eye_(merge.weight)

    def forward(self, number: int, context_BQD: Tensor, hidden_BTD: Tensor, mask: Tensor | None,
                asking: slice = ALL) -> Tensor:
        """merged_BQD, in place of `context_BQD`, the output of BERT's own attention."""
        # z = W [s; p] + b
        projected_BQD = self.attention(number, hidden_BTD, mask, asking)
        return self.layers[number](torch.cat([context_BQD, projected_BQD], dim=-1))


class Adapter(nn.Module):
    """A bottleneck with a bypass, which starts as almost nothing but the bypass."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, size), nn.Linear(size, width)
        for linear in (self.down, self.up):  # small, but not zero: zeros would keep the other matrix from learning
            nn.init.trunc_normal_(linear.weight, std=0.01, a=-0.02, b=0.02)
            nn.init.zeros_(linear.bias)

    # Exercise 9.2: adapters
    def forward(self, hidden_BTD: Tensor) -> Tensor:
        """hidden_BTD, changed a little.

        Steps: project down; GELU; project up; add the input.
        """
        # x + W_up GELU(W_down x + b_down) + b_up
        return hidden_BTD + self.up(gelu(self.down(hidden_BTD)))


class Adapters(nn.Module):
    """One task's adapters: two for every layer."""

    def __init__(self, config: BertConfig, recipe: EncoderRecipe, size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleDict({half: Adapter(config.hidden_size, size) for half in ("attention", "feed_forward")})
            for _ in range(config.num_hidden_layers)
        )

    def forward(self, number: int, half: str, hidden_BTD: Tensor) -> Tensor:
        return self.layers[number][half](hidden_BTD)


class TaskLayer(BertLayer):
    """A layer for several tasks. Before each pass the encoder sets `part`: the pass's task's part, bound to this layer's
    number."""

    part: Callable[..., Tensor]


class AddingLayer(TaskLayer):
    """Adds what the part makes of the layer's input (projected attention or low rank) to the layer's last sum."""

    def forward(self, hidden_BTD: Tensor, mask: Tensor | None = None,
                maps: list[Tensor] | None = None, asking: slice = ALL) -> Tensor:
        # y = LN_2(a + FFN(a) + TS(h))
        attended_BQD = self.attend(hidden_BTD, mask, maps, asking)
        return self.feed_forward(attended_BQD, self.part(hidden_BTD, mask, asking))


class ConcatenatingLayer(TaskLayer):
    """Gives the output of its attention, after the output projection, to the part and goes on with what that returns."""

    def attend(self, hidden_BTD: Tensor, mask: Tensor | None = None,
               maps: list[Tensor] | None = None, asking: slice = ALL) -> Tensor:
        context_BQD = self.attention_output(self.attention(hidden_BTD, mask, maps, asking))
        merged_BQD = self.part(context_BQD, hidden_BTD, mask, asking)
        return self.attention_norm(hidden_BTD[:, asking] + self.dropout(merged_BQD))


class AdapterLayer(TaskLayer):
    """Sends the output of each half through an adapter: after the dropout, before the sum and the LayerNorm."""

    def attend(self, hidden_BTD: Tensor, mask: Tensor | None = None,
               maps: list[Tensor] | None = None, asking: slice = ALL) -> Tensor:
        mixed_BQD = self.attention(hidden_BTD, mask, maps, asking)
        output_BQD = self.dropout(self.attention_output(mixed_BQD))
        return self.attention_norm(hidden_BTD[:, asking] + self.part("attention", output_BQD))

    def feed_forward(self, attended_BTD: Tensor) -> Tensor:
        output_BTD = self.dropout(self.output(self.activation(self.intermediate(attended_BTD))))
        return self.output_norm(attended_BTD + self.part("feed_forward", output_BTD))


LAYERS = {"pal": AddingLayer, "low_rank": AddingLayer, "concat_pal": ConcatenatingLayer, "adapters": AdapterLayer}
PARTS = {"pal": ProjectedAttention, "low_rank": LowRank, "concat_pal": ConcatenatedAttention, "adapters": Adapters}
