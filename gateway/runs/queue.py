"""Where runs of tasks wait until they are executed: a few at once, in the order they became due.

Nothing is lost here: what waits is in the store as parked and due, and is handed out again by the
next process. So stopping drops the line and leaves what runs to the engine.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import structlog

from gateway.core.errors import NotFound, StoreUnavailable
from gateway.core.ids import RunId
from gateway.core.tasks import Ending, TaskOwner
from gateway.runs.engine import Engine
from gateway.telemetry.tasks import task_failed

AT_ONCE = 8
"""Runs of tasks executed side by side; parked ones hold no place, turns have their own."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    run_id: RunId
    alone: bool


class RunQueue:
    """The line of one process. What is put before `start` waits for it."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._line: deque[_Waiting] = deque()  # bounded by what is due in the store
        self._owner = TaskOwner("tasks", task_failed)
        self._running = 0
        self._lonely = False
        self._stopping = False

    def start(self, engine: Engine) -> None:
        """Execute what is put, and what was."""
        self._engine = engine
        self._admit()

    def put(self, run_id: RunId, *, alone: bool) -> None:
        """Execute a run when there is a place; `alone`: with no other task's run beside it."""
        self._line.append(_Waiting(run_id, alone))
        self._admit()

    async def drained(self) -> None:
        """Wait until nothing is left that can be done now."""
        await self._owner.join()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._line.clear()

    def __len__(self) -> int:
        return len(self._line)

    def _admit(self) -> None:
        while self._line and self._engine is not None and not self._stopping:
            first = self._line[0]
            if self._lonely or self._running >= AT_ONCE or (first.alone and self._running):
                return
            self._line.popleft()
            self._running += 1
            self._lonely = first.alone
            work = self._execute(self._engine, first)
            self._owner.start(first.run_id, work, ending=Ending.CANCELLABLE)

    async def _execute(self, engine: Engine, item: _Waiting) -> None:
        try:
            await engine.execute(item.run_id)
        except (NotFound, StoreUnavailable) as error:
            log.warning("task.not_executed", run_id=item.run_id, reason=str(error))
        finally:
            self._running -= 1
            self._lonely = False
            self._admit()
