"""Which key and which model to ask next, or how long to wait for one. Pure.

Models come first, in the order they were asked for, then keys, in the order of the settings; a key
where the conversation's beginning is cached goes before the others of its model. Whoever is in a
pause goes behind everybody who is not. When all are, the first to come back is waited for if that
is soon, else one request in five seconds looks whether it is back already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from agents.base.profiles import Standing
from agents.models.profile import Profile
from agents.resilience import cooldown
from gateway.core.errors import ModelCategory

MAX_TRIES = 2
"""Requests to one key and model for one answer, where the failure says nothing about the key."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model at a key."""

    profile: Profile
    model: str

    @property
    def key(self) -> tuple[str, str]:
        return self.profile.name, self.model


@dataclass(slots=True)
class Tried:
    """What became of the requests for one answer so far."""

    count: Counter[tuple[str, str]] = field(default_factory=Counter)
    last: dict[tuple[str, str], ModelCategory] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)
    """Servers that could not be reached or broke down: another key will not help there."""
    crowded: set[tuple[str, str]] = field(default_factory=set)
    """Models with too little room, by server: neither will it there."""
    unpaused: set[tuple[str, str]] = field(default_factory=set)
    """Whose last failure led to no pause."""

    def note(self, candidate: Candidate, category: ModelCategory, *, rests: bool = True) -> None:
        """One more failed; `rests` is whether a pause came of it."""
        self.count[candidate.key] += 1
        self.last[candidate.key] = category
        if not rests:
            self.unpaused.add(candidate.key)
            return
        self.unpaused.discard(candidate.key)
        host = host_of(candidate)
        if category in ("server", "timeout"):
            self.hosts.add(host)
        elif category == "overloaded":
            self.crowded.add((host, candidate.model))

    def doubtful(self, candidate: Candidate) -> bool:
        """Whether what failed here already would make this one fail too."""
        host = host_of(candidate)
        return host in self.hosts or (host, candidate.model) in self.crowded


@dataclass(frozen=True, slots=True)
class Choice:
    """Ask this one after `wait_ms`; `why` in one word."""

    candidate: Candidate
    wait_ms: int
    why: str


@dataclass(frozen=True, slots=True)
class Nobody:
    """There is no use in asking anybody now; `back_ms` until that may change, 0 for not known."""

    back_ms: int


def candidates(
    models: Sequence[str],
    profiles: Sequence[Profile],
    *,
    warm: tuple[str, str] | None = None,
    turn: int = 0,
) -> list[Candidate]:
    """Everyone who could answer, best first.

    `warm` is who answered this conversation last; `turn` is where the round starts when keys take
    turns.
    """
    start = turn % len(profiles) if profiles else 0
    keys = (*profiles[start:], *profiles[:start])
    found = [Candidate(p, model) for model in models for p in keys if p.serves(model)]
    if warm is not None:
        order = {model: place for place, model in enumerate(models)}
        found.sort(key=lambda one: (order[one.model], one.key != warm))
    return found


def choose(
    able: Sequence[Candidate],
    standing: Callable[[Candidate], Standing],
    tried: Tried,
    *,
    now_ms: int,
    patience_ms: int,
) -> Choice | Nobody:
    """Who is asked next."""
    open_ = [one for one in able if _worth_another(one, tried)]
    ready = [one for one in open_ if cooldown.ready_ms(standing(one), now_ms=now_ms) <= now_ms]
    if ready:
        best = min(ready, key=lambda one: (tried.count[one.key], tried.doubtful(one)))
        return Choice(best, 0, _why(best, able, standing, tried))
    soonest = min(
        open_, key=lambda one: cooldown.ready_ms(standing(one), now_ms=now_ms), default=None
    )
    if soonest is None:
        return Nobody(0)
    wait_ms = cooldown.ready_ms(standing(soonest), now_ms=now_ms) - now_ms
    if wait_ms <= patience_ms:
        return Choice(soonest, wait_ms, "waited")
    if all(cooldown.may_probe(standing(one), now_ms=now_ms) for one in able):
        return Choice(soonest, 0, "probe")
    return Nobody(wait_ms)


def elsewhere(
    candidate: Candidate,
    able: Sequence[Candidate],
    standing: Callable[[Candidate], Standing],
    *,
    now_ms: int,
) -> list[Candidate]:
    """Those who may see a request otherwise and can be asked now: at another server, or another
    model."""
    place = (host_of(candidate), candidate.model)
    return [
        one
        for one in able
        if (host_of(one), one.model) != place
        and cooldown.ready_ms(standing(one), now_ms=now_ms) <= now_ms
    ]


def _worth_another(one: Candidate, tried: Tried) -> bool:
    """A pause tells how often a key is asked; where there is none, the count does."""
    last = tried.last.get(one.key)
    paused = last in cooldown.PAUSES_S and one.key not in tried.unpaused
    return last is None or paused or tried.count[one.key] < MAX_TRIES


def _why(
    best: Candidate,
    able: Sequence[Candidate],
    standing: Callable[[Candidate], Standing],
    tried: Tried,
) -> str:
    if tried.count[best.key]:
        return "again"
    before = able[: able.index(best)]
    if not before:
        return "first"
    ahead = before[0]
    reason = tried.last.get(ahead.key) or standing(ahead).category or "order"
    return f"{ahead.profile.name}/{ahead.model}: {reason}"


def host_of(candidate: Candidate) -> str:
    """The server a candidate is asked at."""
    return urlsplit(candidate.profile.base_url).netloc
