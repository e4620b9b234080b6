"""Answers on their way out: counted, looked at, sent again, forgotten."""

from __future__ import annotations

from gateway.core.errors import Conflict, NotFound
from gateway.delivery import planning
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.cursors import before, next_cursor
from gateway.rpc.method import Method
from gateway.store.base import outbox as store
from gateway.store.base.store import Durability, Unit
from gateway.wire.methods import deliveries as wire
from gateway.wire.methods.base import NoParams

FAILED = ("dead", "expired", "unknown")
PURGE_AT_ONCE = 1000
"""Rows forgotten by one write: no other write waits long for it."""


async def stats(call: Call, params: NoParams) -> wire.DeliveryStats:
    """How many deliveries there are in each state."""
    counts = await call.gateway.store.read(store.CountDeliveries())
    (attempts,) = await call.gateway.store.read(store.CountAttempts())
    states = {row.state: row.total for row in counts}
    return wire.DeliveryStats(
        total_attempted=attempts.attempts,
        total_succeeded=states.get("sent", 0),
        total_failed=sum(states.get(state, 0) for state in FAILED),
        pending=states.get("pending", 0) + states.get("sending", 0),
        available=states.get("available", 0),
        states=states,
    )


async def list_(call: Call, params: wire.ListDeliveries) -> wire.DeliveryPage:
    """Deliveries, newest first."""
    query = store.ListDeliveries(before(params.cursor), params.state or "", params.limit)
    rows = await call.gateway.store.read(query)
    return wire.DeliveryPage(
        deliveries=[wire.DeliveryInfo.of(row) for row in rows],
        next_cursor=next_cursor(rows, params.limit, lambda row: row.ordinal),
    )


async def get(call: Call, params: wire.OneDelivery) -> wire.DeliveryDetail:
    """A delivery with its words."""
    row = await _delivery(call, params.delivery_id)
    return wire.DeliveryDetail.of(row, text=planning.from_row(row).text)


async def retry(call: Call, params: wire.OneDelivery) -> wire.Retried:
    """Send again what failed; what may have been shown may be shown twice."""
    row = await _delivery(call, params.delivery_id)
    if row.state not in FAILED:
        raise Conflict(f"the delivery is {row.state}; only one that failed is sent again")
    return await call.shared.whole("deliveries.retry", _retry(call, row))


async def purge(call: Call, params: wire.Purge) -> wire.Purged:
    """Forget a delivery that has ended, or all that failed."""
    if params.delivery_id is None:
        return wire.Purged(purged=await call.shared.whole("deliveries.purge", _purge_failed(call)))
    row = await _delivery(call, params.delivery_id)
    if row.state in ("pending", "sending"):
        raise Conflict(f"the delivery is {row.state}; it is forgotten only once it has ended")
    op = store.PurgeDelivery(row.delivery_id)
    await call.gateway.store.commit(Unit((op,), durability=Durability.CRITICAL))
    return wire.Purged(purged=1)


async def _retry(call: Call, row: store.DeliveryRow) -> wire.Retried:
    gateway = call.gateway
    now = gateway.clock.now_ms()
    expires_at = now + planning.CHAT_TTL_MS
    op = store.RetryDelivery(row.delivery_id, now, expires_at)
    await gateway.store.commit(Unit((op,), durability=Durability.CRITICAL))
    fresh = await _delivery(call, row.delivery_id)
    gateway.outbox.wake([planning.from_row(fresh)])
    return wire.Retried(delivery_id=row.delivery_id, expires_at=expires_at)


async def _purge_failed(call: Call) -> int:
    purged = 0
    while True:
        op = store.PurgeFailed(PURGE_AT_ONCE)
        receipt = await call.gateway.store.commit(Unit((op,), durability=Durability.CRITICAL))
        purged += receipt.touched[0]
        if receipt.touched[0] < PURGE_AT_ONCE:
            return purged


async def _delivery(call: Call, delivery_id: str) -> store.DeliveryRow:
    for row in await call.gateway.store.read(store.GetDelivery(delivery_id)):
        return row
    raise NotFound(f"there is no delivery {delivery_id!r}")


STATS = Method("deliveries.stats", Scope.READ, stats)
OLD_STATS = Method(
    "delivery.stats",
    Scope.READ,
    stats,
    summary="The same as `deliveries.stats`, under the name older clients know.",
)
LIST = Method("deliveries.list", Scope.OPERATOR, list_)
GET = Method("deliveries.get", Scope.OPERATOR, get, whole=True, errors=(NotFound,))
RETRY = Method(
    "deliveries.retry", Scope.OPERATOR, retry, errors=(NotFound, Conflict), adds_work=True
)
PURGE = Method("deliveries.purge", Scope.OPERATOR, purge, errors=(NotFound, Conflict))
