"""A trained multitask model as a folder: the encoder in the ecosystem's format, the heads, the recipe, a model card."""

from dataclasses import dataclass
from pathlib import Path

from minbert.bert import BertModel
from minbert.files import MinbertError, atomic_folder, write_text
from minbert.tensor_files import read_tensors, write_tensors
from minbert.tokenizer import BertTokenizer
from minbert.weights import save_model
from multitask.encoders import SharedEncoder
from multitask.model import MultitaskBert
from multitask.recipe import Recipe, load_recipe, to_toml
from multitask.report import model_card


def build_model(recipe: Recipe, folder: Path, tokenizer: BertTokenizer) -> MultitaskBert:
    """The recipe's model with pretrained weights from `folder` and fresh heads (drawn from torch's generator)."""
    encoder = SharedEncoder(BertModel.from_pretrained(folder))
    positions = encoder.bert.config.max_position_embeddings
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


def save_checkpoint(folder: Path, recipe: Recipe, model: MultitaskBert, tokenizer: BertTokenizer, facts: dict) -> None:
    """The whole model as a folder: the encoder in the ecosystem's format, the heads, the recipe, a model card."""
    with atomic_folder(folder) as temporary:
        save_model(temporary, model.encoder.bert.config, model.encoder.bert, tokenizer.vocabulary,
                   lowercase=tokenizer.lowercase)
        heads = {name: tensor.contiguous().cpu() for name, tensor in model.heads.state_dict().items()}
        write_tensors(temporary / "heads.safetensors", heads)
        write_text(temporary / "recipe.toml", to_toml(recipe))
        write_text(temporary / "README.md", model_card(recipe, facts))


def load_checkpoint(folder: Path) -> Checkpoint:
    """The model saved in a run's best/, in eval mode on the CPU.

    Raises MinbertError where files are missing, damaged, or do not belong together.
    """
    recipe = load_recipe(str(folder / "recipe.toml"))
    tokenizer = BertTokenizer.from_pretrained(folder)
    model = build_model(recipe, folder, tokenizer)
    heads = read_tensors(folder / "heads.safetensors")
    expected = {name: tuple(tensor.shape) for name, tensor in model.heads.state_dict().items()}
    if (found := {name: tuple(tensor.shape) for name, tensor in heads.items()}) != expected:
        raise MinbertError(f"{folder / 'heads.safetensors'}: holds {found}, the recipe beside it needs {expected}")
    model.heads.load_state_dict(heads)
    return Checkpoint(model.eval(), tokenizer, recipe)
