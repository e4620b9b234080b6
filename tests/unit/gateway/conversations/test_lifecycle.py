"""Sessions begun, labelled, begun anew and deleted, as any surface does it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agents.workspace import default_agent
from gateway.core.errors import Conflict, NotFound, UnknownAgent
from gateway.core.keys import SessionScope
from gateway.store.base.conversations import DropSession
from tests.unit.gateway.conversations.saying import NOTES, message, said
from tests.unit.gateway.rpc.talk import ALICE, BOB, OPERATOR, World, open_world


async def test_a_fresh_session_is_spoken_in_by_its_peer(world: World) -> None:
    fresh = await world.gateway.conversations.lifecycle.new(ALICE, label="plans")
    progress = await said(world, "hello", fresh.peer_id)
    assert progress.session_key == fresh.session_key
    found = await world.gateway.conversations.reading.session(ALICE, fresh.session_key)
    assert (found.session.label, found.entries) == ("plans", 2)


async def test_a_session_is_begun_where_there_can_be_one(tmp_path: Path) -> None:
    """Not with an agent that has one for all, nor with one that is not there."""
    agent = replace(default_agent(tmp_path), dm_scope=SessionScope.MAIN)
    async with open_world(tmp_path, agents=[agent]) as world:
        await said(world, "hello")
        lifecycle = world.gateway.conversations.lifecycle
        with pytest.raises(Conflict, match="one conversation"):
            await lifecycle.new(ALICE)
        with pytest.raises(UnknownAgent):
            await lifecycle.new(ALICE, agent="nobody")


async def test_a_change_is_refused_while_a_turn_is_under_way(world: World) -> None:
    """And changes nothing."""
    uses = world.gateway.conversations
    await said(world, "hello")
    await uses.asking.start(ALICE, message("slow"))
    for refused in (
        uses.lifecycle.reset(ALICE, NOTES),
        uses.lifecycle.delete(ALICE, NOTES),
        uses.branching.rewind(ALICE, NOTES, 1),
        uses.compacting.compact(ALICE, NOTES, wait_ms=0),
    ):
        with pytest.raises(Conflict, match="wait for it or cancel it"):
            await refused
    assert (await uses.reading.session(ALICE, NOTES)).entries == 2


async def test_what_was_begun_is_carried_through(world: World) -> None:
    """Whoever asked for it is gone; closing waits for it, and memory forgets the words too."""
    uses = world.gateway.conversations
    await said(world, "hello")
    gate = world.store.hold_next(DropSession)
    deleting = asyncio.get_running_loop().create_task(uses.lifecycle.delete(ALICE, NOTES))
    await gate.entered.wait()
    deleting.cancel()
    gate.release()
    await uses.close()
    with pytest.raises(NotFound):
        await uses.reading.session(ALICE, NOTES)
    assert len(world.gateway.sessions) == 0


async def test_a_session_is_its_owners_to_change(world: World) -> None:
    """And an operator's."""
    uses = world.gateway.conversations
    await said(world, "hello")
    for refused in (uses.lifecycle.label(BOB, NOTES, "x"), uses.lifecycle.reset(BOB, NOTES)):
        with pytest.raises(NotFound):
            await refused
    await uses.lifecycle.label(OPERATOR, NOTES, "x")
    assert await uses.lifecycle.reset(OPERATOR, NOTES) == 2
