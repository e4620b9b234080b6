"""What operators do with deliveries: count them, look at them, send again, forget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.core.clock import Clock
from gateway.core.errors import Conflict, NotFound
from gateway.delivery import planning
from gateway.delivery.outbox import Outbox
from gateway.store.base.outbox import (
    CountAttempts,
    CountDeliveries,
    DeliveryRow,
    GetDelivery,
    ListDeliveries,
    PurgeDelivery,
    PurgeFailed,
    RetryDelivery,
)
from gateway.store.base.store import Durability, Receipt, Store, Unit

FAILED = ("dead", "expired", "unknown")
PURGE_AT_ONCE = 1000
"""Rows forgotten by one write: no other write waits long for it."""


class Counts(NamedTuple):
    """Deliveries that are kept, by state, and how often sending was tried."""

    states: dict[str, int]
    attempts: int

    def total(self, *states: str) -> int:
        """How many are in one of these states."""
        return sum(self.states.get(state, 0) for state in states)


@dataclass(frozen=True, slots=True)
class Deliveries:
    """See the module. Raises `NotFound` for a delivery that is not there."""

    store: Store
    clock: Clock
    outbox: Outbox

    async def counts(self) -> Counts:
        """How many deliveries there are in each state."""
        counts = await self.store.read(CountDeliveries())
        (tried,) = await self.store.read(CountAttempts())
        return Counts({row.state: row.total for row in counts}, tried.attempts)

    async def page(self, *, before: int, state: str, limit: int) -> list[DeliveryRow]:
        """Deliveries below an ordinal, newest first; `state` empty: in any."""
        return await self.store.read(ListDeliveries(before, state, limit))

    async def one(self, delivery_id: str) -> tuple[DeliveryRow, str | None]:
        """A delivery and its words; None where they were deleted."""
        row = await self._row(delivery_id)
        return row, planning.from_row(row).text

    async def retry(self, delivery_id: str) -> int:
        """Send again what failed, until the instant returned (ms); raises `Conflict` otherwise.

        What may have been shown may be shown twice.
        """
        row = await self._row(delivery_id)
        if row.state not in FAILED:
            raise Conflict(f"the delivery is {row.state}; only one that failed is sent again")
        now = self.clock.now_ms()
        expires_at = now + planning.CHAT_TTL_MS
        await self._commit(RetryDelivery(delivery_id, now, expires_at))
        self.outbox.wake([planning.from_row(await self._row(delivery_id))])
        return expires_at

    async def purge(self, delivery_id: str) -> None:
        """Forget a delivery that has ended; raises `Conflict` while it has not."""
        row = await self._row(delivery_id)
        if row.state in ("pending", "sending"):
            raise Conflict(f"the delivery is {row.state}; it is forgotten only once it has ended")
        await self._commit(PurgeDelivery(delivery_id))

    async def purge_failed(self) -> int:
        """Forget all that failed; how many."""
        purged = 0
        while True:
            receipt = await self._commit(PurgeFailed(PURGE_AT_ONCE))
            purged += receipt.touched[0]
            if receipt.touched[0] < PURGE_AT_ONCE:
                return purged

    async def _commit(self, op: RetryDelivery | PurgeDelivery | PurgeFailed) -> Receipt:
        return await self.store.commit(Unit((op,), durability=Durability.CRITICAL))

    async def _row(self, delivery_id: str) -> DeliveryRow:
        for row in await self.store.read(GetDelivery(delivery_id)):
            return row
        raise NotFound(f"there is no delivery {delivery_id!r}")
