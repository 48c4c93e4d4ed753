"""From the start of a process to a loaded model and tokenizer: ours, `transformers`', and `import torch` alone."""

import json
import os
import statistics
import subprocess
import sys
from functools import partial

import torch

from benchmarks.peers import describe_difference
from benchmarks.rows import Outcome, cost_row
from benchmarks.setting import Setting
from benchmarks.timing import Timing, interleave
from minbert.files import MinbertError

PROGRAMS = {
    "ours": """
from minbert import BertModel, BertTokenizer
model, tokenizer = BertModel.from_pretrained(folder), BertTokenizer.from_pretrained(folder)
""",
    "theirs": """
from transformers import AutoTokenizer, BertModel
model, tokenizer = BertModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
""",
    "torch": """
import torch
""",
}
# what shows, untimed, that the same has been loaded
SHOW = """
import json
output = model(**tokenizer(["A charming and often affecting journey."], return_tensors="pt"))["last_hidden_state"]
print(json.dumps(output.flatten().tolist()))
"""
ROUNDS = 9


def measure(setting: Setting) -> Outcome:
    """Raises MinbertError where a process fails or the two models' vectors differ."""
    # these come first, so that the files are in memory when time is taken
    ours, theirs = (torch.tensor(json.loads(run(setting, PROGRAMS[name] + SHOW).splitlines()[-1])) for name in ("ours", "theirs"))
    same = describe_difference(float((ours - theirs).abs().max()), "the vectors of a sentence")
    timing = interleave({name: partial(start, setting, program) for name, program in PROGRAMS.items()}, ROUNDS, warm_up=False)
    row = cost_row("start to loaded model and tokenizer", "transformers", timing, "ours", "theirs", goal=0.38)
    alone, *over = (statistics.median(seconds) for seconds in split_seconds(timing))
    return Outcome((row,), same, (f"medians: `import torch` alone takes {alone:.2f} s; within a round ours takes "
                                  f"{over[0]:.2f} s longer, theirs {over[1]:.2f} s",), timing.dropped, timing.disturbed)


def split_seconds(timing: Timing) -> list[list[float]]:
    """Of every round: what `import torch` takes, and how much longer ours takes, and theirs."""
    ours, theirs, alone = ([1 / rate for rate in timing.rates(name)] for name in ("ours", "theirs", "torch"))
    return [alone, *([whole - part for whole, part in zip(side, alone, strict=True)] for side in (ours, theirs))]


def start(setting: Setting, program: str) -> int:
    run(setting, program)
    return 1


def run(setting: Setting, program: str) -> str:
    """What a new Python prints that runs the program. Raises MinbertError where it fails.

    Nobody looks for the model on the network, and no progress is shown."""
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run([sys.executable, "-c", f"folder = {str(setting.folder)!r}\n{program}"], env=os.environ | quiet,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise MinbertError(f"a process that was to be timed ended with status {done.returncode}", done.stderr[-1000:])
    return done.stdout
