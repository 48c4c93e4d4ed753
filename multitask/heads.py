"""From token vectors to a task's output: pooling, features of a pair, and the heads."""

# B batch, T tokens, D hidden, F features, C classes

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minbert.bert import initialise
from multitask.recipe import TaskRecipe
from multitask.tables import Task


# Exercise 6.1: mean pooling
def mean_pool(hidden_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """sentence_BD: the mean vector of each sentence's real tokens, [CLS] and [SEP] included.

    Steps: set padding to zero; sum over tokens; divide by the number of real tokens (at least 1).
    """
    weights_BT1 = mask_BT.to(hidden_BTD.dtype)[:, :, None]
    return (hidden_BTD * weights_BT1).sum(dim=1) / weights_BT1.sum(dim=1).clamp(min=1)


# Exercise 6.2: features of a pair
def difference_features(u_BD: Tensor, v_BD: Tensor) -> Tensor:
    """features_BF with F = 3 D: both vectors and how far apart they are, in the order [u, |u - v|, v]."""
    return torch.cat([u_BD, (u_BD - v_BD).abs(), v_BD], dim=-1)


def concat_features(u_BD: Tensor, v_BD: Tensor) -> Tensor:
    """features_BF with F = 2 D: [u, v]."""
    return torch.cat([u_BD, v_BD], dim=-1)


class FeatureHead(nn.Module):
    """Dropout, then a linear layer or a two-layer perceptron over one vector or over the features of two."""

    def __init__(self, task: Task, recipe: TaskRecipe, hidden_size: int) -> None:
        super().__init__()
        self.combine = FEATURES[recipe.features] if recipe.encoding == "independent" else None
        width = hidden_size * (FEATURE_WIDTH[recipe.features] if self.combine else 1)
        outputs = task.classes if task.kind == "classes" else 1
        layers = [nn.Dropout(recipe.dropout)]
        if recipe.head == "mlp":
            layers += [nn.Linear(width, recipe.hidden), ACTIVATIONS[recipe.activation]()]
            width = recipe.hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, outputs))
        self.apply(lambda module: initialise(module, 0.02))

    def forward(self, *sentences_BD: Tensor) -> Tensor:
        """output_BC, where C is 1 for tasks with a single number."""
        return self.layers(self.combine(*sentences_BD) if self.combine else sentences_BD[0])


class CosineHead(nn.Module):
    """The cosine of two sentence vectors, moved from [-1, 1] to the task's range; no parameters but dropout's mask."""

    def __init__(self, task: Task, recipe: TaskRecipe, hidden_size: int) -> None:
        super().__init__()
        self.low, self.high = task.low, task.high
        self.dropout = nn.Dropout(recipe.dropout)

    def forward(self, u_BD: Tensor, v_BD: Tensor) -> Tensor:
        """output_B1 between the task's lowest and highest label."""
        cosine_B1 = F.cosine_similarity(self.dropout(u_BD), self.dropout(v_BD), dim=-1)[:, None]
        return self.low + (self.high - self.low) * (cosine_B1 + 1) / 2


FEATURES = {"concat": concat_features, "difference": difference_features}
FEATURE_WIDTH = {"concat": 2, "difference": 3}
ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU, "none": nn.Identity}
HEADS = {"linear": FeatureHead, "mlp": FeatureHead, "cosine": CosineHead}
