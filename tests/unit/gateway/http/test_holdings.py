"""What waits for slow readers is bounded by credential and in all."""

from __future__ import annotations

from gateway.http.holdings import Holdings


def test_within_the_bounds_nobody_gives_way() -> None:
    held: Holdings[str] = Holdings(10, 20)
    assert held.set("ann", "a1", 5) is None
    assert held.set("ann", "a2", 5) is None
    assert held.set("bob", "b1", 10) is None
    assert held.total == 20


def test_the_largest_of_a_credential_gives_way() -> None:
    held: Holdings[str] = Holdings(10, 100)
    held.set("ann", "a1", 8)
    assert held.set("ann", "a2", 3) == "a1"
    assert held.set("ann", "a1", 0) is None
    assert held.total == 3


def test_of_all_the_one_that_holds_most_gives_way() -> None:
    """One with a little is not closed because another has much."""
    held: Holdings[str] = Holdings(10, 15)
    held.set("ann", "a1", 6)
    held.set("ann", "a2", 4)
    held.set("bob", "b1", 4)
    assert held.set("cid", "c1", 2) == "a1"


def test_nothing_is_kept_of_who_holds_nothing() -> None:
    held: Holdings[str] = Holdings(10, 20)
    held.set("ann", "a1", 5)
    held.set("ann", "a1", 0)
    held.set("ann", "a1", 0)
    assert held.total == 0
    assert held.set("bob", "b1", 10) is None
