"""Recipes: everything that can be said of an experiment, in strict TOML files, read into frozen dataclasses.

One dataclass field is one key. A file inherits the settings of the one it `extends`, but not what speaks of one
table's row.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from minbert.files import MinbertError
from multitask.strict_toml import Fault, Place, build, key, listed, merge, read_setting, show, speaks_of, spell, write_keys
from multitask.tab_separated import read_bytes
from multitask.tables import TASKS

RECIPES = Path(__file__).parent / "recipes"
# task -> how it may be encoded; the first is the default
ENCODINGS = {name: ("pair", "independent") if task.is_pair else ("single",) for name, task in TASKS.items()}
# objectives that need no labels of a task's own head; all train the encoder alone
PRETRAINING = ("masked_lm", "prefix_lm", "deshuffling", "ranking", "sentiment_ranking", "simcse", "margin_contrastive")
READS = {"ranking": "para", "sentiment_ranking": "sst", "margin_contrastive": "para"}  # the others read every task's text
VECTORS = ("ranking", "sentiment_ranking", "simcse", "margin_contrastive")  # objectives on sentence vectors
USED_BY = {  # key of [stages.pretraining] -> the objectives that it means something to; max_length does to all
    "pooling": VECTORS, "scale": VECTORS[:3], "margin": VECTORS[3:], "distance": VECTORS[3:], "per_class": VECTORS[1:2],
    "mask_rate": ("masked_lm",), "mask_choice": ("masked_lm",), "whole_word": ("masked_lm",)}
JOINT = ("joint_min", "equal_resample")  # schedules whose steps take one batch of every objective
NOT_INHERITED = ("name", "source", "description", "expected", "reported")


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The dev scores a report prints for this row; None where it prints none."""
    sst: float | None = key(None, at_least=0, at_most=1)
    para: float | None = key(None, at_least=0, at_most=1)
    sts: float | None = key(None, at_least=-1, at_most=1)
    sts_scale: Literal["r", "normalised"] | None = None  # normalised: (r + 1) / 2. The reports differ
    overall: float | None = key(None, at_least=-1, at_most=1)
    overall_scale: Literal["r", "normalised"] | None = None  # of r inside `overall`


@dataclass(frozen=True, kw_only=True)
class TaskRecipe:
    """How one task's text becomes a vector, and the vector an output."""
    encoding: Literal["single", "pair", "independent"]  # left out: single for tasks of one text, else pair
    token_types: Literal["bert", "zeros"] = key("bert", only_with={"encoding": ("pair",)})
    second_cls: bool = key(False, only_with={"encoding": ("pair",)})  # [CLS] a [SEP] [CLS] b [SEP]
    symmetric: bool = key(False, only_with={"encoding": ("pair",)})  # at inference the mean of (a, b) and (b, a)
    pooling: Literal["cls", "pooler", "mean", "mixed"] = "cls"
    mix: tuple[float, float] = key((0.5, 0.5), only_with={"pooling": ("mixed",)})  # shares of [CLS] and of the mean
    mean_of: Literal["all", "words"] = key("all", only_with={"pooling": ("mean", "mixed")})  # words: no [CLS], no [SEP]
    projection: Literal["none", "linear", "relu"] = key("none", only_with={"encoding": ("independent",)})  # per sentence
    head: Literal["linear", "mlp", "cosine"] = "linear"
    hidden: tuple[int, ...] = key((512,), at_least=1, only_with={"head": ("mlp",)})
    activation: Literal["gelu", "relu", "none"] = key("gelu", only_with={"head": ("mlp",)})
    norm: bool = key(False, only_with={"head": ("mlp",)})  # LayerNorm before the activation
    features: Literal["concat", "difference", "squares"] = key(
        "difference", only_with={"encoding": ("independent",), "head": ("linear", "mlp")})
    cosine_range: Literal["affine", "positive", "times5"] = key("affine", only_with={"head": ("cosine",)})
    target: Literal["labels", "classes5", "classes6", "regression", "one_hot"] = key(
        "labels", only_with={"head": ("linear", "mlp")})
    decode: Literal["expectation", "argmax"] = key("expectation", only_with={"target": ("classes5", "classes6")})
    output_range: Literal["free", "sigmoid", "clamp"] = key("free", only_with={"target": ("labels",), "head": ("linear", "mlp")})
    dropout: float = key(0.1, at_least=0, below=1)
    dropout_at: Literal["input", "last"] = key("input", only_with={"head": ("linear", "mlp")})  # last: before the last layer


@dataclass(frozen=True, kw_only=True)
class EncoderRecipe:
    """Which BERT serves which task, and what is added to its layers."""
    kind: Literal["shared", "separate", "pal", "low_rank", "concat_pal", "adapters"] = "shared"
    # left out: 204 for projected attention, 100 for low_rank, 64 for adapters
    size: int | None = key(None, at_least=1, only_with={"kind": ("pal", "low_rank", "concat_pal", "adapters")})
    heads: int = key(12, at_least=1, only_with={"kind": ("pal", "concat_pal")})
    start: Literal["identity", "random"] = key("identity", only_with={"kind": ("concat_pal",)})
    per_task: bool = key(True, only_with={"kind": ("concat_pal",)})


@dataclass(frozen=True, kw_only=True)
class FeaturesRecipe:
    """What the text brings besides its word pieces; of the train split only where examples are added."""
    part_of_speech: Literal["none", "textblob", "file"] = "none"
    tag_file: str = key("", only_with={"part_of_speech": ("file",)})
    synonyms: Literal["none", "neighbours", "file"] = "none"
    synonym_file: str = key("", only_with={"synonyms": ("file",)})
    similarity: float = key(0.6, at_least=-1, at_most=1, only_with={"synonyms": ("neighbours",)})


@dataclass(frozen=True, kw_only=True)
class OptimizerRecipe:
    """AdamW, the course of the learning rate, clipping, and the averaging of weights."""
    learning_rate: float = key(above=0, at_most=1)
    frozen_learning_rate: float = key(1e-3, above=0, at_most=1)  # instead, where the encoder is frozen
    head_factor: float = key(1.0, above=0)  # the heads' learning rate is this times that of an encoder that learns
    layer_decay: float = key(1.0, above=0, at_most=1)  # each layer's learning rate is this times the next one's
    weight_decay: float = key(0.01, at_least=0, at_most=1)
    betas: tuple[float, float] = key((0.9, 0.999), at_least=0, below=1)
    eps: float = key(1e-8, above=0, below=1)
    form: Literal["torch", "cs224n"] = "torch"
    amsgrad: bool = False
    decay_all: bool = False  # bias and LayerNorm decay too, as in the course's code
    schedule: Literal["constant", "linear", "google", "halve_on_rise"] = "linear"
    warmup: float = key(0.1, at_least=0, at_most=1, only_with={"schedule": ("linear", "google")})  # share of steps
    clip: float = key(1.0, above=0)  # the largest global L2 norm a gradient may have
    average: Literal["none", "ema", "swa"] = "none"  # of weights, for evaluation: moving, or mean of the epochs' ends
    average_decay: float = key(0.999, at_least=0, below=1, only_with={"average": ("ema",)})


@dataclass(frozen=True, kw_only=True)
class SmartRecipe:
    """Smoothness-inducing adversarial regularisation (Jiang et al. 2020)."""
    mode: Literal["paper", "normalize", "sign"] = "paper"
    weight: float = key(1.0, above=0)
    epsilon: float | None = key(None, above=0)  # left out: 1e-5 paper, 1e-6 normalize, 0.02 sign
    step_size: float = key(1e-3, at_least=0, only_with={"mode": ("paper", "normalize")})
    noise_std: float | None = key(None, above=0)  # left out: 1e-5, with sign 1e-3
    dropout: Literal["off", "shared_masks", "on"] = "off"
    reduction: Literal["mean", "sum"] = "mean"
    tasks: tuple[str, ...] | None = None  # left out: all of the stage's


@dataclass(frozen=True, kw_only=True)
class BregmanRecipe:
    """Bregman proximal point with momentum (Jiang et al. 2020)."""
    weight: float = key(1.0, above=0)
    beta: float | None = key(None, at_least=0, at_most=1)  # left out: 0.99 in the first tenth of the steps, then 0.999
    steps: int = key(1, at_least=1)  # between two moves of the teacher
    student_dropout: Literal["on", "off"] = "on"
    tasks: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class RDropRecipe:
    """Two dropout masks must agree (Liang et al. 2021)."""
    weight: float = key(1.0, above=0)
    form: Literal["paper", "mean"] = "paper"  # mean: the authors' code, half of everything but the weight's share
    tasks: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class PretrainingRecipe:
    """The settings of objectives for further pre-training."""
    max_length: int = key(64, at_least=3, at_most=512)
    pooling: Literal["cls", "mean"] = "cls"  # of ranking and contrastive objectives
    scale: float = key(20.0, above=0)  # of cosines, in ranking and simcse
    margin: float = key(0.5, above=0)
    distance: Literal["cosine", "euclidean"] = "cosine"
    per_class: int = key(1, at_least=1)  # sentiment_ranking: pairs of each class in a batch, whatever batch_size is
    mask_rate: float = key(0.15, above=0, below=1)
    mask_choice: Literal["bernoulli", "count"] = "bernoulli"
    whole_word: bool = False


@dataclass(frozen=True, kw_only=True)
class StageRecipe:
    """One stretch of training: what is trained, on which objectives, in which order, for how long."""
    objectives: tuple[str, ...]
    schedule: Literal["round_robin", "sequential_epoch", "sequential_tasks", "budgeted", "joint_min", "equal_resample",
                      "proportional", "sqrt", "annealed", "epoch_dropout"]
    length: Literal["max", "min", "until_exhausted"] = key(
        "max", only_with={"schedule": ("round_robin",), "steps_per_epoch": (0,)})
    budget: dict[str, int] | None = key(None, at_least=1, only_with={"schedule": ("budgeted",)})  # passes in all, by task
    budget_draw: Literal["remaining", "fixed"] = key("remaining", only_with={"schedule": ("budgeted",)})
    probabilities: dict[str, float] | None = key(None, at_least=0, at_most=1, only_with={"schedule": ("epoch_dropout",)})
    resample: int = key(0, at_least=0, only_with={"schedule": ("equal_resample",)})  # examples a task; 0: the smallest's
    epochs: int = key(at_least=1)
    batch_size: int = key(at_least=1)
    steps_per_epoch: int = key(0, at_least=0)  # 0: as the schedule says
    accumulate: int = key(1, at_least=1)  # batches in each step
    accumulate_by: Literal["mean", "sum"] = "mean"
    short_batches: Literal["mean", "nominal"] = "mean"  # nominal: the sum over batch_size, as in the course's code
    weights: dict[str, float] | None = key(None, at_least=0)  # of losses; left out: 1
    fraction: dict[str, tuple[float, float]] | None = key(None, at_least=0, at_most=1)  # [from, to) of a task's shuffled rows
    combine: Literal["sum", "pcgrad", "gradvac"] = key("sum", only_with={"schedule": JOINT})
    visit_self: bool = key(False, only_with={"combine": ("pcgrad",)})  # as in public code; the paper's does not
    merge: Literal["sum", "mean"] = key("sum", only_with={"combine": ("pcgrad",)})
    gradvac_beta: float = key(0.01, at_least=0, at_most=1, only_with={"combine": ("gradvac",)})
    gradvac_groups: Literal["whole_model", "all_layer", "all_matrix"] = key(
        "whole_model", only_with={"combine": ("gradvac",)})
    smart: SmartRecipe | None = None
    bregman: BregmanRecipe | None = None
    r_drop: RDropRecipe | None = None
    pretraining: PretrainingRecipe | None = None
    train: Literal["full-model", "last-linear-layer"] = "full-model"
    frozen_dropout: bool = key(False, only_with={"train": ("last-linear-layer",)})  # leave the frozen encoder's dropout on
    learning_rate: float | None = key(None, above=0, at_most=1)  # left out: the optimizer's
    learning_rate_schedule: Literal["constant", "halve_on_rise"] | None = None  # left out: the optimizer's
    # what the stage's best epoch, `patience` and `end_with` go by; left out: the recipe's. loss: the mean loss on dev
    select_by: Literal["overall_normalised", "overall_raw", "minimum", "loss", *TASKS] | None = None
    patience: int = key(0, at_least=0)  # stop after so many epochs without a better one; 0: never
    end_with: Literal["last", "best"] = "last"  # the weights that the next stage starts from


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole experiment: what `load_recipe` returns and the run folder keeps."""
    name: str  # its path below recipes/ without .toml; run folders are named after it
    source: str  # report, table and row, or who chose the settings
    description: str = ""
    expected: Expected = Expected()
    reported: str = ""  # the report's hours and hardware, where it gives them
    seed: int = key(11711, at_least=0, below=2**32)
    model: str = ""  # empty: the command line's default
    max_length: int = key(128, at_least=3, at_most=512)
    preprocess: Literal["raw", "cs224n"] = "raw"
    precision: Literal["fp32", "bf16"] = "fp32"
    # picks the best checkpoint
    select_by: Literal["overall_normalised", "overall_raw", "minimum", *TASKS] = "overall_normalised"
    encoder: EncoderRecipe = EncoderRecipe()
    features: FeaturesRecipe = FeaturesRecipe()
    tasks: dict[str, TaskRecipe] = key(names=TASKS)
    optimizer: OptimizerRecipe
    stages: tuple[StageRecipe, ...]


def find_conflicts(recipe: Recipe) -> Iterator[tuple[Place, str]]:
    """(place, what is wrong) for the rules that look at more than one key."""
    if not re.fullmatch(r"[a-z0-9_-]+(/[a-z0-9_-]+)*", recipe.name):
        yield ("name",), f"{show(recipe.name)} is not made of a-z, 0-9, _ and -, with / between the parts"
    for score in ("sts", "overall"):
        if (getattr(recipe.expected, score) is None) != (getattr(recipe.expected, f"{score}_scale") is None):
            yield ("expected", f"{score}_scale"), f"{score} and its scale ('r', or 'normalised': (r + 1) / 2) go together"
    if recipe.select_by in TASKS and recipe.select_by not in recipe.tasks:
        yield ("select_by",), f"{show(recipe.select_by)} is not one of the recipe's tasks {listed(recipe.tasks)}"
    for choice, file in (("part_of_speech", "tag_file"), ("synonyms", "synonym_file")):
        if getattr(recipe.features, choice) == "file" and not getattr(recipe.features, file):
            yield ("features", file), "this key is missing"
    if recipe.features.synonyms != "none" and any(stage.fraction for stage in recipe.stages):
        # a copy could land in another part than its original
        yield ("features", "synonyms"), "does not go with fraction in a stage"
    if all(stage.train == "last-linear-layer" for stage in recipe.stages):
        needs = "needs a stage that trains the encoder, train = 'full-model'"
        if recipe.encoder.kind != "shared":
            yield ("encoder", "kind"), f"'{recipe.encoder.kind}' {needs}"
        if recipe.features.part_of_speech != "none":
            yield ("features", "part_of_speech"), needs
    for name, task in recipe.tasks.items():
        for place, wrong in find_task_conflicts(name, task):
            yield ("tasks", name, place), wrong
    for number, stage in enumerate(recipe.stages):
        for place, wrong in (*find_stage_conflicts(recipe, stage), *find_pretraining_conflicts(recipe, stage)):
            yield ("stages", number, *place), wrong
    if all(name in PRETRAINING for stage in recipe.stages for name in stage.objectives):
        yield ("stages",), f"none of them trains one of the tasks {listed(recipe.tasks)}"


def find_task_conflicts(name: str, task: TaskRecipe) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) of one task's table."""
    kind = TASKS[name].kind
    if task.encoding not in ENCODINGS[name]:
        yield "encoding", f"'{task.encoding}' is not one of {listed(ENCODINGS[name])}"
    if task.head == "cosine" and (kind != "score" or task.encoding != "independent"):
        yield "head", "'cosine' is for sts with encoding = 'independent'"
    fitting = {"classes": ("labels", "regression", "one_hot"), "binary": ("labels",), "score": ("labels", "classes5", "classes6")}
    if task.target not in fitting[kind]:
        yield "target", f"'{task.target}' is not one of {listed(fitting[kind])}, which {name}'s labels allow"
    if task.output_range != "free" and kind != "score":
        yield "output_range", f"'{task.output_range}' is for tasks whose labels are scores"


def find_stage_conflicts(recipe: Recipe, stage: StageRecipe) -> Iterator[tuple[Place, str]]:
    """(place in the stage, what is wrong) of one stage."""
    for index, name in enumerate(stage.objectives):
        needed = READS.get(name, name)
        if name in stage.objectives[:index]:
            yield ("objectives", index), f"{show(name)} is in the list twice"
        elif needed in TASKS and needed not in recipe.tasks:
            reads = "is" if needed == name else f"reads {needed}, which is"
            yield ("objectives", index), f"{show(name)} {reads} not one of the recipe's tasks {listed(recipe.tasks)}"
        elif name not in TASKS and name not in PRETRAINING:
            close = difflib.get_close_matches(name, (*recipe.tasks, *PRETRAINING), 1)
            way_out = f"did you mean '{close[0]}'?" if close else f"known are {listed((*recipe.tasks, *PRETRAINING))}"
            yield ("objectives", index), f"{show(name)} is no objective; {way_out}"
    several = len(stage.objectives) > 1
    unsupervised = [name for name in stage.objectives if name in PRETRAINING]
    if unsupervised and stage.schedule == "equal_resample":
        yield ("schedule",), f"'equal_resample' draws the rows of tasks; '{unsupervised[0]}' has none of its own"
    if unsupervised and stage.short_batches == "nominal":
        yield ("short_batches",), f"'nominal' is for tasks; the batches of '{unsupervised[0]}' differ in size"
    if stage.patience and stage.schedule == "sequential_tasks":
        yield ("patience",), "would stop before the later tasks of 'sequential_tasks' have had their turn"
    if (stage.learning_rate_schedule or recipe.optimizer.schedule) == "halve_on_rise" and stage.schedule in (
            "sequential_tasks", "epoch_dropout"):
        yield ("schedule",), f"the epochs of '{stage.schedule}' train different tasks, whose losses 'halve_on_rise' would compare"
    if stage.select_by and not stage.patience and stage.end_with != "best":
        yield ("select_by",), "only goes with patience or end_with = 'best': the run's best checkpoint goes by the recipe's"
    if stage.end_with == "best" and stage is recipe.stages[-1]:
        yield ("end_with",), "is for a stage that another follows: the run keeps its best checkpoint anyway"
    if stage.smart and stage.smart.dropout == "on" and recipe.precision == "bf16":
        yield ("smart", "dropout"), "'on' compares the training pass with one in float32: with bf16 that measures rounding"
    if stage.steps_per_epoch and (stage.schedule == "epoch_dropout" or (stage.schedule.startswith("sequential") and several)):
        yield ("steps_per_epoch",), f"'{stage.schedule}' is a full pass over every task"
    if stage.steps_per_epoch and (stage.schedule in JOINT or stage.budget):
        yield ("steps_per_epoch",), f"'{stage.schedule}' sets the number of steps itself"
    if not stage.steps_per_epoch and stage.schedule in ("proportional", "sqrt", "annealed"):
        yield ("steps_per_epoch",), f"this key is missing: '{stage.schedule}' draws without end"
    if stage.combine != "sum" and not (several and stage.train == "full-model" and recipe.encoder.kind != "separate"):
        yield ("combine",), f"'{stage.combine}' needs two tasks or more that share a trained encoder"
    for table in ("budget", "probabilities", "weights", "fraction"):
        for name in getattr(stage, table) or ():
            if name not in stage.objectives:
                yield (table, name), f"not one of the stage's objectives {listed(stage.objectives)}"
    for name, (start, end) in (stage.fraction or {}).items():
        if not start < end or (name in PRETRAINING and name not in READS):
            yield ("fraction", name), (f"[{start}, {end}] is not a part [from, to] of a whole" if start >= end
                                       else "this objective reads every task's text: it has no rows of its own")
    for name in stage.budget and stage.objectives or ():
        if name not in stage.budget:
            yield ("budget", name), "this key is missing: a budget names every objective"
    for table in ("smart", "bregman", "r_drop"):
        if penalty := getattr(stage, table):
            for name in penalty.tasks or stage.objectives:
                if name not in stage.objectives or name in PRETRAINING:
                    yield (table, "tasks"), f"{show(name)} is not a task that this stage trains"
    if stage.smart and stage.train == "last-linear-layer":
        yield ("smart",), "smooths the encoder's neighbourhood: it needs train = 'full-model'"
    if stage.accumulate == 1 and stage.accumulate_by != "mean":
        yield ("accumulate_by",), "only goes with accumulate = 2 or more"
    for index, name in enumerate(stage.objectives):
        task = recipe.tasks.get(name)
        if stage.train == "last-linear-layer" and task and (task.head, task.projection) == ("cosine", "none"):
            yield ("objectives", index), f"{show(name)} has no weights to train: a cosine has none, and the encoder is frozen"
    if stage.select_by in TASKS and stage.select_by not in recipe.tasks:
        yield ("select_by",), f"{show(stage.select_by)} is not one of the recipe's tasks {listed(recipe.tasks)}"


def find_pretraining_conflicts(recipe: Recipe, stage: StageRecipe) -> Iterator[tuple[Place, str]]:
    """(place in the stage, what is wrong) with objectives that need no labels of a task's own head."""
    unsupervised = [name for name in stage.objectives if name in PRETRAINING]
    if unsupervised and (stage.train == "last-linear-layer" or recipe.encoder.kind != "shared"):
        place = ("objectives", stage.objectives.index(unsupervised[0]))
        yield place, f"'{unsupervised[0]}' needs one shared encoder that is trained"
    if stage.pretraining and not unsupervised:
        yield ("pretraining",), f"only goes with one of the objectives {listed(PRETRAINING)}"
    for name, users in USED_BY.items():
        given = stage.pretraining and getattr(stage.pretraining, name) != getattr(PretrainingRecipe, name)
        if given and not set(users) & set(unsupervised):
            yield ("pretraining", name), f"only goes with one of the objectives {listed(users)}"
    if "simcse" in unsupervised and stage.select_by == "loss":
        yield ("select_by",), "'simcse' has no loss on dev: without dropout there is nothing to compare"
    watched = stage.patience or stage.end_with == "best"
    if watched and len(unsupervised) == len(stage.objectives) and stage.select_by != "loss":
        yield ("select_by",), "it must be 'loss' for patience or end_with = 'best': this stage has no task's score yet"


def load_recipe(name_or_file: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """The recipe of that name below recipes/, or in a file ending in .toml, with `settings` such as "stages.0.epochs=3"
    put in: a TOML value or plain text; an empty one takes the key out. Raises MinbertError."""
    files = read_layers(find_recipe(str(name_or_file)))
    layers = [*files, *((f"--set {setting}", read_setting(setting)) for setting in settings)]
    table = {}
    try:
        for _, layer in layers:
            merge(table, layer)
        for name, task in table["tasks"].items() if isinstance(table.get("tasks"), dict) else ():
            if name in ENCODINGS and isinstance(task, dict):
                task.setdefault("encoding", ENCODINGS[name][0])
        recipe = build(Recipe, table, (), {})
        for place, wrong in find_conflicts(recipe):
            raise Fault(place, wrong)
        return recipe
    except Fault as fault:
        place, wrong = fault.args
        origin = next((label for label, layer in reversed(layers) if speaks_of(layer, place)), files[-1][0])
        raise MinbertError(f"{origin}: {spell(place)}: {wrong}") from None


def list_recipes() -> list[Recipe]:
    """Every recipe that comes with minBERT, by name."""
    return sorted(map(load_recipe, RECIPES.rglob("*.toml")), key=lambda recipe: recipe.name)


def to_toml(recipe: Recipe) -> str:
    """The recipe with its defaults spelled out; `load_recipe` reads it back to an equal Recipe."""
    return "\n".join(write_keys(recipe)) + "\n"


def find_recipe(name: str, folder: Path = Path(), asker: str = "") -> Path:
    if name.endswith(".toml"):
        return folder / name
    files = {path.relative_to(RECIPES).with_suffix("").as_posix(): path for path in RECIPES.rglob("*.toml")}
    if name not in files:
        close = listed(difflib.get_close_matches(name, files, 3, cutoff=0))
        raise MinbertError(f"{asker}no recipe is called {show(name)}; closest: {close}",
                           "--list_recipes lists them all; a file of your own must end in .toml")
    return files[name]


def read_layers(path: Path, seen: tuple[Path, ...] = ()) -> list[tuple[str, dict]]:
    """(label, table) of the file, and before it what it inherits from all that it extends."""
    label = path.as_posix().removeprefix(f"{RECIPES.as_posix()}/")
    try:
        table = tomllib.loads(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # tomllib names the line
        raise MinbertError(f"{label}: not valid TOML: {error}") from None
    if "extends" not in table:
        return [(label, table)]
    if path.resolve() in seen:
        raise MinbertError(f"{label}: extends: the files extend each other in a circle")
    parent = find_recipe(str(table.pop("extends")), path.parent, f"{label}: extends: ")
    layers = read_layers(parent, (*seen, path.resolve()))
    for _, inherited in layers:
        for name in NOT_INHERITED:
            inherited.pop(name, None)
    return [*layers, (label, table)]
