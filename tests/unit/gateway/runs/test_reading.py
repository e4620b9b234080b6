"""Looking at runs, as any surface does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.errors import NotFound
from tests.unit.gateway.conversations.saying import said
from tests.unit.gateway.rpc.talk import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_runs_are_listed_newest_first(world: World) -> None:
    """Below one that was seen, of one status or task."""
    reading = world.gateway.operations.reading
    first, second = [(await said(world, text)).turn_id for text in ("one", "two")]
    assert [row.run_id for row in await reading.page(limit=9)] == [second, first]
    assert [row.run_id for row in await reading.page(before=second, limit=9)] == [first]
    assert await reading.page(status="failed", limit=9) == []
    assert await reading.page(task="another", limit=9) == []


async def test_a_run_is_looked_into(world: World) -> None:
    """What it cost, its steps in order, and what it said; one that is not there is not found."""
    reading = world.gateway.operations.reading
    turn = (await said(world, "time?")).turn_id
    detail = await reading.detail(turn)
    assert (detail.run.status, detail.waits) == ("completed", [])
    assert detail.costs == detail.root_costs
    assert [step.kind for step in await reading.steps(turn)] == ["logic", "llm", "tool", "llm"]
    assert (await reading.output(turn, after=0, limit=9)).run == detail.run
    for looked in (
        reading.detail("t_9"),
        reading.steps("t_9"),
        reading.output("t_9", after=0, limit=1),
    ):
        with pytest.raises(NotFound):
            await looked
