"""A small multitask model on made-up examples, for the tests of model, loop, state and run."""

from pathlib import Path

import torch

from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.tokenizer import BertTokenizer
from minbert.weights import save_model
from multitask.data import Example
from multitask.encoders import SharedEncoder
from multitask.model import MultitaskBert
from multitask.recipe import OptimizerRecipe, Recipe, StageRecipe, TaskRecipe
from multitask.stage import TaskData

WORDS = "a an the good bad film cat dog sat ran red blue big small one two three is was not very and or no yes".split()
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "##ed", "."]


def tokenizer() -> BertTokenizer:
    return BertTokenizer(VOCABULARY)


def config(dropout: float = 0.1) -> BertConfig:
    return BertConfig(vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
                      intermediate_size=32, max_position_embeddings=40, hidden_dropout_prob=dropout,
                      attention_probs_dropout_prob=dropout, initializer_range=0.3)


def recipe(encoding: str = "pair", objectives: tuple[str, ...] = ("sst", "para", "sts"), **stage) -> Recipe:
    pair = {"encoding": encoding} | ({"features": "difference"} if encoding == "independent" else {})
    settings = {"objectives": objectives, "schedule": "budgeted", "epochs": 2, "batch_size": 4} | stage
    return Recipe(name="test", source="a test", max_length=32,
                  tasks={"sst": TaskRecipe(encoding="single"), "para": TaskRecipe(**pair), "sts": TaskRecipe(**pair)},
                  optimizer=OptimizerRecipe(learning_rate=1e-3), stages=(StageRecipe(**settings),))


def make_model(some_recipe: Recipe, dropout: float = 0.1, seed: int = 0) -> MultitaskBert:
    torch.manual_seed(seed)
    words = tokenizer()
    return MultitaskBert(SharedEncoder(BertModel(config(dropout))), some_recipe, words.cls_id, words.sep_id)


def examples(task: str, count: int, seed: int = 0) -> list[Example]:
    """Random sentences of 1 to 12 words with labels in the task's range."""
    generator = torch.Generator().manual_seed(seed + {"sst": 1, "para": 2, "sts": 3}[task])
    words = tokenizer()

    def draw(high: int) -> int:
        return int(torch.randint(high, (), generator=generator))

    result = []
    for index in range(count):
        texts = tuple(" ".join(WORDS[draw(len(WORDS))] for _ in range(1 + draw(12))) for _ in range(1 if task == "sst" else 2))
        label = {"sst": draw(5), "para": draw(2), "sts": draw(51) / 10}[task]
        result.append(Example(f"{task}{seed}-{index}", texts, label, tuple(words.text_to_ids(text) for text in texts)))
    return result


def data(train: int = 14, dev: int = 9) -> dict[str, TaskData]:
    return {task: TaskData(examples(task, train), examples(task, dev, seed=100), None) for task in ("sst", "para", "sts")}


def save_tiny_bert(folder: Path) -> Path:
    """A tiny BERT in the ecosystem's format."""
    torch.manual_seed(0)
    save_model(folder, config(), BertModel(config()), VOCABULARY)
    return folder


def assert_same_state(one, other, place: str = "state") -> None:
    """Two states, tensor by tensor."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), f"{place} is not what it was"
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same_state(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, (list, tuple)):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same_state(left, right, f"{place}.{number}")
    else:
        assert one == other, f"{place} is not what it was"
