"""Pages of lists: how much one takes, and where the next one begins.

A cursor is a text that clients hand back and do not read.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from gateway.conversations.reading import FROM_THE_TOP
from gateway.core.errors import InvalidInput

AROUND = 1024
"""Bytes of an entry besides its words, names and numbers: a guess from above."""

Row = TypeVar("Row")


class Room:
    """What a page of at most `most_bytes` still takes of entries with words.

    The first is always taken: whoever reads in pages must get past somebody's long words.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._used = 0

    def takes(self, body: str | None) -> bool:
        """Whether the entry of this content row is still on the page."""
        first = not self._used
        self._used += 2 * len((body or "").encode()) + AROUND  # words are shown twice
        return first or self._used <= self._most


def encode(*values: str | int) -> str:
    """A cursor that stands behind these values."""
    return urlsafe_b64encode(orjson.dumps(values)).decode()


def decode(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """The values of a cursor; raises `InvalidInput` for a text no page gave out."""
    try:
        values = orjson.loads(b64decode(cursor.encode(), altchars=b"-_", validate=True))
    except ValueError:
        values = None
    if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
        raise InvalidInput("cursor: not one that a page gave out; leave it empty to begin")
    if any(
        isinstance(value, int) and not -FROM_THE_TOP <= value <= FROM_THE_TOP for value in values
    ):
        raise InvalidInput("cursor: not one that a page gave out; leave it empty to begin")
    return tuple(values)


def before(cursor: str) -> int:
    """The number a page of descending numbers begins below."""
    return int(decode(cursor, int)[0]) if cursor else FROM_THE_TOP


def next_cursor(rows: Sequence[Row], limit: int, number: Callable[[Row], str | int]) -> str | None:
    """Where the next page begins; None when this one was the last."""
    return encode(number(rows[-1])) if len(rows) == limit else None
