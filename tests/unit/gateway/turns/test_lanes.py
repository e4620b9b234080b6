"""Lanes on a whole gateway: order, merging, stopping, ageing, waiting and coming back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from agents.base.messages import UserMessage
from agents.base.tools import Effect
from agents.models.scripted import Call, Rule
from channels.base.messages import Accepted, Inbound, SourceClass
from channels.memory import Gate
from gateway.core.errors import Conflict, NotFound
from gateway.core.ids import TurnId
from gateway.core.parts import Image, text_of
from gateway.runs.context import DECISION_S
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import DropRuns, PutContent
from gateway.store.base.inputs import EndInput, EndQueued, StartInput
from gateway.store.base.runs import EndRun, GetRun, RequestCancel
from gateway.store.base.store import Unit
from gateway.store.sqlite.store import open_sqlite
from gateway.turns.boundary import STOPPED
from gateway.turns.lane_upkeep import HELD_S
from gateway.turns.lane_worker import RETRY_S
from tests.support.house import House, Notebook, inbound, open_house
from tests.unit.gateway.turns.rows import accepting, row

ENDS = ("turn.completed", "turn.cancelled", "turn.failed", "input.cancelled")
PAY = Rule("pay", "done: {results}", (Call("pay"),))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """One that runs twelve turns at once and has an unsafe tool, standing still when told to."""
    it = House(tmp_path, rules=[PAY], tools=[Notebook("pay", Effect.UNSAFE)])
    async with open_house(twelve_at_once(it)):
        yield it


def twelve_at_once(house: House) -> House:
    house.settings = house.settings.model_copy(update={"turngate_turns": 12})
    return house


def cron(text: str, *, peer: str) -> Inbound:
    return replace(inbound(text, peer=peer), source=SourceClass.CRON)


async def park(house: House, *, peer: str = "ann") -> Accepted:
    """A turn of this peer that waits for a decision."""
    (tool,) = house.tools
    assert isinstance(tool, Notebook)
    tool.gate = Gate()
    accepted = await house.say("pay bob", peer=peer)
    await house.quiet()
    assert tool.gate.entered.is_set()
    tool.gate = None
    await house.again()
    await house.quiet()
    assert await house.state(accepted.turn_id) == "waiting"
    return accepted


# Order.


async def test_one_conversation_is_answered_in_order_one_turn_at_a_time(house: House) -> None:
    """Messages that cannot merge: each waits for the one before it."""
    for number in range(5):
        await house.say(f"/say {number}")
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


# Merging.


async def test_what_one_sender_says_while_a_turn_runs_is_answered_together(house: House) -> None:
    """One turn, one answer; the merged ones say where they went, and so does the log."""
    await house.say("hold a")
    await house.reached("a")
    lead, *others = [(await house.say(text)).turn_id for text in ("one", "two", "three")]
    house.release("a")
    await house.idle()
    assert house.channel.sent[-1].text == "You said: one\ntwo\nthree"
    assert await house.state(lead) == "answered"
    for turn in others:
        merged = await house.input(turn)
        assert (merged.state, merged.merged_into) == ("merged", lead)
        assert merged.ended_at is not None
    events = await house.events("input.merged")
    assert [(event.turn_id, orjson.loads(event.data)) for event in events] == [
        (turn, {"into": lead}) for turn in others
    ]
    started = (await house.events("turn.started"))[-1]
    assert (started.turn_id, orjson.loads(started.data)) == (lead, {"inputs": 3})


async def test_only_those_merge_between_whom_nobody_could_tell(house: House) -> None:
    """In a group two people speak to one agent: each gets an answer, in order."""
    group = [inbound(f"{name} speaks", peer=name, group="g") for name in ("ann", "bob", "ann")]
    await house.send(inbound("hold a", peer="ann", group="g"))
    await house.reached("a")
    for message in (*group, replace(group[2], principal="other"), inbound("/who", group="g")):
        await house.send(message)
    await house.send(inbound("a picture", Image("https://a/b.png"), group="g"))
    await house.send(inbound("ann again", group="g"))
    house.release("a")
    await house.idle()
    assert [message.text.removeprefix("You said: ") for message in house.channel.sent[1:]] == [
        "ann speaks",
        "bob speaks",
        "ann speaks",
        "ann speaks",
        "/who",
        "a picture\n[image]",
        "ann again",
    ]
    assert await house.events("input.merged") == []


async def test_what_comes_while_a_turn_waits_for_its_slot_joins_it(house: House) -> None:
    """Merging is decided when the turn begins, not when its first message came."""
    for number in range(12):
        await house.say(f"hold gate{number}", peer=f"peer {number}")
    await house.reached(*(f"gate{number}" for number in range(12)))
    await house.say("one")
    await house.quiet()
    await house.say("two")
    house.release(*(f"gate{number}" for number in range(12)))
    await house.idle()
    assert "You said: one\ntwo" in [message.text for message in house.channel.sent]


# Slots.


async def test_background_runs_within_its_bounds_and_people_beside_it(house: House) -> None:
    """P12: two cron turns at once; a person does not wait for them."""
    for name in ("c1", "c2", "c3"):
        await house.send(cron(f"hold {name}", peer=name))
    await house.reached("c1", "c2")
    await house.quiet()
    assert not house.patient.gates["c3"].entered.is_set()
    await house.say("hi")
    await house.channel.wait_sent(1)
    house.release("c1")
    await house.reached("c3")
    house.release("c2", "c3")
    await house.idle()


# Stopping.


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
        first = await house.say(f"/first {number}")
        second = await house.say(f"/second {number}")
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
    late = await house.say("/late hold b")
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


# Ageing.


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
    late = await house.send(replace(inbound("/late"), ttl_ms=3000))
    house.clock.jump_wall(10)
    house.release("a")
    await house.idle()
    assert await house.state(late.turn_id) == "expired"
    assert len(house.channel.sent) == 1


async def test_a_message_that_aged_while_nothing_ran_expires_at_the_start(house: House) -> None:
    """A gateway that was down over night does not answer last night's jobs."""
    await house.say("hold a")
    await house.reached("a")
    late = await house.send(replace(inbound("/late"), ttl_ms=3000))
    await house.kill()
    house.clock.jump_wall(3600)
    house.release("a")
    await house.start()
    await house.idle()
    assert await house.state(late.turn_id) == "expired"
    assert [message.text for message in house.channel.sent] == ["You said: hold a"]


# Coming back.


async def test_an_interrupted_turn_goes_on_ahead_of_newer_messages(house: House) -> None:
    """It is resumed, not started again, and those who came later wait for it."""
    first = await house.say("hold a")
    await house.reached("a")
    second = await house.say("/second")
    await house.kill()
    await house.start()
    third = await house.say("/third")
    house.release("a")
    await house.idle()
    assert [message.turn_id for message in house.channel.sent] == [
        accepted.turn_id for accepted in (first, second, third)
    ]
    (event,) = await house.events("turn.resumed")
    assert event.turn_id == first.turn_id
    assert len(await house.events("turn.started", turn_id=first.turn_id)) == 1


async def test_recovered_turns_obey_the_slots(tmp_path: Path) -> None:
    """A restart with many open turns does not start them all at once."""
    house = twelve_at_once(House(tmp_path))
    async with open_house(house):
        names = [f"n{number}" for number in range(15)]
        for name in names:
            await house.say(f"hold {name}", peer=name)
        await house.reached(*names[:12])
        await house.kill()
        for name in names:
            house.patient.gates[name].entered.clear()
        await house.start()
        await house.quiet()
        assert sum(house.patient.gates[name].entered.is_set() for name in names) == 12
        house.release(*names)
        await house.idle()
        assert len(house.seen()) == 15


async def test_a_stopped_turn_does_not_wait_for_a_slot_to_end(house: House) -> None:
    """Neither one that is parked when all are taken, nor one that has woken and waits for one."""
    parked, woken = await park(house, peer="bob"), await park(house)
    names = [f"n{number}" for number in range(12)]
    for name in names:
        await house.say(f"hold {name}", peer=name)
    await house.reached(*names)
    lanes = house.gateway.lanes
    assert (lanes.waiting, lanes.unanswered) == (0, 0)
    await house.channel.cancel(parked.turn_id)
    await house.quiet()
    assert await house.state(parked.turn_id) == "cancelled"
    house.clock.jump_wall(DECISION_S)
    await house.wait(2)
    assert (lanes.waiting, lanes.unanswered) == (1, 1)
    await house.channel.cancel(woken.turn_id)
    await house.quiet()
    assert await house.state(woken.turn_id) == "cancelled"
    assert (lanes.waiting, lanes.unanswered) == (0, 0)
    house.release(*names)
    await house.idle()


async def test_a_parked_turn_keeps_its_lane_and_frees_its_slot(house: House) -> None:
    """Twelve others run beside it; its own conversation waits."""
    parked = await park(house)
    mine = await house.say("mine")
    names = [f"n{number}" for number in range(12)]
    for name in names:
        await house.say(f"hold {name}", peer=name)
    await house.reached(*names)
    assert await house.state(mine.turn_id) == "queued"
    assert await house.state(parked.turn_id) == "waiting"
    house.release(*names)
    await house.idle()
    assert len(house.gateway.lanes) == 1


async def test_a_parked_turn_holds_its_lane_over_a_restart(house: House) -> None:
    """Nobody has decided yet; what was said since still waits."""
    parked = await park(house)
    mine = await house.say("mine")
    await house.again()
    await house.quiet()
    assert await house.state(parked.turn_id) == "waiting"
    assert await house.state(mine.turn_id) == "queued"
    assert len(house.gateway.lanes) == 1


async def test_a_parked_turn_nobody_decides_about_lets_the_lane_go(house: House) -> None:
    """After an hour the sender is told, and the next message is answered."""
    parked = await park(house)
    mine = await house.say("mine")
    house.clock.jump_wall(DECISION_S)
    await house.wait(2)
    await house.idle()
    assert (await house.input(parked.turn_id)).detail == "step_outcome_unknown"
    assert await house.state(mine.turn_id) == "answered"


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
    waiting = await house.say("/next")
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


# A store that refuses, and turns that get lost.


async def test_a_claim_the_store_refuses_is_tried_again(house: House) -> None:
    """The disk was full for a moment; the message was accepted before."""
    house.store.refuse(2, of=StartInput)
    accepted = await house.say("hi")
    await house.quiet()
    for _ in range(2):
        assert await house.state(accepted.turn_id) == "queued"
        await house.wait(RETRY_S)
    await house.idle()
    assert await house.state(accepted.turn_id) == "answered"
    assert len(house.gateway.lanes) == 0


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


async def test_a_turn_the_store_does_not_take_ends_once_it_does(house: House) -> None:
    """Its answer is in the process, and is not asked for again."""
    accepted = await house.say("hold a")
    await house.reached("a")
    house.store.refuse(3, of=EndRun)
    house.release("a")
    for _ in range(5):
        await house.wait(RETRY_S)
    await house.idle()
    assert await house.state(accepted.turn_id) == "answered"
    assert house.patient.calls == 1


async def _end_elsewhere(house: House, accepted: Accepted, how: str) -> None:
    """Somebody else ends or forgets the run that is executed here, with or without its input."""
    (run,) = await house.store.read(GetRun(accepted.turn_id))
    end_run = EndRun(run.run_id, run.epoch, "failed", "null", "elsewhere", 1)
    end_input = EndInput(run.run_id, "failed", "elsewhere", 1)
    ops: dict[str, tuple[Op, ...]] = {
        "whole": (end_run, end_input),
        "half": (end_run,),
        "forgotten": (DropRuns(run.session_key),),
    }
    await house.store.commit(Unit(ops[how]))


@pytest.mark.parametrize(
    ("how", "detail"), [("whole", "elsewhere"), ("half", "internal"), ("forgotten", "internal")]
)
async def test_a_turn_ended_by_somebody_else_does_not_hold_its_lane(
    house: House, how: str, detail: str
) -> None:
    """P7: the lane looks what became of it; an input left open by it is ended."""
    accepted = await house.say("hold a")
    await house.reached("a")
    mine = await house.say("mine")
    await _end_elsewhere(house, accepted, how)
    house.release("a")
    await house.wait(RETRY_S)
    await house.idle()
    given = await house.input(accepted.turn_id)
    assert (given.state, given.detail) == ("failed", detail)
    assert await house.state(mine.turn_id) == "answered"
    assert len(house.gateway.lanes) == 0
    assert len(await house.events("turn.failed")) == (how != "whole")


async def test_a_parked_turn_that_is_over_elsewhere_does_not_hold_its_lane(house: House) -> None:
    """Another process woke it, or its run is gone: nobody tells, so the lane looks."""
    parked = await park(house)
    mine = await house.say("mine", peer="ann")
    await _end_elsewhere(house, parked, "forgotten")
    await house.wait(HELD_S)
    await house.idle()
    assert (await house.input(parked.turn_id)).detail == "internal"
    assert await house.state(mine.turn_id) == "answered"
    assert len(house.gateway.lanes) == 0


async def test_a_message_no_lane_can_take_up_closes_none_for_ever(house: House) -> None:
    """A newer release has stored it. It can be stopped, and its conversation goes on."""
    await house.kill()
    store = await open_sqlite(house.database)
    await store.commit(Unit(accepting(row(1)._replace(source="dream"))))
    await store.close()
    await house.start()
    await house.say("hello?", peer="bob")
    await house.channel.wait_sent(1)
    await house.channel.cancel(TurnId("t_1"))
    await house.wait(RETRY_S)
    await house.idle()
    assert len(house.gateway.lanes) == 0


async def test_an_end_that_cannot_be_written_at_all_is_an_end_all_the_same(house: House) -> None:
    """Its run was given up twice over; the input does not stay open, nor does its lane."""
    accepted = await house.say("hold a")
    await house.reached("a")
    mine = await house.say("mine")
    for number in range(200):  # every content the end could make is there already
        with suppress(Conflict):
            await house.store.commit(Unit((PutContent(f"c_{number}", "s", "null"),)))
    house.release("a")
    for _ in range(4):
        await house.wait(RETRY_S)
    await house.idle()
    for turn in (accepted.turn_id, mine.turn_id):
        given = await house.input(turn)
        assert (given.state, given.detail) == ("failed", "internal")
    assert len(house.gateway.lanes) == 0


async def test_an_input_whose_run_has_ended_is_ended_at_the_start(house: House) -> None:
    """Nothing would ever come back for it, and its lane would be closed for ever."""
    accepted = await house.say("hold a")
    await house.reached("a")
    await _end_elsewhere(house, accepted, "half")
    mine = await house.say("mine")
    await house.again()
    await house.idle()
    assert (await house.input(accepted.turn_id)).detail == "internal"
    assert await house.state(mine.turn_id) == "answered"
    assert len(house.gateway.lanes) == 0


# Starting.


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
    for text in ("one", "two", "/three"):
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
