"""Marks: which message an answer in a transcript belongs to, and what a kill made of them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

NONE = "mark-00000000"
"""What an answer holds whose request has none."""
LENGTH = len(NONE)
"""Every mark is as long, so an answer that repeats one keeps its length."""
_MARK = re.compile(r"mark-\d{8}")


def mark(number: int) -> str:
    """The mark of a message."""
    return f"mark-{number:08}"


def last_mark(body: bytes) -> bytes:
    """The mark of the newest message in a request, `NONE` without any."""
    at = body.rfind(b"mark-")
    return bytes(body[at : at + LENGTH]) if at >= 0 else NONE.encode()


@dataclass(frozen=True, slots=True)
class Survival:
    """What became of messages that had been acknowledged when their gateway was killed."""

    kills: int = 0
    acknowledged: int = 0
    once: int = 0
    twice: int = 0
    """Answered more than once."""
    never: int = 0

    def __add__(self, other: Survival) -> Survival:
        return Survival(
            self.kills + other.kills,
            self.acknowledged + other.acknowledged,
            self.once + other.once,
            self.twice + other.twice,
            self.never + other.never,
        )


def survived(acknowledged: Iterable[str], answers: Iterable[str]) -> Survival:
    """One kill: the marks that were acknowledged beside all answers in the transcripts.

    An answer that was cut does not reach its mark, and so does not count.
    """
    marks = set(acknowledged)
    found = Counter(each for answer in answers for each in _MARK.findall(answer))
    times = [found[each] for each in marks]
    return Survival(
        1,
        len(marks),
        sum(count == 1 for count in times),
        sum(count > 1 for count in times),
        times.count(0),
    )
