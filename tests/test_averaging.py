"""Averages of weights: sequences worked by hand, torch's own averages, and the swap there and back."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from optim.averaging import WeightAverage


def weight(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def set_to(parameter: nn.Parameter, *values: float) -> None:
    with torch.no_grad():
        parameter.copy_(torch.tensor(values, dtype=torch.float64))


def averaged(average: WeightAverage) -> list[float]:
    with average.applied():
        return [value for parameter in average.parameters for value in parameter.tolist()]


def walk(average: WeightAverage, parameter: nn.Parameter, values: list[float]) -> list[float]:
    """The average after each value; every one is a step and an epoch's end."""
    seen = []
    for value in values:
        set_to(parameter, value)
        average.after_step()
        average.after_epoch()
        seen += averaged(average)
    return seen


def test_a_moving_average_worked_by_hand():
    # from 0: d = min(.5, 2/11) = 2/11: 11 * 9/11 = 9; then d = min(.5, 3/12): .25 * 9 + .75 * 1 = 3
    parameter = weight(0)
    assert walk(WeightAverage([parameter], "ema", 0.5), parameter, [11, 1]) == pytest.approx([9, 3]), \
        "decay is the average's own share, and the warm start is min(d, (1 + t) / (10 + t)), t counting from 1"
    # d below 2/11 is never reached from below: .1 * 0 + .9 * 10 = 9; .1 * 9 + .9 * 0 = .9
    parameter = weight(0)
    assert walk(WeightAverage([parameter], "ema", 0.1), parameter, [10, 0]) == pytest.approx([9, 0.9]), \
        "decay is the average's own share: decay times the average plus (1 - decay) times the weights"


def test_the_mean_of_the_epochs_ends_worked_by_hand():
    parameter = weight(100)
    assert walk(WeightAverage([parameter], "swa"), parameter, [3, 5, 10]) == pytest.approx([3, 4, 6]), \
        "the mean of 3, 5 and 10; the weights before training do not count"


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_constant_weights_stay(kind):
    parameter = weight(0.1, -7, 1e-9)
    average = WeightAverage([parameter], kind, 0.999)
    assert all(one.data_ptr() != parameter.data_ptr() for one in average.averages), \
        "the average shares the weights' memory and moves with them: it must start as a copy"
    for _ in range(50):
        average.after_step()
        average.after_epoch()
    assert averaged(average) == parameter.tolist()


def test_with_decay_0_the_average_is_the_live_weights():
    parameter = weight(0)
    values = [0.1, -3.7, 1e9, 1e-9]
    assert walk(WeightAverage([parameter], "ema", 0.0), parameter, values) == values


def test_the_moving_average_moves_at_steps_and_the_mean_at_epochs():
    for kind, moved in (("ema", "after_step"), ("swa", "after_epoch")):
        parameter = weight(1)
        average = WeightAverage([parameter], kind)
        set_to(parameter, 2)
        getattr(average, {"after_step": "after_epoch", "after_epoch": "after_step"}[moved])()
        assert averaged(average) == [1], f"{kind} moved at the wrong moment"
        getattr(average, moved)()
        assert averaged(average) != [1]


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_torch_s_own_averages_are_the_same(kind):
    torch.manual_seed(0)
    model = nn.Linear(3, 2).double()
    ours = WeightAverage(model.parameters(), kind, 0.1)  # 0.1: below the warm start from the first step on
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.1) if kind == "ema" else None)
    if kind == "ema":
        theirs.update_parameters(model)  # its first update copies
    for _ in range(20):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn_like(parameter)
        ours.after_step()
        ours.after_epoch()
        theirs.update_parameters(model)
    for average, expected in zip(ours.averages, theirs.module.parameters(), strict=True):
        assert torch.allclose(average, expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_the_swap_restores_every_bit_also_after_an_error(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 2))
    average = WeightAverage(model.parameters(), kind, 0.9)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    average.after_step()
    average.after_epoch()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    live = [parameter.detach().clone() for parameter in model.parameters()]
    means = [one.clone() for one in average.averages]
    with pytest.raises(KeyError), average.applied():
        assert all(torch.equal(one, mean) for one, mean in zip(model.parameters(), means, strict=True))
        raise KeyError
    assert all(torch.equal(one, before) for one, before in zip(model.parameters(), live, strict=True)), \
        "the model has not got its own weights back: training would go on from the average"
    assert all(torch.equal(one, mean) for one, mean in zip(average.averages, means, strict=True))
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_a_saved_average_goes_on_bit_for_bit(kind):
    parameter, other = weight(0.3), weight(0.3)
    one, resumed = WeightAverage([parameter], kind, 0.7), WeightAverage([other], kind, 0.7)
    walk(one, parameter, [1.1, -2.3])
    set_to(other, -2.3)
    resumed.load_state_dict(one.state_dict())
    assert walk(resumed, other, [5.7, 0.01]) == walk(one, parameter, [5.7, 0.01]), "moves or averages were lost"


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="kind 'mean' is not"):
        WeightAverage([], "mean")
    with pytest.raises(ValueError, match="decay 1 is not"):
        WeightAverage([], "ema", 1)
