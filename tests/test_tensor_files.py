"""Reading and writing tensor files: nothing is run, nothing is guessed, every damage is one sentence."""

import io
import json
import os
import random
import time
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest
import torch

from minbert.files import MinbertError
from minbert.tensor_files import LARGEST_HEADER, read_tensors, write_tensors


def three_tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {"a": torch.randn(3, 4, generator=generator), "b.weight": torch.randn(5, generator=generator),
            "half": torch.arange(6).half()}


def safetensors_bytes(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(start: int, end: int, shape: list[int] | None = None, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": [(end - start) // 4] if shape is None else shape, "data_offsets": [start, end]}


def refusal(path: Path, content: bytes) -> str:
    """The one sentence that reading `content` gives; fails for every other outcome."""
    path.write_bytes(content)
    with pytest.raises(MinbertError) as caught:
        read_tensors(path)
    assert str(path) in str(caught.value), "the message must name the file"
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500, "the message must be one line"
    return str(caught.value)


def outcome(path: Path, content: bytes) -> None:
    """Reads `content`, which may be fine; any exception but ours goes through and fails the test."""
    path.write_bytes(content)
    try:
        read_tensors(path)
    except MinbertError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".pt", "legacy.pt"])
def test_what_is_written_is_read_back(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    if suffix == ".safetensors":
        write_tensors(path, three_tensors())
    else:
        torch.save(three_tensors(), path, _use_new_zipfile_serialization="legacy" not in suffix)
    found = read_tensors(path)
    assert list(found) == list(three_tensors())
    for name, tensor in three_tensors().items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_a_table_of_tensors_inside_a_table_is_found(tmp_path, key):
    torch.save({key: three_tensors(), "epoch": 3}, tmp_path / "x.pt")
    assert list(read_tensors(tmp_path / "x.pt")) == list(three_tensors())


def test_tensors_that_share_memory_are_written_once_each(tmp_path):
    whole = torch.arange(12.0).view(3, 4)
    write_tensors(tmp_path / "x.safetensors", {"whole": whole, "tied": whole, "row": whole[1], "turned": whole.T})
    found = read_tensors(tmp_path / "x.safetensors")
    assert torch.equal(found["tied"], whole) and torch.equal(found["row"], whole[1])
    assert torch.equal(found["turned"], whole.T)


def test_a_full_disk_leaves_the_old_tensors(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "x.safetensors"
    write_tensors(path, three_tensors())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(MinbertError, match="cannot write .*x.safetensors: .*File too large"):
            write_tensors(path, {"large": torch.zeros(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(read_tensors(path)) == list(three_tensors())
    assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"], "a partial file was left behind"


def test_a_file_cut_at_any_byte_says_how_many_are_missing(tmp_path):
    write_tensors(tmp_path / "x.safetensors", three_tensors())
    whole = (tmp_path / "x.safetensors").read_bytes()
    header_end = 8 + int.from_bytes(whole[:8], "little")
    for length in (*range(header_end + 4), len(whole) - 1):
        message = refusal(tmp_path / "cut.safetensors", whole[:length])
        assert f"found {length}" in message
        if length >= header_end:
            assert f"truncated: expected {len(whole)} bytes, found {length}" in message
        else:
            assert "truncated: expected" in message


def test_flipped_bits_and_garbage_never_raise_anything_but_our_error(tmp_path):
    generator = random.Random(0)
    write_tensors(tmp_path / "x.safetensors", three_tensors())
    torch.save(three_tensors(), tmp_path / "x.bin")
    torch.save(three_tensors(), tmp_path / "x.pt", _use_new_zipfile_serialization=False)
    for suffix in (".safetensors", ".bin", ".pt"):
        whole = (tmp_path / f"x{suffix}").read_bytes()
        for _ in range(100):
            damaged = bytearray(whole)
            damaged[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
            outcome(tmp_path / f"flipped{suffix}", bytes(damaged))
        for _ in range(20):
            outcome(tmp_path / f"cut{suffix}", whole[: generator.randrange(len(whole))])
            outcome(tmp_path / f"garbage{suffix}", generator.randbytes(generator.randrange(300)))


HEADERS = {
    "duplicate name": (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                       b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8, "'a' stands twice"),
    "overlap": ({"a": entry(0, 8), "b": entry(4, 12)}, 12, "damaged"),
    "hole": ({"a": entry(0, 4), "b": entry(8, 12)}, 12, "damaged"),
    "bytes left over": ({"a": entry(0, 4)}, 12, "damaged"),
    "negative shape": ({"a": entry(0, 4, [-1])}, 4, "damaged"),
    "overflowing shape": ({"a": entry(0, 4, [2**40, 2**40])}, 4, "damaged"),
    "shape that is too large": ({"a": entry(0, 4, [2])}, 4, "damaged"),
    "unknown dtype": ({"a": entry(0, 4, [1], "F33")}, 4, "damaged"),
    "offsets in reverse": ({"a": entry(4, 0, [1])}, 4, "damaged"),
    "huge offsets": ({"a": entry(0, 2**63, [2**61])}, 4, "truncated"),
    "a list": ([1, 2], 0, "damaged"),
    "a number": (b"3", 0, "damaged"),
    "not JSON": (b"{]", 0, "damaged"),
    "not UTF-8": (b'{"\xff": 1}', 0, "damaged"),
    "deep JSON": (b"[" * 1_000_000, 0, "damaged"),
    "deep tables": (b'{"a":' * 390_000, 0, "damaged"),
    "a million lists": (b"[" + b"[]," * 650_000 + b"[]]", 0, "more lists than tensors"),
    "entry without places": ({"a": {}}, 0, "damaged"),
    "metadata that is not text": ({"__metadata__": {"version": 3}}, 0, "damaged"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_hostile_header_is_one_quick_line(tmp_path, case):
    header, size, expected = HEADERS[case]
    start = time.monotonic()
    assert expected in refusal(tmp_path / "x.safetensors", safetensors_bytes(header, bytes(size)))
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("length", [LARGEST_HEADER + 1, 2**31, 2**63, 2**64 - 1])
def test_a_header_no_bert_has_is_refused_before_it_is_read(tmp_path, length):
    message = refusal(tmp_path / "x.safetensors", length.to_bytes(8, "little") + b"{}")
    assert "refusing: not a safetensors file" in message


def test_a_hundred_thousand_tensors_are_refused_at_once(tmp_path):
    entries = b",".join(b'"tensor.%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % i for i in range(100_000))
    assert "refusing" in refusal(tmp_path / "x.safetensors", safetensors_bytes(b"{" + entries + b"}"))


@pytest.mark.parametrize("content, expected", [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git-lfs pointer"),
    (b"\n<!DOCTYPE html><html>404</html>", "web page"),
    (b"", "truncated|not a PyTorch checkpoint"),
])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_what_a_failed_download_leaves_is_named(tmp_path, content, expected, suffix):
    message = refusal(tmp_path / f"x{suffix}", content)
    assert any(words in message for words in expected.split("|"))


def test_other_paths_each_have_their_sentence(tmp_path):
    for name, expected in (("absent.bin", "no such file"), ("x.h5", "weights end in .safetensors")):
        with pytest.raises(MinbertError, match=expected):
            read_tensors(tmp_path / name)
    (tmp_path / "folder.bin").mkdir()
    os.mkfifo(tmp_path / "pipe.bin")  # opening it would wait for ever
    for name in ("folder.bin", "pipe.bin"):
        with pytest.raises(MinbertError, match="is not a regular file"):
            read_tensors(tmp_path / name)


@pytest.mark.parametrize("content, expected", [
    ({"epoch": 3, "a": torch.zeros(1)}, "'epoch' holds int"),
    ([torch.zeros(1)], "holds list"),
    (torch.zeros(1), "holds Tensor, not a table"),
    ({}, "not a table of tensors"),
    ({3: torch.zeros(1)}, "3 holds Tensor"),
    ({"a": {"b": torch.zeros(1)}}, "'a' holds dict"),
    ({"a": torch.zeros(2, 2).to_sparse()}, "not a plain tensor"),
    ({"a": torch.zeros(2, device="meta")}, "not a plain tensor"),
    ({"a": torch.zeros(1).expand(10**6, 10**6)}, "not a plain tensor"),  # to copy it would take 4 TB
])
def test_only_flat_tables_of_plain_tensors_are_read(tmp_path, content, expected):
    torch.save(content, tmp_path / "x.pt")
    assert expected in refusal(tmp_path / "x.pt", (tmp_path / "x.pt").read_bytes())


def zip_again(whole: bytes, compression: int, **replaced: bytes) -> bytes:
    file = io.BytesIO()
    with ZipFile(io.BytesIO(whole)) as source, ZipFile(file, "w", compression) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, replaced.get(Path(entry.filename).name, source.read(entry)))
    return file.getvalue()


def test_a_compressed_zip_file_is_refused_before_anything_is_unpacked(tmp_path):
    """torch maps the compressed bytes and takes them for weights; and 100 KB can become gigabytes of memory."""
    torch.save(three_tensors(), tmp_path / "x.bin")
    whole = (tmp_path / "x.bin").read_bytes()
    for content in (zip_again(whole, ZIP_DEFLATED), zip_again(whole, ZIP_DEFLATED, version=bytes(50_000_000))):
        start = time.monotonic()
        assert "is a compressed zip file" in refusal(tmp_path / "y.bin", content)
        assert time.monotonic() - start < 1
    (tmp_path / "y.bin").write_bytes(zip_again(whole, ZIP_STORED))
    assert torch.equal(read_tensors(tmp_path / "y.bin")["a"], three_tensors()["a"])


def test_pickles_are_not_read_with_a_torch_that_has_open_holes(tmp_path, monkeypatch):
    torch.save(three_tensors(), tmp_path / "x.bin")
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.9.1"))
    message = refusal(tmp_path / "x.bin", (tmp_path / "x.bin").read_bytes())
    assert "needs torch>=2.10 (CVE-2026-24747), found 2.9.1" in message
