"""Programs for those who work on the project; nothing in minbert, optim or multitask imports them."""
