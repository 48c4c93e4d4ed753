"""Pretrained weights: three sets of names to ours, every tensor used exactly once, every shape checked; and back.

Reads the ecosystem's BERT folders (old names too) and the CS224N starter's. Where we differ from the usual loaders:
a tensor that is missing, left over, misshapen or not finite is an error and not a warning.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from minbert.bert import BertLayer, BertModel, initialise
from minbert.config import BertConfig
from minbert.files import MANIFEST, MinbertError, verify_manifest, write_manifest, write_text
from minbert.hub import MODEL_FOLDER, WEIGHT_FILES, verify_blob
from minbert.lm_head import VocabularyHead
from minbert.tensor_files import read_tensors, write_tensors
from minbert.tensor_names import BUFFERS, ECOSYSTEM, HEAD_NAMES, modernise, rename, translate
from minbert.tokenizer import read_vocabulary

VOCABULARIES = {30522: "an uncased", 28996: "a cased", 119547: "a multilingual", 21128: "a Chinese"}
ONE_FOLDER = "take vocab.txt, config.json and the weights from one and the same folder"
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


@dataclass(frozen=True)
class LoadReport:
    """What became of a checkpoint's tensors; names are the file's, `initialised` the model's."""

    loaded: int
    ignored: tuple[str, ...] = ()
    initialised: tuple[str, ...] = ()
    cast_from: str = ""

    @property
    def notes(self) -> list[str]:
        """Sentences a user should see; [] for the common case."""
        cast = f"the weights are stored as {self.cast_from} and were converted" if self.cast_from else ""
        own = f"not in the checkpoint, started at random: {_some(self.initialised)}" if self.initialised else ""
        return [note for note in (cast, own) if note]


def load_encoder(model: BertModel, tensors: Mapping[str, Tensor]) -> LoadReport:
    """Copies `tensors` into `model`, in the model's dtype. A pooler that the file lacks is started at random, parts
    of the model's own (adapters) stay as they are, `cls.*` and position buffers are ignored: the report names all.

    Raises MinbertError when a tensor is missing, unknown, there twice, misshapen, not of floats, or not finite.
    """
    sources, left_over = _match(model, tensors)
    if unknown := [theirs for theirs, ours in left_over.items() if ours not in BUFFERS and not ours.startswith("cls.")]:
        raise MinbertError(f"unexpected in the checkpoint: {_some(unknown)}",
                           "another architecture, a fine-tuned classifier's head, or another model's config.json?")
    places = model.state_dict()
    cast_from = copy_tensors(tensors, sources, places)
    if "pooler.weight" not in sources:
        initialise(model.pooler, model.config.initializer_range)
    initialised = tuple(ours for ours in places if ours not in sources)
    return LoadReport(len(sources), tuple(left_over), initialised, cast_from)


def _match(model: BertModel, tensors: Mapping[str, Tensor]) -> tuple[dict[str, str], dict[str, str]]:
    """Our name -> the file's, for all that `model` has; the file's name -> ours, for what is left. Checks shapes."""
    places = model.state_dict()
    sources, left_over = {}, {}
    for theirs, ours in translate(tensors).items():
        if ours in sources:
            raise MinbertError(f"{sources[ours]} and {theirs} are the same tensor ({ours})",
                               "the file mixes two sets of names")
        if ours in places:
            sources[ours] = theirs
        else:
            left_over[theirs] = ours
    has_pooler = "pooler.weight" in sources or "pooler.bias" in sources
    needed = {ours: rename(ours, ECOSYSTEM) for ours in places if has_pooler or not ours.startswith("pooler.")}
    # what the table does not rename is a part of the model's own
    if missing := [name for ours, name in needed.items() if name != ours and ours not in sources]:
        nearest = difflib.get_close_matches(missing[0], list(left_over)[:500], 2, 0.8)
        closest = f" (closest to the first: {', '.join(nearest)})" if nearest else ""
        raise MinbertError(f"missing from the checkpoint: {_some(missing)}{closest}",
                           "are these the weights of a BERT, and does config.json belong to them?")
    sources = {ours: sources[ours] for ours in places if ours in sources}  # the first misfit, not the file's first
    for ours, theirs in sources.items():
        _check(theirs, tensors[theirs], places[ours].shape)
    return sources, left_over


def _check(name: str, tensor: Tensor, shape: torch.Size) -> None:
    found, expected = tuple(tensor.shape), tuple(shape)
    if found != expected and translate([name])[name] == "embeddings.word.weight" and found[1:] == expected[1:]:
        kind = VOCABULARIES.get(found[0], "another")
        raise MinbertError(
            f"checkpoint is for {kind} vocabulary ({found[0]}): {name} is {found}, the model's is {expected}", ONE_FOLDER)
    if found != expected:
        raise MinbertError(f"{name} has shape {found}, the model's is {expected}",
                           "does config.json belong to these weights?")
    if tensor.dtype not in FLOATS:
        raise MinbertError(f"{name} holds {tensor.dtype}, not floating-point weights",
                           "a quantised checkpoint? take the original one")


def copy_tensors(tensors: Mapping[str, Tensor], sources: Mapping[str, str], places: Mapping[str, Tensor]) -> str:
    """Fills `places`, a model's state_dict, each from the tensor that `sources` names; the dtypes converted from, e.g.
    `float16`, or an empty string. Raises MinbertError for what is not finite."""
    for ours, theirs in sources.items():
        places[ours].copy_(tensors[theirs])
        low, high = places[ours].aminmax()  # one fast pass; nan comes out as nan
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise MinbertError(f"{theirs} holds NaN or infinity", "the training that wrote it diverged: use another")
    found = {tensors[theirs].dtype for ours, theirs in sources.items() if tensors[theirs].dtype != places[ours].dtype}
    return ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in found))


def _some(names: Iterable[str]) -> str:
    first, more = list(names)[:5], len(list(names)) - 5
    return ", ".join(name[:120] for name in first) + (f" and {more} more" if more > 0 else "")


def load_vocabulary_head(head: VocabularyHead, tensors: Mapping[str, Tensor],
                         word_embedding: nn.Embedding) -> LoadReport:
    """Fills `head` from the checkpoint's `cls.predictions.*`. Its decoder is the word embedding itself: a decoder
    matrix in the file must equal `word_embedding` (so call this before training), a decoder bias the bias.

    Raises MinbertError when the head is missing, untied, misshapen or not finite.
    """
    theirs = {modernise(name): name for name in tensors if name.startswith("cls.")}
    if "cls.predictions.decoder.bias" in theirs:
        theirs.setdefault("cls.predictions.bias", theirs["cls.predictions.decoder.bias"])
    if missing := [name for name in HEAD_NAMES.values() if name not in theirs]:
        raise MinbertError(f"missing from the checkpoint's vocabulary head: {_some(missing)}",
                           "use a model that has one, e.g. bert-base-uncased, or start the head at random")
    sources = {ours: theirs[name] for ours, name in HEAD_NAMES.items()}
    places = head.state_dict()
    for ours, name in sources.items():
        _check(name, tensors[name], places[ours].shape)
    cast_from = copy_tensors(tensors, sources, places)
    decoder = {"cls.predictions.decoder.weight": word_embedding.weight, "cls.predictions.decoder.bias": head.bias}
    for name, tied in decoder.items():
        if name in tensors and not torch.equal(tensors[name].to(tied), tied):
            raise MinbertError(f"{name} differs from the tensor it should be tied to",
                               "minBERT's decoder is the word embedding itself")
    used = {*sources.values(), *decoder}
    return LoadReport(len(sources), tuple(name for name in theirs.values() if name not in used), (), cast_from)


class WithoutRandomStart(TorchFunctionMode):
    """Inside, nn.init's random starts do nothing: what is about to be loaded need not be random first."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_):
            return None
        return function(*args, **(kwargs or {}))


def load_folder(folder: Path | str,
                layer: Callable[[BertConfig], nn.Module] = BertLayer) -> tuple[BertModel, LoadReport]:
    """The model in `folder`, with layers of that class, in eval mode and float32, and what became of the tensors.

    Raises MinbertError naming the file, before memory is taken for a model that the weights do not fit.
    """
    config, tensors = read_folder(folder)
    try:
        with torch.device("meta"), WithoutRandomStart():  # shapes without memory
            _match(BertModel(config), tensors)
        with WithoutRandomStart() if layer is BertLayer else nullcontext():  # another's own parts need their start
            model = BertModel(config, layer)
        return model.eval(), load_encoder(model, tensors)
    except MinbertError as error:
        raise MinbertError(f"{_weight_file(Path(folder))}: {error}", error.hint) from error


def read_folder(folder: Path | str) -> tuple[BertConfig, dict[str, Tensor]]:
    """The configuration and the tensors, by the file's own names, of a model's folder.

    Raises MinbertError when a file is missing, damaged, in another format or of another model than the rest.
    """
    folder = Path(folder)
    if (folder / MANIFEST).exists():
        verify_manifest(folder)
    weights, vocabulary = _weight_file(folder), folder / "vocab.txt"
    for path in (folder / "config.json", vocabulary, weights):
        verify_blob(path)
    config = BertConfig.from_json(folder / "config.json")
    size = config.vocab_size
    words = len(read_vocabulary(vocabulary)) if vocabulary.exists() else size
    if words > size or (words < size and {words, size} <= VOCABULARIES.keys()):  # a model may have spare rows
        raise MinbertError(f"{vocabulary}: has {words} words, config.json's vocab_size is {size}", ONE_FOLDER)
    return config, read_tensors(weights)


def _weight_file(folder: Path) -> Path:
    for name in WEIGHT_FILES:
        if (folder / name).exists():
            return folder / name
    raise MinbertError(f"{folder}: holds neither {' nor '.join(WEIGHT_FILES)}",
                       f"{MODEL_FOLDER}; not several pieces (shards), and not those of TensorFlow, Flax or ONNX")


def to_ecosystem(model: BertModel, tensors: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The model's tensors, or others by the same names (gradients), by the names of the ecosystem's BertModel.

    Parts of the model's own (adapters) keep their names.
    """
    own = model.state_dict() if tensors is None else tensors
    return {rename(name, ECOSYSTEM): tensor for name, tensor in own.items()}


def save_model(folder: Path | str, config: BertConfig, model: BertModel, vocabulary: Iterable[str],
               head: VocabularyHead | None = None, lowercase: bool = True) -> None:
    """Writes model.safetensors, config.json, vocab.txt, tokenizer_config.json and last the manifest, each atomically.

    Without a head the ecosystem loads the folder as a BertModel, with one also as a BertForMaskedLM. Whoever adds a
    file to the folder writes the manifest again.
    """
    folder = Path(folder)
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": lowercase,
                "model_max_length": config.max_position_embeddings}
    tensors = to_ecosystem(model)
    if head is not None:  # as bert-base-uncased itself is stored
        tensors = {f"bert.{name}": tensor for name, tensor in tensors.items()}
        tensors |= {HEAD_NAMES[name]: tensor for name, tensor in head.state_dict().items()}
    write_tensors(folder / "model.safetensors", tensors)
    write_text(folder / "config.json", config.to_json())
    write_text(folder / "vocab.txt", "".join(f"{word}\n" for word in vocabulary))
    write_text(folder / "tokenizer_config.json", json.dumps(settings, indent=2) + "\n")
    write_manifest(folder)
