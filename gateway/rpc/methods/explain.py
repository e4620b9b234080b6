"""Why a turn went the way it did: route, steps, attempts and deliveries from what was recorded."""

from __future__ import annotations

import orjson

from gateway.core.errors import NotFound
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.rpc.methods import turns
from gateway.store.base.inputs import InputsOfTurn
from gateway.store.base.outbox import DeliveriesOfTurn
from gateway.store.base.runs import GetRun, LoadSteps, StepRow
from gateway.wire.methods import turns as wire

_TOLD = (
    *("model", "profile", "input_tokens", "output_tokens"),
    *("failed", "compacted", "shortened", "notice"),
)
"""What the record of a model call says about it."""


async def explain(call: Call, params: wire.OneTurn) -> wire.Explanation:
    """Why a turn went the way it did: route, steps, attempts, deliveries."""
    row = await call.shared.ownership.turn(call.principal, params.turn_id)
    turn_id = row.merged_into or row.turn_id
    store = call.gateway.store
    inputs = await store.read(InputsOfTurn(turn_id))
    runs = await store.read(GetRun(turn_id))
    steps = await store.read(LoadSteps(turn_id))
    deliveries = await store.read(DeliveriesOfTurn(turn_id))
    run = runs[0] if runs else None
    return wire.Explanation(
        turn=turns.summary(row),
        route=row.explanation,
        timing=wire.Timing(
            accepted_at=row.accepted_at,
            started_at=run.created_at if run is not None else None,
            ended_at=row.ended_at,
        ),
        merged=[other.turn_id for other in inputs if other.turn_id != turn_id],
        run=wire.RunSummary.of(run) if run is not None else None,
        steps=[_step(step) for step in sorted(steps, key=lambda step: step.started_at)],
        deliveries=[wire.DeliverySummary.of(delivery) for delivery in deliveries],
    )


def _step(step: StepRow) -> wire.StepSummary:
    """A step without what was said in it."""
    told = orjson.loads(step.result) if step.result else {}
    known = told if step.kind == "llm" and isinstance(told, dict) else {}
    return wire.StepSummary.of(
        step,
        **{name: known[name] for name in _TOLD if name in known},
        requests=known.get("attempts", ()),
        error=step.error or "",
    )


EXPLAIN = Method("turns.explain", Scope.READ, explain, errors=(NotFound,))
