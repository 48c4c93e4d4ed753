"""Everything that can be said of an experiment: the keys of a recipe, with their defaults and limits.

One dataclass field is one key; `multitask.recipe_files` reads TOML files into them.
"""

from dataclasses import dataclass
from typing import Literal

from multitask.strict_toml import key
from multitask.tables import TASKS

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
    # paper moves the embeddings so little that the gradient changes by a billionth; the other two are felt
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
    # the state of the run goes to last/ at the epochs' ends, every so many minutes, and every so many steps (0: not)
    save_minutes: float = key(10.0, above=0)
    save_steps: int = key(0, at_least=0)
    encoder: EncoderRecipe = EncoderRecipe()
    features: FeaturesRecipe = FeaturesRecipe()
    tasks: dict[str, TaskRecipe] = key(names=TASKS)
    optimizer: OptimizerRecipe
    stages: tuple[StageRecipe, ...]
