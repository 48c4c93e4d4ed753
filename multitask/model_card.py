"""The model card: README.md of a checkpoint, with the front matter that model hubs read.

It is written with every best epoch, and again, with the scores, when the run has ended. No manifest lists it: it is a note.
"""

import json
import shlex
from collections.abc import Iterator

from minbert.hub import SHORT_NAMES
from multitask.recipe import Recipe
from multitask.results import HEADINGS, escape, result_rows
from multitask.sentence_files import find_pooling_task
from multitask.tables import TASKS

TEXTS = {  # what the course's files hold; whose language that is
    "sst": "sentences of English film reviews (Rotten Tomatoes, up to 2005), judged by paid annotators",
    "para": "questions that Quora's users asked in English, labelled by Quora, not without mistakes",
    "sts": "headlines, captions and forum posts in English, judged by paid annotators",
    "cfimdb": "English film reviews of IMDb's users",
}
POOLED = {"cls": "the vector of [CLS]", "mean": "the mean of all tokens' vectors",
          "pooler": "the pooler's, tanh(W x + b) of the vector of [CLS]"}


def model_card(recipe: Recipe, facts: dict, command: str, results: dict | None = None) -> str:
    """README.md of a checkpoint: what it is, what it learned from, how good it is, what it must not be trusted with.

    `results` is what results.json holds; None before the run has ended.
    """
    tasks = ", ".join(f"{name} ({TASKS[name].kind})" for name in recipe.tasks)
    return "\n".join([
        *front_matter(recipe, facts), "", f"# {escape(recipe.name)}", "",
        f"A BERT fine-tuned with minBERT on {tasks}.", "",
        *describe_training(recipe, facts, command), "",
        "## Scores", "", *describe_scores(results), "",
        "## Files", "", *describe_files(recipe), "",
        "## Limits", "", *describe_limits(recipe, facts)]) + "\n"


def front_matter(recipe: Recipe, facts: dict) -> list[str]:
    """YAML. Every value is written as JSON, which YAML reads too, so that no name can add a key."""
    values = {"language": "en", "tags": ["bert", "minbert"]}
    if find_pooling_task(recipe, "") and recipe.encoder.kind == "shared":
        values |= {"library_name": "sentence-transformers", "pipeline_tag": "sentence-similarity"}
        values["tags"].append("sentence-transformers")
    model = facts.get("model", "")
    if model in SHORT_NAMES or "/" in model:  # else a folder of the user's, which no hub knows
        values["base_model"] = SHORT_NAMES.get(model, (model,))[0]
    return ["---", *(f"{name}: {json.dumps(value)}" for name, value in values.items()), "---"]


def describe_training(recipe: Recipe, facts: dict, command: str) -> Iterator[str]:
    """Data, base model, recipe, seed and command, as one would need them to do it again."""
    yield from ("## Training", "", f"- base model: {escape(facts.get('model', 'unknown'))}")
    if note := facts.get("model_note"):
        yield f"- on the base model: {escape(note)}"
    if sha256 := facts.get("model_sha256"):
        yield f"- SHA-256 of its weights: {escape(sha256)}"
    yield f"- recipe: {escape(recipe.name)} ({escape(recipe.source)}), in full in recipe.toml"
    yield from (f"- seed: {recipe.seed}", f"- data: {escape(facts.get('data', 'unknown'))}", "")
    if files := facts.get("data_sha256"):
        yield from ("| file | SHA-256 |", "|---|---|", *(f"| {escape(name)} | {sha256} |" for name, sha256 in files.items()), "")
    yield from ("The command:", "", "    " + shorten_command(command))


def shorten_command(command: str) -> str:
    """The command in one line, without the path of its Python, which is of no use elsewhere and names the user."""
    words = shlex.split(command)
    return shlex.join(["python", *words[1:]]).replace("\n", " ").replace("\r", " ")


def describe_scores(results: dict | None) -> Iterator[str]:
    """Tables of dev and, where its labels were there, test."""
    if results is None:
        yield "The run had not ended when this was written: no scores yet."
        return
    for split in ("dev", "test"):
        if split in results:
            yield from (f"On {split}:", "", f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|")
            yield from (f"| {' | '.join(row)} |" for row in result_rows(results, split))
            yield ""
    yield (f"The checkpoint is that of stage {results['best_stage']}, epoch {results['best_epoch']}, chosen by "
           f"{results['select_by']} on dev: its dev scores are slightly flattered. Intervals hold the chance of which "
           "examples were drawn, not that of another seed.")


def describe_files(recipe: Recipe) -> Iterator[str]:
    """Where the checkpoint's BERT lies, what of it other libraries can open, and what a sentence's vector is there."""
    separate, kind = recipe.encoder.kind == "separate", recipe.encoder.kind
    if separate:
        yield "Each task has a folder with a BERT of its own, which opens in `transformers` as a `BertModel`."
    else:
        without = "" if kind == "shared" else f", but without what `{kind}` adds to it"
        yield ("`model.safetensors` with `config.json` and `vocab.txt` is the encoder and opens in `transformers` as a "
               f"`BertModel`{without}.")
    yield ("`heads.safetensors` holds all the rest, one head per task among it; `python -m multitask.predict --run FOLDER` and "
           "minBERT's `load_checkpoint` read both.")
    yield ""
    for bert in recipe.tasks if separate else ("",):
        place = f"The folder {bert}" if bert else "This folder"
        if task := find_pooling_task(recipe, bert):
            also = [name for name in recipe.tasks if not separate and recipe.tasks[name].pooling != recipe.tasks[task].pooling]
            others = f" Otherwise pool: {', '.join(also)}." if also else ""
            yield (f"{place} opens in sentence-transformers: a sentence's vector is {POOLED[recipe.tasks[task].pooling]}, as "
                   f"{task} reads it before its head.{others}")
        else:
            yield (f"{place} is not made for sentence-transformers: it would take the mean of all tokens of the plain BERT, "
                   "which is not what a task here reads.")
    if recipe.preprocess != "raw":
        yield f"Texts were first rewritten as `preprocess = \"{recipe.preprocess}\"` says, which other libraries do not do."
    if recipe.features.part_of_speech != "none":
        yield "The tasks also read parts of speech, which other libraries leave out."


def describe_limits(recipe: Recipe, facts: dict) -> Iterator[str]:
    """Whose language it learned, and what its scores and answers do not say."""
    yield "- English only. It has seen no other language's examples, and its scores say nothing about any."
    if facts.get("data", "").startswith("bundled samples"):
        yield ("- Trained on sample sentences written for minBERT, a few hundred a task: it shows that training works. Do not "
               "use its answers.")
    else:
        yield from (f"- {name}: where the files were the course's, {TEXTS[name]}. Other voices and topics were not there."
                    for name in recipe.tasks if name in TEXTS)
    yield "- Probabilities are the model's own and were not calibrated."
    yield ("- Not to be trusted with decisions about people: it was tested on nothing of the kind. What its pre-training took "
           "from books and the web, prejudices included, is still in it.")
