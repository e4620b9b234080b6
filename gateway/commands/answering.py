"""The end of an immediate command, as the unit that accepts it writes it."""

from __future__ import annotations

import orjson

from gateway.core.ids import ContentId, TurnId
from gateway.core.keys import parse_destination
from gateway.delivery.planning import Answer
from gateway.events.kinds import Kind
from gateway.intake.commands import Answered
from gateway.running import Gateway
from gateway.store.base.conversations import PutContent
from gateway.store.base.inputs import AcceptInput, EndQueued
from gateway.store.base.store import NewEvent
from gateway.turns.commanding import Reply


def ended(gateway: Gateway, accepting: AcceptInput, reply: Reply) -> Answered:
    """The input's end, its answer in the outbox, and the entry in the log that says so."""
    now, turn_id = accepting.at, TurnId(accepting.turn_id)
    content = ContentId(gateway.ids.new("c"))
    body = orjson.dumps({"text": reply.text}).decode()
    where = parse_destination(accepting.destination)
    told = Answer(turn_id, accepting.session_key, where, reply.text, content, now)
    planned = gateway.outbox.plan(told)
    state, kind = ("failed", Kind.TURN_FAILED) if reply.kind else ("answered", Kind.TURN_COMPLETED)
    data = {"delivery_key": planned.key} | ({"kind": reply.kind} if reply.kind else {})
    event = NewEvent(
        now,
        kind,
        accepting.session_key,
        accepting.agent_id,
        turn_id,
        orjson.dumps(data).decode(),
        content,
    )

    def after() -> None:
        gateway.outbox.wake(planned.deliveries)
        if reply.after is not None:
            reply.after()

    ops = (
        PutContent(content, accepting.session_key, body),
        *reply.ops,
        *planned.ops,
        EndQueued(turn_id, state, now),
    )
    return Answered(ops, (event,), after)
