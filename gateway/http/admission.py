"""The gates a request passes before it is worked on, each with its own refusal.

Does the gateway take new work (it starts, or stops) → has its disk room → do too many turns wait →
has this principal sent too much → is the whole gateway busy. Refusing is cheap and comes early,
before a request costs a task or a write; what is let in is finished. What steers or looks
(`always`) passes by all gates: an operator must get through when it matters most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from gateway.core.clock import Clock
from gateway.core.errors import Busy, RateLimited
from gateway.http.sockets import Shed
from gateway.identity.budget import Budget, Rate
from gateway.identity.principal import Principal, Scope
from gateway.telemetry.health import Health

WORK_RATE = Rate(burst=500, per_s=250)
"""New work of one principal: a quarter more a second than one process accepts with every input
flushed to disk, and the burst of a channel that reconnects."""
REQUESTS_S = 500
"""Requests a second of any kind of one credential, reads and refused ones too, while others wait
for the loop (`TURNGATE_REQUEST_RATE`), and twice as many at once: a tenth of what one process
answers. Alone a credential may have all of it."""
IN_FLIGHT = 256
"""Requests worked on at once in all: sixteen connections that use all their places."""
SHARE = 4
"""Reads of one credential that are worked on at once: the database answers them in the order in
which they came, and an operator's stands behind so many. Each may take three milliseconds of the
event loop, and four keep database and processor busy."""
BACKLOG = 500
"""Turns that wait for a slot, all conversations together. Each is durable, so more would wait for
minutes, and taking them in would take the time of those that are answered: without this bound, five
times the load is answered a thousandth as often."""
RESTART_MS = 5000
BACKLOG_MS = 5000
DISK_MS = 60_000
BUSY_MS = 1000


@dataclass(frozen=True, slots=True)
class Rates:
    """What one credential may send and ask."""

    work: Rate = WORK_RATE
    requests_s: int = REQUESTS_S


@dataclass(slots=True)
class _Places:
    """The places of one credential; `users` work or wait."""

    free: asyncio.Semaphore
    users: int = 0


class Share:
    """The place of one read, which it gives up while it only waits."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._held = False

    async def take(self) -> None:
        """Wait for a place. Cancelled: none is taken."""
        await self._free.acquire()
        self._held = True

    def give(self) -> None:
        """Give it up; doing so twice changes nothing."""
        if self._held:
            self._held = False
            self._free.release()


class Admission:
    """Counts and decides; `health` says whether work is taken at all."""

    def __init__(
        self,
        health: Health,
        clock: Clock,
        shed: Shed,
        *,
        rates: Rates = Rates(),
        in_flight: int = IN_FLIGHT,
        waiting: Callable[[], int] = lambda: 0,
        backlog: int = BACKLOG,
        crowds: Callable[[str], bool] = lambda owner: False,
    ) -> None:
        self._health = health
        self._clock = clock
        self._shed = shed
        self._budget = Budget(rates.work)
        self._requests = Budget(Rate(burst=2 * rates.requests_s, per_s=rates.requests_s))
        self._crowds = crowds
        self._bound = in_flight
        self._waiting = waiting
        self._backlog = backlog
        self._working = 0
        self._shares: dict[str, _Places] = {}
        self._peak = 0

    def check_open(self) -> None:
        """Whether anybody may add work now. Raises `Busy`."""
        if not self._health.accepts:
            self._shed(self._health.state)
            raise Busy(
                f"the gateway is {self._health.state} and takes no new work; try again in seconds",
                retry_after_ms=RESTART_MS,
            )
        if "disk_low" in self._health.reasons:
            self._shed("disk")
            raise Busy(
                "the gateway's disk is nearly full: what was accepted is worked on, nothing new is "
                "taken until there is room",
                retry_after_ms=DISK_MS,
            )
        waiting = self._waiting()
        if waiting >= self._backlog:
            self._shed("backlog")
            raise Busy(
                f"{waiting} turns wait already, which is the most; nothing was accepted, send it "
                "again when some are answered",
                retry_after_ms=BACKLOG_MS,
            )

    def check_request(self, principal: Principal) -> None:
        """Whether this principal may ask for anything now. Raises `RateLimited`.

        Every request is charged; one is refused only where others wait for the loop meanwhile, and
        never an operator's.
        """
        owner = principal.credential_id
        if not owner or principal.has(Scope.OPERATOR):
            return
        wait = self._requests.take(owner, self._clock.monotonic())
        if wait > 0 and self._crowds(owner):
            self._shed("requests")
            raise RateLimited(
                "this credential asks more often than it may while others wait; slow down",
                retry_after_ms=max(1, round(wait * 1000)),
            )

    def check_work(self, principal: str) -> None:
        """Whether this principal may add work now. Raises `Busy` or `RateLimited`."""
        self.check_open()
        wait = self._budget.take(principal, self._clock.monotonic())
        if wait > 0:
            self._shed("rate")
            raise RateLimited(
                "this credential sends more than it may; slow down",
                retry_after_ms=max(1, round(wait * 1000)),
            )

    @asynccontextmanager
    async def share(self, principal: Principal) -> AsyncIterator[Share | None]:
        """Wait until less than its share of reads is being worked on for this principal.

        The line is bounded by the places of its connections. Cancelled: it has left the line. An
        operator does not wait, and has none.
        """
        owner = principal.credential_id
        if principal.has(Scope.OPERATOR):
            yield None
            return
        share = self._shares.setdefault(owner, _Places(asyncio.Semaphore(SHARE)))
        share.users += 1
        place = Share(share.free)
        try:
            await place.take()
            yield place
        finally:
            place.give()
            share.users -= 1
            if not share.users:
                del self._shares[owner]

    def check_room(self) -> None:
        """Whether one more request may be worked on. Raises `Busy`."""
        if self._working >= self._bound:
            self._shed("in_flight")
            raise Busy(
                f"{self._bound} requests are being worked on, which is the most at once",
                retry_after_ms=BUSY_MS,
            )

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a request as worked on for the block."""
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

    @property
    def busy(self) -> bool:
        """Whether a request is being worked on."""
        return self._working > 0

    def load(self) -> float:
        """The highest share of a bound since this was last asked."""
        peak, self._peak = self._peak, self._working
        return max(peak / self._bound, self._waiting() / self._backlog)
