"""Detection of a text that repeats itself without end. Pure.

A small model that has nothing left to say often goes round in circles until its output limit. What
it said before that is a usable answer; the local model ends the answer there.
"""

from __future__ import annotations

TIMES = 3
"""A refrain comes twice in a poem; the same words three times in a row are a circle."""
LEAST_CHARS = 120
"""A shorter repetition may be meant: `ha ha ha`, a ruler of dashes, a row of a table."""
LONGEST_CHARS = 600
"""Half of the local model's longest answer; a bound on the work for each piece of text."""


def repeats_from(text: str) -> int | None:
    """Where the text begins to repeat itself, in characters from its start; None if it does not.

    The end of the text decides: some unit of it stands there `TIMES` times in a row or more, over
    `LEAST_CHARS` or more. The first of them still counts as said.
    """
    for period in range(1, min(len(text) // TIMES, LONGEST_CHARS) + 1):
        times = max(TIMES, -(-LEAST_CHARS // period))
        unit = text[-period:]
        if text.endswith(unit * times):
            return _start(text, period) + period
    return None


def _start(text: str, period: int) -> int:
    """Where the first of the repetitions at the end of the text begins."""
    start = len(text) - period
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    return start
