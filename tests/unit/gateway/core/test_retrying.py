"""A store that refuses is asked again, for as long as it takes."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.clock import ManualClock
from gateway.core.errors import Conflict, StoreUnavailable
from gateway.core.retrying import RETRY_S, until_answered


async def test_a_refusal_is_heard_of_and_asked_again() -> None:
    """After a pause each time; the answer is that of the first asking that has one."""
    clock = ManualClock()
    asked: list[float] = []
    heard: list[StoreUnavailable] = []

    async def ask() -> str:
        asked.append(clock.monotonic())
        if len(asked) < 3:
            raise StoreUnavailable("the disk is full")
        return "here"

    began = clock.monotonic()
    asking = asyncio.get_running_loop().create_task(until_answered(ask, clock, heard.append))
    await clock.advance(RETRY_S)
    await clock.advance(RETRY_S)
    assert await asking == "here"
    assert [at - began for at in asked] == [0, RETRY_S, 2 * RETRY_S]
    assert [str(error) for error in heard] == ["the disk is full"] * 2


async def test_any_other_error_is_the_callers() -> None:
    async def ask() -> None:
        raise Conflict("taken")

    with pytest.raises(Conflict, match="taken"):
        await until_answered(ask, ManualClock(), lambda error: None)
