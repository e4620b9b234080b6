"""Which servers are asked what they tell of themselves, and when. Pure but for its event.

Each is asked once after a start, and again when it answers after a failure or when it told nothing
before: it may have come back with another window. Never as part of a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gateway.core.errors import SUBJECTS, ModelAttempt, ModelCategory

AGAIN_MS = 300_000
"""Least time between two questions to one server. Ollama unloads an idle model after five minutes
(`OLLAMA_KEEP_ALIVE`); what a server loads changes no faster without an operator."""


class Introductions:
    """What is due, by the name of the profile."""

    def __init__(self, names: Iterable[str]) -> None:
        self._due = set(names)
        self._known = frozenset(self._due)
        self._asked_ms: dict[str, int] = {}
        self.wanted = asyncio.Event()
        """Set while a server that is due has answered."""

    def due(self, now_ms: int) -> list[str]:
        """The profiles to ask now; they count as asked."""
        self.wanted.clear()
        names = sorted(
            name
            for name in self._due
            if name not in self._asked_ms or now_ms - self._asked_ms[name] >= AGAIN_MS
        )
        self._due.difference_update(names)
        self._asked_ms.update(dict.fromkeys(names, now_ms))
        return names

    def silent(self, name: str) -> None:
        """This one told nothing; it is asked again once it answers."""
        self._due.add(name)

    def ended(self, attempt: ModelAttempt) -> None:
        """A request has ended: a failed server may come back as another, one that answers has."""
        category = attempt.category
        if category == "unfinished":
            return  # cancelled: it says nothing of the server
        if category == "":
            if attempt.profile in self._due:
                self.wanted.set()
        elif attempt.profile in self._known and _may_change(category):
            self._due.add(attempt.profile)


def _may_change(category: ModelCategory) -> bool:
    """Whether the server, or what it has loaded, may be another afterwards."""
    return category == "not_found" or SUBJECTS[category] == "server"
