"""A pass of the loop handles so much, and owners take turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from gateway.core.clock import SystemClock
from gateway.http.pace import Pace
from tests.support.patience import PATIENCE_S


class Loop:
    """Passes that a test begins by hand."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, piece: Callable[[], None]) -> None:
        self.soon.append(piece)

    def a_pass(self) -> None:
        now, self.soon = self.soon, []
        for piece in now:
            piece()


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_alone_and_within_a_pass_nothing_waits(loop: Loop) -> None:
    pace = Pace(loop.call_soon, a_pass=2)
    assert [pace.now("a") for _ in range(3)] == [True, True, False]
    loop.a_pass()
    assert pace.now("a")


def test_what_is_left_waits_and_owners_take_turns(loop: Loop) -> None:
    """However many pieces one of them has."""
    pace, done = Pace(loop.call_soon, a_pass=2), list[str]()
    for number in range(4):
        pace.later("a", partial(done.append, f"a{number}"))
    pace.later("b", partial(done.append, "b0"))
    assert not pace.now("a"), "nothing overtakes what waits"
    assert pace.crowds("a")
    loop.a_pass()
    assert done == ["a0", "b0"]
    assert not pace.crowds("a")
    loop.a_pass()
    assert done == ["a0", "b0", "a1", "a2"]
    loop.a_pass()
    loop.a_pass()
    assert done[-1] == "a3"
    assert not loop.soon, "an idle one costs nothing"


def test_a_piece_that_fails_is_no_end_of_the_others(loop: Loop) -> None:
    def fail() -> None:
        raise RuntimeError

    pace, done = Pace(loop.call_soon), list[str]()
    pace.later("a", fail)
    pace.later("b", partial(done.append, "b"))
    with pytest.raises(RuntimeError):
        loop.a_pass()
    loop.a_pass()
    assert done == ["b"]


async def test_a_turn_that_nobody_waits_for_any_more_goes_to_the_next(loop: Loop) -> None:
    pace = Pace(loop.call_soon, a_pass=1)
    await pace.turn("a")
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        first = group.create_task(pace.turn("a"))
        group.create_task(pace.turn("a"))
        while not pace.crowds("b"):
            await SystemClock().sleep(0)
        first.cancel()
        loop.a_pass()
        loop.a_pass()
