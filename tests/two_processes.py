"""What one of several processes trains in tests/test_processes.py; run as a script, with torchrun's environment set by hand.

    two_processes.py KIND STEPS OUT
"""

import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from small_run import data, make_model, recipe, tokenizer  # noqa: E402

from minbert.tensor_files import write_tensors  # noqa: E402
from multitask import processes  # noqa: E402
from multitask.evaluate import predict  # noqa: E402
from multitask.recipe import OptimizerRecipe  # noqa: E402
from multitask.stage import Parts, start_stage  # noqa: E402
from multitask.train import run_stage  # noqa: E402

JOINT = {"schedule": "joint_min", "epochs": 9}
STAGES = {
    "sum": JOINT,
    "pcgrad": JOINT | {"combine": "pcgrad"},
    "gradvac": JOINT | {"combine": "gradvac", "gradvac_beta": 0.5},
    "accumulate": JOINT | {"combine": "pcgrad", "accumulate": 2, "batch_size": 3, "accumulate_by": "sum"},
    "nominal": {"schedule": "round_robin", "epochs": 9, "short_batches": "nominal", "batch_size": 3},
    "frozen": {"schedule": "round_robin", "epochs": 9, "train": "last-linear-layer"},
    "masked_lm": {"schedule": "round_robin", "length": "min", "epochs": 30, "objectives": ("masked_lm", "sst")},
    "ranking": {"schedule": "sequential_epoch", "epochs": 30, "objectives": ("ranking",), "batch_size": 4},
    "one row": {"schedule": "round_robin", "epochs": 9, "batch_size": 1},
}


def train(kind: str, steps: int, dropout: float = 0.0) -> dict[str, torch.Tensor]:
    """The weights after so many steps, every loss on the way, and the outputs on dev."""
    # eps: the gradient of a key's bias is 0 but for rounding; with the usual 1e-8 AdamW makes steps of full size of that
    settings = OptimizerRecipe(learning_rate=1e-3, schedule="constant", eps=1e-3)
    some_recipe = replace(recipe(**STAGES[kind]), optimizer=settings)
    some_recipe = replace(some_recipe, tasks={name: replace(task, dropout=dropout) for name, task in some_recipe.tasks.items()})
    model = make_model(some_recipe, dropout)
    parts = Parts(model, tokenizer(), data())
    state, schedule = start_stage(some_recipe, 0, parts)
    losses, rows = [], []
    for step in run_stage(state, schedule, some_recipe.stages[0].epochs, clip=1.0):
        losses += step.losses.values()
        rows.append(step.rows)
        if len(rows) == steps:
            break
    found = {f"weights.{name}": tensor.clone() for name, tensor in model.state_dict().items()}
    outputs = {f"dev.{name}": torch.from_numpy(predict(model, tokenizer(), name, parts.data[name].dev)) for name in parts.data}
    return found | outputs | {"losses": torch.stack(losses), "rows": torch.tensor(rows)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    processes.BUCKET = 400  # some gradients travel together, some alone
    kinds, steps, out = sys.argv[1].split(","), int(sys.argv[2]), Path(sys.argv[3])
    with processes.joined(torch.device("cpu")):
        for kind in kinds:
            write_tensors(out / f"{kind}-{processes.number()}.safetensors", train(kind, steps))
        write_tensors(out / f"dropout-{processes.number()}.safetensors", train("sum", 3, dropout=0.5))
