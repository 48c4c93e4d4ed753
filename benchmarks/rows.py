"""What a benchmark found: ratios beside their goals, the figures behind them, and what shows that the work was the same."""

import math
import statistics
from dataclasses import dataclass

from benchmarks.timing import Timing


@dataclass(frozen=True)
class Row:
    """Ours beside a peer's. A ratio is how many times as fast ours is, or how much more of something (time, memory) it takes:
    then the goal is at most, not at least, so much.

    `ours` and `theirs` are figures in `unit`, a pair for every ratio. Without a goal the row only informs.
    """

    what: str
    against: str
    ratios: tuple[float, ...]
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    unit: str
    goal: float | None = None
    at_most: bool = False

    @property
    def ratio(self) -> float:
        """The median; nan, which meets no goal, where one is nan: a median would sort it anywhere."""
        return math.nan if any(map(math.isnan, self.ratios)) else statistics.median(self.ratios)

    @property
    def is_met(self) -> bool:
        return self.goal is None or (self.ratio <= self.goal if self.at_most else self.ratio >= self.goal)


@dataclass(frozen=True)
class Outcome:
    """The rows of one benchmark. `same` says in what way ours and the peers' work was shown to be equal, with the largest
    difference found; `details` are further lines of Markdown."""

    rows: tuple[Row, ...]
    same: str
    details: tuple[str, ...] = ()
    dropped: int = 0  # rounds
    disturbed: int = 0  # rounds that count although the machine was not quiet


def speed_row(what: str, against: str, timing: Timing, ours: str, theirs: str, unit: str, goal: float | None = None) -> Row:
    """How many times as fast the variant `ours` is as `theirs`, in units of work per second."""
    rates = [tuple(timing.rates(name)) for name in (ours, theirs)]
    return Row(what, against, tuple(timing.ratios(ours, theirs)), *rates, unit, goal)


def cost_row(what: str, against: str, timing: Timing, ours: str, theirs: str, goal: float | None = None) -> Row:
    """How many times as long the variant `ours` takes as `theirs`, for the same work."""
    milliseconds = [tuple(1000 / rate for rate in timing.rates(name)) for name in (ours, theirs)]
    return Row(what, against, tuple(timing.ratios(theirs, ours)), *milliseconds, "ms", goal, at_most=True)
