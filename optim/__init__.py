"""Gradients to weights: AdamW by hand and the learning rate's course; knows nothing of text."""

from optim.adamw import AdamW, parameter_groups
from optim.learning_rate import SCHEDULES, HalveOnRise, LearningRate

__all__ = ["SCHEDULES", "AdamW", "HalveOnRise", "LearningRate", "parameter_groups"]
