"""THE training loop: one stage, step by step, for every recipe."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minbert.files import MinbertError
from multitask.schedules import Schedule
from multitask.state import TrainState


@dataclass(frozen=True)
class Step:
    """What one step did: its losses by objective, the rows it read, and whether the epoch is over with it."""

    epoch: int
    step: int
    losses: dict[str, Tensor]
    rows: int
    ends_epoch: bool


def run_stage(state: TrainState, schedule: Schedule, epochs: int, clip: float) -> Iterator[Step]:
    """Trains from where `state` stands to the end of the last epoch, yielding after every step.

    Logging, evaluation, saving and stopping are the caller's: `for step in run_stage(...)`. The yielded place is
    already in `state`, so it may be saved or left at any yield.

    Raises MinbertError (exit status 5), before the step is taken, for a loss or gradient that is nan or infinite.
    """
    device = next(state.model.parameters()).device
    for epoch in range(state.epoch, epochs + 1):
        order = schedule(epoch)
        for names in order[state.step:]:
            state.model.train()
            losses, ids = {}, ()
            for number, name in enumerate(names):
                objective = state.objectives[name]
                batch = objective.next_batch().to(device)
                loss = objective.loss(objective.output(state.model, batch), batch)
                loss.backward()  # gradients of several objectives add up, unless they are combined in another way
                if state.combine:
                    state.rows.take(number)  # the shared parameters' only: a head belongs to its own task
                check_finite(loss, f"the loss of {name}", epoch, state.step + 1, batch.ids)
                losses[name], ids = loss.detach(), ids + batch.ids
            if state.combine:
                state.rows.put(state.combine(state.rows.grads_NP))
            norm = nn.utils.clip_grad_norm_(state.model.parameters(), clip)
            check_finite(norm, f"the gradient of {'+'.join(names)}", epoch, state.step + 1, ids)
            state.optimizer.step()
            state.learning_rate.step()
            state.optimizer.zero_grad(set_to_none=True)
            state.step += 1
            yield Step(epoch, state.step, losses, len(ids), ends_epoch=state.step == len(order))
        state.epoch, state.step = epoch + 1, 0


def check_finite(value: Tensor, what: str, epoch: int, step: int, ids: tuple[str, ...]) -> None:
    """Raises MinbertError with exit status 5 where `value` is nan or infinite."""
    if not torch.isfinite(value):
        raise MinbertError(f"{what} is {value.item()} in epoch {epoch}, step {step} (examples {', '.join(ids[:8])}"
                           f"{', ...' if len(ids) > 8 else ''}); the weights before this step are kept",
                           "try a smaller --lr; look at these examples", exit_code=5)
