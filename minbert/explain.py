"""What happens to a sentence inside BERT: its tokens, and the shape of every tensor on the way to its vectors.

    python -m minbert.explain "a charming film" "a delightful movie"

The shapes are those of the code's own variables, watched while the model runs once; none is written down here.
"""

# B batch, T tokens, Q tokens that ask, D hidden, H heads, K size per head, I size inside the feed-forward half

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

import torch
from torch import Tensor

from minbert.attention import SelfAttention, attention_probabilities, join_heads
from minbert.bert import ACTIVATIONS, BertLayer, BertModel
from minbert.embeddings import BertEmbeddings
from minbert.files import MinbertError
from minbert.hub import find_model
from minbert.tokenizer import BertTokenizer
from minbert.weights import load_folder

LEGEND = ("B sentences or pairs, T tokens, Q tokens that ask (here all T), D hidden size, H heads,\n"
          "K = D / H size per head, I size inside the feed-forward half; the files are in minbert/")


@dataclass(frozen=True)
class Stage:
    """A tensor to look at: the variable of that name when `function` returns, or what it returns."""

    name: str
    function: Callable
    what: str
    returned: bool = False


def list_stages(activation: Callable) -> dict[str, list[Stage]]:
    """The stages of the model in their order, in three parts."""
    return {
        "the embeddings": [
            Stage("words_BTD", BertEmbeddings.forward, "a row of the word table for each token"),
            Stage("position_TD", BertEmbeddings.forward, "a row for each place, the same in all sentences"),
            Stage("embedded_BTD", BertModel.embed, "word + place + token type, then LayerNorm", returned=True)],
        "a layer": [
            Stage("query_BHQK", SelfAttention.forward, "what each token asks for, cut into heads"),
            Stage("key_BHTK", SelfAttention.forward, "what each token can be found by"),
            Stage("value_BHTK", SelfAttention.forward, "what each token has to give"),
            Stage("scores_BHQT", attention_probabilities, "query times key / sqrt(K), least where mask is 0"),
            Stage("probabilities_BHQT", SelfAttention.forward, "softmax: a token's shares in all, their sum is 1"),
            Stage("mixed_BQD", join_heads, "values mixed by these shares, heads joined", returned=True),
            Stage("attended_BQD", BertLayer.attend, "LayerNorm(input + projection of the mixture)", returned=True),
            Stage("widened_BTI", activation, "the feed-forward half: a wider layer and GELU", returned=True),
            Stage("hidden_BTD", BertLayer.feed_forward, "narrowed again, LayerNorm(attended + this)", returned=True)],
        "the outputs": [
            Stage("hidden_BTD", BertModel.encode, "last_hidden_state: a vector for each token", returned=True),
            Stage("pooled_BD", BertModel.pool, "pooler_output: [CLS] through a layer and tanh", returned=True)],
    }


def watch(model: BertModel, inputs: dict[str, Tensor], stages: Sequence[Stage]) -> dict[Stage, list[tuple[int, ...]]]:
    """The shapes that each stage's tensor has, call after call, while the model runs once on `inputs`."""
    shapes: dict[Stage, list[tuple[int, ...]]] = {stage: [] for stage in stages}
    by_code: dict[object, list[Stage]] = {}
    for stage in stages:
        by_code.setdefault(stage.function.__code__, []).append(stage)

    def look(frame: FrameType, event: str, result: object) -> None:
        if event == "return":
            for stage in by_code.get(frame.f_code, ()):
                tensor = result if stage.returned else frame.f_locals.get(stage.name)
                if isinstance(tensor, Tensor):  # not where the function ended in an error
                    shapes[stage].append(tuple(tensor.shape))

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        with torch.no_grad():
            model(**inputs)
    finally:
        sys.setprofile(before)
    return shapes


def describe_tokens(tokenizer: BertTokenizer, inputs: dict[str, Tensor]) -> list[str]:
    """A line for each token: place, token, id, type and mask."""
    ids, types, mask = (inputs[name][0].tolist() for name in ("input_ids", "token_type_ids", "attention_mask"))
    tokens = tokenizer.ids_to_tokens(ids)
    width = max(len("token"), *map(len, tokens))
    lines = [f"{'place':>5}  {'token':{width}}  {'id':>6}  type  mask"]
    lines += [f"{place:5}  {token:{width}}  {id:6}  {type:4}  {real:4}"
              for place, (token, id, type, real) in enumerate(zip(tokens, ids, types, mask, strict=True))]
    return lines


def describe_pieces(tokens: Sequence[str], size: int) -> list[str]:
    """What is to be said of words that the vocabulary does not have as a whole."""
    words: list[list[str]] = []
    for token in tokens:
        if token.startswith("##") and words:
            words[-1].append(token)
        else:
            words.append([token])
    split = dict.fromkeys("".join(piece.removeprefix("##") for piece in word) + f" = {' '.join(word)}"
                          for word in words if len(word) > 1)
    notes = [f"not among the {size:,} entries of the vocabulary, so in pieces (## goes on with a word): {', '.join(split)}"
             ] if split else []
    if unknown := sum(token == "[UNK]" for token in tokens):
        notes.append(f"[UNK] stands for a word that no pieces of the vocabulary make up: {unknown} here; the model cannot tell "
                     "what it was")
    return notes


def describe_shapes(model: BertModel, inputs: dict[str, Tensor]) -> list[str]:
    """A line for each stage: name, shape, where in the source, what it is."""
    parts = list_stages(ACTIVATIONS[model.config.hidden_act])
    shapes = watch(model, inputs, [stage for stages in parts.values() for stage in stages])
    # a student's own function may have no variable of this name
    sizes = {stage: " x ".join(map(str, seen[0])) if seen else "not seen" for stage, seen in shapes.items()}
    width = max(map(len, sizes.values()))
    lines = []
    for title, stages in parts.items():
        calls = max(len(shapes[stage]) for stage in stages)
        all_alike = all(len(set(shapes[stage])) == 1 for stage in stages)
        same = f", {calls} times with the same shapes" if all_alike else f", the first of {calls}"
        lines += ["", title + (same if calls > 1 else "")]
        for stage in stages:
            place = f"{stage.function.__module__.partition('.')[2]}.py {stage.function.__qualname__}"
            lines.append(f"  {stage.name:18}  {sizes[stage]:{width}}  {place:36}  {stage.what}")
    return lines


def explain(tokenizer: BertTokenizer, model: BertModel, first: str, second: str | None = None) -> list[str]:
    """The lines that the command prints on a sentence or a pair."""
    longest = model.config.max_position_embeddings
    whole = tokenizer(first, second)["input_ids"]
    seconds = None if second is None else [second]
    inputs = tokenizer([first], seconds, truncation=True, max_length=longest, return_tensors="pt")
    lines = describe_tokens(tokenizer, inputs)
    notes = describe_pieces(tokenizer.ids_to_tokens(whole), len(tokenizer))
    if len(whole) > longest:
        notes.append(f"cut to {longest} of {len(whole)} tokens: the model has no more places")
    return [*lines, *(f"note   {note}" for note in notes), *describe_shapes(model, inputs), "", LEGEND]


def main(arguments: list[str]) -> None:
    """`python -m minbert.explain SENTENCE [SENTENCE]`."""
    parser = argparse.ArgumentParser(prog="python -m minbert.explain", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentence")
    parser.add_argument("second", nargs="?", help="a second sentence: both are read as a pair")
    parser.add_argument("--model", metavar="NAME", help="a folder, a hub name or minilm (default: bert-base-uncased)")
    flags = parser.parse_args(arguments)
    found = find_model(flags.model)
    model, report = load_folder(found.folder)
    config = model.config
    print(f"model  {found.name}: {config.num_hidden_layers} layers, {config.num_attention_heads} heads, hidden size "
          f"{config.hidden_size}, {sum(parameter.numel() for parameter in model.parameters()):,} weights")
    for note in filter(None, (found.note, *report.notes)):
        print(f"note   {note}")
    print("", *explain(BertTokenizer.from_pretrained(found.folder), model, flags.sentence, flags.second), sep="\n")


def run(arguments: list[str]) -> int:
    """Calls `main` and turns what it raises into one line, a hint and the exit status."""
    try:
        main(arguments)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except NotImplementedError as error:  # a student's copy
        print(f"error: {error} is still to be written", file=sys.stderr)
        return 2
    except MinbertError as error:
        print(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a console that cannot show a character shows "?"
    sys.exit(run(sys.argv[1:]))
