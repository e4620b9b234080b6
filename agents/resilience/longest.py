"""Failures without a reason that meet the longest prompt only: it may be too long. Pure.

Some servers break down over a long prompt instead of refusing it. Where all that was answered was
shorter and the failure recurs, one try with a shortened prompt is worth its cost; not more.
"""

from __future__ import annotations

from collections import OrderedDict

MAX_SESSIONS = 1000
"""Sessions whose failures are remembered; the oldest are forgotten first."""
RECURS = 2
"""Failures of a session in a row that are more than chance."""


class Longest:
    """The longest prompts that were answered, and the sessions that wait for an answer."""

    def __init__(self) -> None:
        self._answered: dict[tuple[str, str], int] = {}
        self._failures: OrderedDict[str, int] = OrderedDict()
        self._shortened: OrderedDict[str, None] = OrderedDict()

    def answered(self, key: tuple[str, str], session: str, tokens: int) -> None:
        """A prompt of so many tokens was answered by this profile and model."""
        if tokens > self._answered.get(key, 0):
            self._answered[key] = tokens
        if self._failures:
            self._failures.pop(session, None)
            self._shortened.pop(session, None)

    def worth_shortening(
        self, key: tuple[str, str], session: str, tokens: int, *, certainly: bool
    ) -> bool:
        """Note a failure without a reason; whether a shortened prompt deserves its one try.
        `certainly`: it is known that the request is at fault, so it need not recur."""
        self._failures[session] = self._failures.pop(session, 0) + 1
        if len(self._failures) > MAX_SESSIONS:
            forgotten, _ = self._failures.popitem(last=False)
            self._shortened.pop(forgotten, None)
        recurs = certainly or self._failures[session] >= RECURS
        longest = 0 < self._answered.get(key, 0) < tokens
        if not (recurs and longest) or session in self._shortened:
            return False
        self._shortened[session] = None
        return True
