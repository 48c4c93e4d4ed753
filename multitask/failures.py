"""What ends training for good, said so that it can be mended: numbers that are not finite, and memory that is too small."""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from minbert.files import MinbertError, write_text
from multitask import processes
from multitask.data import Batch
from multitask.objectives import Objective, Supervised
from multitask.record import to_json
from multitask.stage import TaskData
from multitask.state import TrainState
from multitask.state_files import list_states
from multitask.train import NotFinite, add_gradient


@contextmanager
def explained(state: TrainState, index: int, data: Mapping[str, TaskData], folder: Path) -> Iterator[None]:
    """What the block raises for want of finite numbers or of memory becomes a MinbertError that names the way out."""
    try:
        yield
    except NotFinite as error:
        raise record_not_finite(error, data, folder) from error
    except RuntimeError as error:
        if isinstance(error, NotImplementedError) and "MPS" in str(error):
            raise MinbertError(f"torch cannot do a step of this training on MPS: {first_line(error)}",
                               "set PYTORCH_ENABLE_MPS_FALLBACK=1 in the environment, or --device cpu") from error
        if is_out_of_memory(error):
            traceback.clear_frames(error.__traceback__)  # they hold the failed step's tensors
            raise advise_on_memory(error, state, index) from error
        raise


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def record_not_finite(error: NotFinite, data: Mapping[str, TaskData], folder: Path) -> MinbertError:
    """Writes the step's examples to nan_batch.json; each of several processes writes its own part of them."""
    known = {(name, example.id): example for name, task in data.items() for example in task.train}
    found = {name: [known.get((name, id)) for id in ids] for name, ids in error.ids.items()}
    rows = {name: [{"id": id, "texts": example and example.texts, "label": example and example.label}
                   for id, example in zip(error.ids[name], examples, strict=True)] for name, examples in found.items()}
    path = folder / ("nan_batch.json" if processes.count() == 1 else f"nan_batch-{processes.number()}.json")
    saved = list_states(folder / "last")
    write_text(path, to_json(error.place | {"examples": rows}, indent=2) + "\n")
    last = f"the last good state is {saved[0]}" if saved else "no state was saved before"
    return MinbertError(f"{error}; {last}; the examples are in {path}",
                        "start a new run with a smaller --lr; look at these examples", exit_code=5)


def is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a class of its own for it, MPS and the CPU only say it."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in said or "can't allocate memory" in said


def advise_on_memory(error: RuntimeError, state: TrainState, index: int) -> MinbertError:
    """What to type so that the same number of examples a step fits."""
    size, accumulate = state.stage.batch_size, state.stage.accumulate
    fitting = find_fitting_batch(state)
    if not fitting:
        return MinbertError(f"out of memory on {state.device}, even for one example at a time: {first_line(error)}",
                            "a smaller model, a smaller max_length, or --set precision=bf16")
    keeps = f"keeps {size * accumulate} examples a step" if size % fitting == 0 else "is about as many examples a step"
    return MinbertError(f"out of memory on {state.device} with batch_size {size} in stage {index + 1}: {first_line(error)}",
                        f"--batch_size {fitting} fits (tried on the longest examples); with "
                        f"--set stages.{index}.accumulate={accumulate * size // fitting} it {keeps}")


class OneBatch:
    """An objective whose next batch is always this one."""

    def __init__(self, objective: Objective, batch: Batch) -> None:
        self.objective, self.batch = objective, batch

    def __getattr__(self, name: str) -> object:
        return getattr(self.objective, name)

    def next_batch(self) -> Batch:
        return self.batch


def find_fitting_batch(state: TrainState) -> int:
    """The largest half, quarter, ... of the batch size whose gradient, penalties included, can be taken; 0 where none can.

    Tried on each task's longest examples. The gradients are gone afterwards, the weights as they were.
    """
    size = state.stage.batch_size // 2
    while size:
        try:
            for name, objective in state.objectives.items():
                if isinstance(objective, Supervised):
                    stream = objective.stream
                    longest = sorted(range(len(stream.examples)), key=stream.lengths.__getitem__)[-size:]
                    batch = stream.collate([stream.examples[place] for place in longest])
                    add_gradient(replace(state, objectives={name: OneBatch(objective, batch)}), name, share=1.0)
            return size
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            size //= 2
        finally:
            state.optimizer.zero_grad(set_to_none=True)
            if state.device.type == "cuda":
                torch.cuda.empty_cache()
    return 0
