"""What a running turn holds: its place while it works, its memory while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.base.messages import SourceClass
from gateway.core.clock import ManualClock, settle
from gateway.runs.gate import Party
from gateway.turns.slots import CHAR_BYTES, TURN_BYTES, Free, Place, SlotRules, TurnSlots
from tests.support.house import House, open_house
from tests.support.patience import PATIENCE_S

CRON = SourceClass.CRON


class Crowd:
    """Turns that hold a slot until they are let go; `running` names those that do, in order."""

    def __init__(self, slots: TurnSlots, group: asyncio.TaskGroup) -> None:
        self.slots = slots
        self.running: list[str] = []
        self.places: dict[str, Place] = {}
        self._group = group
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(
        self, *names: str, principal: str = "", source: SourceClass = SourceClass.PERSON
    ) -> None:
        for name in names:
            self._ends[name] = asyncio.Event()
            party = Party(principal or name, source=source)
            self._tasks[name] = self._group.create_task(self._hold(name, party))
            await settle()

    async def _hold(self, name: str, party: Party) -> None:
        async with self.slots.hold(party, name=name) as place:
            if place is None:
                return
            self.places[name] = place
            self.running.append(name)
            try:
                await self._ends[name].wait()
            finally:
                self.running.remove(name)

    async def go(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
        await settle()

    def cancel(self, name: str) -> None:
        self._tasks[name].cancel()

    async def end(self) -> None:
        for _ in self._ends:  # those that wait are let in by those that go
            await self.go(*self._ends)
        assert (self.running, [use.used for use in self.slots.bounds()]) == ([], [0] * 6)


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    """Three turns run, two of them work; at the end nothing is held."""
    memory = 8 * TURN_BYTES
    async with asyncio.TaskGroup() as group:
        slots = TurnSlots(ManualClock(), SlotRules(turns=3, working=2, memory=memory, tools=4))
        here = Crowd(slots, group)
        yield here
        await here.end()


def used(slots: TurnSlots, name: str) -> int:
    (found,) = (use.used for use in slots.bounds() if use.name == name)
    return found


async def test_a_turn_that_waits_for_others_lets_another_one_work(crowd: Crowd) -> None:
    await crowd.come("a", "b", "c")
    assert crowd.running == ["a", "b"]
    async with crowd.places["a"].released():
        await settle()
        assert crowd.running == ["a", "b", "c"]
        assert (crowd.slots.running, used(crowd.slots, "working")) == (3, 2)
        await crowd.go("b")


async def test_who_comes_back_waits_for_a_place(crowd: Crowd) -> None:
    answered, order = asyncio.Event(), list[str]()

    async def come_back() -> None:
        async with crowd.places["a"].released():
            await answered.wait()
        order.append("a")

    await crowd.come("a", "b")
    async with asyncio.TaskGroup() as group:
        group.create_task(come_back())
        await settle()
        await crowd.come("c")
        answered.set()
        await settle()
        assert (crowd.running, order) == (["a", "b", "c"], [])
        await crowd.go("b")
        assert order == ["a"]


async def test_what_waits_within_a_wait_gives_up_nothing_twice(crowd: Crowd) -> None:
    """Tools record their steps while the turn waits for them: the place is the turn's to take."""
    await crowd.come("a")
    place = crowd.places["a"]
    async with place.released():
        async with place.released():
            assert not place.rest()
        assert used(crowd.slots, "working") == 0
    assert used(crowd.slots, "working") == 1


async def test_what_is_cut_short_while_it_waits_for_others_takes_no_place(crowd: Crowd) -> None:
    await crowd.come("a")
    with pytest.raises(asyncio.CancelledError):
        async with crowd.places["a"].released():
            raise asyncio.CancelledError
    assert used(crowd.slots, "working") == 0
    await crowd.go("a")


async def test_memory_is_held_as_long_as_a_turn_runs_and_corrected(crowd: Crowd) -> None:
    await crowd.come("a")
    assert used(crowd.slots, "memory") == TURN_BYTES
    crowd.places["a"].weigh(3 * TURN_BYTES)
    assert used(crowd.slots, "memory") == TURN_BYTES * (1 + 3 * CHAR_BYTES)
    await crowd.come("b")
    assert (crowd.running, crowd.slots.waiting) == (["a"], 1), "it would not fit"
    crowd.places["a"].weigh(0)
    await settle()
    assert crowd.running == ["a", "b"]


async def test_one_principal_leaves_as_much_memory_as_it_holds(crowd: Crowd) -> None:
    await crowd.come("a")
    crowd.places["a"].weigh(TURN_BYTES)
    await crowd.come("a again", principal="a")
    assert crowd.running == ["a"]
    await crowd.come("b")
    assert crowd.running == ["a", "b"]


async def test_tools_have_places_of_their_own_half_of_them_for_one_principal(crowd: Crowd) -> None:
    await crowd.come("a", "b")

    async def third() -> None:
        async with crowd.places["a"].tool():
            assert used(crowd.slots, "tools") <= 2

    async with asyncio.TaskGroup() as group:  # noqa: SIM117  # places are left before it waits
        async with crowd.places["a"].tool(), crowd.places["a"].tool():
            waiting = group.create_task(third())
            await settle()
            async with crowd.places["b"].tool():
                assert (used(crowd.slots, "tools"), waiting.done()) == (3, False)


async def test_where_turns_are_bounded_a_quarter_is_for_people(crowd: Crowd) -> None:
    await crowd.come("cron", "again", "third", source=CRON)
    async with crowd.places["cron"].released():
        await settle()
        assert crowd.running == ["cron", "again"]
        await crowd.come("ann")
        assert crowd.running == ["cron", "again", "ann"]
        await crowd.go("again", "third")


async def test_who_is_withdrawn_or_cancelled_holds_nothing(crowd: Crowd) -> None:
    """At whichever gate it waits; one that runs keeps what it holds."""
    await crowd.come("a", "b", "c", "d", "e")
    crowd.slots.withdraw("c")  # waits to work
    crowd.slots.withdraw("d")  # waits to run
    crowd.slots.withdraw("a")
    crowd.slots.withdraw("nobody")
    crowd.cancel("e")
    await settle()
    assert (crowd.running, crowd.slots.waiting) == (["a", "b"], 0)


async def test_a_turn_that_fails_gives_everything_back() -> None:
    slots = TurnSlots(ManualClock())
    with pytest.raises(RuntimeError, match="boom"):
        async with slots.hold(Party("ann"), alone=True):
            raise RuntimeError("boom")
    assert (slots.running, [use.used for use in slots.bounds()]) == (0, [0] * 5)


async def test_one_that_only_writes_its_end_holds_nothing() -> None:
    free = Free()
    async with asyncio.timeout(PATIENCE_S), free.released(), free.tool():
        free.weigh(1)
    assert free.rest() is False, "there was no place to give up"


async def test_hundreds_wait_for_a_model_at_once(tmp_path: Path) -> None:
    """Only what works is bounded: all of them have asked, and the next person is answered."""
    async with open_house(House(tmp_path)) as house:
        for number in range(100):
            await house.say(f"hold g{number}", peer=f"p{number}")
        await house.reached(*(f"g{number}" for number in range(100)))
        assert (house.gateway.engine.executing, house.gateway.lanes.waiting) == (100, 0)
        await house.say("hello", peer="ann")
        await house.channel.wait_sent(1)
        assert house.channel.sent[0].destination.target == "ann"
        house.release(*(f"g{number}" for number in range(100)))
        await house.idle()
        assert len(house.channel.sent) == 101


async def test_so_many_turns_run_at_once_as_the_settings_say(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.settings = house.settings.model_copy(update={"turngate_turns": 1})
    async with open_house(house):
        await house.say("hold ann", peer="ann")
        await house.say("hello", peer="bob")
        await house.reached("ann")
        assert (house.gateway.lanes.waiting, house.channel.sent) == (1, [])
        house.release("ann")
        await house.idle()
        assert [sent.destination.target for sent in house.channel.sent] == ["ann", "bob"]
