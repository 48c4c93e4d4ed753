"""The peak memory of a training step, ours beside `transformers`': forward, backward, clipping and AdamW on the same batch.

Each side trains in a process of its own. What counts is the most that this process ever has in memory during a step, beyond
what it has with its libraries and the sentences, before there is a model: so weights, gradients and AdamW's averages count.
Freed memory that the C library keeps for the next step counts too, as it does for whoever runs out of memory.
"""

import ctypes
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from itertools import chain, cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from benchmarks.ours import OurLoop
from benchmarks.peers import ENCODINGS, OrdinaryLoop, describe_difference, largest
from benchmarks.rows import Outcome, Row
from benchmarks.scaling import cut_example
from benchmarks.setting import BERT_BASE, Setting
from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.files import MinbertError, error_from_os
from minbert.weights import save_model
from multitask.data import Example, Tokens, collate, tokenise
from multitask.flags import run_command
from multitask.stage import TaskData
from multitask.tables import TASKS, read_table

TASK = "para"  # pairs: the longer sequences
STEPS = 2  # on each batch: the second finds what the C library has kept of the first
POINTS = tuple((batch, length) for length in (32, 128) for batch in (8, 16, 32))
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# torch._dynamo is imported by whoever makes an optimizer
LIBRARIES = {"ours": ("torch._dynamo",), "theirs": ("torch._dynamo", "transformers.models.bert.modeling_bert")}


@dataclass(frozen=True)
class Order:
    """What a process is to measure: steps on each of so many `batches` of `size` real pairs, and a step on each of `points`,
    (pairs, tokens of each)."""

    model: str
    data_dir: str | None
    size: int
    batches: int
    points: Sequence[tuple[int, int]] = ()
    side: str = "ours"


@dataclass(frozen=True)
class Answer:
    """Peaks in MB beyond the `libraries`: of steps on each batch, the same where freed memory goes back at once, and of the
    points. `lengths`: tokens of each pair in the batches, with padding. `vectors`: the first batch's, before any training."""

    libraries: float
    weights: float
    lengths: list[int]
    batches: list[float]
    in_use: list[float]
    points: list[float]
    vectors: list[list[float]]


Answers = tuple[Answer, Answer]  # ours, theirs


def measure(setting: Setting, config: BertConfig = BERT_BASE, points: Sequence[tuple[int, int]] = POINTS) -> Outcome:
    """The setting's model with batches of 32, and one of `config`'s sizes with batches of 16."""
    resident("VmRSS")  # where memory cannot be measured no model is built
    data_dir = setting.data_dir and str(setting.data_dir)
    with TemporaryDirectory() as place:
        vocabulary = setting.tokenizer.vocabulary
        config = replace(config, vocab_size=len(vocabulary))
        save_model(Path(place), config, BertModel(config), vocabulary, lowercase=setting.tokenizer.lowercase)
        base = compare(Order(place, data_dir, 16, 3, points[:4]))  # the others would take a minute
    small = compare(Order(str(setting.folder), data_dir, 32, 3, points))
    found = {setting.model: small, "bert-base size": base}
    rows = (memory_row("peak memory of a training step, batch 32", small, goal=0.8),
            memory_row("peak memory at bert-base size, batch 16", base, goal=0.8),
            *(memory_row(f"{model}: the same, were no freed memory kept", answers, "in_use") for model, answers in found.items()))
    same = describe_difference(largest(map(largest_difference, found.values())), "sentence vectors of the same batch")
    return Outcome(rows, same, (*(describe(*each) for each in found.items()), *describe_points(found, points)))


def compare(order: Order) -> Answers:
    """What each side measured, in a process of its own."""
    ours, theirs = (run_child("benchmarks.memory", asdict(replace(order, side=side))) for side in LIBRARIES)
    return Answer(**ours), Answer(**theirs)


def run_child(module: str, order: dict) -> dict:
    """What `module`, run on the order in a process of its own, prints at last. Raises MinbertError where it fails."""
    done = subprocess.run([sys.executable, "-m", module, json.dumps(order)], stdout=subprocess.PIPE, text=True, check=False,
                          env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())})
    if done.returncode:
        raise MinbertError(f"the process that was measured ended with status {done.returncode}", "its own message stands above")
    return json.loads(done.stdout.splitlines()[-1])


def memory_row(what: str, answers: Answers, kind: str = "batches", goal: float | None = None) -> Row:
    ours, theirs = (tuple(getattr(answer, kind)) for answer in answers)
    ratios = tuple(our_peak / their_peak for our_peak, their_peak in zip(ours, theirs, strict=True))
    return Row(what, "transformers, same batch", ratios, ours, theirs, "MB", goal, at_most=True)


def largest_difference(answers: Answers) -> float:
    """Between the two sides' sentence vectors of the same batch."""
    ours, theirs = (torch.tensor(answer.vectors) for answer in answers)
    return float((ours - theirs).abs().max())


def describe(model: str, answers: Answers) -> str:
    ours = answers[0]
    lengths = ", ".join(map(str, ours.lengths))
    wholes = (f"{each.libraries + max(each.batches):,.0f} MB, {each.libraries:,.0f} of them libraries" for each in answers)
    return (f"{model}: n counts batches, of {lengths} tokens a pair. Of either side {4 * ours.weights:,.0f} MB are weights, "
            "gradients and AdamW's two averages. Peaks of the whole processes: ours {}, theirs {}".format(*wholes))


def describe_points(found: dict[str, Answers], points: Sequence[tuple[int, int]]) -> list[str]:
    lines = ["One step of each size, in this order, in one process:",
             "| model | batch | tokens of each | ours, MB | theirs, MB | ratio |", "|---|---|---|---|---|---|"]
    for model, answers in found.items():
        for (size, length), ours, theirs in zip(points, *(answer.points for answer in answers), strict=False):
            lines.append(f"| {model} | {size} | {length} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.2f}x |")
    return lines


class Ours:
    """Our training, a step at a time on a batch that is given."""

    def __init__(self, setting: Setting, examples: Sequence[Example]) -> None:
        self.setting = setting
        self.loop = OurLoop(setting, {TASK: TaskData(examples, [], None)}, [
            "stages.0.schedule=round_robin", f'stages.0.objectives=["{TASK}"]', f"stages.0.batch_size={len(examples)}"])

    def step(self, examples: Sequence[Example]) -> None:
        batch = collate(examples, TASKS[TASK], self.setting.tokenizer, ENCODINGS[TASK])
        self.loop.state.objectives[TASK].stream.collate = lambda _: batch
        self.loop.step()

    def vectors(self, tokens: Tokens) -> Tensor:
        return self.loop.model.sentence(TASK, tokens)


class Theirs:
    def __init__(self, setting: Setting, examples: Sequence[Example]) -> None:
        from transformers import BertModel as TheirBert

        self.loop = OrdinaryLoop(setting, TheirBert.from_pretrained(setting.folder), {TASK: examples}, len(examples))

    def step(self, examples: Sequence[Example]) -> None:
        self.loop.data, self.loop.batch_size = {TASK: examples}, len(examples)
        self.loop.step([TASK])

    def vectors(self, tokens: Tokens) -> Tensor:
        return self.loop.model(tokens.ids_BT, tokens.mask_BT, tokens.segment_BT).pooler_output


def answer(arguments: list[str]) -> None:
    """What a process that is measured does."""
    order = Order(**json.loads(arguments[0]))
    setting = Setting(order.model, order.data_dir and Path(order.data_dir))
    train = tokenise(read_table(setting.files[TASK, "train"], TASKS[TASK], "train"), setting.tokenizer)
    generator = random.Random(0)
    batches = [generator.sample(train, order.size) for _ in range(order.batches)]
    ids = cycle(chain.from_iterable(example.pieces[0] for example in train))  # real words
    points = [[cut_example(TASK, ids, length) for _ in range(size)] for size, length in order.points]
    for name in LIBRARIES[order.side]:
        import_module(name)
    libraries = resident("VmRSS")
    trainer = {"ours": Ours, "theirs": Theirs}[order.side](setting, batches[0])
    tokens = [collate(batch, TASKS[TASK], setting.tokenizer, ENCODINGS[TASK]).tokens for batch in batches]
    trainer.loop.model.eval()
    with torch.no_grad():
        vectors_BD = trainer.vectors(tokens[0])
    trainer.loop.model.train()
    trainer.step(batches[0])  # from the first step on there are AdamW's averages

    def measure_peaks(batches: Sequence[Sequence[Example]], steps: int) -> list[float]:
        return [peak(partial(trainer.step, batch), steps) - libraries for batch in batches]

    kept, one_each = measure_peaks(batches, STEPS), measure_peaks(points, 1)
    keep_nothing()
    weights = sum(parameter.numel() for parameter in trainer.loop.model.parameters()) * 4 / 1e6
    found = Answer(libraries, weights, [each.ids_BT.shape[1] for each in tokens], kept, measure_peaks(batches, 1), one_each,
                   vectors_BD.tolist())
    print(json.dumps(asdict(found)))


def peak(work: Callable[[], object], times: int) -> float:
    """The most that this process has in memory while it does the work so many times, in MB."""
    ctypes.CDLL(None).malloc_trim(0)  # what earlier work has left in the C library's keeping goes back
    try:
        RESET.write_text("5", encoding="ascii")  # from here on the kernel looks for a new peak
    except OSError as error:
        raise error_from_os(error, RESET, "write") from error
    for _ in range(times):
        work()
    return resident("VmHWM")


def keep_nothing() -> None:
    """From here on the C library hands tensors' memory back to the system as soon as they are freed."""
    ctypes.CDLL(None).mallopt(-3, 2**16)  # M_MMAP_THRESHOLD, in bytes


def resident(name: str) -> float:
    """What this process has in memory (VmRSS), or the most it has had (VmHWM), in MB."""
    if not STATUS.exists():
        raise MinbertError("the memory of a process can only be measured on Linux",
                           "name the benchmarks to run, without memory and adamw")
    lines = dict(line.split(":", 1) for line in STATUS.read_text(encoding="ascii").splitlines())
    return int(lines[name].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(run_command(answer, sys.argv[1:]))
