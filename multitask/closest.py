"""The names that a mistyped one may stand for.

Source: Damerau (1964): most slips are one letter left out, put in, replaced, or swapped with the next. Unlike `difflib`,
which compares shares of letters, short names such as lr are found, and names equally near are all offered.
"""

import re
from collections.abc import Iterable, Sequence

OFFERED = 3  # names at most


def closest(name: str, names: Iterable[str]) -> list[str]:
    """Up to three of `names`: the nearest to `name`; else of their ends after a . or /; else those that begin with it."""
    names = list(names)
    parts = len(re.split("[./]", name))
    ends = ["".join(re.split("([./])", one)[1 - 2 * parts:]) for one in names]
    for compared in (names, ends):
        if near := find_nearest(name, compared):
            return [names[index] for index in near]
    return [one for one, end in zip(names, ends, strict=True) if name and end.startswith(name)][:OFFERED]


def find_nearest(name: str, names: Sequence[str]) -> list[int]:
    """Up to three places in `names`, all the fewest slips away from `name`, and no more than a third of its last part."""
    limit = max(1, len(re.split("[./]", name)[-1]) // 3)
    slips = {index: count_slips(name.lower(), one.lower()) for index, one in enumerate(names)
             if abs(len(name) - len(one)) <= limit and len({*name.lower()} ^ {*one.lower()}) <= 2 * limit}  # the rest is further
    fewest = min(slips.values(), default=limit + 1)
    return [index for index, count in slips.items() if count == fewest <= limit][:OFFERED]


def count_slips(typed: str, meant: str) -> int:
    """The fewest letters left out, put in, replaced or swapped with the next, no letter twice."""
    older, old = [], list(range(len(meant) + 1))
    for row, letter in enumerate(typed, 1):
        new = [row]
        for column, wanted in enumerate(meant, 1):
            new.append(min(old[column] + 1, new[-1] + 1, old[column - 1] + (letter != wanted)))
            if row > 1 and column > 1 and (letter, typed[row - 2]) == (meant[column - 2], wanted):
                new[-1] = min(new[-1], older[column - 2] + 1)
        older, old = old, new
    return old[-1]


def offer(names: Sequence[str]) -> str:
    """`did you mean a, b or c?`; nothing where there are no names."""
    if not names:
        return ""
    *others, last = names
    return f"did you mean {', '.join(others)}{' or ' if others else ''}{last}?"
