"""When more is refused: by number, by size, and by how long waiting takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Busy
from gateway.turns.backlog import INTERVAL_S, RETRY_MS, TARGET_S, Backlog


def refused(backlog: Backlog, principal: str, now: float = 0.0) -> Busy | None:
    try:
        backlog.check(principal, now)
    except Busy as busy:
        return busy
    return None


def pass_through(backlog: Backlog, principal: str, came: float, began: float) -> None:
    backlog.came((principal, came), principal, came)
    backlog.left((principal, came), principal, began, begun=True)


def test_one_principal_fills_half_and_others_are_still_taken() -> None:
    backlog = Backlog(turns=10)
    while refused(backlog, "flood") is None:
        backlog.came(object(), "flood", 0.0)
    assert backlog.waiting == 5
    busy = refused(backlog, "flood")
    assert busy is not None
    assert "5 turns of this credential wait already" in str(busy)
    assert busy.retry_after_ms == RETRY_MS
    assert refused(backlog, "ann") is None


def test_no_more_than_the_maximum_waits_whoever_asks() -> None:
    backlog = Backlog(turns=3)
    for name in "abc":
        backlog.came(name, name, 0.0)
    assert "3 turns wait already, which is the maximum" in str(refused(backlog, "d"))
    backlog.left("a", "a", 1.0, begun=False)
    assert refused(backlog, "d") is None


def test_messages_are_bounded_by_their_size_too() -> None:
    """A mailbox in each of many sessions, each with the largest messages."""
    backlog = Backlog(bytes_=100)
    backlog.queue("flood", 60)
    assert "messages of 60 bytes of this credential wait" in str(refused(backlog, "flood"))
    assert refused(backlog, "ann") is None
    backlog.queue("flood", -60)
    assert refused(backlog, "flood") is None


def test_a_burst_that_waits_long_is_no_overload() -> None:
    """Only a delay that lasts is one."""
    backlog = Backlog()
    pass_through(backlog, "ann", 0.0, TARGET_S + 5)
    now = TARGET_S + 5 + INTERVAL_S - 1
    assert refused(backlog, "ann", now) is None
    pass_through(backlog, "ann", now - 1, now)
    pass_through(backlog, "ann", now - TARGET_S - 1, now)
    assert refused(backlog, "ann", now + INTERVAL_S - 1) is None


def test_a_delay_that_lasts_refuses_and_says_how_long_it_is() -> None:
    backlog = Backlog()
    for began in (40.0, 45.0, 50.0):
        pass_through(backlog, "ann", began - 35, began)
    busy = refused(backlog, "bob", 51.0)
    assert busy is not None
    assert "wait 35 s before they begin" in str(busy)
    assert busy.retry_after_ms == 35_000
    pass_through(backlog, "ann", 50.0, 52.0)
    assert refused(backlog, "bob", 52.0) is None


def test_one_that_delays_itself_is_refused_alone() -> None:
    """Its turns wait for each other; whoever comes anew begins soon."""
    backlog = Backlog()
    for number in range(100):
        backlog.came(number, "flood", 0.0)
    for number in range(60):
        pass_through(backlog, f"p{number}", number, number + 0.1)
        backlog.left(number, "flood", float(number), begun=True)
    assert refused(backlog, "ann", 60.0) is None
    busy = refused(backlog, "flood", 60.0)
    assert busy is not None
    assert busy.retry_after_ms == 60_000


def test_a_queue_that_stands_still_is_measured_by_who_waits() -> None:
    """Nothing begins, so nothing tells of its delay."""
    backlog = Backlog()
    backlog.came("a", "ann", 100.0)
    stuck = 100.0 + TARGET_S + INTERVAL_S
    assert refused(backlog, "bob", stuck - 1) is None
    for principal in ("ann", "bob"):
        assert "wait 40 s" in str(refused(backlog, principal, stuck))
    backlog.left("a", "ann", stuck, begun=False)
    assert refused(backlog, "bob", stuck) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=60))
def test_nothing_is_left_when_nothing_waits(steps: list[tuple[str, bool, bool]]) -> None:
    """(principal, whether one comes, whether the oldest begins or stops waiting)."""
    backlog, waiting = Backlog(), list[tuple[int, str]]()
    for number, (principal, comes, begun) in enumerate(steps):
        if comes:
            backlog.came(number, principal, float(number))
            waiting.append((number, principal))
        elif waiting:
            turn, of = waiting.pop(0)
            backlog.left(turn, of, float(number), begun=begun)
        assert backlog.waiting == len(waiting)
    for turn, of in waiting:
        backlog.left(turn, of, 100.0, begun=True)
    assert [use.used for use in backlog.bounds()] == [0, 0]


@pytest.mark.parametrize("name", ["backlog", "mailboxes"])
def test_its_bounds_are_told(name: str) -> None:
    backlog = Backlog(turns=2, bytes_=2)
    backlog.came("a", "ann", 0.0)
    backlog.queue("ann", 1)
    (use,) = (use for use in backlog.bounds() if use.name == name)
    assert (use.used, use.total, use.reached) == (1, 2, False)
