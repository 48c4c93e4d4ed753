"""Fine-tune BERT on one task at a time: SST (five sentiments), then CFIMDB (two). Part 1 of the course.

    python classifier.py --option finetune

Files and models are found as multitask_classifier.py finds them.
"""

import argparse
import sys
from pathlib import Path

from minbert.hub import find_model
from multitask import command_line as shared
from multitask import processes
from multitask.flags import Parser, run_command
from multitask.launch import find_recorded, train_and_report
from multitask.recipe_files import load_recipe


def main(arguments: list[str]) -> None:
    """Trains SST, then CFIMDB, each in a run folder of its own."""
    parser = Parser(prog="classifier.py", description=__doc__)
    shared.add_common_flags(parser)
    parser.add_argument("--dry_run", action="store_true", help="print what would run, and stop")
    flags = parser.parse_args(arguments)
    mode = shared.chosen_mode(flags) or "last-linear-layer"
    spelled = flags.option or mode  # the course's file names carry the mode as the student typed it
    earlier = find_recorded(flags)
    model = earlier.find_model() if earlier and not flags.model else find_model(flags.model)
    with processes.joined(shared.choose_device(flags.device, flags.use_gpu)):
        for task in tuple(load_recipe(earlier.recipe).tasks) if earlier else ("sst", "cfimdb"):
            files, sample = shared.find_files([task], flags.data_dir, earlier.files if earlier and not flags.data_dir else {})
            name = earlier.recipe if earlier else f"single/{task}-sample" if sample else f"single/{task}"
            recipe = shared.load_with_flags(name, flags, None if earlier else mode)
            predictions = {(task, split): Path("predictions", f"{spelled}-{task}-{split}-out.csv") for split in ("dev", "test")}
            predictions |= earlier.predictions if earlier else {}
            out = flags.out and flags.out / task
            train_and_report(recipe, argparse.Namespace(**vars(flags) | {"out": out}), files, model, predictions)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
