"""The lanes of a process and their queues, on a store in memory; no turn is started."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.clock import ManualClock, settle
from gateway.core.errors import Conflict
from gateway.events.kinds import Kind
from gateway.store.base.inputs import GetInput, InputRow, StartInput
from gateway.store.base.store import Unit
from gateway.turns.lane import party_of
from gateway.turns.lane_table import LaneTable
from gateway.turns.slots import SlotRules, TurnSlots
from tests.unit.gateway.runs.stores import FlakyStore
from tests.unit.gateway.turns.rows import SESSION, accepting, row


class Table:
    """A table over a store, with one slot for turns."""

    def __init__(self, store: FlakyStore, clock: ManualClock) -> None:
        self.store = store
        self.slots = TurnSlots(clock, SlotRules(turns=1))
        self.table = LaneTable(store=store, clock=clock, slots=self.slots)

    async def put(self, given: InputRow) -> None:
        await self.store.commit(Unit(accepting(given)))
        self.table.lane(given.session_key).put(given)

    async def state(self, turn_id: str) -> str:
        (found,) = await self.store.read(GetInput(turn_id))
        return found.state


@pytest.fixture
def made(store: FlakyStore, clock: ManualClock) -> Table:
    return Table(store, clock)


def test_a_lane_is_found_until_it_has_nothing_to_do(made: Table) -> None:
    lane = made.table.lane(SESSION)
    assert made.table.find(SESSION) is lane is made.table.lane(SESSION)
    lane.put(row(1))
    made.table.drop(lane)
    assert list(made.table) == [lane]
    lane.take_out(["t_1"])
    made.table.drop(lane)
    assert (len(made.table), made.table.find(SESSION)) == (0, None)


async def test_what_expires_ends_and_the_next_expiry_is_known(
    made: Table, clock: ManualClock
) -> None:
    """What has no time limit is never the next to expire."""
    now = clock.now_ms()
    await made.put(row(1)._replace(expires_at=now + 1))
    await made.put(row(2)._replace(expires_at=now + 9000))
    await made.put(row(3))
    lane = made.table.lane(SESSION)
    assert made.table.next_expiry == now + 1
    assert not await made.table.expire(lane)
    await clock.advance(1)
    assert await made.table.expire(lane)
    assert await made.state("t_1") == "expired"
    assert [waiting.turn_id for waiting in lane.queued] == ["t_2", "t_3"]
    assert (made.table.next_expiry, made.table.unanswered) == (now + 9000, 2)


async def test_what_another_process_has_claimed_does_not_expire(
    made: Table, clock: ManualClock
) -> None:
    """It leaves the queue all the same: it is not for this process to answer."""
    await made.put(row(1)._replace(expires_at=clock.now_ms()))
    await made.store.commit(Unit((StartInput("t_1"),)))
    lane = made.table.lane(SESSION)
    assert await made.table.expire(lane)
    assert await made.state("t_1") == "running"
    assert not lane.queued


async def test_an_input_that_was_claimed_cannot_be_ended_as_queued(made: Table) -> None:
    await made.put(row(1))
    await made.store.commit(Unit((StartInput("t_1"),)))
    with pytest.raises(Conflict):
        await made.table.end_queued(row(1), "cancelled", Kind.INPUT_CANCELLED)


async def test_an_input_of_a_session_without_a_lane_is_ended_too(made: Table) -> None:
    """Another process took it in."""
    await made.store.commit(Unit(accepting(row(1))))
    await made.table.end_queued(row(1), "cancelled", Kind.INPUT_CANCELLED)
    assert (await made.state("t_1"), len(made.table)) == ("cancelled", 0)


async def test_a_lane_gives_up_its_place_in_the_line_with_the_input_it_was_for(
    made: Table,
) -> None:
    """Else it would count as waiting, and new work be refused by that number."""
    await made.put(row(1))
    lane = made.table.lane(SESSION)

    async def wait() -> bool:
        async with made.slots.hold(party_of(row(1)), name=lane.key) as place:
            return place is not None

    async with made.slots.hold(party_of(row(9))), asyncio.TaskGroup() as group:
        waiting = group.create_task(wait())
        await settle(1)
        assert made.slots.waiting == 1
        made.table.take_out(lane, ["t_1"])
    assert not waiting.result()
    assert made.slots.waiting == 0
