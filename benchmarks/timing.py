"""Variants of the same work timed beside each other, on a machine that others may be using too.

A round runs every variant once. While a round runs, what the machine does for others is watched: the processors' busy time
less our own. A round in which that came to more than LIMIT is thrown away and run again; a ratio is taken within a round.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from multitask.run import frozen_heap

LIMIT = 0.15  # of one processor, for anything but ourselves
ATTEMPTS = 3  # rounds tried for each one wanted, before the quietest are taken as they are
STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Sample:
    """One variant in one round: so much work in so many seconds."""

    work: float
    seconds: float

    @property
    def rate(self) -> float:
        return self.work / self.seconds


@dataclass(frozen=True)
class Round:
    """Every variant once. `others` is how many processors were busy with something else meanwhile; nan if nobody can say."""

    samples: dict[str, Sample]
    others: float

    @property
    def is_quiet(self) -> bool:
        return not self.others > LIMIT


@dataclass(frozen=True)
class Timing:
    """The rounds that count, and how many were thrown away. Of the rounds that count `disturbed` were not quiet: there were
    not enough others."""

    rounds: tuple[Round, ...]
    dropped: int

    @property
    def disturbed(self) -> int:
        return sum(not each.is_quiet for each in self.rounds)

    def rates(self, name: str) -> list[float]:
        return [each.samples[name].rate for each in self.rounds]

    def ratios(self, name: str, other: str) -> list[float]:
        """How many times as fast `name` is as `other`, in every round."""
        return [each.samples[name].rate / each.samples[other].rate for each in self.rounds]

    def rate(self, name: str) -> float:
        return statistics.median(self.rates(name))


def interleave(variants: dict[str, Callable[[], float]], rounds: int, warm_up: bool = True, own: Callable[[], float] | None = None
               ) -> Timing:
    """`rounds` rounds of the variants, each of which does its work and returns how much it was.

    With `warm_up` a first round goes untimed. Every round begins with another variant, so that none always follows the same.
    `own` says how many processor seconds were ours, where `own_seconds` does not see them all: in children that live on.
    """
    own = own or own_seconds
    if warm_up:
        for variant in variants.values():
            variant()
    quiet: list[Round] = []
    loud: list[Round] = []
    with frozen_heap():  # as in a run
        while len(quiet) < rounds and len(quiet) + len(loud) < ATTEMPTS * rounds:
            this = time_round(turned(variants, len(quiet) + len(loud)), own)
            (quiet if this.is_quiet else loud).append(this)
    taken = quiet + sorted(loud, key=lambda each: each.others)[:rounds - len(quiet)]
    return Timing(tuple(taken), dropped=len(quiet) + len(loud) - len(taken))


def turned(variants: dict[str, Callable[[], float]], by: int) -> Iterator[tuple[str, Callable[[], float]]]:
    names = list(variants)
    return ((name, variants[name]) for place in range(len(names)) for name in [names[(place + by) % len(names)]])


def time_round(variants: Iterator[tuple[str, Callable[[], float]]], own: Callable[[], float]) -> Round:
    busy, ours, started = busy_seconds(), own(), time.perf_counter()
    samples = {}
    for name, variant in variants:
        before = time.perf_counter()
        work = variant()
        samples[name] = Sample(work, time.perf_counter() - before)
    others = (busy_seconds() - busy - (own() - ours)) / (time.perf_counter() - started)
    return Round(samples, others)


def busy_seconds() -> float:
    """What all processors together have been busy for, with anybody's work; nan where the system does not say (only Linux)."""
    if not STAT.exists():
        return float("nan")
    numbers = [int(part) for part in STAT.read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = numbers
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
