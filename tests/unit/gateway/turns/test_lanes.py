"""Lanes on a whole gateway: order, stopping, starting and ending."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from agents.base.messages import UserMessage
from gateway.core.errors import Conflict, NotFound
from gateway.core.ids import TurnId
from gateway.core.parts import text_of
from gateway.store.base.inputs import EndQueued
from gateway.store.base.runs import RequestCancel
from gateway.store.base.store import Unit
from gateway.turns.boundary import STOPPED
from tests.support.house import House, open_house
from tests.unit.gateway.turns.lane_house import cron, end_elsewhere, park, twelve_at_once

ENDS = ("turn.completed", "turn.cancelled", "turn.failed", "input.cancelled")


async def test_one_conversation_is_answered_in_order_one_turn_at_a_time(house: House) -> None:
    """Messages that cannot merge: each waits for the one before it."""
    for number in range(5):
        await house.say(f"//say {number}")
    await house.idle()
    assert [message.text for message in house.channel.sent] == [
        f"You said: /say {number}" for number in range(5)
    ]
    assert [event.kind for event in await house.events("turn.")] == [
        "turn.started",
        "turn.completed",
    ] * 5


async def test_a_slow_conversation_delays_no_other(house: House) -> None:
    """P5: both run at once; the quick one ends first."""
    slow = await house.say("hold a", peer="ann")
    await house.reached("a")
    quick = await house.say("hi", peer="bob")
    await house.channel.wait_sent(1)
    assert await house.state(quick.turn_id) == "answered"
    assert await house.state(slow.turn_id) == "running"
    house.release("a")
    await house.idle()
    assert await house.state(slow.turn_id) == "answered"


async def test_the_position_counts_those_who_wait(house: House) -> None:
    """Not the turn that runs: 0 means that it is next."""
    assert (await house.say("hold a")).position == 0
    await house.reached("a")
    assert [(await house.say("more")).position for _ in range(3)] == [0, 1, 2]
    assert (await house.say("more", peer="bob")).position == 0
    house.release("a")


async def test_no_lane_is_left_when_there_is_nothing_to_do(house: House) -> None:
    """A million peers once each must not stay."""
    for peer in ("ann", "bob", "ann"):
        await house.say("hi", peer=peer)
    await house.idle()
    assert len(house.gateway.lanes) == 0


async def test_a_waiting_message_is_stopped_at_once(house: House) -> None:
    """It is never answered; those around it are."""
    await house.say("hold a")
    await house.reached("a")
    first, second, third = [(await house.say(text)).turn_id for text in ("1", "2", "3")]
    await house.channel.cancel(second)
    assert await house.state(second) == "cancelled"
    (event,) = await house.events("input.cancelled")
    assert event.turn_id == second
    house.release("a")
    await house.idle()
    assert house.channel.sent[-1].text == "You said: 1\n3"
    assert [await house.state(turn) for turn in (first, third)] == ["answered", "merged"]


async def test_who_no_longer_waits_for_a_slot_is_not_counted_among_those_who_do(
    house: House,
) -> None:
    """New work is refused by that number, so it must not wait for a slot to get smaller."""
    for number in range(12):
        await house.say(f"hold gate{number}", peer=f"peer {number}")
    await house.reached(*(f"gate{number}" for number in range(12)))
    late = [(await house.say(text, peer="late")).turn_id for text in ("1", "2")]
    other = await house.say("3", peer="other")
    await house.quiet()
    assert house.gateway.lanes.waiting == 2
    await house.channel.cancel(late[0])
    await house.quiet()
    assert house.gateway.lanes.waiting == 2, "the lane has more to say"
    await house.channel.cancel(late[1])
    await house.channel.cancel(other.turn_id)
    await house.quiet()
    assert (house.gateway.lanes.waiting, len(house.gateway.lanes)) == (0, 12)
    await house.say("4", peer="late")
    await house.quiet()
    assert house.gateway.lanes.waiting == 1
    house.release(*(f"gate{number}" for number in range(12)))
    await house.idle()
    assert "You said: 4" in [message.text for message in house.channel.sent]


async def test_background_does_not_run_in_the_place_of_a_person_who_left(house: House) -> None:
    """Both said something in one conversation; the person, who was first in it, took it back."""
    for number in range(12):
        await house.say(f"hold gate{number}", peer=f"peer {number}")
    await house.reached(*(f"gate{number}" for number in range(12)))
    person = await house.say("never mind", peer="late")
    await house.send(cron("hold background", peer="late"))
    await house.quiet()
    await house.say("hold urgent", peer="other")
    await house.channel.cancel(person.turn_id)
    await house.quiet()
    house.release("gate0")
    await house.reached("urgent")
    assert not house.patient.gates["background"].entered.is_set()
    house.release("urgent", "background", *(f"gate{number}" for number in range(1, 12)))
    await house.idle()


async def test_a_running_turn_is_stopped_where_it_is(house: House) -> None:
    """And the next message is answered."""
    running = await house.say("hold a")
    await house.reached("a")
    after = await house.say("next")
    await house.channel.cancel(running.turn_id)
    await house.idle()
    assert await house.state(running.turn_id) == "cancelled"
    assert await house.state(after.turn_id) == "answered"
    assert [message.text for message in house.channel.sent] == [STOPPED, "You said: hold a\nnext"]


async def test_a_parked_turn_is_stopped_and_lets_the_next_go_on(house: House) -> None:
    """`/stop` releases a lane that waits for somebody who does not come."""
    parked = await park(house)
    after = await house.say("next")
    await house.quiet()
    assert await house.state(after.turn_id) == "queued"
    await house.channel.cancel(parked.turn_id)
    await house.quiet()
    await house.idle()
    assert await house.state(parked.turn_id) == "cancelled"
    assert await house.state(after.turn_id) == "answered"
    assert len(house.gateway.lanes) == 0


async def test_a_merged_message_is_no_longer_one_of_its_own(house: House) -> None:
    """The refusal names the turn that answers it."""
    await house.say("hold a")
    await house.reached("a")
    lead, other = [(await house.say(text)).turn_id for text in ("one", "hold b")]
    house.release("a")
    await house.reached("b")
    with pytest.raises(Conflict, match=f"together with '{lead}'"):
        await house.channel.cancel(other)
    house.release("b")
    await house.idle()
    assert await house.state(lead) == "answered"


async def test_what_has_ended_or_never_was_cannot_be_stopped(house: House) -> None:
    """Each refusal says which."""
    accepted = await house.say("hi")
    await house.idle()
    with pytest.raises(Conflict, match="has ended: answered"):
        await house.channel.cancel(accepted.turn_id)
    with pytest.raises(NotFound, match="'t_nobody'"):
        await house.channel.cancel(TurnId("t_nobody"))


async def test_stopping_twice_is_stopping_once(house: House) -> None:
    """Two people press the button."""
    running = await house.say("hold a")
    await house.reached("a")
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(house.channel.cancel(running.turn_id))
    await house.idle()
    assert await house.state(running.turn_id) == "cancelled"
    assert len(house.channel.sent) == 1


async def test_a_stop_that_races_with_the_claim_leaves_one_end(house: House) -> None:
    """Whichever is first: stopped, or answered while somebody asked it to stop."""
    for number in range(6):
        first = await house.say(f"//first {number}")
        second = await house.say(f"//second {number}")
        with suppress(Conflict):  # it has ended
            await house.channel.cancel(second.turn_id)
        await house.idle()
        assert await house.state(first.turn_id) == "answered"
        assert await house.state(second.turn_id) in ("cancelled", "answered")
        ends = [event.kind for event in await house.events(turn_id=second.turn_id)]
        assert sum(kind in ENDS for kind in ends) == 1


async def test_a_stop_that_finds_the_message_claimed_stops_its_turn(house: House) -> None:
    """It was waiting when somebody looked, and is running when the wish arrives."""
    await house.say("hold a")
    await house.reached("a")
    late = await house.say("//late hold b")
    gate = house.store.hold_next(EndQueued)
    async with asyncio.TaskGroup() as group:
        group.create_task(house.channel.cancel(late.turn_id))
        await gate.entered.wait()
        house.release("a")
        await house.reached("b")
        gate.release()
    await house.idle()
    assert await house.state(late.turn_id) == "cancelled"
    assert house.channel.sent[-1].text == STOPPED


async def test_a_stop_that_finds_the_turn_over_says_so(house: House) -> None:
    """It was running when somebody looked."""
    accepted = await house.say("hold a")
    await house.reached("a")
    gate = house.store.hold_next(RequestCancel)
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(_refusal(house.channel.cancel(accepted.turn_id)))
        await gate.entered.wait()
        house.release("a")
        await house.idle()
        gate.release()
    assert "has just ended" in stopping.result()
    assert await house.state(accepted.turn_id) == "answered"


async def _refusal(work: Coroutine[None, None, None]) -> str:
    with pytest.raises(Conflict) as caught:
        await work
    return str(caught.value)


async def test_a_message_ended_by_somebody_else_is_not_answered(house: House) -> None:
    """The claim is refused; what was put meanwhile is not lost."""
    await house.say("hold a")
    await house.reached("a")
    gone = await house.say("gone")
    kept = await house.say("kept")
    await house.store.commit(Unit((EndQueued(gone.turn_id, "cancelled", 1),)))
    house.release("a")
    await house.idle()
    assert [message.text for message in house.channel.sent[1:]] == ["You said: kept"]
    assert await house.state(kept.turn_id) == "answered"
    assert len(house.gateway.lanes) == 0


async def test_a_turn_stopped_by_an_orderly_end_goes_on_after_it(house: House) -> None:
    """A drain is no interruption: it is not counted."""
    accepted = await house.say("hold a")
    await house.reached("a")
    await house.stop()
    assert house.channel.sent == []
    house.release("a")
    await house.start()
    await house.idle()
    assert await house.state(accepted.turn_id) == "answered"
    (event,) = await house.events("turn.resumed")
    assert orjson.loads(event.data)["recoveries"] == 0


async def test_an_orderly_end_gives_running_turns_their_time(house: House) -> None:
    """What can end within it does, and its answer leaves."""
    accepted = await house.say("hold a")
    await house.reached("a")
    waiting = await house.say("//next")
    async with asyncio.TaskGroup() as group:
        group.create_task(house.stop())
        await house.quiet()
        house.release("a")
    assert [message.turn_id for message in house.channel.sent] == [accepted.turn_id]
    await house.start()
    await house.idle()
    assert await house.state(waiting.turn_id) == "answered"


async def test_a_gateway_that_ends_begins_nothing_new(tmp_path: Path) -> None:
    """Recovered turns that wait for a slot are left to the next start, like waiting messages."""
    house = twelve_at_once(House(tmp_path))
    async with open_house(house):
        names = [f"n{number}" for number in range(14)]
        for name in names:
            await house.say(f"hold {name}", peer=name)
        await house.reached(*names[:12])
        await house.again()
        await house.quiet()
        async with asyncio.TaskGroup() as group:
            group.create_task(house.stop())
            await house.quiet()
            house.release(*names)
        assert len(house.channel.sent) == 12
        await house.start()
        await house.idle()
        assert len(house.seen()) == 14


async def test_an_input_whose_run_has_ended_is_ended_at_the_start(house: House) -> None:
    """Nothing would ever come back for it, and its lane would be closed for ever."""
    accepted = await house.say("hold a")
    await house.reached("a")
    await end_elsewhere(house, accepted, "half")
    mine = await house.say("mine")
    await house.again()
    await house.idle()
    assert (await house.input(accepted.turn_id)).detail == "internal"
    assert await house.state(mine.turn_id) == "answered"
    assert len(house.gateway.lanes) == 0


async def test_nothing_runs_before_turns_are_admitted(tmp_path: Path) -> None:
    """What they need may take seconds to load; messages are accepted, and stopped, meanwhile."""

    class Loading(House):
        ready = asyncio.Event()

    house = Loading(tmp_path)
    house.patient.open = house.ready.wait  # type: ignore[method-assign, assignment]  # what loading is
    async with open_house(house):
        accepted = await house.say("hi")
        await house.quiet()
        assert await house.state(accepted.turn_id) == "queued"
        assert len(house.gateway.lanes) == 1
        await house.channel.cancel((await house.say("never", peer="bob")).turn_id)
        assert len(house.gateway.lanes) == 1
        house.ready.set()
        await house.idle()
        assert await house.state(accepted.turn_id) == "answered"
        assert len(house.channel.sent) == 1


async def test_a_transcript_has_every_message_once_and_in_order(house: House) -> None:
    """Over merging, stopping and a restart."""
    accepted = await house.say("hold a")
    await house.reached("a")
    for text in ("one", "two", "//three"):
        await house.say(text)
    await house.again()
    house.release("a")
    await house.idle()
    said = [
        text_of(message.parts)
        for message in await house.transcript(accepted.session)
        if isinstance(message, UserMessage)
    ]
    assert said == ["hold a", "one", "two", "/three"]
