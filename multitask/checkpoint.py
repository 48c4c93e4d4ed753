"""A trained multitask model as a folder that the ecosystem can open as a BERT, with what is beyond BERT beside it."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from minbert.files import MANIFEST, MinbertError, atomic_folder, verify_manifest, write_text
from minbert.tensor_files import read_tensors, write_tensors
from minbert.tokenizer import BertTokenizer
from minbert.weights import copy_tensors, load_folder, save_model
from multitask.encoders import make_encoder
from multitask.model import MultitaskBert
from multitask.recipe import Recipe
from multitask.recipe_files import load_recipe, to_toml
from multitask.sentence_files import find_pooling_task, write_sentence_files


def build_model(recipe: Recipe, folder: Path, tokenizer: BertTokenizer) -> MultitaskBert:
    """The recipe's model with pretrained weights from `folder`; all else is fresh, drawn from torch's generator."""
    encoder = make_encoder(recipe.encoder, tuple(recipe.tasks), folder)
    positions = encoder.config.max_position_embeddings
    if recipe.max_length > positions:
        raise MinbertError(f"max_length {recipe.max_length} is more than the model's {positions} positions",
                           f"--set max_length={positions}")
    return MultitaskBert(encoder, recipe, tokenizer.cls_id, tokenizer.sep_id)


@dataclass(frozen=True)
class Checkpoint:
    """A trained model, ready to use."""

    model: MultitaskBert
    tokenizer: BertTokenizer
    recipe: Recipe


def save_checkpoint(folder: Path, recipe: Recipe, model: MultitaskBert, tokenizer: BertTokenizer, card: str) -> None:
    """The whole model as a folder: its BERTs in the ecosystem's format (separate ones in a folder of each task), in
    heads.safetensors everything else, the recipe, the model card."""
    with atomic_folder(folder) as temporary:
        for task, bert in model.encoder.berts().items():
            save_model(temporary / task, bert.config, bert, tokenizer.vocabulary, lowercase=tokenizer.lowercase)
            if pooled := find_pooling_task(recipe, task):
                write_sentence_files(temporary / task, bert, recipe.tasks[pooled].pooling, recipe.max_length)
        write_tensors(temporary / "heads.safetensors", find_own_tensors(model))
        write_text(temporary / "recipe.toml", to_toml(recipe))
        write_text(temporary / "README.md", card)


def find_own_tensors(model: MultitaskBert) -> dict[str, Tensor]:
    """What no plain BERT has, by the names of heads.safetensors: heads, parts of the encoder, part-of-speech vectors.

    The heads of pretraining objectives are left out: they have done their work.
    """
    return {name.removeprefix("heads."): tensor for name, tensor in model.state_dict().items()
            if not name.startswith(("encoder.bert.", "pretraining."))}


def load_checkpoint(folder: Path) -> Checkpoint:
    """The model saved in a run's best/, in eval mode on the CPU.

    Raises MinbertError where files are missing, damaged, or do not belong together.
    """
    if (folder / MANIFEST).exists():
        verify_manifest(folder)
    recipe = load_recipe(str(folder / "recipe.toml"))
    separate = recipe.encoder.kind == "separate"
    first = folder / next(iter(recipe.tasks)) if separate else folder
    tokenizer = BertTokenizer.from_pretrained(first)
    model = build_model(recipe, first, tokenizer)
    if separate:  # so far all are copies of the first
        for task, bert in model.encoder.berts().items():
            saved = load_folder(folder / task)[0]
            if saved.config != bert.config:
                raise MinbertError(f"{folder / task / 'config.json'} is not that of {first}",
                                   "the folder mixes two models: use another copy")
            bert.load_state_dict(saved.state_dict())
    load_own_tensors(model, folder / "heads.safetensors")
    return Checkpoint(model.eval(), tokenizer, recipe)


def load_own_tensors(model: MultitaskBert, path: Path) -> None:
    """Raises MinbertError unless the file has exactly the tensors that the model adds to BERT, all of them finite."""
    saved, places = read_tensors(path), find_own_tensors(model)
    shapes, expected = ({name: tuple(tensor.shape) for name, tensor in some.items()} for some in (saved, places))
    for name in sorted(shapes | expected):
        if shapes.get(name) != expected.get(name):
            raise MinbertError(f"{path}: {name} is {shapes.get(name, 'missing')}, the recipe beside it needs "
                               f"{expected.get(name, 'no such tensor')}")
    try:
        copy_tensors(saved, {name: name for name in places}, places)
    except MinbertError as error:
        raise MinbertError(f"{path}: {error}", error.hint) from error
