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
    """What one step did: its losses by objective, its penalties by "objective.penalty" (weights included), the rows it
    read, and whether the epoch is over with it."""

    epoch: int
    step: int
    losses: dict[str, Tensor]
    penalties: dict[str, Tensor]
    rows: int
    ends_epoch: bool


def run_stage(state: TrainState, schedule: Schedule, epochs: int, clip: float) -> Iterator[Step]:
    """Trains from where `state` stands to the end of the last epoch, yielding after every step.

    Logging, evaluation, saving and stopping are the caller's: `for step in run_stage(...)`. The yielded place is
    already in `state`, so it may be saved or left at any yield.

    Raises MinbertError (exit status 5), before the step is taken, for a loss or gradient that is nan or infinite.
    """
    for epoch in range(state.epoch, epochs + 1):
        order = schedule(epoch)
        for names in order[state.step:]:
            losses, penalties, ids = take_gradient(state, names)
            norm = nn.utils.clip_grad_norm_(state.model.parameters(), clip)
            check_finite(norm, f"the gradient of {'+'.join(names)}", state, ids)
            state.optimizer.step()
            state.optimizer.zero_grad(set_to_none=True)
            ends_epoch = state.step + 1 == len(order)
            state.end_step(losses, ends_epoch)
            yield Step(epoch, state.step, losses, penalties, len(ids), ends_epoch)
        state.epoch, state.step = epoch + 1, 0


def take_gradient(state: TrainState, names: tuple[str, ...]) -> tuple[dict[str, Tensor], dict[str, Tensor], tuple[str, ...]]:
    """Leaves the gradient of one step in the weights' .grad; returns losses, penalties, and the ids of the rows read."""
    state.model.train()
    losses, penalties, ids = {}, {}, ()
    for number, name in enumerate(names):
        stream, stage = state.objectives[name].stream, state.stage
        count = min(stage.accumulate, stream.left_in_pass)  # the last step of a pass may have fewer batches
        for _ in range(count):
            loss, extra, batch_ids = add_gradient(state, name, share=1 / count if stage.accumulate_by == "mean" else 1.0)
            losses[name] = losses.get(name, 0.0) + loss / count
            for penalty, value in extra.items():
                penalties[f"{name}.{penalty}"] = penalties.get(f"{name}.{penalty}", 0.0) + value / count
            ids += batch_ids
        if state.combine:
            state.rows.take(number)  # the shared parameters' only: a head belongs to its own task
    if state.combine:
        state.rows.put(state.combine(state.rows.grads_NP))
    return losses, penalties, ids


def add_gradient(state: TrainState, name: str, share: float) -> tuple[Tensor, dict[str, Tensor], tuple[str, ...]]:
    """Adds `share` of the gradient of one batch's loss and penalties to the weights' .grad; gradients of several
    objectives add up, unless they are combined in another way."""
    objective, device = state.objectives[name], state.device
    batch = objective.next_batch().to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=state.bf16):
        output = objective.output(state.model, batch)
        loss = objective.loss(output, batch)
        extra = {penalty.name: penalty(state.model, objective, batch, output)
                 for penalty in state.penalties if name in penalty.tasks}
    check_finite(loss, f"the loss of {name}", state, batch.ids)
    for penalty, value in extra.items():
        check_finite(value, f"{penalty} on {name}", state, batch.ids)
    weight = share * (state.stage.weights or {}).get(name, 1.0)
    if state.stage.short_batches == "nominal":
        weight *= len(batch.ids) / state.stage.batch_size
    (weight * (loss + sum(extra.values()))).backward()
    return loss.detach(), {penalty: value.detach() for penalty, value in extra.items()}, batch.ids


def check_finite(value: Tensor, what: str, state: TrainState, ids: tuple[str, ...]) -> None:
    """Raises MinbertError with exit status 5 where `value` is nan or infinite."""
    if not torch.isfinite(value):
        raise MinbertError(f"{what} is {value.item()} in epoch {state.epoch}, step {state.step + 1} (examples "
                           f"{', '.join(ids[:8])}{', ...' if len(ids) > 8 else ''}); the weights before this step are kept",
                           "try a smaller --lr; look at these examples", exit_code=5)
