"""Writes and reads of deliveries.

A delivery is *open* while `pending` or `sending`; it ends as `sent`, `dead`, `expired` or
`unknown`. Deliveries to one destination leave in the order of their ordinals.
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


class BeginSend(NamedTuple):
    """pending → sending, one attempt more; refused `Conflict` otherwise."""

    delivery_id: str
    at: int


class RetrySend(NamedTuple):
    """sending → pending until `next_at`."""

    delivery_id: str
    next_at: int
    error: str


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
