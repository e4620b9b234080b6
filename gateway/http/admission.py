"""The gates a request passes before it is worked on, each with its own refusal.

Does the gateway take new work (it starts, or stops) → has this principal sent too much → is the
whole gateway busy. Refusing is cheap and comes early; what is let in is finished. What steers or
looks (`always`) passes by all gates: an operator must get through when it matters most.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.core.clock import Clock
from gateway.core.errors import Busy, RateLimited
from gateway.http.sockets import Shed
from gateway.identity.budget import Budget, Rate
from gateway.telemetry.health import Health

WORK_RATE = Rate(burst=500, per_s=250)
"""New work of one principal: a quarter more a second than one process accepts with every input
flushed to disk, and the burst of a channel that reconnects."""
IN_FLIGHT = 256
"""Requests worked on at once in all: sixteen connections that use all their places."""
RESTART_MS = 5000
BUSY_MS = 1000


class Admission:
    """Counts and decides; `health` says whether work is taken at all."""

    def __init__(
        self,
        health: Health,
        clock: Clock,
        shed: Shed,
        *,
        rate: Rate = WORK_RATE,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._health = health
        self._clock = clock
        self._shed = shed
        self._budget = Budget(rate)
        self._bound = in_flight
        self._working = 0
        self._peak = 0

    def check_work(self, principal: str) -> None:
        """Whether this principal may add work now. Raises `Busy` or `RateLimited`."""
        if not self._health.accepts:
            self._shed(self._health.state)
            raise Busy(
                f"the gateway is {self._health.state} and takes no new work; try again in seconds",
                retry_after_ms=RESTART_MS,
            )
        wait = self._budget.take(principal, self._clock.monotonic())
        if wait > 0:
            self._shed("rate")
            raise RateLimited(
                "this credential sends more than it may; slow down",
                retry_after_ms=max(1, round(wait * 1000)),
            )

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a request as worked on for the block. Raises `Busy` when there are too many."""
        if self._working >= self._bound:
            self._shed("in_flight")
            raise Busy(
                f"{self._bound} requests are being worked on, which is the most at once",
                retry_after_ms=BUSY_MS,
            )
        self.take_back()
        try:
            yield
        finally:
            self.rest()

    def rest(self) -> None:
        """One of them only waits from now on."""
        self._working -= 1

    def take_back(self) -> None:
        """It works again, whatever the count: what is half done gets finished."""
        self._working += 1
        self._peak = max(self._peak, self._working)

    def load(self) -> float:
        """The highest share of the bound since this was last asked."""
        peak, self._peak = self._peak, self._working
        return peak / self._bound
