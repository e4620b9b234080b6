"""Signs of life of a profile's server: whether it was answering while a request waited. Pure.

A server that works off requests one after another sends not one byte to those that queue. A timeout
to the first byte therefore says nothing about a server that answered another call meanwhile.
"""

from __future__ import annotations

from collections import Counter


class Signs:
    """Which profiles are sending text now, and when each of them last answered."""

    def __init__(self) -> None:
        self._speaking: Counter[str] = Counter()
        self._spoke_ms: dict[str, int] = {}

    def began(self, profile: str) -> None:
        """The first text of an answer has arrived."""
        self._speaking[profile] += 1

    def ended(self, profile: str, now_ms: int) -> None:
        """An answer whose text had begun has ended, whole or not."""
        self._speaking[profile] -= 1
        self._spoke_ms[profile] = now_ms

    def answered(self, profile: str, now_ms: int) -> None:
        """A whole answer has arrived."""
        self._spoke_ms[profile] = now_ms

    def since(self, profile: str, began_ms: int) -> bool:
        """Whether there was a sign of life after this moment."""
        return self._speaking[profile] > 0 or self._spoke_ms.get(profile, -1) >= began_ms
