"""From token vectors to a task's output: pooling, features of a pair, and the heads.

Source: five reports of the CS224N default project. Unlike public code, padding is in no mean, and no batch of one loses
its axis.
"""

# B batch, T tokens, D hidden, F features, C columns of the output

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minbert.bert import initialise
from multitask.recipe import TaskRecipe
from multitask.tables import Task
from multitask.targets import find_target


# Exercise 6.1: mean pooling
def mean_pool(hidden_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """sentence_BD: the mean vector of the tokens whose mask is 1: real ones, [CLS] and [SEP] included unless masked too.

    Steps: set padding to zero; sum over tokens; divide by the number of real tokens (at least 1).
    """
    weights_BT1 = mask_BT.to(hidden_BTD.dtype)[:, :, None]
    return (hidden_BTD * weights_BT1).sum(dim=1) / weights_BT1.sum(dim=1).clamp(min=1)


# Exercise 6.2: features of a pair
def difference_features(u_BD: Tensor, v_BD: Tensor) -> Tensor:
    """features_BF with F = 3 D: both vectors and how far apart they are, in the order [u, |u - v|, v]."""
    return torch.cat([u_BD, (u_BD - v_BD).abs(), v_BD], dim=-1)


# Exercise 6.2: features of a pair
def concat_features(u_BD: Tensor, v_BD: Tensor) -> Tensor:
    """features_BF with F = 2 D: [u, v]."""
    return torch.cat([u_BD, v_BD], dim=-1)


# Exercise 6.2: features of a pair
def square_features(u_BD: Tensor, v_BD: Tensor) -> Tensor:
    """features_BF with F = 4 D: [u, v, (u - v)^2, |u - v|]."""
    return torch.cat([u_BD, v_BD, (u_BD - v_BD).square(), (u_BD - v_BD).abs()], dim=-1)


def make_projection(kind: str, width: int, dropout: float) -> nn.Sequential:
    """What each sentence of a pair goes through by itself, with the same weights: Linear(D(u)) or D(ReLU(Linear(u)))."""
    if kind == "linear":
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, width))
    if kind == "relu":
        return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))
    return nn.Sequential()


class ScaledSigmoid(nn.Module):
    """From any number into the range of the labels."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, output_B1: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * output_B1.sigmoid()


class FeatureHead(nn.Module):
    """A linear layer or a perceptron over one vector or over the features of two.

    Dropout acts once: at the input (of sentences that are projected, in the projection), or before the last layer.
    """

    def __init__(self, task: Task, recipe: TaskRecipe, hidden_size: int) -> None:
        super().__init__()
        at_input = recipe.dropout_at == "input"
        self.project = make_projection(recipe.projection, hidden_size, recipe.dropout if at_input else 0.0)
        self.combine = FEATURES[recipe.features] if recipe.encoding == "independent" else None
        width = hidden_size * (FEATURE_WIDTH[recipe.features] if self.combine else 1)
        layers = [nn.Dropout(recipe.dropout)] if at_input and recipe.projection == "none" else []
        for size in recipe.hidden if recipe.head == "mlp" else ():
            layers += [nn.Linear(width, size), *([nn.LayerNorm(size)] if recipe.norm else []), ACTIVATIONS[recipe.activation]()]
            width = size
        if not at_input:
            layers.append(nn.Dropout(recipe.dropout))
        layers.append(nn.Linear(width, find_target(task, recipe).columns))
        if recipe.output_range == "sigmoid":
            layers.append(ScaledSigmoid(task.low, task.high))
        self.layers = nn.Sequential(*layers)
        self.apply(lambda module: initialise(module, 0.02))

    def forward(self, *sentences_BD: Tensor) -> Tensor:
        """output_BC, where C is 1 for targets of a single number."""
        projected = [self.project(sentence_BD) for sentence_BD in sentences_BD]
        return self.layers(self.combine(*projected) if self.combine else projected[0])


class CosineHead(nn.Module):
    """The cosine of two sentence vectors, moved to the task's range; no parameters but the projection's."""

    def __init__(self, task: Task, recipe: TaskRecipe, hidden_size: int) -> None:
        super().__init__()
        self.low, self.high = task.low, task.high
        self.move = COSINE_RANGES[recipe.cosine_range]
        self.project = make_projection(recipe.projection, hidden_size, recipe.dropout)
        if recipe.projection == "none":
            self.project = nn.Sequential(nn.Dropout(recipe.dropout))
        self.apply(lambda module: initialise(module, 0.02))

    def forward(self, u_BD: Tensor, v_BD: Tensor) -> Tensor:
        """output_B1; where the two vectors are the same, the task's highest label."""
        cosine_B1 = F.cosine_similarity(self.project(u_BD), self.project(v_BD), dim=-1)[:, None]
        return self.low + (self.high - self.low) * self.move(cosine_B1)


FEATURES = {"concat": concat_features, "difference": difference_features, "squares": square_features}
FEATURE_WIDTH = {"concat": 2, "difference": 3, "squares": 4}
ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU, "none": nn.Identity}
# cosine -> share of the way from the lowest to the highest label; times5 goes below the lowest
COSINE_RANGES = {"affine": lambda cosine: (cosine + 1) / 2, "positive": lambda cosine: cosine.clamp(min=0),
                 "times5": lambda cosine: cosine}
HEADS = {"linear": FeatureHead, "mlp": FeatureHead, "cosine": CosineHead}
