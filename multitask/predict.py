"""What a trained model says of sentences: sentiment, and of two sentences whether they are paraphrases and how similar.

    python -m multitask.predict --run runs/quick/1 "a charming film" "a delightful movie"

Answers are those of evaluation, and so of the prediction files: same batches, same encoding, dropout off. Only a similarity
beyond the labels' scale is moved to its end.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from minbert.console import show_plainly
from minbert.files import MinbertError
from multitask.checkpoint import Checkpoint, load_checkpoint
from multitask.data import Example, find_encoding, tokenise
from multitask.evaluate import predict
from multitask.features import tag_examples
from multitask.flags import Parser, run_command
from multitask.record import to_json
from multitask.tab_separated import decode, error_at, read_text
from multitask.tables import TASKS, Row, Table, Task

CLASS_NAMES = {"sst": ("very negative", "negative", "neutral", "positive", "very positive"), "cfimdb": ("negative", "positive")}
RUN = "--run takes a run folder, such as runs/quick/1, or its best/"
LINES = "give one sentence a line, or two with a tab between"
STDIN = Path("<stdin>")  # only for messages


@dataclass(frozen=True)
class Input:
    """One sentence, or two; `place` says where they came from."""

    place: str
    texts: tuple[str, ...]


def find_checkpoint(folder: Path) -> Path:
    """The best/ that a user means. Raises MinbertError, with the way out, where the folder is no run's or has none."""
    for place in (folder / "best", folder):
        if (place / "heads.safetensors").exists() or (place / "manifest.json").exists():
            return place
    if not folder.is_dir():
        raise MinbertError(f"{folder} is no folder", RUN)
    inside = sorted(str(path.parent) for path in folder.glob("*/best"))
    if inside:
        raise MinbertError(f"{folder} is no run, but holds runs: {len(inside)}", f"name one: {', '.join(inside[:5])}")
    if (folder / "results.json").exists():
        raise MinbertError(f"{folder} has no best/: an ensemble has no model of its own", "name one of the runs it is made of")
    raise MinbertError(f"{folder} holds no checkpoint: not a run folder, or no epoch was finished", RUN)


def parse_lines(text: str, path: Path) -> list[Input]:
    """One input a line. Raises MinbertError, which names file and line, for a line with no text or three."""
    if not text.strip():
        raise MinbertError(f"{path} holds no sentence", LINES)
    inputs = []
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        texts = tuple(part.strip() for part in line.split("\t"))
        if not all(texts):
            raise error_at(path, number, "a sentence is empty", LINES)
        if len(texts) > 2:
            raise error_at(path, number, f"{len(texts)} sentences on a line", LINES)
        inputs.append(Input(f"{path}:{number}", texts))
    return inputs


def check_typed(sentences: Sequence[str]) -> list[Input]:
    """The sentences of a command line as one input."""
    if len(sentences) > 2:
        raise MinbertError(f"{len(sentences)} sentences given: one gets its sentiment, two are compared",
                           "put a sentence with blanks into quotes; --file reads any number of lines")
    for number, sentence in enumerate(sentences, 1):
        if not sentence.strip():
            raise MinbertError(f"sentence {number} is empty", "give it a word")
        if any("\udc80" <= character <= "\udcff" for character in sentence):  # how Python hands on what it cannot read
            raise MinbertError(f"sentence {number} holds bytes that are not UTF-8", "set the terminal to UTF-8, or use --file")
    return [Input("the command line", tuple(sentences))]


def read_inputs(sentences: Sequence[str], file: Path | None) -> list[Input]:
    """The inputs of the command line, of a file, or of standard input: where "-" asks for it, or nothing else is given."""
    if sentences and file:
        raise MinbertError(f"both sentences and --file {file} are given", "give one of the two")
    if list(sentences) == ["-"] or str(file) == "-" or (not sentences and not file and not sys.stdin.isatty()):
        return parse_lines(decode(STDIN, sys.stdin.buffer.read())[0], STDIN)
    if file:
        return parse_lines(read_text(file)[0], file)
    if not sentences:
        raise MinbertError("no sentence given", "give one or two in quotes, --file FILE, or pipe lines in")
    return check_typed(sentences)


def list_questions(task: Task, inputs: Sequence[Input]) -> list[tuple[int, tuple[str, ...]]]:
    """(place in `inputs`, texts): each sentence for a task on single ones, each pair for a task on pairs."""
    if task.is_pair:
        return [(place, one.texts) for place, one in enumerate(inputs) if len(one.texts) == 2]
    return [(place, (text,)) for place, one in enumerate(inputs) for text in one.texts]


def make_examples(checkpoint: Checkpoint, task: Task, texts: Sequence[tuple[str, ...]]) -> list[Example]:
    """Tokenised as in training, with parts of speech where the recipe has them."""
    rows = [Row(str(number), one, None, number) for number, one in enumerate(texts)]
    table = Table(Path(), task, "test", rows, [], [])
    examples = tokenise(table, checkpoint.tokenizer, checkpoint.recipe.preprocess)
    return tag_examples(examples, checkpoint.recipe, checkpoint.tokenizer)


def describe(task: Task, output: Tensor, prediction: float, target: str) -> dict:
    """One row of a model's output as --json has it. Probabilities are None for targets that give none."""
    has_probabilities = target == "labels"
    if task.kind == "score":
        return {"similarity": min(max(prediction, float(task.low)), float(task.high))}
    if task.kind == "binary":
        return {"paraphrase": bool(prediction), "probability": float(output.sigmoid()) if has_probabilities else None}
    names = CLASS_NAMES.get(task.name, tuple(map(str, range(task.low, task.high + 1))))
    probabilities = dict(zip(names, output.softmax(dim=-1).tolist(), strict=True)) if has_probabilities else None
    return {"label": prediction, "class": names[prediction], "probabilities": probabilities}


def answer(checkpoint: Checkpoint, inputs: Sequence[Input]) -> tuple[list[dict[str, list[dict]]], list[str]]:
    """For every input, task -> its answers: one for each sentence or one for the pair, none where it lacks a second
    sentence. And what the user should know: texts that are cut.

    Raises MinbertError for a single sentence where all tasks take pairs.
    """
    names = tuple(checkpoint.recipe.tasks)
    single = next((one for one in inputs if len(one.texts) == 1), None)
    if single and all(TASKS[name].is_pair for name in names):
        raise MinbertError(f"{single.place}: one sentence, but this run compares two ({', '.join(names)})",
                           "give two sentences; in a file, with a tab between")
    answers: list[dict[str, list[dict]]] = [{name: [] for name in names} for _ in inputs]
    notes = []
    for name in names:
        questions, encoding = list_questions(TASKS[name], inputs), find_encoding(checkpoint.recipe, name)
        if not questions:
            continue
        examples = make_examples(checkpoint, TASKS[name], [texts for _, texts in questions])
        outputs = torch.from_numpy(predict(checkpoint.model, checkpoint.tokenizer, name, examples))
        predictions = checkpoint.model.targets[name].decode(outputs).tolist()
        for (place, _), output, prediction in zip(questions, outputs, predictions, strict=True):
            answers[place][name].append(describe(TASKS[name], output, prediction, checkpoint.recipe.tasks[name].target))
        cut = [inputs[place].place for (place, _), example in zip(questions, examples, strict=True)
               if encoding.full_length(example) > encoding.max_length]
        if cut:
            more = f" and {len(cut) - 3} more" if len(cut) > 3 else ""
            notes.append(f"{name} reads {encoding.max_length} tokens and cut the rest: {', '.join(cut[:3])}{more}")
    return answers, notes


def to_line(one: Input, answers: dict[str, list[dict]]) -> str:
    """One input as a line of JSON, with every task of the run: a list for single sentences, null for a pair not given."""
    tables = {name: (next(iter(given), None) if TASKS[name].is_pair else given) for name, given in answers.items()}
    return to_json({"sentences": list(one.texts), **tables})


def format_answer(task: Task, said: dict) -> str:
    if task.kind == "score":
        return f"similarity {said['similarity']:.2f} (from {task.low}, unrelated, to {task.high}, the same)"
    if task.kind == "binary":
        value = "a paraphrase" if said["paraphrase"] else "no paraphrase"
        return value if said["probability"] is None else f"{value}, probability {said['probability']:.3f}"
    width = max(map(len, CLASS_NAMES.get(task.name, ("",))))
    each = (f"{name} {probability:.3f}" for name, probability in (said["probabilities"] or {}).items())
    return f"{said['class']:{width}}  {'  '.join(each)}".rstrip()


def to_text(one: Input, answers: dict[str, list[dict]]) -> str:
    """One input for the screen: the sentences, then a line for each answer."""
    numbers = ("1", "2") if len(one.texts) == 2 else ("",)
    lines = [f"{number:2}{show_plainly(text)}" if number else show_plainly(text)
             for number, text in zip(numbers, one.texts, strict=True)]
    for name, given in answers.items():
        which = ("",) if TASKS[name].is_pair else numbers
        width = max(map(len, answers)) + 2
        lines += [f"  {f'{name} {number}':{width}}  {format_answer(TASKS[name], said)}"
                  for number, said in zip(which, given, strict=False)]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """`python -m multitask.predict --run RUN SENTENCE [SENTENCE]`."""
    parser = Parser(prog="python -m multitask.predict", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, metavar="RUN", help="a run folder, or its best/")
    parser.add_argument("sentences", nargs="*", metavar="SENTENCE",
                        help="one, or two to compare; - reads lines from standard input, as does a pipe where none is given")
    parser.add_argument("--file", type=Path, help="a text file: one sentence a line, or two with a tab between")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each input, nothing else on standard output")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    flags = parser.parse_args(arguments)
    folder = find_checkpoint(flags.run)
    inputs = read_inputs(flags.sentences, flags.file)
    checkpoint = load_checkpoint(folder)
    answers, notes = answer(checkpoint, inputs)
    recipe = checkpoint.recipe
    if not flags.json:
        print(f"model  {folder}: recipe {recipe.name}, seed {recipe.seed}, tasks {', '.join(recipe.tasks)}\n")
    for note in notes:
        print(f"note   {note}", file=sys.stderr)
    for one, given in zip(inputs, answers, strict=True):
        print(to_line(one, given) if flags.json else to_text(one, given))


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
