"""Summaries on request, as any surface asks for them."""

from __future__ import annotations

from tests.unit.gateway.conversations.saying import NOTES, WAIT_MS, said
from tests.unit.gateway.rpc.talk import ALICE, World


async def test_a_summary_is_a_turn_and_makes_the_session_smaller(world: World) -> None:
    """In what models see; nothing is lost to readers."""
    uses = world.gateway.conversations
    for _ in range(5):
        await said(world, "x" * 400)
    before = await uses.compacting.context(ALICE, NOTES)
    done = await uses.compacting.compact(ALICE, NOTES, wait_ms=WAIT_MS)
    after = await uses.compacting.context(ALICE, NOTES)
    assert (done.turn.state, done.tokens, done.left) == ("answered", before.used, after.used)
    assert done.messages > 0
    assert after.used < before.used
    assert (await uses.reading.session(ALICE, NOTES)).entries == 11
