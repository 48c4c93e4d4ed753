"""The packaged real model (MiniLM) against transformers: 500 sentences and pairs, alone, padded, in any batch."""

import csv
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minbert.bert import BertModel
from minbert.tokenizer import BertTokenizer

pytestmark = pytest.mark.oracle
TOLERANCE = 1e-5  # float32; padding alone moves the reference by 3.5e-6


def read_texts() -> list[tuple[str, ...]]:
    """250 single sentences and 250 pairs: the course's real ones where they are, the samples otherwise."""
    real = Path(os.environ.get("MINBERT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    folder = real if (real / "sts-dev.csv").exists() else Path(__file__).parents[1] / "multitask" / "sample_data"

    def column(name: str, *texts: str) -> list[tuple[str, ...]]:
        with open(folder / name, encoding="utf-8", newline="") as file:
            return [tuple(row[text] for text in texts) for row in csv.DictReader(file, delimiter="\t")]

    pairs = column("sts-dev.csv", "sentence1", "sentence2") + column("quora-dev.csv", "sentence1", "sentence2")
    generator = random.Random(0)
    return generator.sample(column("ids-sst-dev.csv", "sentence"), 250) + generator.sample(pairs, 250)


@pytest.fixture(scope="module")
def models(minilm):
    from transformers import AutoTokenizer
    from transformers import BertModel as Reference

    reference = Reference.from_pretrained(minilm, attn_implementation="eager").eval()
    words = AutoTokenizer.from_pretrained(minilm)
    return BertModel.from_pretrained(minilm), BertTokenizer.from_pretrained(minilm), reference, words


def encode(tokenizer, texts: list[tuple[str, ...]]) -> dict[str, torch.Tensor]:
    first = [text[0] for text in texts]
    second = [text[1] for text in texts] if len(texts[0]) == 2 else None
    return dict(tokenizer(first, second, padding=True, truncation=True, max_length=128, return_tensors="pt"))


def differences(ours: dict, theirs, mask: torch.Tensor) -> float:
    real = mask.bool()
    return max((ours["last_hidden_state"] - theirs.last_hidden_state)[real].abs().max().item(),
               (ours["pooler_output"] - theirs.pooler_output).abs().max().item())


@torch.no_grad()
def test_500_real_texts_have_the_references_vectors_in_padded_batches(models):
    model, tokenizer, reference, words = models
    texts, worst = read_texts(), 0.0
    for kind in (texts[:250], texts[250:]):
        for start in range(0, 250, 25):
            ours, theirs = encode(tokenizer, kind[start:start + 25]), encode(words, kind[start:start + 25])
            for name in ("input_ids", "attention_mask", "token_type_ids"):
                assert torch.equal(ours[name], theirs[name]), name
            worst = max(worst, differences(model(**ours), reference(**theirs), ours["attention_mask"]))
    print(f"largest difference over 500 texts: {worst:.2g}")
    assert worst < TOLERANCE


@torch.no_grad()
def test_a_text_has_the_same_vectors_alone_and_in_a_padded_batch(models):
    model, tokenizer, reference, words = models
    texts = read_texts()
    for kind in (texts[:60], texts[250:310]):
        batch = encode(tokenizer, kind)
        together = model(**batch)
        for row, text in enumerate(kind):
            alone = model(**encode(tokenizer, [text]))["last_hidden_state"][0]
            theirs = reference(**encode(words, [text])).last_hidden_state[0]
            assert (alone - together["last_hidden_state"][row, :len(alone)]).abs().max() < TOLERANCE
            assert (alone - theirs).abs().max() < TOLERANCE


@torch.no_grad()
def test_the_fused_attention_gives_the_same_vectors(models):
    model, tokenizer, *_ = models
    batch = encode(tokenizer, read_texts()[:25])
    by_hand = model(**batch)["last_hidden_state"]
    for layer in model.layers:
        layer.attention.fused = True
    fused = model(**batch)["last_hidden_state"]
    for layer in model.layers:
        layer.attention.fused = False
    assert (by_hand - fused)[batch["attention_mask"].bool()].abs().max() < TOLERANCE


def test_loading_takes_less_than_a_third_more_than_importing_torch(minilm):
    def seconds(code: str) -> float:
        """Processor time of a whole process: unlike the clock's, other work on the machine hardly moves it."""
        before = os.times()
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1],
                       env=os.environ | {"OMP_NUM_THREADS": "1"})  # a second thread would count its waiting
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    load = f"from minbert import BertModel; BertModel.from_pretrained({str(minilm)!r})"
    seconds(load)  # fills the disk's cache
    loads, imports = zip(*((seconds(load), seconds("import torch")) for _ in range(5)), strict=True)
    ratio = min(loads) / min(imports)  # the least disturbed of five each
    print(f"loaded in {min(loads):.2f} s, import torch alone {min(imports):.2f} s: {ratio:.2f}")
    assert ratio < 1.3, f"{loads} against {imports}"
