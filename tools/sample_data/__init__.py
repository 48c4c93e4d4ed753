"""The sample corpora, made from hand-written frames; `python -m tools.sample_data` writes the files.

A frame is a sentence with slots, "A {dull|merry} tale of {spies|monks}.", and gives one text per choice: the
first choices of all slots together, then the second ones. So no text holds words that were not written to go
together. A row is (texts, label, frame index, or the indices when a text joins several frames).
"""

import re

Row = tuple[tuple[str, ...], float, int | tuple[int, ...]]
SLOT = re.compile(r"\{([^{}]*)\}")
MOST_USES = 3  # of one frame


def fill_slots(frame: str) -> list[str]:
    """The frame's texts, one per choice; a frame without slots gives itself once.

    Raises:
        ValueError: slots with different numbers of choices, or more than MOST_USES.
    """
    pieces = SLOT.split(frame)  # words, slot, words, ..., slot, words
    choices = {piece.count("|") + 1 for piece in pieces[1::2]} or {1}
    if len(choices) > 1 or max(choices) > MOST_USES:
        raise ValueError(f"slots need the same number of choices, at most {MOST_USES}: {frame}")
    uses = choices.pop()
    columns = [piece.split("|") if place % 2 else [piece] * uses for place, piece in enumerate(pieces)]
    return ["".join(column) for column in zip(*columns, strict=True)]
