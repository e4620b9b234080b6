"""The unit that accepts a message: what the store is told of it, held together or not at all."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import orjson

from agents.base import messages
from agents.base.summaries import WANTED
from channels.base.messages import Inbound
from gateway.core import parts
from gateway.core.ids import AgentId, ContentId, Ids
from gateway.events.kinds import Kind
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import PutContent, TouchSession
from gateway.store.base.inputs import AcceptInput, InputRow, RememberKey
from gateway.store.base.store import Durability, NewEvent, Unit

METHOD = "turns.start"
"""Name under which idempotency keys of inputs are kept."""


class Place(NamedTuple):
    """Which conversation with whom, and why."""

    session: str
    agent: AgentId
    explanation: str


def accepting(
    message: Inbound, place: Place, body: str, *, ids: Ids, at: int, mailbox: int
) -> tuple[AcceptInput, Unit]:
    """The acceptance of a message, and the unit that holds it with the words and the session."""
    session, agent, explanation = place
    turn_id = ids.new("t")
    content_id = ContentId(ids.new("c"))
    route = message.route
    accept = AcceptInput(
        turn_id=turn_id,
        session_key=session,
        agent_id=agent,
        channel=route.channel,
        account=route.account,
        external_id=message.external_id,
        principal=message.principal,
        route_key=str(route),
        agent_override=message.agent or "",
        source=message.source.value,
        barrier=is_barrier(message),
        destination=str(route.destination()),
        content_id=content_id,
        explanation=explanation,
        at=at,
        expires_at=0 if message.ttl_ms is None else at + message.ttl_ms,
        mailbox=mailbox,
    )
    ops: tuple[Op, ...] = (
        PutContent(content_id, session, body),
        TouchSession(session, agent, message.principal, at),
        accept,
    )
    if message.idempotency_key:
        remember = RememberKey(
            message.principal,
            METHOD,
            message.idempotency_key,
            fingerprint(message),
            turn_id,
            at,
        )
        ops = (*ops, remember)
    data = {"channel": route.channel, "external_id": message.external_id}
    event = NewEvent(
        at,
        Kind.INPUT_ACCEPTED,
        session,
        agent,
        turn_id,
        orjson.dumps(data).decode(),
        content_id,
    )
    return accept, Unit(ops, (event,), Durability.CRITICAL)


def row_of(op: AcceptInput, ordinal: int, content: Op) -> InputRow:
    """The input as the store would read it back."""
    assert isinstance(content, PutContent)
    return InputRow(
        ordinal=ordinal,
        turn_id=op.turn_id,
        session_key=op.session_key,
        agent_id=op.agent_id,
        channel=op.channel,
        account=op.account,
        external_id=op.external_id,
        principal=op.principal,
        route_key=op.route_key,
        agent_override=op.agent_override,
        source=op.source,
        barrier=op.barrier,
        destination=op.destination,
        content_id=op.content_id,
        explanation=op.explanation,
        state="queued",
        detail="",
        merged_into="",
        accepted_at=op.at,
        expires_at=op.expires_at,
        ended_at=None,
        body=content.body,
    )


def _stored(said: messages.Message) -> str:
    return orjson.dumps(messages.to_json(said)).decode()


SUMMARY = _stored(WANTED)
"""The body of an input that asks for a summary."""


def body_of(message: Inbound) -> str:
    """The body of a message's content row."""
    return _stored(messages.UserMessage(message.parts))


def is_barrier(message: Inbound) -> bool:
    """Commands and attachments are answered alone, and so is what is no message."""
    if len(message.parts) != 1:
        return True
    first = message.parts[0]
    return not isinstance(first, parts.Text) or first.text[:1] == "/"


def fingerprint(message: Inbound) -> str:
    """The same for the same message to the same place."""
    body = {
        "parts": parts.to_json(message.parts),
        "route": str(message.route),
        "agent": message.agent,
    }
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
