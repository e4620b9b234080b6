"""Writes and reads of deliveries.

A delivery is *open* while `pending` or `sending`; it ends as `sent`, `dead`, `expired` or
`unknown`. Deliveries to one destination leave in the order of their ordinals. One whose receiver
fetches it is `available` from the start, and `sent` once it was fetched: nothing is left to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class EnqueueDelivery(NamedTuple):
    """Add a message for a destination; refused `Duplicate` when its key exists.

    Returns its ordinal.
    """

    delivery_id: str
    key: str
    destination: str
    session_key: str
    turn_id: str
    part: int
    parts: int
    content_id: str
    at: int
    expires_at: int
    state: str = "pending"
    """Or `available`, where the receiver fetches it."""


class MarkPulled(NamedTuple):
    """available → sent, by its key; nothing changes otherwise."""

    key: str
    at: int


class RetryDelivery(NamedTuple):
    """dead, expired or unknown → pending with no attempts made; refused `Conflict` otherwise."""

    delivery_id: str
    at: int
    expires_at: int


class PurgeDelivery(NamedTuple):
    """Forget a delivery that has ended; refused `Conflict` while it is open."""

    delivery_id: str


class PurgeFailed(NamedTuple):
    """Forget deliveries that are dead, expired or unknown, oldest first."""

    limit: int


class BeginSend(NamedTuple):
    """pending → sending, one attempt more; refused `Conflict` otherwise."""

    delivery_id: str
    at: int


class RetrySend(NamedTuple):
    """sending → pending until `next_at`."""

    delivery_id: str
    next_at: int
    error: str


class TakeSend(NamedTuple):
    """sending → sending, one attempt more, if it left before a moment; else refused `Conflict`.

    For what a dead process was sending: of several that want it, one gets it.
    """

    delivery_id: str
    before: int
    at: int


class EndSend(NamedTuple):
    """An open delivery ends; refused `Conflict` when it has ended already."""

    delivery_id: str
    state: str
    receipt: str
    error: str
    at: int


class DeliveryRow(NamedTuple):
    """`body` is the content's JSON text, None where it was blanked."""

    ordinal: int
    delivery_id: str
    key: str
    destination: str
    session_key: str
    turn_id: str
    part: int
    parts: int
    content_id: str
    state: str
    attempts: int
    next_at: int
    error: str
    receipt: str
    created_at: int
    expires_at: int
    ended_at: int | None
    body: str | None


class StateCount(NamedTuple):
    state: str
    total: int


@dataclass(frozen=True, slots=True)
class OpenDeliveries(Query[DeliveryRow]):
    """What has not ended, in order, after an ordinal."""

    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class DeliveriesOfTurn(Query[DeliveryRow]):
    turn_id: str


@dataclass(frozen=True, slots=True)
class CountDeliveries(Query[StateCount]):
    pass


class AttemptCount(NamedTuple):
    attempts: int


@dataclass(frozen=True, slots=True)
class CountAttempts(Query[AttemptCount]):
    """How often sending was tried, over all deliveries that are kept."""


@dataclass(frozen=True, slots=True)
class GetDelivery(Query[DeliveryRow]):
    delivery_id: str


@dataclass(frozen=True, slots=True)
class ListDeliveries(Query[DeliveryRow]):
    """Newest first, below an ordinal; `state` empty means any."""

    before: int
    state: str
    limit: int
