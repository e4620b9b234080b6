"""Turns: started, waited for, looked at, explained, stopped."""

from __future__ import annotations

from gateway.conversations.asking import NewMessage, TurnProgress
from gateway.conversations.explaining import ExplainedStep
from gateway.conversations.reading import Turn
from gateway.core.errors import Busy, Conflict, Forbidden, NotFound, UnknownAgent
from gateway.identity.principal import Scope
from gateway.rpc import speaking
from gateway.rpc.call import Call
from gateway.rpc.cursors import before, next_cursor
from gateway.rpc.method import Method
from gateway.wire.methods import turns as wire


async def send(call: Call, params: wire.Send) -> wire.Answer:
    """Say something and wait for the answer."""
    progress = await call.conversations.asking.answer(
        call.principal, _message(params), wait_ms=params.wait_ms, resting=call.working.resting
    )
    return _answer(call, progress)


async def start(call: Call, params: wire.StartTurn) -> wire.Started:
    """Say something; answered once it is durable."""
    accepted = await call.conversations.asking.start(call.principal, _message(params))
    return wire.Started(
        turn_id=accepted.turn_id,
        session_key=str(accepted.session),
        agent_id=accepted.agent,
        position=accepted.position,
        duplicate=accepted.duplicate,
    )


async def wait(call: Call, params: wire.WaitTurn) -> wire.Answer:
    """Wait for the end of a turn."""
    progress = await call.conversations.asking.wait(
        call.principal, params.turn_id, wait_ms=params.wait_ms, resting=call.working.resting
    )
    return _answer(call, progress)


async def get(call: Call, params: wire.OneTurn) -> wire.Turn:
    """A turn with what was said and answered."""
    found = await call.conversations.reading.turn(call.principal, params.turn_id)
    ended = found.ended
    call.shows(ended)
    return wire.Turn(
        **_summary(found.turn).model_dump(),
        said=speaking.shapes(found.said),
        reply=ended.text if ended is not None else None,
        delivery_key=ended.delivery_key if ended is not None else "",
        position=found.position,
    )


async def list_(call: Call, params: wire.ListTurns) -> wire.TurnPage:
    """Turns, newest first: of a session, or all the credential may see."""
    rows = await call.conversations.reading.turns(
        call.principal,
        session_key=params.session_key,
        before=before(params.cursor),
        limit=params.limit,
    )
    return wire.TurnPage(
        turns=[_summary(row) for row in rows],
        next_cursor=next_cursor(rows, params.limit, lambda row: row.ordinal),
    )


async def cancel(call: Call, params: wire.OneTurn) -> wire.Cancelled:
    """Stop a turn: immediately while it waits, at its next step once it runs."""
    await call.conversations.asking.cancel(call.principal, params.turn_id)
    return wire.Cancelled(turn_id=params.turn_id)


async def explain(call: Call, params: wire.OneTurn) -> wire.Explanation:
    """Why a turn went the way it did: route, steps, attempts, deliveries."""
    record = await call.conversations.explaining.turn(call.principal, params.turn_id)
    turn, run = record.turn, record.run
    return wire.Explanation(
        turn=_summary(turn),
        route=turn.explanation,
        timing=wire.Timing(
            accepted_at=turn.accepted_at,
            started_at=run.created_at if run is not None else None,
            ended_at=turn.ended_at,
        ),
        merged=record.merged,
        run=wire.RunSummary.of(run) if run is not None else None,
        steps=[_step(step) for step in record.steps],
        deliveries=[wire.DeliverySummary.of(delivery) for delivery in record.deliveries],
    )


def _message(params: wire.StartTurn) -> NewMessage:
    return NewMessage(
        speaking.route_of(params),
        speaking.parts_of(params),
        params.agent_id,
        params.idempotency_key,
    )


def _answer(call: Call, progress: TurnProgress) -> wire.Answer:
    ended = progress.ended
    call.shows(ended)
    text = ended.text if ended is not None else None
    return wire.Answer.model_validate(
        {
            "turn_id": progress.turn_id,
            "session_key": progress.session_key,
            "agent_id": progress.agent_id,
            "state": progress.state,
            "reply": text,
            "parts": [{"type": "text", "text": text}] if text else [],
            "kind": ended.kind if ended is not None else "",
            "delivery_key": ended.delivery_key if ended is not None else "",
            "answered_by": progress.answered_by,
            "position": progress.position,
        }
    )


def _summary(row: Turn) -> wire.TurnSummary:
    """A turn as lists show it."""
    return wire.TurnSummary.of(row, kind=row.detail)


def _step(step: ExplainedStep) -> wire.StepSummary:
    return wire.StepSummary.of(
        step.row, **step.told, requests=step.requests, error=step.row.error or ""
    )


_REFUSALS = (Busy, Conflict, Forbidden, UnknownAgent)

SEND = Method(
    "send", Scope.CHAT, send, in_batch=False, whole=True, errors=_REFUSALS, adds_work=True
)
START = Method("turns.start", Scope.CHAT, start, errors=_REFUSALS, adds_work=True)
WAIT = Method("turns.wait", Scope.READ, wait, in_batch=False, whole=True, errors=(NotFound,))
GET = Method("turns.get", Scope.READ, get, whole=True, errors=(NotFound,))
LIST = Method("turns.list", Scope.READ, list_, errors=(NotFound,))
CANCEL = Method("turns.cancel", Scope.CHAT, cancel, always=True, errors=(NotFound, Conflict))
EXPLAIN = Method("turns.explain", Scope.READ, explain, errors=(NotFound,))
