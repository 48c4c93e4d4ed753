"""THE training loop: one stage, step by step, for every recipe."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minbert.files import MinbertError
from multitask import processes
from multitask.schedules import Schedule
from multitask.spare_memory import making_again
from multitask.state import TrainState


class NotFinite(MinbertError):
    """A loss or a gradient that is nan or infinite. `place` says where in training, `ids` which examples, by objective."""

    def __init__(self, what: str, value: float, state: TrainState, ids: dict[str, tuple[str, ...]]) -> None:
        first = [id for some in ids.values() for id in some][:9]
        super().__init__(f"{what} is {value} in epoch {state.epoch}, step {state.step + 1} (examples {', '.join(first[:8])}"
                         f"{', ...' if len(first) > 8 else ''})", "try a smaller --lr; look at these examples", exit_code=5)
        self.place = {"what": what, "value": str(value), "epoch": state.epoch, "step": state.step + 1,
                      "learning_rate": max(state.learning_rate.current)}
        self.ids = ids


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
            losses, penalties, rows, ids = take_gradient(state, names)
            norm = nn.utils.clip_grad_norm_(state.model.parameters(), clip)
            check_finite(losses, penalties, norm, state, ids)
            state.optimizer.step()
            state.optimizer.zero_grad(set_to_none=True)
            ends_epoch = state.step + 1 == len(order)
            state.end_step(losses, ends_epoch)
            yield Step(epoch, state.step, losses, penalties, rows, ends_epoch)
        state.epoch, state.step = epoch + 1, 0


def take_gradient(state: TrainState, names: tuple[str, ...]
                  ) -> tuple[dict[str, Tensor], dict[str, Tensor], int, dict[str, tuple[str, ...]]]:
    """Leaves the gradient of one step in the weights' .grad; returns losses, penalties, the number of rows, and by objective
    the ids of those that were read here. With several processes all but the ids are the whole batches', the same in each."""
    state.model.train()
    processes.draw_apart(state.generator.initial_seed(), state.epoch, state.step)
    losses, penalties, rows, ids = {}, {}, 0, {}
    for number, name in enumerate(names):
        stream, stage = state.objectives[name].stream, state.stage
        count = min(stage.accumulate, stream.left_in_pass)  # the last step of a pass may have fewer batches
        for _ in range(count):
            loss, extra, batch_ids = add_gradient(state, name, share=1 / count if stage.accumulate_by == "mean" else 1.0)
            losses[name] = losses.get(name, 0.0) + loss / count
            for penalty, value in extra.items():
                penalties[f"{name}.{penalty}"] = penalties.get(f"{name}.{penalty}", 0.0) + value / count
            rows += round(len(batch_ids) / stream.own)
            ids[name] = ids.get(name, ()) + batch_ids
        if state.combine:
            processes.sum_gradients(state.rows.parameters)  # before they are combined: surgery is on whole batches' gradients
            state.rows.take(number)  # the shared parameters' only: a head belongs to its own task
    processes.sum_gradients(state.model.parameters())
    if state.combine:
        state.rows.put(state.combine(state.rows.grads_NP, state.generator))
    return sum_over_processes(losses), sum_over_processes(penalties), rows, ids


def sum_over_processes(values: dict[str, Tensor]) -> dict[str, Tensor]:
    if processes.count() == 1 or not values:
        return values
    return dict(zip(values, processes.sum_up(torch.stack(list(values.values()))).unbind(), strict=True))


def add_gradient(state: TrainState, name: str, share: float) -> tuple[Tensor, dict[str, Tensor], tuple[str, ...]]:
    """Adds `share` of the gradient of one batch's loss and penalties to the weights' .grad; gradients of several
    objectives add up, unless they are combined in another way."""
    objective, device = state.objectives[name], state.device
    batch = objective.next_batch().to(device)
    part = objective.stream.share  # of the whole batch's loss: 1 but for several processes
    weight = share * part * (state.stage.weights or {}).get(name, 1.0)
    if state.stage.short_batches == "nominal":
        weight *= len(batch.ids) / objective.stream.own / state.stage.batch_size
    with state.word_gradient.kept_in_place():
        with making_again(), torch.autocast(device.type, torch.bfloat16, enabled=state.bf16):
            output = objective.output(state.model, batch)
            loss = objective.loss(output, batch)
            extra = {penalty.name: penalty(state.model, objective, batch, output)
                     for penalty in state.penalties if name in penalty.tasks}
        (weight * (loss + sum(extra.values()))).backward()
    return part * loss.detach(), {penalty: part * value.detach() for penalty, value in extra.items()}, batch.ids


def check_finite(losses: dict[str, Tensor], penalties: dict[str, Tensor], norm: Tensor, state: TrainState,
                 ids: dict[str, tuple[str, ...]]) -> None:
    """Raises NotFinite, exit status 5, for the first that is nan or infinite: a loss, a penalty, the gradient's norm. Then the
    step's gradient is gone."""
    if torch.stack([*losses.values(), *penalties.values(), norm]).isfinite().all():
        return  # one look for all of them: a GPU has to be waited for, once a step
    state.optimizer.zero_grad(set_to_none=True)  # whoever goes on begins anew
    named = [(f"the loss of {name}", (name,), loss) for name, loss in losses.items()]
    for key, value in penalties.items():
        name, _, penalty = key.partition(".")
        named.append((f"{penalty} on {name}", (name,), value))
    named.append((f"the gradient of {'+'.join(losses)}", tuple(losses), norm))
    for what, names, value in named:
        if not value.isfinite():
            raise NotFinite(what, value.item(), state, {name: ids[name] for name in names})
