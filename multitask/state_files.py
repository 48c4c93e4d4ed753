"""The state of a run on disk: last/step-N, the newest two, each with its tensors, its plain values and a manifest.

No pickle: tensors go into state.safetensors, all else, as nested as it is, into state.json, with names in the tensors' places.
"""

import json
import shutil
from pathlib import Path

from torch import Tensor

from minbert.files import MinbertError, atomic_folder, read_table, verify_manifest, write_text
from minbert.tensor_files import read_tensors, write_tensors


def take_apart(value: object, name: str, tensors: dict[str, Tensor]) -> object:
    """`value` as JSON can hold it; its tensors go into `tensors`, under names that tell where they were."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):  # as pairs: JSON's own keys are always text, the optimizer's are numbers
        return {"table": [[key, take_apart(entry, f"{name}.{key}", tensors)] for key, entry in value.items()]}
    if isinstance(value, (list, tuple)):
        return [take_apart(entry, f"{name}.{place}", tensors) for place, entry in enumerate(value)]
    return value


def put_together(value: object, tensors: dict[str, Tensor]) -> object:
    """What `take_apart` was given, with lists where there were tuples."""
    if isinstance(value, list):
        return [put_together(entry, tensors) for entry in value]
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: put_together(entry, tensors) for key, entry in value["table"]}
    return value


def save_state(folder: Path, steps: int, state: dict) -> None:
    """Writes `state`, a nest of tensors and plain values, to folder/step-N; then all but the newest two go.

    Raises MinbertError when it cannot be written; those that were there stay.
    """
    tensors: dict[str, Tensor] = {}
    plain = take_apart(state, "state", tensors)
    with atomic_folder(folder / name_state(steps)) as temporary:
        write_tensors(temporary / "state.safetensors", tensors)
        write_text(temporary / "state.json", json.dumps(plain, indent=1) + "\n")
    drop_states(folder, keep=2)


def drop_states(folder: Path, keep: int) -> None:
    """Removes all but the newest."""
    for old in list_states(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)


def drop_states_after(folder: Path, steps: int) -> None:
    """Removes those of later steps: a run that goes on from an earlier one will write them again."""
    for path in list_states(folder):
        if path.name > name_state(steps):
            shutil.rmtree(path, ignore_errors=True)


def name_state(steps: int) -> str:
    return f"step-{steps:08d}"


def list_states(folder: Path) -> list[Path]:
    """The saved states, the newest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def load_state(folder: Path) -> tuple[dict | None, list[str]]:
    """The newest state that is whole, None where none was ever saved; and a sentence on each that is damaged.

    Raises MinbertError where all are damaged.
    """
    notes = []
    for path in list_states(folder):
        try:
            return read_state(path), notes
        except MinbertError as error:
            notes.append(f"{error}; the state before it serves")
    if notes:
        raise MinbertError(f"no state in {folder} is whole: {notes[0].partition(';')[0]}", "start a new run")
    return None, notes


def read_state(folder: Path) -> dict:
    """What `save_state` was given. Raises MinbertError where the folder is damaged."""
    verify_manifest(folder)
    tensors = read_tensors(folder / "state.safetensors")
    try:
        return put_together(read_table(folder / "state.json"), tensors)
    except (LookupError, TypeError, ValueError) as error:
        raise MinbertError(f"{folder / 'state.json'}: is no state of a run: {error!r}", "start a new run") from error
