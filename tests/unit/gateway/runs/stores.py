"""Stores that misbehave on purpose, around one that works; and time that waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gateway.core.clock import ManualClock, settle
from gateway.core.errors import StoreUnavailable
from gateway.store.base.query import Query, Row
from gateway.store.base.store import Listener, Receipt, Store, Unit

STEP_S = 1.0
"""Virtual time that passes between two looks at whether the store is at work."""

T = TypeVar("T")


class FlakyStore:
    """Refuses what `refuses` says; a refused unit is not written, a refused post is forgotten."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.down = False
        self.refuses: Callable[[Unit], bool] = lambda unit: False
        self.refused = 0
        self.commits: list[Unit] = []
        self.reads = 0
        self._busy = 0
        self._idle = asyncio.Event()

    async def commit(self, unit: Unit) -> Receipt:
        if self.down or self.refuses(unit):
            self.refused += 1
            raise StoreUnavailable("the store takes nothing")
        with self._working():
            receipt = await self.inner.commit(unit)
        self.commits.append(unit)
        return receipt

    def post(self, unit: Unit) -> None:
        if self.down or self.refuses(unit):
            self.refused += 1
            return
        self.inner.post(unit)

    async def read(self, query: Query[Row]) -> list[Row]:
        self.reads += 1
        if self.down:
            raise StoreUnavailable("the store says nothing")
        with self._working():
            return await self.inner.read(query)

    def listen(self, listener: Listener) -> None:
        self.inner.listen(listener)

    async def close(self) -> None:
        await self.inner.close()

    async def quiet(self) -> None:
        """Wait until nobody waits for an answer."""
        if isinstance(self.inner, FlakyStore):
            await self.inner.quiet()
        await settle()
        while self._busy:
            self._idle.clear()
            await self._idle.wait()
            await settle()

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()


class OverheardStore(FlakyStore):
    """Lets something happen between a read or a commit and its answer."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.heard: Callable[[object], Awaitable[None]] | None = None

    async def commit(self, unit: Unit) -> Receipt:
        receipt = await super().commit(unit)
        await self._tell(unit)
        return receipt

    async def read(self, query: Query[Row]) -> list[Row]:
        rows = await super().read(query)
        await self._tell(query)
        return rows

    async def _tell(self, what: object) -> None:
        heard, self.heard = self.heard, None
        if heard is not None:
            await heard(what)
            self.heard = heard


def holds(*kinds: type) -> Callable[[Unit], bool]:
    """Whether a unit has an operation of one of these kinds."""
    return lambda unit: any(isinstance(op, kinds) for op in unit.ops)


async def advance(clock: ManualClock, store: FlakyStore, seconds: float) -> None:
    """Let time pass, never while the store owes an answer: however slow the machine is."""
    target = clock.monotonic() + seconds
    while True:
        await store.quiet()
        left = target - clock.monotonic()
        if left <= 0:
            return
        await clock.advance(min(left, STEP_S))


async def drive(clock: ManualClock, store: FlakyStore, task: asyncio.Task[T]) -> T:
    """Let time pass like `advance` until a task is done."""
    while not task.done():
        await store.quiet()
        if not task.done():
            await clock.advance(STEP_S)
    return task.result()
