"""Names of things, and the only place that makes them up.

Ids sort by the time they were made (48 bits of milliseconds, then 64 random bits), so a listing by
id is a listing by age and indexes stay compact. Tests inject `SequentialIds`.
"""

from __future__ import annotations

import itertools
import os
import random
import secrets
from typing import NewType, Protocol

from gateway.core.clock import Clock

AgentId = NewType("AgentId", str)
TurnId = NewType("TurnId", str)
RunId = NewType("RunId", str)
"""A turn's run has the turn's id: one thing, two views of it."""
ContentId = NewType("ContentId", str)
DeliveryId = NewType("DeliveryId", str)
WorkerId = NewType("WorkerId", str)


class Ids(Protocol):
    """A source of fresh names."""

    def new(self, prefix: str) -> str:
        """A name nobody has had, `<prefix>_<28 hex digits>`."""
        ...

    def secret(self) -> str:
        """A text nobody can guess: 256 bits, safe in a URL."""
        ...


class Chance(Protocol):
    """A source of numbers nobody can foresee; `random.Random(seed)` is one that tests can."""

    def uniform(self, a: float, b: float) -> float:
        """A number between the two, in no particular unit."""
        ...


def system_chance() -> Chance:
    """Unpredictable numbers."""
    return random.SystemRandom()


def seeded_chance(seed: int) -> Chance:
    """The same numbers for the same seed."""
    return random.Random(seed)


class SystemIds:
    """Time-ordered random ids."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def new(self, prefix: str) -> str:
        return f"{prefix}_{self._clock.now_ms() & 0xFFFFFFFFFFFF:012x}{os.urandom(8).hex()}"

    def secret(self) -> str:
        return secrets.token_urlsafe(32)


class SequentialIds:
    """Ids a test can predict: `t_1`, `t_2`, … counted over all prefixes."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def new(self, prefix: str) -> str:
        return f"{prefix}_{next(self._count)}"

    def secret(self) -> str:
        return f"not-a-secret-but-long-enough-for-one-{next(self._count)}"
