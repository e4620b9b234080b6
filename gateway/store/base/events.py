"""Reads of the event log. Writing is part of a unit: see `unit.NewEvent`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class EventRow(NamedTuple):
    """One entry of the log; `seq` has no gaps in the order of commits.

    `data` is JSON text without words of people; those are in `body`, which is None where there are
    none or where they were blanked.
    """

    seq: int
    at: int
    kind: str
    session_key: str
    agent_id: str
    turn_id: str
    data: str
    content_id: str
    body: str | None


class LogBounds(NamedTuple):
    """Everything up to `floor` is gone by retention; `head` is the newest entry's number."""

    floor: int
    head: int


@dataclass(frozen=True, slots=True)
class ReadEvents(Query[EventRow]):
    """Entries strictly after a number, oldest first."""

    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class GetLogBounds(Query[LogBounds]):
    pass
