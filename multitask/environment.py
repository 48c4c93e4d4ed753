"""What a run ran on: versions, device, threads, git commit."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch

import minbert


def environment(device: torch.device) -> dict:
    """What environment.json holds, beside the facts of model and data."""
    commit = ""
    if shutil.which("git"):
        commit = subprocess.run(["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
                                capture_output=True, text=True, check=False).stdout.strip()
    return {"minbert": minbert.__version__, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__, "commit": commit, **hardware(device)}


def hardware(device: torch.device) -> dict:
    cores = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cores
    return {"device": str(device), "hardware": name, "platform": platform.platform()}
