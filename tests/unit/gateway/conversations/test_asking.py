"""Turns started, waited for and cancelled, as any surface does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.core.errors import Conflict, NotFound
from tests.unit.gateway.conversations.saying import NOTES, WAIT_MS, message, said
from tests.unit.gateway.rpc.talk import ALICE, BOB, World


async def test_an_answer_comes_with_where_it_was_given(world: World) -> None:
    progress = await said(world, "so")
    assert (progress.session_key, progress.agent_id, progress.state) == (NOTES, "main", "answered")
    assert progress.ended is not None
    assert progress.ended.text == "You said: so"
    assert progress.answered_by == progress.turn_id


async def test_a_wait_ends_and_the_turn_goes_on(world: World) -> None:
    """Not waiting at all tells how far the turn is; a later wait has its end."""
    asking = world.gateway.conversations.asking
    first = await asking.answer(ALICE, message("slow"), wait_ms=0)
    second = await asking.start(ALICE, message("next"))
    await world.settled()
    now = await asking.wait(ALICE, second.turn_id, wait_ms=0)
    assert (now.ended, now.state, now.position) == (None, "queued", 0)
    waiting = asyncio.get_running_loop().create_task(
        asking.wait(ALICE, first.turn_id, wait_ms=WAIT_MS)
    )
    await world.clock.advance(5)
    assert (await waiting).state == "answered"


async def test_a_slot_is_given_up_only_while_nothing_else_is_done(world: World) -> None:
    """Not for a turn that is only looked at."""
    rests: list[str] = []

    @asynccontextmanager
    async def resting() -> AsyncIterator[None]:
        rests.append("given")
        yield
        rests.append("taken")

    asking = world.gateway.conversations.asking
    await asking.answer(ALICE, message("a"), wait_ms=WAIT_MS, resting=resting)
    assert rests == ["given", "taken"]
    await asking.answer(ALICE, message("b"), wait_ms=0, resting=resting)
    assert len(rests) == 2


async def test_a_turn_is_cancelled_by_who_asked(world: World) -> None:
    """Once; for strangers it is not there."""
    asking = world.gateway.conversations.asking
    turn = (await asking.start(ALICE, message("slow"))).turn_id
    for refused in (asking.cancel(BOB, turn), asking.wait(BOB, turn, wait_ms=0)):
        with pytest.raises(NotFound):
            await refused
    await asking.cancel(ALICE, turn)
    assert (await asking.wait(ALICE, turn, wait_ms=WAIT_MS)).state == "cancelled"
    with pytest.raises(Conflict, match="ended"):
        await asking.cancel(ALICE, turn)
