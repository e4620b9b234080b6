"""Shapes of the methods about answers on their way out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.wire.methods.base import Milliseconds, Name, Page, PageResult, Params, Result

State = Literal["pending", "sending", "available", "sent", "dead", "expired", "unknown"]


class DeliveryStats(Result):
    """Counts over what is kept. `available`: clients that fetch have not come for these yet."""

    total_attempted: int
    total_succeeded: int
    total_failed: int = Field(description="Dead, expired or unknown.")
    pending: int
    available: int
    states: dict[str, int]


class ListDeliveries(Page):
    """Deliveries of any state, or of one."""

    state: State | None = None


class DeliveryInfo(Result):
    """A delivery in a list."""

    delivery_id: str
    key: str
    destination: str
    session_key: str
    turn_id: str
    part: int
    parts: int
    state: State
    attempts: int
    next_at: Milliseconds
    error: str
    receipt: str
    created_at: Milliseconds
    expires_at: Milliseconds
    ended_at: Milliseconds | None


class DeliveryPage(PageResult):
    """Deliveries, newest first."""

    deliveries: list[DeliveryInfo]


class OneDelivery(Params):
    """Which delivery."""

    delivery_id: Name


class DeliveryDetail(DeliveryInfo):
    """A delivery with its words; null where they were deleted."""

    text: str | None


class Retried(Result):
    """It is on its way again."""

    delivery_id: str
    expires_at: Milliseconds


class Purge(Params):
    """Which delivery to forget; without an id, all that failed."""

    delivery_id: Name | None = None


class Purged(Result):
    """How many were forgotten."""

    purged: int
