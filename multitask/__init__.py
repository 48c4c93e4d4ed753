"""The multitask layer: data, heads, objectives, schedules, the training loop and its evaluation."""
