"""Further pre-training's losses, and their gradients, beside sentence-transformers' and transformers'."""

import pytest
import torch
from tiny import golden, reference_weights, tiny_bert, tiny_vocabulary_head

from minbert.tensor_names import ECOSYSTEM, rename
from multitask.data import Batch, Tokens
from multitask.encoders import SharedEncoder
from multitask.pretraining import margin_contrastive_loss, ranking_loss
from multitask.word_prediction import IGNORED, WordPrediction

pytestmark = pytest.mark.oracle
WAY = "pip install --no-deps sentence-transformers==6.2.0 scikit-learn scipy joblib cloudpickle threadpoolctl narwhals"


def vectors(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.randn(2, count, 7, generator=torch.Generator().manual_seed(count)) * 3
    return drawn[0].requires_grad_(), drawn[1].requires_grad_()


def compare(ours, theirs, *leaves: torch.Tensor) -> None:
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6, abs=1e-6)
    for own, other in zip(torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, leaves), strict=True):
        assert torch.allclose(own, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 20.0])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_ranking_loss_is_sentence_transformers(count, scale):
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses", reason=WAY)
    anchors, positives = vectors(count)
    theirs = losses.MultipleNegativesRankingLoss(None, scale).compute_loss_from_embeddings([anchors, positives], None)
    compare(ranking_loss(anchors, positives, scale), theirs, anchors, positives)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("margin", [0.5, 1.5])
def test_the_margin_loss_is_sentence_transformers(distance, margin):
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses", reason=WAY)
    metric = {"cosine": losses.SiameseDistanceMetric.COSINE_DISTANCE, "euclidean": losses.SiameseDistanceMetric.EUCLIDEAN}
    u, v = vectors(12)
    labels = torch.tensor([0.0, 1.0]).repeat(6)
    theirs = losses.ContrastiveLoss(None, metric[distance], margin).compute_loss_from_embeddings([u, v], labels)
    compare(margin_contrastive_loss(u, v, labels, margin, distance), theirs, u, v)


def test_masked_language_modelling_has_the_references_loss_and_gradients():
    from transformers import BertConfig, BertForMaskedLM

    reference = golden()
    theirs = BertForMaskedLM(BertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
                                        intermediate_size=32, max_position_embeddings=24)).double().eval()
    missing, _ = theirs.load_state_dict(reference_weights(), strict=False)
    assert not missing
    ids, mask, segment = (reference[f"input.{part}"] for part in ("ids", "mask", "segment"))
    labels = torch.where((torch.rand(ids.shape, generator=torch.Generator().manual_seed(0)) < 0.4) & mask.bool(), ids, IGNORED)
    expected = theirs(ids, mask, segment, labels=labels).loss
    expected.backward()

    model = torch.nn.Module()
    model.encoder = SharedEncoder(tiny_bert())
    model.pretraining = torch.nn.ModuleDict({"masked_lm": tiny_vocabulary_head(model.encoder.bert)})
    objective, batch = object.__new__(WordPrediction), Batch(("a", "b", "c"), Tokens(ids, mask, segment), labels)
    objective.name = "masked_lm"
    found = objective.loss(objective.output(model, batch), batch)
    found.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    grads = dict(theirs.bert.named_parameters())
    for name, weight in model.encoder.bert.named_parameters():
        if not name.startswith("pooler"):  # their masked model has none
            assert torch.allclose(weight.grad, grads[rename(name, ECOSYSTEM)].grad, rtol=1e-4, atol=1e-6), name
    bias = theirs.get_output_embeddings().bias.grad
    assert torch.allclose(model.pretraining["masked_lm"].bias.grad, bias, rtol=1e-4, atol=1e-6)
