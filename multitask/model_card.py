"""The model card: README.md of a checkpoint."""

from multitask.recipe import Recipe
from multitask.report import describe_facts
from multitask.tables import TASKS


def describe_files(recipe: Recipe) -> str:
    """Where the checkpoint's BERT lies, and what of it another library can open."""
    if recipe.encoder.kind == "separate":
        return "Each task has a folder with a BERT of its own, which opens in `transformers` as a `BertModel`."
    plain = "`model.safetensors` with `config.json` and `vocab.txt` is the encoder and opens in `transformers` as a `BertModel`"
    return f"{plain}." if recipe.encoder.kind == "shared" else f"{plain}, but without what `{recipe.encoder.kind}` adds to it."


def model_card(recipe: Recipe, facts: dict) -> str:
    """README.md of a checkpoint: what it is, what it learned from, what it must not be trusted with."""
    tasks = ", ".join(f"{name} ({TASKS[name].kind})" for name in recipe.tasks)
    return (f"# {recipe.name}\n\nA BERT fine-tuned with minBERT on {tasks}.\n\n"
            + "".join(f"{line}\n" for line in describe_facts(facts))
            + f"- recipe: recipe.toml in this folder (seed {recipe.seed})\n\n"
            f"{describe_files(recipe)} `heads.safetensors` holds all the rest, one head per task among it; minBERT's "
            "`load_checkpoint` reads both.\n\n"
            "Limits: English text only; film reviews, forum questions and captions of the training sets are not "
            "the language of everybody. Scores of the run stand in `results.json` beside this folder.\n")
