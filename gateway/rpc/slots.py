"""Bound on the concurrent requests of one connection, and the line for the rest.

A burst waits in a short line; only where nothing moves for a while is a request refused. A request
that merely waits for a turn gives its place up meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.core.clock import Clock
from gateway.core.errors import Busy

WORKING = 16
"""Requests of one connection that are worked on at once."""
LINE = 256
"""Requests that may wait for a place: what a client sends in one go without being told off."""
PATIENCE_S = 1.0
"""How long one waits: a full line is sixteen rounds of writes, and a slow disk takes 50 ms to flush
each. It costs a little memory, so a burst is better late than refused."""
RETRY_MS = 1000


class Slots:
    """The places of one connection."""

    def __init__(self, clock: Clock, working: int = WORKING) -> None:
        self._clock = clock
        self._free = asyncio.Semaphore(working)
        self._line = 0

    def check(self) -> None:
        """Raises `Busy` when even the line is full."""
        if self._line >= LINE:
            raise _busy()

    async def take(self) -> None:
        """Take a place; raises `Busy` after waiting in vain. Cancelled: none is taken."""
        if not self._free.locked():
            await self._free.acquire()
            return
        self._line += 1
        try:
            async with self._clock.timeout(PATIENCE_S):
                await self._free.acquire()
        except TimeoutError:
            raise _busy() from None
        finally:
            self._line -= 1

    async def take_back(self) -> None:
        """Take a place again after resting, however long that takes: the work is half done."""
        await self._free.acquire()

    def give(self) -> None:
        """Give a place up."""
        self._free.release()


class Place:
    """One request's place, which it may give up and take back."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._held = False

    async def take(self) -> None:
        """See `Slots.take`."""
        await self._slots.take()
        self._held = True

    def leave(self) -> None:
        """The request is done."""
        if self._held:
            self._held = False
            self._slots.give()

    @asynccontextmanager
    async def resting(self) -> AsyncIterator[None]:
        """Without the place for the block; an exception leaves without taking it back."""
        if not self._held:
            yield
            return
        self.leave()
        yield
        await self._slots.take_back()
        self._held = True


def _busy() -> Busy:
    return Busy(
        f"{WORKING} requests of this connection are being worked on and more wait; wait for some "
        "answers",
        retry_after_ms=RETRY_MS,
    )
