"""How many turns run at once, and who goes first: people before background work, always.

`SlotRules` decides, purely; `TurnSlots` waits. Background classes together never take the last
slots, so a person's message finds one even when every schedule fires at once.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from channels.base.messages import SourceClass


@dataclass(frozen=True, slots=True)
class SlotRules:
    """The bounds: all turns, all background turns, and each background class."""

    total: int = 12
    background: int = 9
    classes: tuple[tuple[SourceClass, int], ...] = (
        (SourceClass.CRON, 2),
        (SourceClass.HEARTBEAT, 1),
        (SourceClass.NETWORK, 4),
    )

    def admits(self, source: SourceClass, running: Counter[SourceClass]) -> bool:
        """Whether a turn of this class may start beside those running."""
        if running.total() >= self.total:
            return False
        if source is SourceClass.PERSON:
            return True
        behind = running.total() - running[SourceClass.PERSON]
        return behind < self.background and running[source] < dict(self.classes)[source]


@dataclass(slots=True, eq=False)
class _Waiter:
    order: int
    source: SourceClass
    alone: bool
    admitted: asyncio.Future[None] = field(repr=False)

    def rank(self) -> tuple[bool, int]:
        return (self.source is not SourceClass.PERSON, self.order)


class TurnSlots:
    """Slots for running turns; waiting ones are served people first, then in order."""

    def __init__(self, rules: SlotRules = SlotRules()) -> None:
        self._rules = rules
        self._running: Counter[SourceClass] = Counter()
        self._lonely = False
        self._waiting: list[_Waiter] = []
        self._order = itertools.count()

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """How many turns wait for a slot."""
        return len(self._waiting)

    @asynccontextmanager
    async def hold(self, source: SourceClass, *, alone: bool = False) -> AsyncIterator[None]:
        """Hold a slot for the block; `alone` waits until nothing runs, and nothing starts beside.

        Cancelled while waiting: no slot is taken.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(next(self._order), source, alone, loop.create_future())
        self._waiting.append(waiter)
        self._waiting.sort(key=_Waiter.rank)
        self._admit()
        try:
            await waiter.admitted
            yield
        finally:
            self._leave(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        else:
            self._running[waiter.source] -= 1
            if waiter.alone:
                self._lonely = False
        self._admit()

    def _admit(self) -> None:
        for waiter in tuple(self._waiting):
            if self._lonely:
                return
            if waiter.admitted.cancelled():
                continue  # it leaves with its next step
            if waiter.alone:
                if self._running.total():
                    return  # it is first in line: let the others run out
                self._lonely = True
            elif not self._rules.admits(waiter.source, self._running):
                continue
            self._waiting.remove(waiter)
            self._running[waiter.source] += 1
            waiter.admitted.set_result(None)
