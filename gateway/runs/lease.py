"""The time for which a worker owns its runs: renewed for all of them together, or over in time.

Others may take a run when its lease has ended, so the owner stops `FENCE_S` before: by its own
monotonic clock, independent of the store, the wall clock and a stalled loop.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from gateway.core.clock import Clock
from gateway.core.ids import WorkerId
from gateway.core.retrying import RETRY_S
from gateway.store.base.runs import RenewLeases
from gateway.store.base.store import Store, Unit

LEASE_S = 30.0
"""How long a silent worker keeps its runs from others."""
RENEWALS = 3
"""Renewals per lease: two may be missed."""
FENCE_S = 5.0
"""How long before its lease ends a worker stops acting: its writes must not race the next owner."""

log = structlog.get_logger(__name__)


class Lease:
    """One worker's lease. A run taken or opened now is ours at least as long as it lasts."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        worker: WorkerId,
        on_over: Callable[[], None],
        lease_s: float = LEASE_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker
        self._on_over = on_over
        self._lease_s = lease_s
        self._pause_s = lease_s / RENEWALS
        # A lease made shorter, for a test that waits in real time, keeps the proportions.
        self._margin_s = min(FENCE_S, lease_s / 6)
        self._over = False
        self._fence_at = self._next_fence(clock.monotonic())

    def until(self, now_ms: int) -> int:
        """Wall time at which a lease taken at `now_ms` ends."""
        return now_ms + round(self._lease_s * 1000)

    async def keep(self) -> None:
        """Renew for ever; `on_over` is called each time that did not succeed in time."""
        self._fence_at = self._next_fence(self._clock.monotonic())
        pause = self._pause_s
        while True:
            await self._clock.sleep(pause)
            pause = self._pause_s if await self._renew() else RETRY_S
            left = self._left()
            if 0 < left < pause:
                pause = left

    async def _renew(self) -> bool:
        """Ask once for another term; whether it was granted."""
        self._notice()
        asked, now = self._clock.monotonic(), self._clock.now_ms()
        left = self._left()
        try:
            async with self._clock.timeout(left if left > 0 else self._pause_s):
                await self._store.commit(Unit((RenewLeases(self._worker, self.until(now), now),)))
        except Exception as error:  # noqa: BLE001  # whatever it was, the lease was not renewed
            log.warning("lease.not_renewed", reason=str(error) or type(error).__name__)
            self._notice()
            return False
        # Answered too late, another worker may have been here between then and now.
        self._notice()
        self._fence_at = self._next_fence(asked)
        self._over = False
        return True

    def _notice(self) -> None:
        if not self._over and self._left() <= 0:
            self._over = True
            self._on_over()

    def _left(self) -> float:
        return self._fence_at - self._clock.monotonic()

    def _next_fence(self, asked: float) -> float:
        return asked + self._lease_s - self._margin_s
