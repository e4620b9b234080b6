"""Budgets by token bucket: pure arithmetic over a monotonic time that is handed in.

Used for failed logins, messages and requests. The table of buckets is bounded: the longest idle
owner is forgotten first, which gives it a full bucket and no more than that.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MAX_BUCKETS = 10_000
"""Maximum number of names a table remembers; more would let strangers fill the memory."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, then `per_s` a second."""

    burst: float
    per_s: float


@dataclass(slots=True)
class Bucket:
    """What is left, as of a time."""

    left: float
    at: float


class Budget:
    """A bucket a name, all of one rate."""

    def __init__(self, rate: Rate, *, max_buckets: int = MAX_BUCKETS) -> None:
        self._rate = rate
        self._max = max_buckets
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, name: str, now: float) -> float:
        """Seconds until one is there; 0 when it is. Takes nothing."""
        return max(0.0, (1 - self._left(name, now)) / self._rate.per_s)

    def take(self, name: str, now: float) -> float:
        """Take one if it is there: 0; else the seconds until it will be, and take nothing."""
        wait = self.wait_s(name, now)
        if wait == 0:
            self.charge(name, now)
        return wait

    def charge(self, name: str, now: float) -> None:
        """Take one whether it is there or not, down to an empty bucket."""
        self._buckets[name] = Bucket(max(0.0, self._left(name, now) - 1), now)
        self._buckets.move_to_end(name)
        while len(self._buckets) > self._max:
            self._buckets.popitem(last=False)

    def _left(self, name: str, now: float) -> float:
        bucket = self._buckets.get(name)
        if bucket is None:
            return self._rate.burst
        return min(self._rate.burst, bucket.left + (now - bucket.at) * self._rate.per_s)
