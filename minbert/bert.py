"""The BERT encoder: embeddings, a stack of post-LayerNorm layers, and the pooler (Devlin et al. 2019).

Written by hand; loads and gives the numbers of pretrained checkpoints. Knows nothing of tasks.
"""

# B batch, T tokens, Q the tokens that ask (all T, or the first alone), D hidden; a layer's mask is as in attention.py

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minbert.attention import ALL, SelfAttention
from minbert.config import BertConfig
from minbert.dropout import Dropout
from minbert.embeddings import BertEmbeddings


# Exercise 4.1: GELU
def gelu(input: Tensor) -> Tensor:
    """Gaussian error linear unit, elementwise and exact (Hendrycks & Gimpel 2016).

    Steps: multiply the input by the probability that a standard normal variable is below it.
    """
    # GELU(z) = z Phi(z) = z/2 (1 + erf(z / sqrt 2)); torch computes exactly this in one pass
    return F.gelu(input)


def gelu_tanh(input: Tensor) -> Tensor:
    """The tanh approximation of GELU; differs from the exact form by at most 4.8e-4."""
    return F.gelu(input, approximate="tanh")


class BertLayer(nn.Module):
    """One encoder layer in two halves, so that a subclass can add to either (adapters, projected attention)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.attention_output = nn.Linear(config.hidden_size, config.hidden_size)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.output_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    # Exercise 4.2: the attention half of a layer
    def attend(self, hidden_BTD: Tensor, mask: Tensor | None = None,
               maps: list[Tensor] | None = None, asking: slice = ALL) -> Tensor:
        """attended_BQD, for the tokens that are `asking`.

        Steps: self-attention; the output projection; dropout AFTER the projection; add the input; LayerNorm.
        """
        # a = LN_1(x + Dropout(W_o Attention(x) + b_o))
        mixed_BQD = self.attention(hidden_BTD, mask, maps, asking)
        return self.attention_norm(hidden_BTD[:, asking] + self.dropout(self.attention_output(mixed_BQD)))

    # Exercise 4.3: the feed-forward half of a layer
    def feed_forward(self, attended_BTD: Tensor, extra_BTD: Tensor | None = None) -> Tensor:
        """hidden_BTD, the layer's output. `extra_BTD`, where given, is added inside the last sum.

        Steps: widen to the intermediate size; activation; narrow; dropout AFTER the second projection; add the
        input (and the extra); LayerNorm.
        """
        # y = LN_2(a + Dropout(W_2 GELU(W_1 a + b_1) + b_2))
        output_BTD = self.dropout(self.output(self.activation(self.intermediate(attended_BTD))))
        if extra_BTD is not None:
            output_BTD = output_BTD + extra_BTD
        return self.output_norm(attended_BTD + output_BTD)

    def forward(self, hidden_BTD: Tensor, mask: Tensor | None = None,
                maps: list[Tensor] | None = None, asking: slice = ALL) -> Tensor:
        return self.feed_forward(self.attend(hidden_BTD, mask, maps, asking))


class BertModel(nn.Module):
    """BERT without a task: token ids in, one vector per token and one per sentence out."""

    def __init__(self, config: BertConfig, layer: Callable[[BertConfig], nn.Module] = BertLayer) -> None:
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(config)
        self.layers = nn.ModuleList(layer(config) for _ in range(config.num_hidden_layers))
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        self.apply(lambda module: initialise(module, config.initializer_range))

    @staticmethod
    def from_pretrained(name_or_path: str | Path, layer: Callable[[BertConfig], nn.Module] = BertLayer) -> "BertModel":
        """The model in a folder, or of a name that `minbert.hub` finds; in eval mode, float32.

        Raises MinbertError where it cannot be found, or its tensors do not fit its configuration.
        """
        from minbert.hub import find_model
        from minbert.weights import load_folder  # imported here: weights knows this module's names

        model, report = load_folder(find_model(str(name_or_path)).folder, layer)
        for note in report.notes:
            warnings.warn(f"{name_or_path}: {note}", stacklevel=2)
        return model

    def embed(self, input_ids: Tensor | None = None, token_type_ids: Tensor | None = None,
              inputs_embeds: Tensor | None = None) -> Tensor:
        """embedded_BTD: the first half of the model. `inputs_embeds` (B, T, D) replaces the word vectors only.

        Raises ValueError for sentences longer than the position table, or where not exactly one input is given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds, and not both")
        shape = inputs_embeds.shape[:2] if input_ids is None else input_ids.shape
        if len(shape) != 2:
            raise ValueError(f"input_ids has shape {tuple(shape)}, expected (batch, tokens)")
        longest = self.config.max_position_embeddings
        if shape[1] > longest:
            raise ValueError(f"{shape[1]} tokens are more than the {longest} positions of this model: truncate when "
                             "encoding (truncation=True, max_length=...)")
        words_BTD = self.embeddings.word(input_ids) if inputs_embeds is None else inputs_embeds
        if token_type_ids is None:
            token_type_ids = torch.zeros(shape, dtype=torch.long, device=words_BTD.device)
        return self.embeddings(words_BTD, token_type_ids)

    def encode(self, embedded_BTD: Tensor, mask: Tensor | None = None,
               states: list[Tensor] | None = None, maps: list[Tensor] | None = None,
               first_only: bool = False) -> Tensor:
        """hidden_BQD: the second half of the model. `mask` (B, T) is 1 (or True) at real tokens, 0 at padding; with
        shape (B, T, T) it says for every token (the second axis) which ones it may see.

        Only real tokens' vectors mean anything: what stands at padding is finite and to be left out by whoever pools.
        Where `states` and `maps` are lists, all hidden states (L + 1) and attention maps (L) are added to them.
        `first_only` spares the last layer the tokens after the first, for those who pool [CLS] alone: then Q is 1.
        """
        if mask is not None:  # an axis for the heads, and where all tokens see the same, one for the tokens that ask
            mask = mask.bool()[:, None, None, :] if mask.dim() == 2 else mask.bool()[:, None]
        hidden_BQD = embedded_BTD
        for layer in self.layers:
            if states is not None:
                states.append(hidden_BQD)
            asking = slice(0, 1) if first_only and layer is self.layers[-1] else ALL
            hidden_BQD = layer(hidden_BQD, mask, maps, asking)
        if states is not None:
            states.append(hidden_BQD)
        return hidden_BQD

    # Exercise 4.4: the pooler
    def pool(self, hidden_BTD: Tensor) -> Tensor:
        """pooled_BD, the sentence vector that next-sentence prediction was trained on.

        Steps: take the first token's vector ([CLS]); the pooler's linear layer; tanh.
        """
        return torch.tanh(self.pooler(hidden_BTD[:, 0]))

    def forward(self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None,
                token_type_ids: Tensor | None = None, inputs_embeds: Tensor | None = None,
                output_hidden_states: bool = False, output_attentions: bool = False) -> dict[str, Tensor]:
        """`last_hidden_state` (B, T, D) and `pooler_output` (B, D); on request also `hidden_states`
        (L + 1 times (B, T, D), the embeddings first) and `attentions` (L times (B, heads, T, T))."""
        states = [] if output_hidden_states else None
        maps = [] if output_attentions else None
        embedded_BTD = self.embed(input_ids, token_type_ids, inputs_embeds)
        hidden_BTD = self.encode(embedded_BTD, attention_mask, states, maps)
        result = {"last_hidden_state": hidden_BTD, "pooler_output": self.pool(hidden_BTD)}
        if output_hidden_states:
            result["hidden_states"] = tuple(states)
        if output_attentions:
            result["attentions"] = tuple(maps)
        return result


def initialise(module: nn.Module, spread: float) -> None:
    """BERT's own start: weights from a normal distribution of standard deviation `spread`, biases 0, LayerNorm 1 and 0."""
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=spread)
    if isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
    if isinstance(module, (nn.Linear, nn.LayerNorm)) and module.bias is not None:
        nn.init.zeros_(module.bias)


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh}
