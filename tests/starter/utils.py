"""What the starter's own files share: the additive mask, a module's dtype, and downloading (which no test does)."""

import importlib_metadata
import requests
import torch
from filelock import FileLock

CONFIG_NAME = "config.json"
TORCH_VERSION = importlib_metadata.version("torch")


def cached_path(url, file):
    with FileLock(file + ".lock"), open(file, "wb") as target:
        target.write(requests.get(url, headers={"user-agent": f"torch/{TORCH_VERSION}"}).content)
    return file


def get_parameter_dtype(module: torch.nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype


def get_extended_attention_mask(attention_mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """[B, L] of 1 (real) and 0 (padding) -> [B, 1, 1, L] of 0 and -10000, to be added to the scores."""
    return (1.0 - attention_mask[:, None, None, :].to(dtype)) * -10000.0
