"""Measures what this project says of its reliability: `python -m tests.torture [NAME ...] [--full] [--out FILE]`.

The report has a section for each measurement, with its own date, size and machine: a run of some renews only theirs.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from minbert.files import MinbertError, write_text
from multitask.closest import closest, offer
from multitask.environment import environment
from multitask.flags import Parser, run_command
from tests.torture import kills, pickles, run_folders, steps, tables, tensors, typos
from tests.torture.outcome import Outcome
from tools.sections import read_sections

REPORT = Path("docs/RELIABILITY.md")
INTRODUCTION = """# Reliability, measured

Written by `python -m tests.torture --full`: no figure here was typed. Each section is one measurement, with the claim that it
tries to break, and says when, in which size and on what it ran. Where cases are drawn at random and none fails, the rule of
three bounds how many of all such cases may fail: 3 / n, at 95%. It says nothing of other machines, models or settings.
"""
SHOWN = 20  # of the failures


@dataclass(frozen=True)
class Measurement:
    """`drawn`: its cases are a random sample; else they are all there are, or chosen ones, and no bound follows."""

    measure: Callable[[bool], Outcome]
    drawn: bool = False


def main(arguments: list[str]) -> None:
    """Raises MinbertError, with exit status 1, where a claim does not hold."""
    flags = make_parser().parse_args(arguments)
    for name in flags.names:
        if name not in MEASUREMENTS:
            raise MinbertError(f"there is no measurement {name}", offer(closest(name, MEASUREMENTS)) or ", ".join(MEASUREMENTS))
    torch.set_num_threads(1)  # nothing here is large; processes are forked, and threads do not survive that
    path = flags.out or (REPORT if flags.full else None)
    sections, broken = read_sections(path) if path else {}, []
    for name in flags.names or MEASUREMENTS:
        started = time.perf_counter()
        outcome = MEASUREMENTS[name].measure(flags.full)
        seconds = time.perf_counter() - started
        print(f"{name:12} {describe(outcome, MEASUREMENTS[name].drawn)} ({seconds:.0f} s)", flush=True)
        print("".join(f"    {failure}\n" for failure in outcome.failures[:SHOWN]), end="", flush=True)
        sections[name] = write_section(outcome, MEASUREMENTS[name].drawn, flags.full, seconds)
        broken += [] if outcome.holds else [name]
        if path:  # now: the next one may take an hour, and be broken off
            write_text(path, "\n".join([INTRODUCTION, *(f"## {known}\n{sections[known]}" for known in MEASUREMENTS
                                                        if known in sections)]))
    if broken:
        raise MinbertError(f"what is claimed does not hold: {', '.join(broken)}", exit_code=1)


def make_parser() -> Parser:
    parser = Parser(prog="python -m tests.torture", description="Measures what this project says of its reliability.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(MEASUREMENTS)}; left out: all")
    parser.add_argument("--full", action="store_true", help="in the size for the docs (an hour), not for CI (minutes)")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"the report; left out: {REPORT} with --full, else none")
    return parser


def describe(outcome: Outcome, drawn: bool) -> str:
    failed = len(outcome.failures)
    bound = f": less than {300 / outcome.tried:.2g}% at 95%" if drawn and outcome.holds else ""
    return f"{failed:,} of {outcome.tried:,} failed{bound}"


def write_section(outcome: Outcome, drawn: bool, full: bool, seconds: float) -> str:
    facts = environment(torch.device("cpu"))
    versions = ", ".join(f"{name} {facts[name]:.12}" for name in ("minbert", "python", "torch", "numpy", "commit"))
    lines = ["", outcome.claim, "", f"**{describe(outcome, drawn)}**", "",
             f"- {time.strftime('%Y-%m-%d')}, {'full size' if full else 'the size for CI'}, {seconds:.0f} s",
             f"- {facts['hardware']}; {versions}"]
    table = False
    for line in [*outcome.details, *(f"FAILED: {failure}" for failure in outcome.failures[:SHOWN])]:
        if table != line.startswith("|"):
            lines.append("")
        table = line.startswith("|")
        lines.append(line if table else f"- {line}")
    return "\n".join(lines) + "\n"


MEASUREMENTS = {
    "kills": Measurement(kills.measure, drawn=True),
    "placed": Measurement(kills.measure_placed),
    "steps": Measurement(steps.measure),
    "tensors": Measurement(tensors.measure, drawn=True),
    "pickles": Measurement(pickles.measure),
    "tables": Measurement(tables.measure, drawn=True),
    "run-folders": Measurement(run_folders.measure, drawn=True),
    "typos": Measurement(typos.measure),
}

if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
