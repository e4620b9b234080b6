"""Supervised tasks and a bounded, closable queue: the only place that starts a task.

Every task has an owner, a name and a declared ending, so a traceback names what died and a clean
stop knows what to wait for. `asyncio.TaskGroup` remains right where the tasks end with the block.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Ending(StrEnum):
    """What the end of a task means."""

    ETERNAL = "eternal"
    """Runs until the owner closes; ending earlier is a failure."""
    FINISHABLE = "finishable"
    """Ends by itself; the owner waits for it on close."""
    CANCELLABLE = "cancellable"
    """Ends by itself or is cancelled on close; losing it loses nothing."""


OnFailure = Callable[[str, BaseException], None]
"""Called with the task's name and its exception, on the loop."""


class TaskOwner:
    """A set of tasks that end when their owner does."""

    def __init__(self, name: str, on_failure: OnFailure) -> None:
        self._name = name
        self._on_failure = on_failure
        self._tasks: dict[asyncio.Task[Any], Ending] = {}
        self._closing = False

    def start(self, name: str, work: Coroutine[Any, Any, T], *, ending: Ending) -> asyncio.Task[T]:
        """Start `work` as `<owner>.<name>`; its exception reaches `on_failure`."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._name}.{name}")
        self._tasks[task] = ending
        task.add_done_callback(self._ended)
        return task

    async def run_to_completion(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which goes on to its end even when the caller is cancelled."""
        return await asyncio.shield(self.start(name, work, ending=Ending.FINISHABLE))

    def __len__(self) -> int:
        return len(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        ending = self._tasks.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is None and ending is Ending.ETERNAL and not self._closing:
            error = RuntimeError("ended although it should run until cancelled")
        if error is not None:
            self._on_failure(task.get_name(), error)

    async def join(self) -> None:
        """Wait until no task is left; cancelling it has no other effect."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))
            await asyncio.sleep(0)  # done callbacks run one step after the wait

    async def close(self) -> None:
        """Wait for finishable tasks, cancel the others; returns when none is left.

        Cancelling `close` cancels the finishable ones too.
        """
        self._closing = True
        for task, ending in list(self._tasks.items()):
            if ending is not Ending.FINISHABLE:
                task.cancel()
        try:
            await self.join()
        except asyncio.CancelledError:
            for task in list(self._tasks):
                task.cancel()
            await self.join()
            raise


class QueueClosed(Exception):
    """The queue will take and give nothing more."""


class QueueFull(Exception):
    """The bound is reached; the caller refuses or drops, and says so."""


class BoundedQueue(Generic[T]):
    """First in, first out, at most `bound` items, with an end (3.13's `Queue.shutdown`)."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._items: deque[T] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put_nowait(self, item: T) -> None:
        """Add an item; raises `QueueFull` at the bound, `QueueClosed` after `close`."""
        if self._closed:
            raise QueueClosed
        if len(self._items) >= self._bound:
            raise QueueFull
        self._items.append(item)
        self._changed.set()

    async def get(self) -> T:
        """The oldest item; raises `QueueClosed` once closed and empty. Cancelling takes nothing."""
        while not self._items:
            if self._closed:
                raise QueueClosed
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()

    def close(self) -> None:
        """What is inside can still be taken; nothing more can be added."""
        self._closed = True
        self._changed.set()
