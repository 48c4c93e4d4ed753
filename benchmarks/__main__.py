"""How fast we are beside our peers: `python -m benchmarks [NAME ...]`.

Every ratio stands beside its goal; the exit status is 1 where one is missed. The report has a section for each benchmark, with
its own date and hardware: a run of some renews only theirs.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks import (
    adamw,
    bucketing,
    epochs,
    frozen,
    inference,
    long_texts,
    memory,
    scaling,
    starting,
    steps,
    techniques,
    tokenizing,
)
from benchmarks.rows import Outcome, Row
from benchmarks.setting import Setting
from minbert.files import MinbertError, write_text
from multitask.closest import closest, offer
from multitask.environment import environment
from multitask.flags import Parser, number, run_command
from tools.sections import read_sections

REPORT, CPUINFO = Path("docs/BENCHMARKS.md"), Path("/proc/cpuinfo")
PEERS = ("transformers", "tokenizers", "sentence-transformers", "accelerate")
TITLE = "# Speed, measured beside peers"
INTRODUCTION = TITLE + """

Written by `python -m benchmarks`: no figure here was typed. Each section is of the date and the commit that it names, and has a
process of its own. A round does the same work in every way that is compared, in turn (where memory or a start is measured: in a
process each). A round in which the machine was busy with something else for more than 0.15 of a processor is thrown away; where
three times as many rounds bring too few quiet ones, the quietest of the rest count, and are called disturbed. What other virtual
machines do on the same hardware cannot be seen.

A ratio is taken within a round; shown are the median of n rounds' ratios, the smallest and the largest. Rates are medians over
all rounds: their quotient is not quite the ratio. A goal is met or missed by the median; where it lies between the smallest
and the largest, another run may say otherwise. Goals are for MiniLM, the course's files and two threads, and older than what is
measured. Real tokens are those that are no padding. The ordinary loop is a tutorial's: random order, each batch padded to its
longest, torch's fused AdamW; predictions in the file's order.
"""


@dataclass(frozen=True)
class Benchmark:
    """`measure` takes the setting. Those that take longest run only when they are named."""

    measure: Callable[[Setting], Outcome]
    by_default: bool = True


def main(arguments: list[str]) -> None:
    """Raises MinbertError, with exit status 1, where a goal is missed or a benchmark fails; the others still run."""
    flags = make_parser().parse_args(arguments)
    for name in flags.names:
        if name not in BENCHMARKS:
            raise MinbertError(f"there is no benchmark {name}", offer(closest(name, BENCHMARKS)) or ", ".join(BENCHMARKS))
    if flags.out.exists() and not (flags.out.is_file() and flags.out.read_bytes().startswith(TITLE.encode())):
        raise MinbertError(f"{flags.out} is there already, and is no report of this command", "give --out another name")
    setting = Setting(flags.model, flags.data_dir, flags.out.parent / "figures")
    _ = setting.folder, setting.sources  # a model or data that are not there are said once, before anything is timed
    names = flags.names or [name for name, benchmark in BENCHMARKS.items() if benchmark.by_default]
    if len(names) == 1:
        return run_here(names[0], setting, flags)
    if failed := [name for name in names if run_alone(name, flags)]:
        raise MinbertError(f"goals missed or not measured: {', '.join(failed)}", f"see above, and {flags.out}", exit_code=1)


def run_alone(name: str, flags: Namespace) -> int:
    """Runs the benchmark in a process of its own, for what one leaves in memory changes the next one's speed by a tenth.
    Returns the exit status."""
    data_dir = [f"--data_dir={flags.data_dir}"] if flags.data_dir else []
    command = [sys.executable, "-m", "benchmarks", name, *data_dir, f"--model={flags.model}", f"--threads={flags.threads}",
               f"--out={flags.out}"]
    return subprocess.run(command, check=False).returncode


def run_here(name: str, setting: Setting, flags: Namespace) -> None:
    """Measures, prints, and renews the benchmark's section of the report. Raises MinbertError where a goal is missed."""
    torch.set_num_threads(flags.threads)
    os.environ["RAYON_NUM_THREADS"] = str(flags.threads)  # of their tokenizers, who read it once
    started = time.perf_counter()
    try:
        outcome = BENCHMARKS[name].measure(setting)
    except ImportError as error:
        raise MinbertError(f"{name}: {error}", "pip install -r requirements-dev.txt", exit_code=1) from error
    if (flags.model, flags.threads, setting.has_samples) != ("minilm", 2, False):  # for which the goals were set
        outcome = replace(outcome, rows=tuple(replace(row, goal=None) for row in outcome.rows))
    seconds = time.perf_counter() - started
    print(f"{name} ({seconds:.0f} s)", *(f"    {describe(row)}" for row in outcome.rows), sep="\n", flush=True)
    sections = read_sections(flags.out) | {name: write_section(outcome, setting, seconds)}
    write_text(flags.out, "\n".join([INTRODUCTION, *(f"## {known}\n{sections[known]}" for known in BENCHMARKS
                                                     if known in sections)]))
    if missed := [f"{row.what} against {row.against}" for row in outcome.rows if not row.is_met]:
        raise MinbertError(f"missed: {'; '.join(missed)}", f"{flags.out} has the figures", exit_code=1)


def make_parser() -> Parser:
    """The flags of `python -m benchmarks`."""
    parser = Parser(prog="python -m benchmarks", description="Times minBERT beside its peers.")
    later = [name for name, benchmark in BENCHMARKS.items() if not benchmark.by_default]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}; left out: all but "
                        f"{', '.join(later)}")
    parser.add_argument("--data_dir", type=Path, metavar="DIR", help="the course's files (default: data/, or the samples)")
    parser.add_argument("--model", default="minilm", metavar="NAME", help="a name or a folder (default: minilm)")
    parser.add_argument("--threads", type=number(int, 1, 1024), default=2, metavar="N", help="of torch (default: 2)")
    parser.add_argument("--out", type=Path, default=REPORT, metavar="FILE", help=f"the report (default: {REPORT})")
    return parser


def describe(row: Row) -> str:
    """The row as a line of text."""
    return f"{row.what} / {row.against}: {', '.join(filter(None, (show_ratio(row), show_goal(row), verdict(row))))}"


def show_ratio(row: Row) -> str:
    if len(row.ratios) == 1:
        return f"{row.ratio:.2f}x (n = 1)"
    return f"{row.ratio:.2f}x ({min(row.ratios):.2f} to {max(row.ratios):.2f}, n = {len(row.ratios)})"


def show_goal(row: Row) -> str:
    return "" if row.goal is None else f"{'at most' if row.at_most else 'at least'} {row.goal:g}x"


def verdict(row: Row) -> str:
    return "no goal" if row.goal is None else "met" if row.is_met else "MISSED"


def show_figures(values: Iterable[float]) -> str:
    """The median, to four digits."""
    value = statistics.median(values)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def write_section(outcome: Outcome, setting: Setting, seconds: float) -> str:
    """The benchmark's part of the report: its rows, what shows that the work was the same, date, hardware and versions."""
    facts = environment(torch.device("cpu"))
    versions = ", ".join([*(f"{name} {facts[name]:.12}" for name in ("minbert", "python", "torch", "numpy", "commit")),
                          *filter(None, map(name_version, PEERS))])
    lines = ["", "| what | against | ratio | goal | | ours | theirs | unit |", "|---|---|---|---|---|---|---|---|"]
    for row in outcome.rows:
        cells = (row.what, row.against, show_ratio(row), show_goal(row), verdict(row), show_figures(row.ours),
                 show_figures(row.theirs), row.unit)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"- the same work: {outcome.same}",
              f"- {time.strftime('%Y-%m-%d')}, {seconds:.0f} s; {find_processor()}; {facts['hardware']}; {versions}",
              f"- {setting.model}, {setting.sources}; {outcome.dropped} rounds thrown away, "
              f"{outcome.disturbed} of those that count were disturbed"]
    table = False
    for line in outcome.details:
        if table != line.startswith("|"):
            lines.append("")
        table = line.startswith("|")
        lines.append(line if table else f"- {line}")
    return "\n".join(lines) + "\n"


def name_version(name: str) -> str:
    """Of an installed package; "" of one that is not."""
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""


def find_processor() -> str:
    """Its name, where the system tells it."""
    told = CPUINFO.read_text(encoding="utf-8") if CPUINFO.exists() else ""
    names = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or "a processor without a name"


BENCHMARKS = {
    "steps": Benchmark(steps.measure),
    "small-steps": Benchmark(steps.measure_small, by_default=False),
    "bert-base": Benchmark(steps.measure_bert_base),
    "epoch": Benchmark(epochs.measure),
    "inference": Benchmark(inference.measure),
    "frozen": Benchmark(frozen.measure),
    "techniques": Benchmark(techniques.measure),
    "adamw": Benchmark(adamw.measure),
    "tokenizer": Benchmark(tokenizing.measure),
    "start": Benchmark(starting.measure),
    "memory": Benchmark(memory.measure),
    "long-texts": Benchmark(long_texts.measure, by_default=False),
    "scaling": Benchmark(scaling.measure, by_default=False),
    "bucketing": Benchmark(bucketing.measure, by_default=False),
    "whole-epoch": Benchmark(epochs.measure_whole, by_default=False),
}

if __name__ == "__main__":
    os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # read where theirs are imported
    sys.exit(run_command(main, sys.argv[1:]))
