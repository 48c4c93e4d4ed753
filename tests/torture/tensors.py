"""Damaged tensor files: cut, flipped, with bytes put in or taken out, with headers and pickles edited by an enemy.

Each goes through `read_tensors`, through `load_folder`, and through `load_folder` where a manifest lists it, in child
processes, so that a crash of the libraries below is seen. What is accepted is read to its last byte.
"""

import io
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.files import MinbertError, write_manifest
from minbert.tensor_files import read_tensors
from minbert.weights import load_folder, save_model
from tests.torture.child import run_in_child
from tests.torture.damage import ANY, HEADERS, edit_the_pickle
from tests.torture.outcome import Outcome

CONFIG = BertConfig(vocab_size=12, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
                    max_position_embeddings=6)
SECONDS, MEGABYTES = 1.0, 200  # of processor time and of memory that one file may cost
KINDS = ("safetensors", ".pt, a zip file", ".pt, legacy")
MEMORY_DISK = Path("/dev/shm")  # where there is one: nothing here needs a disk
BATCH = 250  # files for a child process
WAYS = ("read_tensors", "load_folder", "load_folder, with a manifest")


@dataclass(frozen=True)
class Subject:
    """A whole file, its name in a model's folder, and the ways to damage it; each takes the bytes and a generator."""

    file: str
    whole: bytes
    ways: tuple[Callable[[bytes, random.Random], bytes], ...]

    def mutants(self, count: int, cuts: range) -> Iterator[tuple[str, bytes]]:
        """`count` pairs of a name and bytes, the same at every call: first cut at each of `cuts` and at 200 random points."""
        generator = random.Random(0)
        places = [*cuts, *(generator.randrange(len(self.whole)) for _ in range(200))]
        for place in places:
            yield f"cut at {place}", self.whole[:place]
        for number in range(count - len(places)):
            way = self.ways[number % len(self.ways)]
            content, generator = self.whole, random.Random(number)
            while content == self.whole:
                content = way(self.whole, generator)
            yield f"{way.__name__} {number}", content


def make_folders(folder: Path) -> list[Subject]:
    """Below `folder`, for each subject: `plain` and `listed`, two folders of a model, of which the second has a manifest."""
    torch.manual_seed(0)
    model = BertModel(CONFIG)
    save_model(folder / "safetensors", CONFIG, model, [f"word{number}" for number in range(CONFIG.vocab_size)])
    tensors = read_tensors(folder / "safetensors" / "model.safetensors")
    subjects = [Subject("model.safetensors", (folder / "safetensors" / "model.safetensors").read_bytes(), ANY + HEADERS)]
    for legacy, ways in ((False, (*ANY, edit_the_pickle)), (True, ANY)):
        file = io.BytesIO()
        torch.save(tensors, file, _use_new_zipfile_serialization=not legacy)
        subjects.append(Subject("pytorch_model.bin", file.getvalue(), ways))
    for number, subject in enumerate(subjects):
        for place in ("plain", "listed"):
            below = folder / str(number) / place
            below.mkdir(parents=True)
            for name in ("config.json", "vocab.txt"):
                (below / name).write_bytes((folder / "safetensors" / name).read_bytes())
            (below / subject.file).write_bytes(subject.whole)
        write_manifest(below)
        (below / subject.file).unlink()
        (below / subject.file).symlink_to(Path("..", "plain", subject.file))
    return subjects


def try_way(way: str, path: Path) -> str:
    """accepted, refused, or what went wrong."""
    try:
        if way == "read_tensors":
            for tensor in read_tensors(path).values():
                tensor.clone()  # a file that is mapped and too short kills the process here
        else:
            load_folder(path.parent)
    except MinbertError as error:
        return "refused" if "\n" not in str(error) and len(str(error)) < 1000 else f"refused at length: {str(error)[:200]!r}"
    except Exception as error:
        return f"raised {type(error).__name__}: {str(error)[:200]}"
    return "accepted"


def try_mutants(subject: Subject, folder: Path, mutants: list[tuple[str, bytes]]) -> dict:
    """What became of them: `counts` of way and answer, `failures`, the `slowest` in seconds, the `memory` in megabytes."""
    from resource import RUSAGE_SELF, getrusage  # Windows has none

    paths = dict(zip(WAYS, (folder / place / subject.file for place in ("plain", "plain", "listed")), strict=True))
    counts, failures, slowest, before = Counter(), [], 0.0, getrusage(RUSAGE_SELF).ru_maxrss  # of this process, which is new
    for name, content in mutants:
        paths["load_folder"].write_bytes(content)
        for way, path in paths.items():
            start = time.process_time()
            answer = try_way(way, path)
            seconds = time.process_time() - start
            slowest = max(slowest, seconds)
            counts[f"{way}: {answer.partition(' ')[0]}"] += 1
            altered = answer == "accepted" and way == WAYS[2]
            if answer not in ("accepted", "refused") or altered or seconds > SECONDS:
                failures.append(f"{subject.file}, {name}, {way}: {answer} in {seconds:.2f} s")
    return {"counts": counts, "failures": failures, "slowest": slowest,
            "memory": (getrusage(RUSAGE_SELF).ru_maxrss - before) // 1024}


def run_batch(subject: Subject, folder: Path, mutants: list[tuple[str, bytes]]) -> dict:
    """As `try_mutants`, in a child process; where that dies, each mutant gets its own, and the killers are failures."""
    found, signal = run_in_child(lambda: try_mutants(subject, folder, mutants))
    if not signal:
        return found
    failures = [f"{subject.file}, {name}: ended the process with signal {died}" for name, content in mutants
                if (died := run_in_child(lambda one=(name, content): try_mutants(subject, folder, [one]))[1])]
    return {"counts": {}, "failures": failures or [f"{subject.file}: signal {signal}"], "slowest": 0.0, "memory": 0}


def measure(full: bool) -> Outcome:
    """100,000 safetensors and 20,000 .pt files for the docs, 2,000 and 1,000 for CI."""
    sizes = (100_000, 10_000, 10_000) if full else (2_000, 500, 500)
    failures, details = [], []
    with TemporaryDirectory(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None) as name:
        for number, (subject, count) in enumerate(zip(make_folders(Path(name)), sizes, strict=True)):
            header = 8 + int.from_bytes(subject.whole[:8], "little") if number == 0 else len(subject.whole)
            cuts = range(0, header, 1 if full and number == 0 else header // 100)  # of a header, every byte
            mutants, counts, slowest, memory = subject.mutants(count, cuts), Counter(), 0.0, 0
            while batch := list(itertools.islice(mutants, BATCH)):
                found = run_batch(subject, Path(name, str(number)), batch)
                counts.update(found["counts"])
                failures += found["failures"]
                slowest, memory = max(slowest, found["slowest"]), max(memory, found["memory"])
            if memory > MEGABYTES:
                failures.append(f"{subject.file}: {memory} MB of memory more than before")
            answers = "; ".join(f"{answer} {times}" for answer, times in sorted(counts.items()))
            details.append(f"{KINDS[number]}: {count} files; {answers}; the slowest took {slowest:.2f} s of processor time, "
                           f"{memory} MB more memory")
    return Outcome("A damaged tensor file is one MinbertError or is read whole; where a manifest lists it, nothing altered is "
                   "accepted.", sum(sizes), tuple(failures), tuple(details))
