"""Who runs when turns are scarce: people first, background within bounds, nothing leaks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base.messages import SourceClass
from gateway.core.clock import settle
from gateway.turns.slots import SlotRules, TurnSlots
from tests.support.house import House, open_house

PERSON, NETWORK = SourceClass.PERSON, SourceClass.NETWORK
CRON, HEARTBEAT = SourceClass.CRON, SourceClass.HEARTBEAT
SMALL = SlotRules(total=3, background=2, classes=((CRON, 1), (HEARTBEAT, 1), (NETWORK, 2)))


class Crowd:
    """Turns that hold a slot until they are let go; `running` names those that do, in order."""

    def __init__(self, slots: TurnSlots, group: asyncio.TaskGroup) -> None:
        self.slots = slots
        self.running: list[str] = []
        self._group = group
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, source: SourceClass, *, alone: bool = False) -> None:
        self._ends[name] = asyncio.Event()
        self._tasks[name] = self._group.create_task(self._hold(name, source, alone=alone))
        await settle()

    async def _hold(self, name: str, source: SourceClass, *, alone: bool) -> None:
        async with self.slots.hold(source, alone=alone, name=name) as held:
            if not held:
                return
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


@asynccontextmanager
async def crowd(rules: SlotRules = SMALL) -> AsyncIterator[Crowd]:
    """Everybody leaves at the end, and every slot is free again."""
    slots = TurnSlots(rules)
    async with asyncio.TaskGroup() as group:
        here = Crowd(slots, group)
        yield here
        while here.slots.running or here.slots.waiting:
            await here.go(*here._ends)  # noqa: SLF001  # its own helper
    assert (slots.running, slots.waiting) == (0, 0)


# The rules.


@pytest.mark.parametrize(("total", "background"), [(1, 1), (2, 1), (4, 3), (12, 9), (64, 48)])
def test_a_quarter_of_any_number_is_for_people_alone(total: int, background: int) -> None:
    """And background work has a place in any case."""
    assert SlotRules.of(total) == SlotRules(total, background)


def test_people_may_take_every_slot() -> None:
    """There is no reserve against people."""
    rules = SlotRules()
    assert rules.admits(PERSON, Counter({PERSON: 11}))
    assert not rules.admits(PERSON, Counter({PERSON: 12}))
    assert not rules.admits(PERSON, Counter({PERSON: 8, CRON: 4}))


@pytest.mark.parametrize(("source", "most"), [(CRON, 2), (HEARTBEAT, 1), (NETWORK, 4)])
def test_each_background_class_has_a_bound(source: SourceClass, most: int) -> None:
    """One class cannot crowd out the others."""
    rules = SlotRules()
    assert rules.admits(source, Counter({source: most - 1}))
    assert not rules.admits(source, Counter({source: most}))


def test_background_together_leaves_slots_to_people() -> None:
    """P12: even when every schedule fires at once, a person finds a slot."""
    rules = SlotRules(classes=((CRON, 9), (HEARTBEAT, 9), (NETWORK, 9)))
    busy = Counter({CRON: 3, HEARTBEAT: 3, NETWORK: 3})
    assert not any(rules.admits(source, busy) for source in (CRON, HEARTBEAT, NETWORK))
    assert rules.admits(PERSON, busy)


@given(st.lists(st.sampled_from(list(SourceClass)), max_size=40))
def test_whatever_comes_the_bounds_hold(arrivals: list[SourceClass]) -> None:
    """Admitting greedily never breaks one of them."""
    rules = SlotRules()
    running: Counter[SourceClass] = Counter()
    for source in arrivals:
        if rules.admits(source, running):
            running[source] += 1
    assert running.total() <= rules.total
    assert running.total() - running[PERSON] <= rules.background
    assert all(running[source] <= most for source, most in rules.classes)


# Waiting.


async def test_a_free_slot_is_taken_at_once() -> None:
    """Nobody waits while there is room."""
    async with crowd() as here:
        await here.come("ann", PERSON)
        assert here.running == ["ann"]
        assert (here.slots.running, here.slots.waiting) == (1, 0)


async def test_those_who_wait_are_served_in_order() -> None:
    """First come, first served, among people."""
    async with crowd() as here:
        for name in "abcdef":
            await here.come(name, PERSON)
        assert here.running == ["a", "b", "c"]
        await here.go("b")
        assert here.running == ["a", "c", "d"]
        await here.go("a", "c")
        assert here.running == ["d", "e", "f"]


async def test_people_go_before_background_that_waited_longer() -> None:
    """Always, however long it waited."""
    async with crowd() as here:
        for name in "abc":
            await here.come(name, PERSON)
        await here.come("cron", CRON)
        await here.come("peer", NETWORK)
        await here.come("dora", PERSON)
        await here.go("a")
        assert here.running == ["b", "c", "dora"]
        await here.go("b")
        assert here.running == ["c", "dora", "cron"]


async def test_a_class_at_its_bound_does_not_hold_up_another() -> None:
    """The second cron job waits; the peer behind it does not."""
    async with crowd() as here:
        await here.come("cron", CRON)
        await here.come("cron again", CRON)
        await here.come("peer", NETWORK)
        assert here.running == ["cron", "peer"]
        await here.come("heartbeat", HEARTBEAT)
        assert here.running == ["cron", "peer"]  # two in the background are enough
        await here.come("ann", PERSON)
        assert here.running == ["cron", "peer", "ann"]
        await here.go("cron")
        assert here.running == ["peer", "ann", "cron again"]


async def test_a_lonely_turn_runs_with_nothing_beside_it() -> None:
    """It took the process down twice: whatever it does now, it does it to itself."""
    async with crowd() as here:
        await here.come("a", PERSON)
        await here.come("poison", PERSON, alone=True)
        await here.come("b", PERSON)
        assert here.running == ["a"]  # nobody starts any more, so that it gets its turn
        await here.go("a")
        assert here.running == ["poison"]
        await here.come("c", PERSON)
        assert here.running == ["poison"]
        await here.go("poison")
        assert here.running == ["b", "c"]


async def test_a_lonely_turn_in_the_background_lets_people_go_first() -> None:
    """Order among those who wait is the same for all."""
    async with crowd() as here:
        await here.come("a", PERSON)
        await here.come("poison", CRON, alone=True)
        await here.come("b", PERSON)
        assert here.running == ["a", "b"]
        await here.go("a", "b")
        assert here.running == ["poison"]


# Leaving.


async def test_whoever_stops_waiting_takes_no_slot() -> None:
    """And is not in anybody's way."""
    async with crowd() as here:
        for name in "abcd":
            await here.come(name, PERSON)
        await here.come("e", PERSON)
        here.cancel("d")
        await settle()
        assert here.slots.waiting == 1
        await here.go("a")
        assert here.running == ["b", "c", "e"]


async def test_a_slot_that_frees_while_its_next_holder_leaves_is_not_lost() -> None:
    """Both in one step of the loop, whichever comes first."""
    for cancel_first in (True, False):
        async with crowd() as here:
            for name in "abcde":
                await here.come(name, PERSON)
            steps = [lambda here=here: here.cancel("d"), lambda here=here: here.cancel("a")]
            for step in steps if cancel_first else reversed(steps):
                step()
            await settle()
            assert here.running == ["b", "c", "e"]
            assert (here.slots.running, here.slots.waiting) == (3, 0)


async def test_whoever_is_withdrawn_waits_no_longer_and_whoever_runs_goes_on() -> None:
    """Those behind move up; it makes no difference when the time had just come."""
    async with crowd() as here:
        for name in "abcdef":
            await here.come(name, PERSON)
        here.slots.withdraw("d")
        assert here.slots.waiting == 2
        here.slots.withdraw("a")
        await here.go("a")
        assert here.running == ["b", "c", "e"]
        here.cancel("b")
        here.slots.withdraw("f")
        await settle()
        assert (here.running, here.slots.waiting) == (["c", "e"], 0)


async def test_a_lonely_turn_that_is_withdrawn_lets_the_others_in() -> None:
    """They waited for it only."""
    async with crowd() as here:
        await here.come("a", PERSON)
        await here.come("poison", PERSON, alone=True)
        await here.come("b", PERSON)
        here.slots.withdraw("poison")
        await settle()
        assert here.running == ["a", "b"]


async def test_a_lonely_turn_that_stops_waiting_lets_the_others_in() -> None:
    """They waited for it only."""
    async with crowd() as here:
        await here.come("a", PERSON)
        await here.come("poison", PERSON, alone=True)
        await here.come("b", PERSON)
        here.cancel("poison")
        await settle()
        assert here.running == ["a", "b"]


async def test_a_turn_that_fails_gives_its_slot_back() -> None:
    """However it ends."""
    slots = TurnSlots(SMALL)
    with pytest.raises(RuntimeError, match="boom"):
        async with slots.hold(PERSON, alone=True):
            raise RuntimeError("boom")
    assert slots.running == 0
    async with slots.hold(PERSON):
        assert slots.running == 1


async def test_so_many_turns_work_at_once_as_the_settings_say(tmp_path: Path) -> None:
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
