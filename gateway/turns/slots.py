"""What a running turn holds, and what it waits for before it begins.

A turn passes three gates and holds what it got there until it ends: `turns`, where the settings
bound their number; `memory`, by what its transcript takes; `working`, the places of turns that use
the processor. It gives up `working` while it waits: for a model, a tool, a person or the store.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from gateway.core.clock import Clock
from gateway.runs.execution import Unbounded, Working
from gateway.runs.gate import UNBOUNDED, Claim, GateRules, Party, Use
from gateway.runs.places import Places
from gateway.turns.backlog import Backlog

WORKING = 8
"""Turns that use the processor at once. None waits meanwhile, so these keep it busy; each takes
about a millisecond of a pass of the event loop, and others wait for some twelve passes a turn."""
MEMORY_MIB = 256
"""All running turns: about two thousand short ones, and a machine of 1 GB keeps the rest."""
TURN_BYTES = 128 << 10
"""A running turn beyond its transcript: tasks, its connection's buffers, the frame of a request."""
CHAR_BYTES = 3
"""One character of a transcript: in memory, in the request that is built of it, and on its way."""


@dataclass(frozen=True, slots=True)
class SlotRules:
    """The bounds of all gates: numbers of turns and tools, bytes of memory."""

    turns: int = UNBOUNDED
    working: int = WORKING
    memory: int = MEMORY_MIB << 20
    tools: int = 2 * (os.cpu_count() or 1)


class Place(Working, Protocol):
    """What a turn does with its slot while it runs."""

    def released(self) -> AbstractAsyncContextManager[None]:
        """Work no more for the block, and wait for a place after it."""
        ...

    def tool(self) -> AbstractAsyncContextManager[None]:
        """Hold one of the places of tools that run on this machine."""
        ...

    def weigh(self, chars: int) -> None:
        """The transcript and what was added to it have this many characters."""
        ...


class Free(Unbounded):
    """The slot of a turn that nothing bounds: one that only writes its end."""

    def released(self) -> AbstractAsyncContextManager[None]:
        """Nothing is held."""
        return nullcontext()

    def tool(self) -> AbstractAsyncContextManager[None]:
        """Nothing is held."""
        return nullcontext()

    def weigh(self, chars: int) -> None:
        """Nothing is held."""


class TurnSlots:
    """The gates of all turns of this process."""

    def __init__(self, clock: Clock, rules: SlotRules = SlotRules()) -> None:
        self._clock = clock
        self.backlog = Backlog()
        self._turns = Places(GateRules(rules.turns))
        # Memory is held for as long as a model takes, and counted in bytes, not in places.
        self._memory = Places(GateRules(rules.memory, shared=True, classes=()))
        # Shared, although held briefly: tasks that work at once slow each other down on one loop.
        self.working = Places(GateRules(rules.working, shared=True))
        self.tools = Places(GateRules(rules.tools, shared=True))
        self._waiting: dict[str, tuple[Claim, ...]] = {}
        self.running = 0
        """How many turns have begun and not ended."""

    @property
    def waiting(self) -> int:
        """How many turns wait to begin."""
        return self.backlog.waiting

    def bounds(self) -> list[Use]:
        """How far each bound on turns is used."""
        gates = {"turns": self._turns, "memory": self._memory, "working": self.working}
        gates["tools"] = self.tools
        found = [places.gate.use(name) for name, places in gates.items()]
        return [*(use for use in found if use.total != UNBOUNDED), *self.backlog.bounds()]

    @asynccontextmanager
    async def hold(
        self, party: Party, *, chars: int = 0, alone: bool = False, name: str = ""
    ) -> AsyncIterator[Place | None]:
        """Hold a slot for the block; `alone` waits until nothing runs, and nothing starts beside.

        Yields None, and holds nothing, when `withdraw` was called with its `name` before its time
        came; a name is given once at a time. Cancelled while waiting: nothing is held.
        """
        slot = _Slot(self, party, chars, alone=alone)
        name = name or str(id(slot))
        self._waiting[name] = slot.claims
        self.backlog.came(slot, party.principal, self._clock.monotonic())
        begun = False
        try:
            try:
                begun = await slot.enter()
            finally:
                del self._waiting[name]
                now = self._clock.monotonic()
                self.backlog.left(slot, party.principal, now, begun=begun)
            self.running += begun
            yield slot if begun else None
        finally:
            self.running -= begun
            slot.leave()

    def withdraw(self, name: str) -> None:
        """End the wait of the turn of this name; one that runs keeps its slot."""
        for claim, places in zip(self._waiting.get(name, ()), self.gates, strict=False):
            places.withdraw(claim)

    @property
    def gates(self) -> tuple[Places, ...]:
        """The gates in the order in which a turn passes them."""
        return self._turns, self._memory, self.working


class _Slot:
    """A claim at each gate, held as far as the turn got."""

    def __init__(self, slots: TurnSlots, party: Party, chars: int, *, alone: bool) -> None:
        self._slots = slots
        self._party = party
        self.claims: tuple[Claim, ...] = (
            Claim(party, alone=alone),
            Claim(party, _bytes(chars)),
            Claim(party, begins=True),
        )

    async def enter(self) -> bool:
        """Pass gate after gate; False when it was withdrawn at one of them."""
        for claim, places in zip(self.claims, self._slots.gates, strict=True):
            if not await places.take(claim):
                return False
        return True

    def leave(self) -> None:
        """Give back whatever is held."""
        for claim, places in zip(self.claims, self._slots.gates, strict=True):
            if claim.held:
                places.give(claim)

    def rest(self) -> bool:
        claim = self.claims[-1]
        if not claim.held:
            return False
        self._slots.working.give(claim)
        return True

    async def work(self) -> None:
        # What has begun goes on first: else a crowd begins that then waits, holding its memory.
        claim = Claim(self._party)
        self.claims = (*self.claims[:-1], claim)
        await self._slots.working.take(claim)

    @asynccontextmanager
    async def released(self) -> AsyncIterator[None]:
        rested = self.rest()
        # An exception leaves without a place: what is cut short only writes its end.
        yield
        if rested:
            await self.work()

    def tool(self) -> AbstractAsyncContextManager[None]:
        return self._slots.tools.hold(Claim(self._party))

    def weigh(self, chars: int) -> None:
        if self.claims[1].held:
            self._slots.gates[1].weigh(self.claims[1], _bytes(chars))


def _bytes(chars: int) -> int:
    return TURN_BYTES + CHAR_BYTES * chars
