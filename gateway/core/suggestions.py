"""What to say about a name that does not exist: the nearest known names, else where to look.

The one place that compares spellings; settings, routes, methods, parameters, faults and agents all
ask here. Pure, and cheap enough to be asked for a name that a stranger sent: the name is cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

CUTOFF = 0.6
"""How alike two names must be, from 0 to 1: what `difflib` suggests for words."""
MAX_CHARS = 100
"""How much of a name is compared. The cost grows with its square, and no known name is longer."""
SHOWN = 8
"""Known names listed when none is near: what fits a line."""


def nearest(
    word: str, known: Iterable[str], *, count: int = 1, cutoff: float = CUTOFF, prefix: str = ""
) -> list[str]:
    """At most `count` known names like `word`, the nearest first, in their own spelling.

    Case does not count, and `-` is `_`. A `prefix` of the known names may be left out: with
    `turngate_`, `port` is near `TURNGATE_PORT`.
    """
    # `str` takes members of an enumeration for what they are written as.
    spelt = {_folded(each): str(each) for each in sorted(known)}
    asked = _folded(word[:MAX_CHARS])
    if found := get_close_matches(asked, spelt, count, cutoff):
        return [spelt[name] for name in found]
    if not prefix:
        return []
    short = {name.removeprefix(prefix): each for name, each in spelt.items()}
    return [short[name] for name in get_close_matches(asked, short, count, cutoff)]


def did_you_mean(
    word: str,
    known: Iterable[str],
    *,
    count: int = 3,
    cutoff: float = CUTOFF,
    prefix: str = "",
    otherwise: str | None = None,
) -> str:
    """A hint to put behind a message about `word`: the nearest known names.

    Where none is near it is `otherwise`, or without that the first of the known names.
    """
    words = sorted(map(str, known))
    if near := nearest(word, words, count=count, cutoff=cutoff, prefix=prefix):
        return f"did you mean {' or '.join(map(repr, near))}?"
    if otherwise is not None:
        return otherwise
    if not words:
        return "there is none at all"
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return f"known: {', '.join(words[:SHOWN])}{more}"


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_")
