"""What a lane does, on a whole gateway: claiming, merging, going on, and a store that refuses."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway.core.errors import Conflict
from gateway.core.ids import TurnId
from gateway.core.parts import Image
from gateway.runs.context import DECISION_S
from gateway.store.base.conversations import PutContent
from gateway.store.base.inputs import StartInput
from gateway.store.base.runs import EndRun
from gateway.store.base.store import Unit
from gateway.store.sqlite.store import open_sqlite
from gateway.turns.lane_worker import RETRY_S
from tests.support.house import House, inbound, open_house
from tests.unit.gateway.turns.lane_house import cron, end_elsewhere, park, twelve_at_once
from tests.unit.gateway.turns.rows import accepting, row


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
    for message in (*group, replace(group[2], principal="other"), inbound("//who", group="g")):
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


async def test_an_interrupted_turn_goes_on_ahead_of_newer_messages(house: House) -> None:
    """It is resumed, not started again, and those who came later wait for it."""
    first = await house.say("hold a")
    await house.reached("a")
    second = await house.say("//second")
    await house.kill()
    await house.start()
    third = await house.say("//third")
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
    await end_elsewhere(house, accepted, how)
    house.release("a")
    await house.wait(RETRY_S)
    await house.idle()
    given = await house.input(accepted.turn_id)
    assert (given.state, given.detail) == ("failed", detail)
    assert await house.state(mine.turn_id) == "answered"
    assert len(house.gateway.lanes) == 0
    assert len(await house.events("turn.failed")) == (how != "whole")


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
