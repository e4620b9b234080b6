"""Waiting at a gate: whoever stops waiting takes nothing, and nothing leaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.core.clock import settle
from gateway.runs.gate import Claim, GateRules, Party
from gateway.runs.places import Places


class Crowd:
    """Holders that stay until they are let go; `held` names them in order."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.places = Places(GateRules(3))
        self.held: list[str] = []
        self.claims: dict[str, Claim] = {}
        self._group = group
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, names: str) -> None:
        for name in names:
            self.claims[name] = Claim(Party(name))
            self._ends[name] = asyncio.Event()
            self._tasks[name] = self._group.create_task(self._hold(name))
        await settle()

    async def _hold(self, name: str) -> None:
        if not await self.places.take(self.claims[name]):
            return
        self.held.append(name)
        try:
            await self._ends[name].wait()
        finally:
            self.held.remove(name)
            self.places.give(self.claims[name])

    async def go(self, names: str) -> None:
        for name in names:
            self._ends[name].set()
        await settle()

    def cancel(self, name: str) -> None:
        self._tasks[name].cancel()

    async def end(self) -> None:
        for event in self._ends.values():
            event.set()
        while self.held or self.places.gate.waiting:
            await settle()
        assert (self.places.gate.used, self.places.gate.waiting) == (0, 0)


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    """Everybody leaves at the end, and every place is free again."""
    async with asyncio.TaskGroup() as group:
        here = Crowd(group)
        yield here
        await here.end()


async def test_a_free_place_does_not_yield_to_the_loop() -> None:
    """A turn that finds places passes three gates in one step."""
    places = Places(GateRules(1))
    taking = places.take(Claim(Party("ann")))
    with pytest.raises(StopIteration) as ended:
        taking.send(None)
    assert ended.value.value is True


async def test_whoever_is_cancelled_takes_no_place(crowd: Crowd) -> None:
    await crowd.come("abcde")
    crowd.cancel("d")
    await settle()
    assert crowd.places.gate.waiting == 1
    await crowd.go("a")
    assert crowd.held == ["b", "c", "e"]


@pytest.mark.parametrize("names", ["da", "ad"])
async def test_a_place_that_frees_while_its_next_holder_leaves_is_not_lost(
    crowd: Crowd, names: str
) -> None:
    """Both in one step of the loop, whichever comes first."""
    await crowd.come("abcde")
    for name in names:
        crowd.cancel(name)
    await settle()
    assert crowd.held == ["b", "c", "e"]


async def test_whoever_is_withdrawn_waits_no_longer_and_whoever_holds_goes_on(crowd: Crowd) -> None:
    """Those behind move up; it makes no difference when the time had just come."""
    await crowd.come("abcdef")
    crowd.places.withdraw(crowd.claims["d"])
    crowd.places.withdraw(crowd.claims["a"])
    await crowd.go("a")
    assert crowd.held == ["b", "c", "e"]
    crowd.cancel("b")
    crowd.places.withdraw(crowd.claims["f"])
    crowd.cancel("f")
    await settle()
    assert crowd.held == ["c", "e"]


async def test_a_block_that_fails_gives_its_place_back() -> None:
    places = Places(GateRules(1))
    with pytest.raises(RuntimeError, match="boom"):
        async with places.hold(Claim(Party("ann"))):
            raise RuntimeError("boom")
    async with places.hold(Claim(Party("bob"))):
        assert places.gate.used == 1
    assert places.gate.used == 0


async def test_a_block_whose_wait_was_withdrawn_runs_without_a_place() -> None:
    places, waits = Places(GateRules(1)), Claim(Party("bob"))
    await places.take(Claim(Party("ann")))

    async def block() -> int:
        async with places.hold(waits):
            return places.gate.used

    async with asyncio.TaskGroup() as group:
        task = group.create_task(block())
        await settle()
        places.withdraw(waits)
    assert (task.result(), places.gate.used) == (1, 1)
