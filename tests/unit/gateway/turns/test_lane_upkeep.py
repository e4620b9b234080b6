"""The watches over lanes, on a whole gateway: ageing, turns that ended elsewhere, stale inputs."""

from __future__ import annotations

from dataclasses import replace

from gateway.store.base.inputs import EndQueued
from gateway.store.base.store import Unit
from gateway.turns.lane_upkeep import HELD_S, STALE_S
from gateway.turns.lane_worker import RETRY_S
from tests.support.house import House, inbound
from tests.unit.gateway.turns.lane_house import cron, end_elsewhere, park
from tests.unit.gateway.turns.rows import accepting, row


async def test_a_message_too_old_to_answer_expires_while_another_holds_the_lane(
    house: House,
) -> None:
    """Its sender learns in time, not when the lane is free."""
    await house.say("hold a")
    await house.reached("a")
    late = await house.send(replace(inbound("late"), ttl_ms=3000))
    kept = await house.send(replace(inbound("kept"), ttl_ms=60_000))
    await house.wait(2)
    assert await house.state(late.turn_id) == "queued"
    await house.wait(2)
    assert await house.state(late.turn_id) == "expired"
    (event,) = await house.events("input.expired")
    assert event.turn_id == late.turn_id
    house.release("a")
    await house.idle()
    assert house.channel.sent[-1].text == "You said: kept"
    assert await house.state(kept.turn_id) == "answered"


async def test_a_message_that_ages_while_it_waits_for_a_slot_is_not_answered(
    house: House,
) -> None:
    """What nobody wants any more is not paid for, and counts no longer."""
    for name in ("c1", "c2"):
        await house.send(cron(f"hold {name}", peer=name))
    await house.reached("c1", "c2")
    late = await house.send(replace(cron("late", peer="c3"), ttl_ms=1500))
    await house.quiet()
    assert house.gateway.lanes.waiting == 1
    await house.wait(3)
    assert await house.state(late.turn_id) == "expired"
    assert house.gateway.lanes.waiting == 0, "it keeps others from being accepted"
    house.release("c1", "c2")
    await house.idle()
    assert len(house.channel.sent) == 2
    assert len(house.gateway.lanes) == 0


async def test_a_message_that_a_jump_of_the_clock_made_too_old_is_not_answered(
    house: House,
) -> None:
    """After a suspended night no timer has fired; the claim looks at the clock on the wall."""
    await house.say("hold a")
    await house.reached("a")
    late = await house.send(replace(inbound("//late"), ttl_ms=3000))
    house.clock.jump_wall(10)
    house.release("a")
    await house.idle()
    assert await house.state(late.turn_id) == "expired"
    assert len(house.channel.sent) == 1


async def test_a_message_that_aged_while_nothing_ran_expires_at_the_start(house: House) -> None:
    """A gateway that was down over night does not answer last night's jobs."""
    await house.say("hold a")
    await house.reached("a")
    late = await house.send(replace(inbound("//late"), ttl_ms=3000))
    await house.kill()
    house.clock.jump_wall(3600)
    house.release("a")
    await house.start()
    await house.idle()
    assert await house.state(late.turn_id) == "expired"
    assert [message.text for message in house.channel.sent] == ["You said: hold a"]


async def test_an_expiry_the_store_refuses_is_tried_again(house: House) -> None:
    """And nothing spins meanwhile."""
    await house.say("hold a")
    await house.reached("a")
    late = await house.send(replace(inbound("late"), ttl_ms=1000))
    house.store.refuse(2, of=EndQueued)
    for _ in range(2):
        await house.wait(RETRY_S)
        assert await house.state(late.turn_id) == "queued"
    await house.wait(RETRY_S)
    assert await house.state(late.turn_id) == "expired"
    house.release("a")


async def test_a_parked_turn_that_is_over_elsewhere_does_not_hold_its_lane(house: House) -> None:
    """Another process woke it, or its run is gone: nobody tells, so the lane looks."""
    parked = await park(house)
    mine = await house.say("mine", peer="ann")
    await end_elsewhere(house, parked, "forgotten")
    await house.wait(HELD_S)
    await house.idle()
    assert (await house.input(parked.turn_id)).detail == "internal"
    assert await house.state(mine.turn_id) == "answered"
    assert len(house.gateway.lanes) == 0


async def test_an_input_that_no_process_claims_is_taken_up(house: House) -> None:
    """It was accepted by a process that is gone, and nothing here has heard of it."""
    await house.store.commit(Unit(accepting(row(1, "left behind"))))
    await house.quiet()
    assert house.gateway.lanes.unanswered == 0
    await house.wait(STALE_S)
    await house.idle()
    assert await house.state("t_1") == "answered"


async def test_what_a_stopping_process_leaves_is_taken_up_immediately(house: House) -> None:
    """It need not be old: its process has said that it goes."""
    now = house.gateway.clock.now_ms()
    put, accept = accepting(row(1, "left behind"))
    await house.store.commit(Unit((put, accept._replace(at=now - 1))))
    house.gateway.lanes.take_over()
    await house.quiet()
    await house.idle()
    assert await house.state("t_1") == "answered"
