"""Answers that clients fetch are marked once they have them."""

from __future__ import annotations

from gateway.core.clock import ManualClock
from gateway.delivery.fetched import FetchedAnswers
from gateway.store.base.store import Unit


def test_a_key_is_marked_once() -> None:
    """Until so many others came that it is forgotten; an empty one is none."""
    posted: list[Unit] = []
    fetched = FetchedAnswers(posted.append, ManualClock(), remembered=2)
    for key in ("a", "a", "", "b", "c", "a"):
        fetched.mark_sent(key)
    assert len(posted) == 4
