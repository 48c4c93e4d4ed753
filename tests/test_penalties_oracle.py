"""SMART as the reports ran it, against the public library smart-pytorch."""

import pytest
import torch
from test_penalties import Network, NetworkObjective, make_tokens

from multitask.penalties import Smart
from multitask.recipe import SmartRecipe

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("epsilon, step_size", [(1e-6, 1e-3), (1e-5, 1e-3), (1e-2, 5.0)])
def test_the_normalize_mode_is_smart_pytorchs_value_and_gradient(epsilon, step_size):
    library = pytest.importorskip("smart_pytorch", reason="pip install --no-deps smart-pytorch==0.0.4")
    ours, theirs, objective, batch = Network(), Network(), NetworkObjective(), make_tokens(3, 2)
    torch.manual_seed(5)
    recipe = SmartRecipe(mode="normalize", epsilon=epsilon, step_size=step_size)
    value = Smart(recipe, ("network",))(ours, objective, batch, None)
    torch.manual_seed(5)
    loss = library.SMARTLoss(lambda embedded_BTD: objective.output(theirs, batch, embedded_BTD), objective.divergence,
                             epsilon=epsilon, step_size=step_size)
    expected = loss(theirs.embedded_BTD, objective.output(theirs, batch, theirs.embedded_BTD))
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    value.backward()
    expected.backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-9, atol=1e-12)
