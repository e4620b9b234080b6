"""Whether a shown output and a real one are the same, but for ids, times and machines. Pure.

Ids become numbers in the order of their appearance, so an id that stands twice on a page must stand
twice in reality. `…` in a page stands for anything within its line.
"""

from __future__ import annotations

import re
from itertools import zip_longest

_ID = re.compile(r"\b([a-z])_[0-9a-f]{28}\b")
_PLAIN = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"), "<day>"),
    (re.compile(r"\bpid \d+ on [\w.-]+"), "pid <n> on <host>"),
)
# What bash itself says when a child of a script was killed.
_KILLED = re.compile(r"^(?:\S+: line \d+: )? *\d+ (?:Done|Killed)\b.*\n?", re.MULTILINE)


def differences(shown: str, real: str, *, unordered: bool = False) -> list[str]:
    """One sentence a line that differs; none when the page is right."""
    expected = _lines(shown, number=not unordered)
    actual = _lines(_KILLED.sub("", real), number=not unordered)
    if unordered:
        expected, actual = sorted(expected), sorted(actual)
    return [
        f"the page says {want!r}, really {got!r}"
        for want, got in zip_longest(expected, actual)
        if want is None or got is None or not _fits(want, got)
    ]


def _lines(text: str, *, number: bool) -> list[str]:
    seen: dict[str, int] = {}

    def numbered(found: re.Match[str]) -> str:
        count = seen.setdefault(found[0], len(seen) + 1) if number else "?"
        return f"{found[1]}_<{count}>"

    text = _ID.sub(numbered, text)
    for pattern, word in _PLAIN:
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.rstrip("\n").split("\n")] if text.strip() else []


def _fits(want: str, got: str) -> bool:
    pattern = ".*".join(re.escape(piece) for piece in want.split("…"))
    return re.fullmatch(pattern, got) is not None
