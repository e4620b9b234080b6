"""Answers on their way out: counted, looked at, sent again, forgotten."""

from __future__ import annotations

from gateway.core.errors import Conflict, NotFound
from gateway.delivery.operating import FAILED
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.cursors import before, next_cursor
from gateway.rpc.method import Method
from gateway.wire.methods import deliveries as wire
from gateway.wire.methods.base import NoParams


async def stats(call: Call, params: NoParams) -> wire.DeliveryStats:
    """How many deliveries there are in each state."""
    counts = await call.gateway.deliveries.counts()
    return wire.DeliveryStats(
        total_attempted=counts.attempts,
        total_succeeded=counts.total("sent"),
        total_failed=counts.total(*FAILED),
        pending=counts.total("pending", "sending"),
        available=counts.total("available"),
        states=counts.states,
    )


async def list_(call: Call, params: wire.ListDeliveries) -> wire.DeliveryPage:
    """Deliveries, newest first."""
    rows = await call.gateway.deliveries.page(
        before=before(params.cursor), state=params.state or "", limit=params.limit
    )
    return wire.DeliveryPage(
        deliveries=[wire.DeliveryInfo.of(row) for row in rows],
        next_cursor=next_cursor(rows, params.limit, lambda row: row.ordinal),
    )


async def get(call: Call, params: wire.OneDelivery) -> wire.DeliveryDetail:
    """A delivery with its words."""
    row, text = await call.gateway.deliveries.one(params.delivery_id)
    return wire.DeliveryDetail.of(row, text=text)


async def retry(call: Call, params: wire.OneDelivery) -> wire.Retried:
    """Send again what failed; what may have been shown may be shown twice."""
    work = call.gateway.deliveries.retry(params.delivery_id)
    expires_at = await call.shared.run_to_completion("deliveries.retry", work)
    return wire.Retried(delivery_id=params.delivery_id, expires_at=expires_at)


async def purge(call: Call, params: wire.Purge) -> wire.Purged:
    """Forget a delivery that has ended, or all that failed."""
    deliveries = call.gateway.deliveries
    if params.delivery_id is None:
        work = deliveries.purge_failed()
        return wire.Purged(purged=await call.shared.run_to_completion("deliveries.purge", work))
    await deliveries.purge(params.delivery_id)
    return wire.Purged(purged=1)


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
