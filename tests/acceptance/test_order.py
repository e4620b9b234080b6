"""P5: order within a conversation, none across; nobody waits for somebody else's trouble."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from channels.base.messages import SourceClass
from gateway.core.errors import DeliveryTransient
from tests.acceptance.manifest import shows
from tests.support.house import House, inbound
from tests.support.patience import PATIENCE_S


@shows("order.within", "order.across")
async def test_two_conversations_run_side_by_side_each_in_its_order(house: House) -> None:
    """Both are at work at the same moment; neither mixes up its own messages."""
    for number in range(3):
        for peer in ("ann", "bob"):
            await house.say(f"//{peer} {number} hold {peer}", peer=peer)
    await house.reached("ann", "bob")
    house.release("bob")
    await house.channel.wait_sent(3)
    assert {message.destination.target for message in house.channel.sent} == {"bob"}
    house.release("ann")
    await house.idle()
    for peer in ("ann", "bob"):
        texts = [m.text for m in house.channel.sent if m.destination.target == peer]
        assert texts == [f"You said: /{peer} {number} hold {peer}" for number in range(3)]


@shows("order.stuck")
async def test_a_destination_that_takes_nothing_delays_nobody_else(house: House) -> None:
    """Its own conversation goes on thinking; its answers wait in order."""
    house.channel.fail_next(DeliveryTransient("busy", retry_after_ms=60_000))
    first = await house.say("one")
    await house.quiet()
    second = await house.say("two")
    await house.quiet()
    assert [await house.state(turn.turn_id) for turn in (first, second)] == ["answered"] * 2
    await house.say("hello", peer="bob")
    await house.channel.wait_sent(1)
    assert house.channel.sent[0].destination.target == "bob"
    for _ in range(16):
        await house.wait(5)
    assert [m.text for m in house.channel.sent[1:]] == ["You said: one", "You said: two"]


@shows("order.background")
async def test_jobs_that_fill_their_slots_do_not_make_a_person_wait(house: House) -> None:
    """However many fire at once."""
    jobs = [f"job{number}" for number in range(12)]
    for job in jobs:
        message = replace(inbound(f"hold {job}", peer=job), source=SourceClass.CRON)
        await house.send(message)
    await house.reached(*jobs[:2])
    async with asyncio.timeout(PATIENCE_S):
        await house.say("hello")
        await house.channel.wait_sent(1)
    assert house.channel.sent[0].destination.target == "ann"
    house.release(*jobs)
    await house.idle()
    assert len(house.seen()) == 13
