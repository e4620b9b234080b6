"""What is left of a provider's limits, by hand."""

from __future__ import annotations

from agents.base.models import Left
from agents.resilience.limiter import Room, a_minute

NOW = 1_700_000_000_000


def room(requests: int = 10, tokens: int = 1000) -> Room:
    return Room(Left(requests, 100, NOW + 1000, tokens, 10_000, NOW + 6000))


def ready(of: Room, tokens: int, *, background: bool = False, processes: int = 1) -> int:
    return of.ready_ms(tokens, background=background, now_ms=NOW, processes=processes)


def test_what_has_room_is_ready() -> None:
    assert ready(room(), 1000) == 0


def test_without_tokens_or_requests_it_rests_until_they_are_back() -> None:
    assert ready(room(), 1001) == NOW + 6000
    assert ready(room(requests=0), 10) == NOW + 1000


def test_calls_side_by_side_share_what_is_left() -> None:
    """The next answer, which would say what is left, has not come yet."""
    shared = room()
    shared.begin(600)
    assert ready(shared, 600) == NOW + 6000
    assert ready(shared, 400) == 0


def test_more_calls_than_the_whole_limit_are_no_reason_for_another() -> None:
    crowded = room()
    for _ in range(200):
        crowded.begin(1)
    assert ready(crowded, 1) == NOW + 1000


def test_each_of_several_processes_takes_its_share() -> None:
    assert ready(room(), 500, processes=2) == 0
    assert ready(room(), 501, processes=2) == NOW + 6000
    assert ready(room(requests=2), 1, processes=3) == NOW + 1000


def test_the_last_quarter_is_for_people() -> None:
    assert ready(room(requests=26, tokens=3000), 100) == 0
    assert ready(room(requests=26, tokens=3000), 100, background=True) == 0
    assert ready(room(requests=25, tokens=3000), 100, background=True) == NOW + 1000
    assert ready(room(requests=25, tokens=3000), 600, background=True) == NOW + 6000
    assert ready(room(requests=25, tokens=3000), 600) == 0


def test_what_never_fits_and_what_nobody_said_is_not_waited_for() -> None:
    assert ready(room(), 20_000) == 0
    assert ready(Room(Left(None, None, 0, None, None, 0)), 10**9) == 0


def test_a_clock_that_was_set_back_ends_the_wait() -> None:
    """A limit of this minute would otherwise last until the old time is reached again."""
    used_up = Room(Left(0, 100, NOW + 1000, None, None, 0), NOW)
    assert ready(used_up, 1) == NOW + 1000
    assert used_up.ready_ms(1, background=False, now_ms=NOW - 3600_000) == 0


def test_a_declared_limit_is_that_of_a_minute() -> None:
    left = a_minute(10, 0, now_ms=NOW)
    assert left is not None
    declared = Room(left, NOW, requests=10)
    assert ready(declared, 10**6) == NOW + 60_000, "the minute's ten are begun"
    assert [declared.over(NOW + wait) for wait in (-1, 0, 59_999, 60_000)] == [
        True,
        False,
        False,
        True,
    ]
    assert a_minute(0, 0, now_ms=NOW) is None
