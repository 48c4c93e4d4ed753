"""What lets sentence-transformers open a checkpoint: how token vectors become the vector of a sentence.

The layout is that of sentence-transformers' own folders, with the old names, which all its versions read. It can pool
[CLS], the mean of all tokens, or the pooler; other poolings are not written rather than replaced by one like them.
"""

import json
from pathlib import Path

from minbert.bert import BertModel
from minbert.files import write_manifest, write_text
from minbert.tensor_files import write_tensors
from multitask.recipe import Recipe, TaskRecipe

ORDER = ("independent", "single", "pair")  # whose pooling the exported vector has: first those that compare sentences


def is_written(settings: TaskRecipe) -> bool:
    """Whether sentence-transformers can pool as this task does."""
    return settings.pooling in ("cls", "pooler") or (settings.pooling == "mean" and settings.mean_of == "all")


def find_pooling_task(recipe: Recipe, bert: str) -> str | None:
    """The task whose pooling the exported vector has, of those that the BERT of this name serves ("" serves all).

    None where no task pools in a way that can be written, or the BERT alone is not what the tasks read.
    """
    if recipe.encoder.kind not in ("shared", "separate"):
        return None
    names = [bert] if bert else list(recipe.tasks)
    fitting = [name for name in names if is_written(recipe.tasks[name])]
    return min(fitting, key=lambda name: ORDER.index(recipe.tasks[name].encoding), default=None)


def write_sentence_files(folder: Path, bert: BertModel, pooling: str, max_length: int) -> None:
    """Adds modules.json and a folder for each module to a saved BERT, and writes its manifest again."""
    modules = {"": "Transformer", "1_Pooling": "Pooling"}
    width = bert.config.hidden_size
    write_json(folder / "1_Pooling" / "config.json", {
        "word_embedding_dimension": width, "pooling_mode_cls_token": pooling != "mean",
        "pooling_mode_mean_tokens": pooling == "mean", "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False})
    if pooling == "pooler":  # the library drops a BERT's own pooler: here it is a layer behind [CLS]
        modules["2_Dense"] = "Dense"
        write_json(folder / "2_Dense" / "config.json", {
            "in_features": width, "out_features": width, "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh"})
        write_tensors(folder / "2_Dense" / "model.safetensors",
                      {f"linear.{name}": tensor for name, tensor in bert.pooler.state_dict().items()})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    write_json(folder / "modules.json", [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (path, kind) in enumerate(modules.items())])
    write_manifest(folder)


def write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")
