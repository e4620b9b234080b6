"""How an answer becomes deliveries: the writes for the unit that makes it durable, and what is sent
once they are.

Text too long for its destination becomes several deliveries, which keep their order like any
others. Called by the turn boundary, through the outbox; nothing here waits.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from agents.base import messages
from channels.base.channel import Capabilities
from gateway.core.ids import ContentId, DeliveryId, Ids, TurnId
from gateway.core.keys import Destination, parse_destination
from gateway.core.parts import text_of
from gateway.delivery.chunks import chunk
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import PutContent
from gateway.store.base.outbox import DeliveryRow, EnqueueDelivery

CHAT_TTL_MS = 3_600_000
"""How long an answer in a conversation is worth sending."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a turn has to say; the content `content_id` holds the whole text."""

    turn_id: TurnId
    session_key: str
    destination: Destination
    text: str
    content_id: ContentId
    at: int
    ttl_ms: int = CHAT_TTL_MS


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message for a destination, as it stands between two attempts.

    `state` is `pending` or, when a process ended in the middle, `sending`; `available` is for the
    receiver to fetch and never sent. `text` is None where it was deleted.
    """

    delivery_id: DeliveryId
    key: str
    destination: Destination
    session_key: str
    turn_id: TurnId
    part: int
    parts: int
    text: str | None
    made_at: int
    expires_at: int
    state: str = "pending"
    attempts: int = 0
    next_at: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """An answer as deliveries: the writes, and what to send once they hold."""

    ops: tuple[Op, ...]
    deliveries: tuple[Delivery, ...]

    @property
    def key(self) -> str:
        """Key of the first delivery, for a caller that waits for the answer; empty without any."""
        return self.deliveries[0].key if self.deliveries else ""


def plan(answer: Answer, able: Capabilities, ids: Ids) -> Planned:
    """The deliveries of an answer; none for a blank one.

    Pieces get contents of their own only where the destination is too small for the whole text.
    """
    pieces = chunk(answer.text, able.limit, able.unit)
    ops: list[Op] = []
    deliveries: list[Delivery] = []
    for part, piece in enumerate(pieces, start=1):
        content = answer.content_id
        if piece != answer.text:
            content = ContentId(ids.new("c"))
            body = orjson.dumps({"text": piece}).decode()
            ops.append(PutContent(content, answer.session_key, body))
        delivery = Delivery(
            delivery_id=DeliveryId(ids.new("d")),
            key=f"{answer.turn_id}:{part}",
            destination=answer.destination,
            session_key=answer.session_key,
            turn_id=answer.turn_id,
            part=part,
            parts=len(pieces),
            text=piece,
            made_at=answer.at,
            expires_at=answer.at + answer.ttl_ms,
            state="available" if able.pulled else "pending",
            next_at=answer.at,
        )
        deliveries.append(delivery)
        ops.append(_enqueue(delivery, content))
    return Planned(tuple(ops), tuple(deliveries))


def _enqueue(delivery: Delivery, content: ContentId) -> EnqueueDelivery:
    return EnqueueDelivery(
        delivery_id=delivery.delivery_id,
        key=delivery.key,
        destination=str(delivery.destination),
        session_key=delivery.session_key,
        turn_id=delivery.turn_id,
        part=delivery.part,
        parts=delivery.parts,
        content_id=content,
        at=delivery.made_at,
        expires_at=delivery.expires_at,
        state=delivery.state,
    )


def from_row(row: DeliveryRow) -> Delivery:
    """A delivery that an earlier process left."""
    return Delivery(
        delivery_id=DeliveryId(row.delivery_id),
        key=row.key,
        destination=parse_destination(row.destination),
        session_key=row.session_key,
        turn_id=TurnId(row.turn_id),
        part=row.part,
        parts=row.parts,
        text=None if row.body is None else _text(row.body),
        made_at=row.created_at,
        expires_at=row.expires_at,
        state=row.state,
        attempts=row.attempts,
        next_at=row.next_at,
        error=row.error,
    )


def _text(body: str) -> str:
    """The words of a content row: a piece of its own, or a message of the transcript."""
    value = orjson.loads(body)
    if "role" not in value:
        return str(value["text"])
    message = messages.from_json(value)
    return text_of(message.parts) if isinstance(message, messages.UserMessage) else message.text
