"""Shapes of the methods that follow the event log, and of what they bring."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gateway.wire.methods.base import Key, Limit, Milliseconds, Name, Params, Result, Shape
from gateway.wire.methods.turns import PartShape

Seq = Annotated[int, Field(ge=0, le=2**63 - 1)]


class EventFilter(Shape):
    """Which events; what is left out matches all."""

    session_key: Key | None = None
    agent_id: Name | None = None
    turn_id: Name | None = None
    kinds: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        [], max_length=32, description="Names, or families such as `turn.`."
    )


class Subscribe(Params):
    """What to follow, and from where."""

    after_seq: Seq | None = Field(
        None, description="The last number already known; null: begin with what happens next."
    )
    filter: EventFilter = EventFilter()
    previews: bool = Field(
        False,
        description="Also send `turns.delta`, `step.restarted` and `step.queued` while an answer "
        "is written.",
    )


class Subscribed(Result):
    """The stream begins behind `seq`, after this answer."""

    subscription: str
    seq: int


class Unsubscribe(Params):
    """Which stream to end."""

    subscription: Name


class Unsubscribed(Result):
    """Whether there was one."""

    ended: bool


class EventEntry(Result):
    """Something that happened. `text` and `parts` are what was said or answered, if anything was.

    `data` depends on the kind: see the list of events.
    """

    seq: int
    at: Milliseconds
    kind: str
    session_key: str
    agent_id: str
    turn_id: str
    data: dict[str, Any]
    text: str | None = None
    parts: list[PartShape] = Field(default=[])


class ListEvents(Params):
    """A part of the log."""

    after_seq: Seq = 0
    limit: Limit = 100
    filter: EventFilter = EventFilter()


class EventPage(Result):
    """Events, oldest first. Go on with `next_after_seq` until it is `head`.

    `gap` counts entries behind `after_seq` that are gone by age.
    """

    events: list[EventEntry]
    next_after_seq: int
    head: int
    gap: int = 0
