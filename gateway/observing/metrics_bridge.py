"""Metrics of a running gateway: events that are counted, depths that are read at a scrape.

The parts of the gateway know nothing of it: ends of turns and deliveries are read from the log, and
model calls are seen by a wrapper, or told of by the profiles. Nothing here keeps a number itself.
"""

from __future__ import annotations

from agents.base.models import Model, ModelContext, ModelReply, ModelRequest
from gateway.core.errors import ModelFailed
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


class CountedModel:
    """A model without profiles, whose calls are counted, each by its outcome."""

    def __init__(self, model: Model, metrics: Metrics) -> None:
        self._model = model
        self._metrics = metrics

    async def open(self) -> None:
        """Open the model."""
        await self._model.open()

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """As the model does. One that is cancelled is counted as that."""
        outcome = "cancelled"
        try:
            reply = await self._model.complete(request, context)
            outcome = "ok"
        except ModelFailed as error:
            outcome = error.category
            raise
        finally:
            self._metrics.model_called(request.model, outcome)
        self._metrics.tokens_used(request.model, "input", reply.usage.input_tokens)
        self._metrics.tokens_used(request.model, "output", reply.usage.output_tokens)
        return reply

    async def close(self) -> None:
        """Close the model."""
        await self._model.close()
