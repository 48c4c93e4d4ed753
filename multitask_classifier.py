"""Fine-tune one BERT on sentiment, paraphrase and similarity together, evaluate it, and write the predictions.

    python multitask_classifier.py --option finetune

works anywhere: without the course's data in data/ it uses small bundled samples, without bert-base-uncased a small
packaged model, and says so. Settings that no flag gives come from a recipe (--list_recipes).
"""

import sys
from pathlib import Path

from minbert.files import MinbertError
from minbert.hub import find_model
from multitask import command_line as shared
from multitask.flags import Parser, run_command
from multitask.launch import find_recorded, train_and_report
from multitask.recipe_files import list_recipes
from multitask.results import list_table
from multitask.tables import COURSE_TASKS, SPLITS, TASKS


def make_parser() -> Parser:
    """The course's flags, and those for recipes and files."""
    parser = Parser(prog="multitask_classifier.py", description=__doc__)
    shared.add_common_flags(parser)
    recipes = parser.add_argument_group("recipes")
    recipes.add_argument("--recipe", metavar="NAME_OR_FILE",
                         help="what to train and how (default: baseline on the course's data, quick on the samples)")
    recipes.add_argument("--list_recipes", action="store_true", help="print all recipes and stop")
    recipes.add_argument("--dry_run", action="store_true", help="print the resolved recipe, sizes and time, and stop")
    files = parser.add_argument_group("files")
    for task in COURSE_TASKS:
        for split in SPLITS:
            files.add_argument(f"--{task}_{split}", type=Path, metavar="FILE",
                               help=f"default: DATA_DIR/{TASKS[task].file_name(split)}")
        for split in ("dev", "test"):
            files.add_argument(f"--{task}_{split}_out", type=Path, metavar="FILE",
                               help=f"default: {default_prediction_path(task, split)}")
    return parser


def default_prediction_path(task: str, split: str) -> Path:
    return Path("predictions", f"{task}-{split}-output.csv")


def main(arguments: list[str]) -> None:
    """Finds the files, the recipe and the model that the flags mean, and trains."""
    flags = make_parser().parse_args(arguments)
    if flags.list_recipes:
        print(list_table(list_recipes()))
        return
    given = {(task, split): path for task in COURSE_TASKS for split in SPLITS
             if (path := getattr(flags, f"{task}_{split}"))}
    earlier = find_recorded(flags)
    named = given if earlier is None or flags.data_dir else earlier.files | given
    if earlier or flags.recipe:
        mode, name = shared.chosen_mode(flags), flags.recipe or earlier.recipe
    else:
        mode = shared.chosen_mode(flags) or "last-linear-layer"
        name = "quick" if shared.find_files(COURSE_TASKS, flags.data_dir, named)[1] else "baseline"
    recipe = shared.load_with_flags(name, flags, mode)
    if idle := [f"--{task}_{split}" for task, split in given if task not in recipe.tasks]:
        raise MinbertError(f"{idle[0]} is given, but the tasks of recipe {recipe.name} are {', '.join(recipe.tasks)}",
                           f"leave {idle[0]} out, or choose another recipe")
    files, _ = shared.find_files(tuple(recipe.tasks), flags.data_dir, named)
    predictions = {(task, split): default_prediction_path(task, split) for task in recipe.tasks for split in ("dev", "test")}
    predictions |= earlier.predictions if earlier else {}
    predictions |= {key: path for key in predictions if (path := getattr(flags, f"{'_'.join(key)}_out", None))}
    model = earlier.find_model() if earlier and not flags.model else find_model(flags.model or recipe.model or None)
    train_and_report(recipe, flags, files, model, predictions)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
