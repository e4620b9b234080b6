"""What operators do with deliveries, called as any surface does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.conversations.asking import NewMessage
from gateway.core.errors import Conflict, DeliveryPermanent, NotFound
from gateway.core.keys import RouteKey
from gateway.core.parts import Text
from tests.unit.gateway.rpc.talk import OPERATOR, World, open_world

TOP = 2**63 - 1


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def dead(world: World) -> str:
    """A delivery that will never work."""
    world.memory.fail_next(DeliveryPermanent("there is no such chat"))
    message = NewMessage(RouteKey("memory", peer="42"), (Text("one"),))
    await world.gateway.conversations.asking.answer(OPERATOR, message, wait_ms=60_000)
    await world.idle()
    (row, *_) = await world.gateway.deliveries.page(before=TOP, state="dead", limit=9)
    return row.delivery_id


async def test_what_failed_is_counted_and_sent_again(world: World) -> None:
    """Once; then it has been sent, and is not sent twice."""
    deliveries = world.gateway.deliveries
    id = await dead(world)
    counts = await deliveries.counts()
    assert (counts.total("dead"), counts.total("sent", "pending"), counts.attempts) == (1, 0, 1)
    row, text = await deliveries.one(id)
    assert (row.state, text) == ("dead", "You said: one")
    await deliveries.retry(id)
    await world.gateway.outbox.drained()
    assert (await deliveries.one(id))[0].state == "sent"
    with pytest.raises(Conflict, match="sent"):
        await deliveries.retry(id)


async def test_what_has_ended_is_forgotten(world: World) -> None:
    """One, or all that failed; what is not there is not found."""
    deliveries = world.gateway.deliveries
    first = await dead(world)
    await dead(world)
    await deliveries.purge(first)
    with pytest.raises(NotFound):
        await deliveries.purge(first)
    assert await deliveries.purge_failed() == 1
    assert await deliveries.page(before=TOP, state="", limit=9) == []
