"""Dropout: the right share of zeros, mean one, independent draws, silent in evaluation."""

import pytest
import torch

from minbert.dropout import Drop, Dropout, draw_mask


def draw(rate: float, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """What dropout makes of ones."""
    return Drop.apply(torch.ones(shape, dtype=dtype), *draw_mask(torch.empty(shape), rate))


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_the_share_of_zeros_is_the_rate_and_the_mean_is_one(rate):
    torch.manual_seed(0)
    mask = draw(rate, 1000, 1000, dtype=torch.float64)
    share = (mask == 0).double().mean().item()
    assert abs(share - rate) < 4 * (rate * (1 - rate) / 1e6) ** 0.5 + 1 / 65536, \
        f"{share:.1%} is dropped at a rate of {rate:.0%}: the rate is the share that goes, not the share that stays"
    kept = mask[mask > 0]
    assert torch.allclose(kept, torch.tensor(1 / (1 - rate), dtype=torch.float64), rtol=1e-4), \
        f"what is kept is multiplied by {kept.mean():.3g}: it must be 1 / (1 - rate), so that the mean stays as it was"
    assert abs(mask.mean().item() - 1) < 4 * (rate / (1 - rate) / 1e6) ** 0.5, "the mean must stay as it was"


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    dropped = (draw(0.5, 1_000_000) == 0).double() - 0.5
    for distance in (1, 2, 3, 4, 8):  # four neighbours share one 64-bit number
        correlation = 4 * (dropped[:-distance] * dropped[distance:]).mean().item()
        assert abs(correlation) < 0.005, f"neighbours {distance} apart are dropped together: each must be drawn by itself"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1023])
def test_every_size_gets_a_mask_of_its_shape(size):
    assert draw(0.5, size, 3).shape == draw_mask(torch.empty(size, 3), 0.5)[0].shape == (size, 3)


def test_the_global_seed_decides_the_mask_and_the_gradient_uses_the_same_one():
    layer, input = Dropout(0.5), torch.ones(50, requires_grad=True)
    torch.manual_seed(3)
    first = layer(input)
    torch.manual_seed(3)
    assert torch.equal(first, layer(input)) and not torch.equal(first, layer(input))
    first.sum().backward()
    assert torch.equal(input.grad, first.detach()), "the gradient goes through the same mask, factor and all"


def test_evaluation_and_rate_zero_leave_the_input_alone():
    input = torch.randn(5)
    assert torch.equal(Dropout(0.5).eval()(input), input), "dropout acts in evaluation too: only in training may it drop"
    assert torch.equal(Dropout(0.0)(input), input)


@pytest.mark.parametrize("rate", [0.999999, 1.0])
def test_a_rate_too_near_one_for_65536_levels_is_left_to_torch(rate):
    assert torch.equal(Dropout(rate)(torch.ones(5)), torch.zeros(5))


def test_the_gradient_of_the_gradient_and_functional_gradients_work_too():
    kept, factor = draw_mask(torch.empty(3, 4), 0.5)
    input = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: Drop.apply(x, kept, factor), input)
    assert torch.autograd.gradgradcheck(lambda x: Drop.apply(x, kept, factor), input)
    functional = torch.func.grad(lambda x: Drop.apply(x, kept, factor).sum())(input.detach())
    assert torch.equal(functional, kept * factor)


def test_backward_keeps_one_byte_an_element():
    output = Dropout(0.5)(torch.ones(5, 3, requires_grad=True))
    kept, = output.grad_fn.saved_tensors
    assert kept.dtype == torch.bool and kept.shape == (5, 3)
