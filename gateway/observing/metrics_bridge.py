"""Metrics of a running gateway: events that are counted, depths that are read at a scrape.

The parts of the gateway know nothing of it: ends of turns and deliveries are read from the log, and
requests to models are reported by the profiles. Nothing here keeps a number itself.
"""

from __future__ import annotations

from gateway.events.kinds import Kind
from gateway.running import Gateway
from gateway.store.base.store import Committed, Measured
from gateway.telemetry.metrics import Metrics

TURN_ENDS: dict[str, str] = {
    Kind.TURN_COMPLETED: "answered",
    Kind.TURN_FAILED: "failed",
    Kind.TURN_CANCELLED: "cancelled",
    Kind.INPUT_CANCELLED: "cancelled",
    Kind.INPUT_EXPIRED: "expired",
}
DELIVERY_ENDS: dict[str, str] = {
    Kind.DELIVERY_SENT: "sent",
    Kind.DELIVERY_DEAD: "dead",
    Kind.DELIVERY_EXPIRED: "expired",
    Kind.DELIVERY_UNKNOWN: "unknown",
}


def count(gateway: Gateway, metrics: Metrics) -> None:
    """Feed these metrics for as long as the gateway lives; call once, as soon as it is there."""

    def heard(committed: Committed) -> None:
        for event in committed.events:
            if (end := TURN_ENDS.get(event.kind)) is not None:
                metrics.turn_ended(end)
            elif (outcome := DELIVERY_ENDS.get(event.kind)) is not None:
                metrics.delivered(outcome)
            elif event.kind == Kind.TURN_RESUMED:
                metrics.turn_resumed()

    store = gateway.store
    store.listen(heard)
    if isinstance(store, Measured):
        store.measure(metrics.store_wrote)
        metrics.queue("store", lambda: store.pending)
    gateway.profiles.watch(metrics.model_asked)
    metrics.queue("conversations", lambda: len(gateway.lanes))
    metrics.queue("tasks", lambda: len(gateway.tasks))
    metrics.queue("outbox", lambda: len(gateway.outbox))
    metrics.turns("running", lambda: gateway.engine.executing)
    metrics.turns("waiting", lambda: gateway.lanes.waiting)
