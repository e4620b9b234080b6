"""Sessions taken back and copied, as any surface does it."""

from __future__ import annotations

import pytest

from gateway.conversations import branching
from gateway.core.errors import InvalidInput, NotFound
from tests.unit.gateway.conversations.saying import NOTES, said
from tests.unit.gateway.rpc.talk import ALICE, World


async def test_turns_are_taken_back_whole(world: World) -> None:
    """From the end; past the beginning nothing is left to take."""
    uses = world.gateway.conversations
    for text in ("one", "two", "three"):
        await said(world, text)
    assert await uses.branching.rewind(ALICE, NOTES, 2) == (2, 4, 2)
    assert await uses.branching.rewind(ALICE, NOTES, 9) == (1, 2, 0)
    assert await uses.branching.rewind(ALICE, NOTES, 1) == (0, 0, 0)


async def test_a_fork_goes_its_own_way(world: World) -> None:
    """Up to a turn; the original stays as it was."""
    uses = world.gateway.conversations
    first = await said(world, "one")
    await said(world, "two")
    forked = await uses.branching.fork(ALICE, NOTES, turn_id=first.turn_id, label="copy")
    assert forked.entries == 2
    await said(world, "three", forked.fresh.peer_id)
    for key in (NOTES, forked.fresh.session_key):
        assert (await uses.reading.session(ALICE, key)).entries == 4
    with pytest.raises(NotFound, match="no turn"):
        await uses.branching.fork(ALICE, NOTES, turn_id="t_999")


async def test_a_copy_has_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await said(world, "one")
    monkeypatch.setattr(branching, "MAX_COPIED", 1)
    with pytest.raises(InvalidInput, match="at most 1"):
        await world.gateway.conversations.branching.fork(ALICE, NOTES)
