"""Failures that explain nothing: the server may be ill, or this one request may be poison. Pure.

A failure without a reason (a bare 500, an unknown 4xx) is held against the profile and model only
for the session that met it. When a second session meets one too and nothing was answered in
between, the evidence is against the server. When the same session fails again although the server
answered another one meanwhile, the evidence is against its request. Memory of this process only.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from agents.base.profiles import HEALTHY, Standing
from agents.resilience import cooldown
from gateway.core.errors import ModelCategory

Key = tuple[str, str]
"""Profile and model."""


class Finding(NamedTuple):
    """What a failure speaks against: `unclear` where only this session met it, `server` where
    another one did too, `request` where others are answered. `earlier` are the failures of other
    sessions that have turned out to be the server's: category and wall milliseconds."""

    against: Literal["unclear", "server", "request"]
    earlier: tuple[tuple[ModelCategory, int], ...] = ()


MAX_SESSIONS = 1000
"""Sessions remembered for one profile and model; the oldest failures are forgotten first."""
EVIDENCE_MS = 300_000
"""Two failures further apart than this are two events."""


@dataclass(slots=True)
class _Record:
    standing: Standing
    category: ModelCategory
    at: int
    """Which event of this object it was: wall time cannot tell the order within a millisecond."""
    counted: bool = False
    """Whether it is held against the server already."""


class Suspicions:
    """What sessions have met and nothing explains, by profile and model."""

    def __init__(self) -> None:
        self._met: dict[Key, OrderedDict[str, _Record]] = {}
        self._answered: dict[Key, int] = {}
        self._events = 0

    def of(self, key: Key, session: str) -> Standing:
        """How this profile and model do for this session alone."""
        met = self._met.get(key)
        record = met.get(session) if met else None
        return record.standing if record is not None else HEALTHY

    def answered(self, key: Key, session: str) -> None:
        """An answer: evidence against the server so far is void, and this session's is gone."""
        self._events += 1
        self._answered[key] = self._events
        if self._met and key in self._met:
            self._met[key].pop(session, None)

    def failed(
        self,
        key: Key,
        session: str,
        category: ModelCategory,
        *,
        now_ms: int,
        began_ms: int,
        hint_ms: int | None = None,
    ) -> Finding:
        """One more failure without a reason; what it speaks against."""
        self._events += 1
        met, answered = self._met.setdefault(key, OrderedDict()), self._answered.get(key, 0)
        record = met.pop(session, None)
        if record is not None and answered > record.at:
            # Ready again at once: the next message of this session may be without the poison.
            standing = replace(record.standing, failed_ms=now_ms, until_ms=0)
            met[session] = _Record(standing, category, self._events)
            return Finding("request")
        standing = cooldown.failed(
            record.standing if record is not None else HEALTHY,
            category,
            now_ms=now_ms,
            began_ms=began_ms,
            hint_ms=hint_ms,
        )
        others = [
            other
            for other in met.values()
            if other.at > answered and now_ms - other.standing.failed_ms <= EVIDENCE_MS
        ]
        earlier = tuple(
            (other.category, other.standing.failed_ms) for other in others if not other.counted
        )
        for other in others:
            other.counted = True
        met[session] = _Record(standing, category, self._events, counted=bool(others))
        if len(met) > MAX_SESSIONS:
            met.popitem(last=False)
        return Finding("server", earlier) if others else Finding("unclear")

    def forget(self, profile: str = "") -> None:
        """Forget what was met at one profile, or at all."""
        for key in [key for key in self._met if profile in ("", key[0])]:
            del self._met[key]
