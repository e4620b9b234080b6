"""Finds runs without a worker and hands each to its task's queue, once.

Abandoned: running, and the lease is over. Woken: parked, and what it waits for is there. What is
handed out is not looked at again until it is executed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Mapping

import structlog

from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable
from gateway.core.ids import RunId, WorkerId
from gateway.core.retrying import RETRY_S, until_answered
from gateway.runs.records import Records
from gateway.runs.recovery import may_be_alone, recover
from gateway.runs.task import DurableTask
from gateway.store.base.runs import AbandonedRuns, GetRun, RunRow, RunsToStop, WakeableRuns
from gateway.store.base.steps import LoadSteps
from gateway.store.base.store import Store

WATCH_S = 1.0
"""How often abandoned and woken runs are looked for when nothing tells."""
PAGE = 200
"""Rows of one read: runs are larger than inputs, with what they were given and what came out."""

log = structlog.get_logger(__name__)


class Watch:
    """Hands out runs that are not among the `live` ones of this process."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        tasks: Mapping[str, DurableTask],
        live: Container[RunId],
        worker: WorkerId,
        stop: Callable[[RunId], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._tasks = tasks
        self._live = live
        self._worker = worker
        self._stop = stop
        self._handed_out: set[RunId] = set()
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Look immediately: something may have woken a run."""
        self._nudged.set()

    def taken(self, run_id: RunId) -> None:
        """What was handed out is being executed; it may be handed out again later."""
        self._handed_out.discard(run_id)

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            try:
                async with self._clock.timeout(WATCH_S):
                    await self._nudged.wait()
            except TimeoutError:
                pass
            self._nudged.clear()
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("runs.watch_put_off", reason=str(error))
            except Exception:  # a boundary: one run that cannot be handed out must not end this
                log.exception("runs.watch_bug")

    async def look(self) -> None:
        """Hand out what is abandoned or has woken by now; stop what others asked to stop."""
        for asked in await self._store.read(RunsToStop(self._worker)):
            self._stop(RunId(asked.run_id))
        async for row in self._each(AbandonedRuns):
            alone = False
            if may_be_alone(row):
                steps = Records(await self._store.read(LoadSteps(row.run_id)))
                alone = recover(row, steps.completed).alone
            self.hand_out(row, alone=alone)
        async for row in self._each(WakeableRuns):
            self.hand_out(row, alone=False)

    async def look_again(self, run_id: RunId) -> None:
        """A run whose lease is still ours is renewed and never found abandoned: go on with it."""
        await self._clock.sleep(RETRY_S)
        rows = await until_answered(
            lambda: self._store.read(GetRun(run_id)),
            self._clock,
            lambda error: log.warning("runs.watch_put_off", reason=str(error)),
        )
        # Whether the lease still holds the store says when the run is taken, by its own clock.
        if rows and rows[0].status == "running" and rows[0].holder == self._worker:
            self.hand_out(rows[0], alone=False)

    def hand_out(self, row: RunRow, *, alone: bool) -> None:
        """Give a run to its task's queue, unless it is there or being executed."""
        run_id = RunId(row.run_id)
        if run_id in self._live or run_id in self._handed_out:
            return
        task = self._tasks.get(row.task)
        if task is None:
            log.error("run.unknown_task", run_id=run_id, task=row.task)
        else:
            task.requeue(row, alone=alone)
        self._handed_out.add(run_id)

    async def _each(self, query: type[AbandonedRuns | WakeableRuns]) -> AsyncIterator[RunRow]:
        now, after = self._clock.now_ms(), ""
        while rows := await self._store.read(query(now, after, PAGE)):
            for row in rows:
                yield row
            after = rows[-1].run_id
