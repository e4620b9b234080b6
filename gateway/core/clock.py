"""Time as an input: the only place that reads a clock or sleeps.

Everything else is handed a `Clock`. `SystemClock` is real time; `ManualClock` stands still until a
test moves it, timeouts included, so tests never sleep and never race the wall clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What the rest of the code knows of time."""

    def now_ms(self) -> int:
        """Wall time, milliseconds since the epoch; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; cancelling it has no other effect."""
        ...

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[None]:
        """Cancel the block and raise `TimeoutError` after `seconds`; None never does."""
        ...


class SystemClock:
    """Real time."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        async with asyncio.timeout(seconds):
            yield


class ManualClock:
    """Time that moves only when told; ships because embedding tests need it too.

    Timers fire in order of their deadline, ties in order of creation, and the loop runs between
    two timers, so what a timer starts is seen before the next one fires.
    """

    def __init__(self, *, now_ms: int = 1_700_000_000_000) -> None:
        self._now = now_ms / 1000
        self._mono = 0.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return round(self._now * 1000)

    def monotonic(self) -> float:
        return self._mono

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        await self._timer(seconds)

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        async with asyncio.timeout(None) as scope:
            if seconds is None:
                yield
                return
            timer = self._timer(seconds)
            inside = True

            def expire(done: asyncio.Future[None]) -> None:
                # The block may have ended in the same step of the loop, just before this.
                if inside and not done.cancelled():
                    # A deadline already past makes asyncio cancel the block at the next step.
                    scope.reschedule(asyncio.get_running_loop().time() - 1)

            timer.add_done_callback(expire)
            try:
                yield
            finally:
                inside = False
                timer.cancel()

    def jump_wall(self, seconds: float) -> None:
        """Move wall time alone, as an NTP step or a resumed laptop does."""
        self._now += seconds

    async def advance(self, seconds: float) -> None:
        """Move both clocks, firing what falls due on the way."""
        target = self._mono + seconds
        await settle()
        while (due := self._next_due()) is not None and due <= target:
            self._move(due)
            await settle()
        self._move(target)

    async def drive(self, awaitable: Awaitable[T], *, idle_s: float = 0.005) -> T:
        """Run to the end of `awaitable`, jumping to the next timer whenever nothing moves.

        `idle_s` is real time: work may be in a writer thread, which no virtual clock can see.
        """
        task = asyncio.ensure_future(awaitable)
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=idle_s)
                if done:
                    return task.result()
                due = self._next_due()
                if due is not None:
                    self._move(due)
        finally:
            task.cancel()

    def _timer(self, seconds: float) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._timers, (self._mono + seconds, next(self._order), future))
        return future

    def _next_due(self) -> float | None:
        while self._timers and self._timers[0][2].done():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _move(self, target: float) -> None:
        self._now += target - self._mono
        self._mono = target
        while self._timers and self._timers[0][0] <= target:
            future = heapq.heappop(self._timers)[2]
            if not future.done():
                future.set_result(None)


async def settle(rounds: int = 20) -> None:
    """Let every ready callback run; enough rounds for a chain of awaits without I/O."""
    for _ in range(rounds):
        await asyncio.sleep(0)
