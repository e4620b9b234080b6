"""Bounded deletions: each removes at most `limit` rows, so that no write waits long for one.

Conversations are never deleted by age; what grows without end is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class PruneEvents(NamedTuple):
    """Forget events older than `before`, or beyond the newest `keep`, oldest first."""

    before: int
    keep: int
    limit: int


class RaiseLogFloor(NamedTuple):
    """Say so in the log's bounds: a subscriber behind the floor is told of a gap."""


class PruneRuns(NamedTuple):
    """Forget runs that ended before; their steps, events and stream go with them."""

    before: int
    limit: int


class PruneStream(NamedTuple):
    """Forget live output of runs that ended before."""

    before: int
    limit: int


class PruneKeys(NamedTuple):
    """Forget idempotency keys made before."""

    before: int
    limit: int


class PruneDeliveries(NamedTuple):
    """Forget deliveries that ended before."""

    before: int
    limit: int


class PruneInputs(NamedTuple):
    """Forget inputs that ended before; what was said stays in the transcript."""

    before: int
    limit: int


class PruneContent(NamedTuple):
    """Forget words that nothing points at any more; what something points at stays."""

    content_id: str


class PruneBlobs(NamedTuple):
    """Forget long results whose steps and runs are gone."""

    limit: int


class ContentUse(NamedTuple):
    content_id: str
    used: int


@dataclass(frozen=True, slots=True)
class ContentPage(Query[ContentUse]):
    """Contents by id after a given one, and whether anything points at them."""

    after: str
    limit: int
