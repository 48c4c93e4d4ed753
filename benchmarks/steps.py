"""Training steps: one task at a time, and three tasks jointly; and how much of the machine's arithmetic they make use of."""

from dataclasses import asdict, replace

import torch

from benchmarks.ours import OurLoop
from benchmarks.peers import OrdinaryLoop, describe_difference, largest_difference
from benchmarks.rows import Outcome, Row, speed_row
from benchmarks.setting import BERT_BASE, Setting
from benchmarks.starter import StarterLoop
from benchmarks.timing import Timing, interleave
from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.weights import load_encoder
from multitask.tables import COURSE_TASKS

BATCH = 32  # baseline's
MATRIX = 1024, 384, 1536  # a product of the size that training has
UNIT = "real tokens/s"
ORDINARY, STARTER = "transformers, ordinary loop", "a loop in the style of the course's starter"
CREDIT = ("arithmetic: every real token counts as much as in the whole model, padding nothing. Our last layer makes no vector "
          "but [CLS]'s: a seventh of 6 layers' products is left out, a fourteenth of 12. The peak is the best of all rounds")
STARTER_WORK = ("the starter's loop encodes the texts of a pair apart; their tokens count as those of one sequence. A step "
                "is one of the optimizer: where ours is joint, so is its")


def measure(setting: Setting) -> Outcome:
    """The setting's model, baseline's batches of 32."""
    from transformers import BertModel as TheirBert

    train = {task: splits.train for task, splits in setting.data.items()}
    turns, joint = make_loop(setting, "round_robin", BATCH), make_loop(setting, "joint_min", BATCH)
    theirs = OrdinaryLoop(setting, TheirBert.from_pretrained(setting.folder), train, BATCH)
    starter = StarterLoop(setting, TheirBert.from_pretrained(setting.folder, attn_implementation="eager"), setting.tables, BATCH)
    same = describe_difference(largest_difference(turns.model.encoder.bert, theirs.model, setting))
    timing = interleave({
        "our turns": lambda: turns.step(3), "their turns": lambda: take_turns(theirs),
        "our joint": joint.step, "their joint": lambda: theirs.step(COURSE_TASKS),
        "starter": lambda: starter.step(COURSE_TASKS), "peak": multiply,
    }, rounds=8)
    rows = (
        speed_row("steps, one task at a time", ORDINARY, timing, "our turns", "their turns", UNIT, goal=2.4),
        speed_row("joint steps on three tasks", ORDINARY, timing, "our joint", "their joint", UNIT, goal=2.8),
        speed_row("joint steps on three tasks", STARTER, timing, "our joint", "starter", UNIT, goal=5.0),
        *(arithmetic_row(f"arithmetic of {what}", timing, name, turns, goal)
          for what, name, goal in (("steps, one task at a time", "our turns", 0.4), ("joint steps", "our joint", 0.4),
                                   ("transformers' steps", "their turns", None))),
    )
    details = (STARTER_WORK, CREDIT, *describe_padding(turns, theirs),
               describe_limit(timing, "their joint", turns, "transformers' loop"),
               describe_limit(timing, "starter", turns, STARTER))
    return Outcome(rows, same, details, timing.dropped, timing.disturbed)


def measure_small(setting: Setting) -> Outcome:
    """The same with batches of 16, `quick`'s, and of 8, what the course's starter takes unless it is told otherwise: what a
    step costs whatever its size weighs more, most of all in a loop whose optimizer is slow."""
    from transformers import BertModel as TheirBert

    train = {task: splits.train for task, splits in setting.data.items()}
    turns, joint = make_loop(setting, "round_robin", 16), make_loop(setting, "joint_min", 16)
    theirs = OrdinaryLoop(setting, TheirBert.from_pretrained(setting.folder), train, 16)
    turns_of_8, joint_of_8 = make_loop(setting, "round_robin", 8), make_loop(setting, "joint_min", 8)
    starter = StarterLoop(setting, TheirBert.from_pretrained(setting.folder, attn_implementation="eager"), setting.tables, 8)
    same = describe_difference(largest_difference(turns.model.encoder.bert, theirs.model, setting))
    timing = interleave({
        "our turns": lambda: turns.step(6), "their turns": lambda: take_turns(theirs, 2),
        "our joint": lambda: joint.step(2), "their joint": lambda: sum(theirs.step(COURSE_TASKS) for _ in range(2)),
        "our turns of 8": lambda: turns_of_8.step(6), "starter's turns": lambda: take_turns(starter, 2),
        "our joint of 8": lambda: joint_of_8.step(4),
        "starter's joint": lambda: starter.step(COURSE_TASKS) + starter.step(COURSE_TASKS),
    }, rounds=8)
    rows = (
        speed_row("steps of 16, one task at a time", ORDINARY, timing, "our turns", "their turns", UNIT),
        speed_row("joint steps of 16", ORDINARY, timing, "our joint", "their joint", UNIT),
        speed_row("steps of 8, one task at a time", STARTER, timing, "our turns of 8", "starter's turns", UNIT),
        speed_row("joint steps of 8", STARTER, timing, "our joint of 8", "starter's joint", UNIT, goal=5.0),
    )
    return Outcome(rows, same, (STARTER_WORK, *describe_padding(turns, theirs)), timing.dropped, timing.disturbed)


def measure_bert_base(setting: Setting) -> Outcome:
    """A model of bert-base's size with weights as drawn, baseline's batches of 32."""
    from transformers import BertConfig as TheirConfig
    from transformers import BertModel as TheirBert

    train = {task: splits.train for task, splits in setting.data.items()}
    config = replace(BERT_BASE, vocab_size=len(setting.tokenizer.vocabulary))
    theirs = OrdinaryLoop(setting, TheirBert(TheirConfig(**asdict(config))), train, BATCH)
    bert = BertModel(config)
    load_encoder(bert, theirs.model.state_dict())
    same = describe_difference(largest_difference(bert, theirs.model, setting))
    turns = make_loop(setting, "round_robin", BATCH, bert)
    timing = interleave({"our turns": lambda: turns.step(3), "their turns": lambda: take_turns(theirs), "peak": multiply}, 5)
    rows = (
        speed_row("steps at bert-base size, one task at a time", ORDINARY, timing, "our turns", "their turns", UNIT, goal=2.1),
        arithmetic_row("arithmetic of steps at bert-base size", timing, "our turns", turns),
    )
    return Outcome(rows, same, (CREDIT, *describe_padding(turns, theirs)), timing.dropped, timing.disturbed)


def make_loop(setting: Setting, schedule: str, batch_size: int, bert: BertModel | None = None) -> OurLoop:
    """Our steps on the whole training data; on `bert`, where it is given."""
    return OurLoop(setting, setting.data, [f"stages.0.schedule={schedule}", f"stages.0.batch_size={batch_size}"], bert)


def take_turns(loop: OrdinaryLoop | StarterLoop, rounds: int = 1) -> int:
    """A step of its own for a batch of each task, so many times over; returns how many real tokens were in them."""
    return sum(loop.step([task]) for _ in range(rounds) for task in COURSE_TASKS)


def multiply() -> float:
    """This machine's matrix products in float32; returns billions of operations."""
    rows, inner, columns = MATRIX
    left, right, product = torch.ones(rows, inner), torch.ones(inner, columns), torch.empty(rows, columns)
    for _ in range(100):
        torch.mm(left, right, out=product)
    return 100 * 2 * rows * inner * columns / 1e9


def operations_per_token(config: BertConfig, tokens: float) -> float:
    """Of a training step on sentences of so many tokens: forward, and twice that backward. Each weight of a layer's six matrices
    is multiplied and added once for every token; attention's scores and mixtures take the rest."""
    width, wide = config.hidden_size, config.intermediate_size
    layer = 2 * (4 * width * width + 2 * width * wide) + 4 * tokens * width
    return 3 * config.num_hidden_layers * layer


def arithmetic_row(what: str, timing: Timing, name: str, loop: OurLoop, goal: float | None = None) -> Row:
    """The share of the machine's own matrix products per second that real tokens account for; what padding costs does not count.

    Tokens are credited with the whole model's work, also that of the last layer, which we spare most of them."""
    each, peak = operations_of(loop), find_peak(timing)
    ours = [each * rate for rate in timing.rates(name)]
    ratios = tuple(rate / peak for rate in ours)
    return Row(what, "matrix products alone", ratios, tuple(ours), (peak,) * len(ours), "billion operations/s", goal)


def operations_of(loop: OurLoop) -> float:
    """Billions of a real token in this loop's training steps."""
    return operations_per_token(loop.model.encoder.config, loop.read / loop.rows) / 1e9


def find_peak(timing: Timing) -> float:
    """The fastest matrix products of the whole run: what disturbs them makes nothing else better."""
    return max(timing.rates("peak"))


def describe_limit(timing: Timing, name: str, loop: OurLoop, against: str) -> str:
    """What ratio matrix products alone would reach beside that variant, with no padding and nothing else to do."""
    limit = find_peak(timing) / (operations_of(loop) * timing.rate(name))
    return f"matrix products of real tokens alone, at this machine's best, would be {limit:.1f} times as fast as {against}"


def describe_padding(ours: OurLoop, theirs: OrdinaryLoop) -> tuple[str, ...]:
    shares = (1 - loop.read / loop.padded for loop in (ours, theirs))
    return ("padding: {:.1%} of our tokens, {:.1%} of theirs".format(*shares),)
