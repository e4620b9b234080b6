"""Why a turn went the way it did."""

from __future__ import annotations

import pytest

from gateway.core.errors import NotFound
from tests.unit.gateway.conversations.saying import said
from tests.unit.gateway.rpc.talk import ALICE, BOB, World


async def test_a_turn_is_explained_without_words(world: World) -> None:
    """Its run, its steps with what they used, and where the answer went."""
    turn = (await said(world, "time?")).turn_id
    record = await world.gateway.conversations.explaining.turn(ALICE, turn)
    assert record.run is not None
    assert (record.run.status, record.merged) == ("completed", [])
    assert [step.row.kind for step in record.steps] == ["logic", "llm", "tool", "llm"]
    assert "model" in record.steps[1].told
    assert "text" not in record.steps[1].told
    assert record.steps[2].told == {}
    assert [delivery.state for delivery in record.deliveries] == ["available"]
    with pytest.raises(NotFound):
        await world.gateway.conversations.explaining.turn(BOB, turn)
