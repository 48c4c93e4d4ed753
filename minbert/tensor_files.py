"""Tensor files, read without ever running code from them, and written atomically.

.safetensors goes through the safetensors library, .bin/.pt/.pth through torch.load(weights_only=True); there is no
way round either. Whatever the bytes are, the answer is a dict of tensors or one MinbertError.
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from minbert.files import MinbertError, atomic_path, check_space, error_from_os

LARGEST_HEADER = 2_000_000  # bytes, read in less than a second; a BERT's is 30,000, and 15,000 tensors fit
FETCH_AGAIN = "fetch the file again, or use another copy"
ONLY_TENSORS = "a checkpoint is a flat table of tensors: torch.save(model.state_dict(), path)"


def read_tensors(path: Path | str) -> dict[str, Tensor]:
    """Name -> tensor on the CPU, as stored; the tensors may be views of the file.

    Raises MinbertError for whatever is not a whole file of named tensors, in one sentence that names the file.
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise MinbertError(f"{path}: weights end in {', '.join(READERS)}, not in {path.suffix!r}")
    if not path.is_file():
        what = "is not a regular file" if path.exists() else "no such file"
        raise MinbertError(f"{path}: {what}", "give the path of a checkpoint")
    try:
        with open(path, "rb") as file:
            start = file.read(64)
        if start.startswith(b"version https://git-lfs"):
            raise MinbertError(f"{path}: is a git-lfs pointer, not the weights", "run `git lfs pull`")
        if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
            raise MinbertError(f"{path}: is a web page, not weights", FETCH_AGAIN)
        return READERS[path.suffix](path)
    except OSError as error:
        raise error_from_os(error, path, "read") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except OSError:
        raise
    except Exception as error:  # whatever the library finds wrong, also in torch's code below it
        raise MinbertError(f"{path}: damaged safetensors file: {_first_line(error)}", FETCH_AGAIN) from error


def _check_header(path: Path) -> None:
    """Raises MinbertError for what the library lets pass (a name that stands twice, a huge header) or does not say
    (how many bytes are missing). The file starts with 8 bytes of length, then comes JSON of that length."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if length > LARGEST_HEADER and size >= 8:
            raise MinbertError(f"{path}: refusing: not a safetensors file (a pickle file, perhaps)", FETCH_AGAIN)
        if size < 8 + length:
            raise MinbertError(f"{path}: truncated: expected {8 + length} bytes or more, found {size}", FETCH_AGAIN)
        text = file.read(length)
    if text.count(b"[") > length // 20:  # a tensor has two lists in 50 bytes or more; a million lists take seconds to parse
        raise MinbertError(f"{path}: damaged header: more lists than tensors could have", FETCH_AGAIN)
    try:
        header = json.loads(text, object_pairs_hook=_refuse_duplicates)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise MinbertError(f"{path}: damaged header: {_first_line(error)}", FETCH_AGAIN) from error
    if size < expected:
        raise MinbertError(f"{path}: truncated: expected {expected} bytes, found {size}", FETCH_AGAIN)


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"{name!r} stands twice")
        table[name] = value
    return table


def _read_pickle(path: Path) -> dict[str, Tensor]:
    if torch.__version__ < (2, 10):
        raise MinbertError(f"{path}: reading .bin and .pt needs torch>=2.10 (CVE-2026-24747), "
                           f"found {torch.__version__}", "update torch, or use a .safetensors file")
    try:
        with warnings.catch_warnings(action="ignore"):  # the error below says what matters of them
            # only what torch.save has written since 2020, a zip file, can be mapped
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_plain_zip(path))
    except (OSError, MinbertError):
        raise
    except Exception as error:  # whatever the library finds wrong, in half a dozen classes
        if "weights_only" in str(error):  # torch's advice here is to do without: never
            raise MinbertError(f"{path}: refusing: damaged, or a pickle file with more in it than tensors",
                               ONLY_TENSORS) from error
        raise MinbertError(f"{path}: damaged or not a PyTorch checkpoint: {_first_line(error)}",
                           FETCH_AGAIN) from error
    if isinstance(found, dict):  # many put the table beside other things; what that is, is checked below
        found = found.get("state_dict", found.get("model", found))
    if not isinstance(found, dict) or not found:
        raise MinbertError(f"{path}: holds {type(found).__name__}, not a table of tensors", ONLY_TENSORS)
    for name, value in found.items():
        is_plain = (type(value) in (Tensor, nn.Parameter) and value.layout is torch.strided
                    and value.device.type == "cpu" and not value.is_quantized
                    and value.nbytes <= value.untyped_storage().nbytes())  # not a number shown a million times
        if not isinstance(name, str) or not is_plain:
            raise MinbertError(f"{path}: {name!r:.80} holds {type(value).__name__}, not a plain tensor", ONLY_TENSORS)
    return {name: value.detach() for name, value in found.items()}


def _is_plain_zip(path: Path) -> bool:
    """Whether torch will take the file for a zip file. Raises MinbertError for a compressed one: torch would map the
    compressed bytes as weights, or unpack gigabytes."""
    with open(path, "rb") as file:
        if file.read(4) != b"PK\3\4":
            return False
        with ZipFile(file) as archive:
            entries = archive.infolist()
    if any(entry.compress_type != ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise MinbertError(f"{path}: is a compressed zip file, not one of torch.save", FETCH_AGAIN)
    return True


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:200]


def write_tensors(path: Path | str, tensors: Mapping[str, Tensor]) -> None:
    """Writes a .safetensors file, atomically, the same bytes for the same tensors. What shares memory is written twice.

    Raises MinbertError when the disk is full or the file cannot be written; the old file then stays.
    """
    check_space(Path(path).parent, sum(tensor.nbytes for tensor in tensors.values()) + LARGEST_HEADER)
    seen, separate = set(), {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        seen.add(storage.data_ptr())
        separate[name] = tensor
    with atomic_path(path) as temporary:
        try:
            save_file(separate, temporary, {"format": "pt"})  # a second entry would come in random order
        except SafetensorError as error:
            raise MinbertError(f"cannot write {path}: {_first_line(error)}",
                               "is the disk full, or the size of files limited?") from error


READERS = {".safetensors": _read_safetensors, ".bin": _read_pickle, ".pt": _read_pickle, ".pth": _read_pickle}
