"""How many turns run at once, and who goes first: people before background work, always.

`SlotRules` decides, purely; `TurnSlots` waits. Background classes together never take the last
slots, so a person's message finds one even when every schedule fires at once.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
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

    @classmethod
    def of(cls, total: int) -> SlotRules:
        """The bounds for so many turns; a quarter of them is for people alone."""
        return cls(total, max(total * 3 // 4, 1))

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
    admitted: asyncio.Future[bool] = field(repr=False)
    """Whether it got a slot; False once it was withdrawn."""


class TurnSlots:
    """Slots for running turns; waiting ones are served people first, then in order.

    However many wait, a turn that begins or ends looks at the first of each class only.
    """

    def __init__(self, rules: SlotRules = SlotRules()) -> None:
        self._rules = rules
        self._running: Counter[SourceClass] = Counter()
        self._lonely = False
        self._waiting: dict[SourceClass, deque[_Waiter]] = {
            source: deque() for source in SourceClass
        }
        self._named: dict[str, _Waiter] = {}
        self._order = itertools.count()

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """How many turns wait for a slot."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def hold(
        self, source: SourceClass, *, alone: bool = False, name: str = ""
    ) -> AsyncIterator[bool]:
        """Hold a slot for the block; `alone` waits until nothing runs, and nothing starts beside.

        Yields False, and holds none, when `withdraw` was called with its `name`, which nobody else
        has meanwhile, before its time came. Cancelled while waiting: no slot is taken.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(next(self._order), source, alone, loop.create_future())
        self._waiting[source].append(waiter)
        if name:
            self._named[name] = waiter
        self._admit()
        try:
            yield await waiter.admitted
        finally:
            self._named.pop(name, None)
            self._leave(waiter)

    def withdraw(self, name: str) -> None:
        """Let the one of this name wait no longer; who holds a slot keeps it."""
        waiter = self._named.get(name)
        if waiter is not None and not waiter.admitted.done():
            self._waiting[waiter.source].remove(waiter)
            waiter.admitted.set_result(False)
            self._admit()

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.admitted.cancelled():
            self._waiting[waiter.source].remove(waiter)
        elif waiter.admitted.result():
            self._running[waiter.source] -= 1
            if waiter.alone:
                self._lonely = False
        self._admit()

    def _admit(self) -> None:
        while (waiter := self._next()) is not None:
            self._waiting[waiter.source].remove(waiter)
            self._running[waiter.source] += 1
            self._lonely = waiter.alone
            waiter.admitted.set_result(True)

    def _next(self) -> _Waiter | None:
        """Who may begin now."""
        if self._lonely:
            return None
        for waiter in self._firsts():
            if waiter.alone:
                # It is first in line: let the others run out.
                return None if self._running.total() else waiter
            if self._rules.admits(waiter.source, self._running):
                return waiter
        return None

    def _firsts(self) -> list[_Waiter]:
        """The first of each class, in the order in which they are served."""
        found: list[_Waiter] = []
        for queue in self._waiting.values():
            # Whoever was cancelled leaves with its next step.
            first = next((each for each in queue if not each.admitted.cancelled()), None)
            if first is not None:
                found.append(first)
        return sorted(found, key=lambda each: (each.source is not SourceClass.PERSON, each.order))
