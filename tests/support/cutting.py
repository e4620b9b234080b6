"""A store that can stop between two writes as a killed process does, inside a living test."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from channels.memory import Gate
from gateway.core.clock import settle
from gateway.core.errors import StoreUnavailable
from gateway.store.base.query import Query, Row
from gateway.store.base.store import Listener, Receipt, Store, Unit
from tests.support.patience import PATIENCE_S

T = TypeVar("T")

ROUNDS = 40
"""Steps of the loop without a store in which everything between two store calls happens."""


class CuttableStore:
    """Passes everything on to a real store until it is cut.

    After that nothing is written, nothing is read and nobody who waits is told: whatever the code
    above it does then leaves no trace. `retire` lets the waiting ones go, so that it can be taken
    apart. With `lazy`, posted units are held back until the next commit and lost by a cut, as they
    may be.
    """

    def __init__(self, store: Store, *, lazy: bool = False) -> None:
        self._store = store
        self._lazy = lazy
        self._posted: list[Unit] = []
        self._cut_at = 0
        self._written = False
        self._refusals = 0
        self._deaf = 0
        self._refused: type[object] = object
        self._held: tuple[type[object], Gate] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._retired = asyncio.Event()
        self.dead = asyncio.Event()
        self.commits = 0
        """How many commits were asked for."""
        self.under_way = 0
        """How many commits and reads have not been answered."""
        self.begun = 0
        """How many commits and reads there were."""

    def cut(self) -> None:
        """From now on nothing happens any more."""
        self.dead.set()
        self._idle.set()

    def cut_at(self, commit: int, *, written: bool) -> None:
        """Cut at the n-th commit from now: before it is written, or before anybody is told."""
        self._cut_at = self.commits + commit
        self._written = written

    def refuse(self, commits: int, *, of: type[object] = object) -> None:
        """Let the next commits find the store unavailable, or those with such an operation."""
        self._refusals = commits
        self._refused = of

    def refuse_reads(self, reads: int) -> None:
        """Let the next reads find the store unavailable."""
        self._deaf = reads

    def hold_next(self, of: type[object]) -> Gate:
        """Let the next commit with such an operation stand still before it is submitted."""
        self._held = (of, Gate())
        return self._held[1]

    def retire(self) -> None:
        """Whoever waits for this store learns that it is gone."""
        self.cut()
        self._retired.set()

    async def while_alive(self, work: Coroutine[None, None, T]) -> T | None:
        """What comes of it; None when the store is cut before."""
        async with asyncio.TaskGroup() as group:
            working = group.create_task(work)
            dying = group.create_task(self.dead.wait())
            await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            dying.cancel()
        return None if working.cancelled() else working.result()

    async def quiet(self) -> None:
        """Wait until nothing can happen without time passing: nothing is under way and nobody
        begins anything, or it is cut."""
        begun = -1
        async with asyncio.timeout(PATIENCE_S):
            while not self.dead.is_set() and (self.under_way or self.begun != begun):
                begun = self.begun
                await self._idle.wait()
                await settle(ROUNDS)

    async def commit(self, unit: Unit) -> Receipt:
        if self.dead.is_set():
            await self._gone()
        if self._held is not None and any(isinstance(op, self._held[0]) for op in unit.ops):
            gate, self._held = self._held[1], None
            await gate.passed()
        self.commits += 1
        if self._refusals and any(isinstance(op, self._refused) for op in unit.ops):
            self._refusals -= 1
            raise StoreUnavailable("the disk is full")
        if self.commits == self._cut_at and not self._written:
            self.cut()
            await self._gone()
        self._enter()
        try:
            self._flush()
            last = self.commits == self._cut_at
            receipt = await self._store.commit(unit)
        finally:
            self._leave()
        if last:
            self.cut()
        if self.dead.is_set():
            await self._gone()
        return receipt

    def post(self, unit: Unit) -> None:
        if self.dead.is_set():
            return
        if self._lazy:
            self._posted.append(unit)
        else:
            self._store.post(unit)

    async def read(self, query: Query[Row]) -> list[Row]:
        if self.dead.is_set():
            await self._gone()
        if self._deaf:
            self._deaf -= 1
            raise StoreUnavailable("the disk does not answer")
        self._enter()
        try:
            self._flush()
            rows = await self._store.read(query)
        finally:
            self._leave()
        if self.dead.is_set():
            await self._gone()
        return rows

    def listen(self, listener: Listener) -> None:
        self._store.listen(lambda committed: None if self.dead.is_set() else listener(committed))

    async def close(self) -> None:
        if not self.dead.is_set():
            self._flush()
        await self._store.close()

    async def _gone(self) -> None:
        await self._retired.wait()
        raise StoreUnavailable("the process has ended")

    def _flush(self) -> None:
        for unit in self._posted:
            self._store.post(unit)
        self._posted.clear()

    def _enter(self) -> None:
        self.under_way += 1
        self.begun += 1
        self._idle.clear()

    def _leave(self) -> None:
        self.under_way -= 1
        if not self.under_way:
            self._idle.set()
