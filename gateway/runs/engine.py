"""Executes durable runs: leases, fencing, recovery, cancellation, parking, the end.

One engine a process. It never starts a run by itself: an abandoned or woken run is handed back to
its task's `requeue`, which decides when `execute` is called, so recovery obeys the same queues as
new work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal

import orjson
import structlog

from gateway.core.clock import Clock
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import (
    Bug,
    LeaseHeld,
    LeaseLost,
    NotFound,
    RunParked,
    RunQuarantined,
    RunTerminal,
    StoreUnavailable,
    TurngateError,
)
from gateway.core.ids import Ids, RunId, WorkerId
from gateway.core.tasks import Ending, TaskOwner
from gateway.runs.canonical import Json
from gateway.runs.context import Execution, RunContext
from gateway.runs.recovery import DRAINED, Recovery, recover
from gateway.runs.task import DurableTask, Finish, Manifest
from gateway.store.base.runs import (
    AbandonedRuns,
    AwaitKey,
    CountRecovery,
    EmitRunEvent,
    EndRun,
    ForgetKeys,
    GetRun,
    LoadSteps,
    OpenRun,
    ParkRun,
    ReleaseRun,
    RenewLeases,
    RequestCancel,
    RunRow,
    TakeRun,
    WakeableRuns,
)
from gateway.store.base.store import Durability, Store, Unit

LEASE_S = 30.0
"""How long a silent worker keeps its runs from others."""
RENEWALS = 3
"""Renewals per lease: two may be missed."""
FENCE_S = 5.0
"""How long before its lease ends a worker stops acting: its writes must not race the next owner."""
WATCH_S = 1.0
"""How often abandoned and woken runs are looked for when nothing tells."""
RETRY_S = 1.0
"""How soon a run is tried again after the store refused a write."""
PAGE = 200

log = structlog.get_logger(__name__)

Outcome = Literal["ended", "parked", "lost"]


class Engine:
    """Runs tasks durably on one store under one worker's name."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: Ids,
        tasks: Iterable[DurableTask] = (),
        lease_s: float = LEASE_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._worker = WorkerId(ids.new("w"))
        self._tasks = {task.name: task for task in tasks}
        self._lease_s = lease_s
        self._leased_until = clock.monotonic() + lease_s
        self._live: dict[RunId, Execution] = {}
        self._handed_out: set[RunId] = set()
        self._owner = TaskOwner("runs", _report)
        self._nudge = asyncio.Event()

    def register(self, task: DurableTask) -> None:
        """Make a kind of run known; before `start`."""
        self._tasks[task.name] = task

    def opening(self, run_id: RunId, manifest: Manifest, *, session_key: str = "") -> OpenRun:
        """The write that creates a run under this worker's lease, for the caller's unit."""
        now = self._clock.now_ms()
        return OpenRun(
            run_id,
            manifest.task,
            manifest.hash(),
            session_key,
            orjson.dumps(manifest.input).decode(),
            self._worker,
            now + round(self._lease_s * 1000),
            now,
        )

    async def start(self) -> None:
        """Hand out what a dead process left, then keep leases and watch for more."""
        self._leased_until = self._clock.monotonic() + self._lease_s
        await self._hand_out()
        self._owner.start("renew", self._renew(), ending=Ending.ETERNAL)
        self._owner.start("watch", self._watch(), ending=Ending.ETERNAL)

    async def execute(self, run_id: RunId, *, fresh: str = "") -> Outcome:
        """Execute a run to its end, its parking, or the loss of its lease.

        `fresh` names the task when the caller has just committed `opening`: there is nothing to
        take or replay then.
        Never raises what the task raised: that ends the run. Cancelled: the run stays unfinished
        and is handed out again by whoever starts next.
        """
        self._handed_out.discard(run_id)
        if run_id in self._live:
            return "lost"
        execution = Execution(run_id, 1, self._store, self._clock, self._ids)
        execution.task = asyncio.current_task()
        self._live[run_id] = execution
        try:
            return await self._execute(execution, fresh=fresh)
        except RunTerminal:
            return "ended"
        except (LeaseLost, LeaseHeld) as error:
            log.warning("run.lost", run_id=run_id, reason=str(error))
            return "lost"
        except StoreUnavailable as error:
            log.warning("run.store_unavailable", run_id=run_id, reason=str(error))
            self._owner.start(
                f"retry.{run_id}", self._hand_out_later(run_id), ending=Ending.CANCELLABLE
            )
            return "lost"
        finally:
            del self._live[run_id]

    async def cancel(self, run_id: RunId) -> None:
        """Ask a run to stop: at once here, at its next write elsewhere, on waking if parked.

        Raises `RunTerminal` when it has ended.
        """
        await self._store.commit(
            Unit((RequestCancel(run_id, self._clock.now_ms()),), durability=Durability.CRITICAL)
        )
        execution = self._live.get(run_id)
        if execution is not None:
            execution.stop_requested = True
            execution.interrupt()
        self._nudge.set()

    async def emit(self, run_id: RunId, key: str, payload: Json) -> bool:
        """Give a run an event; the first of a key wins. Returns whether this one did."""
        op = EmitRunEvent(run_id, key, orjson.dumps(payload).decode(), self._clock.now_ms())
        receipt = await self._store.commit(Unit((op,), durability=Durability.CRITICAL))
        self._nudge.set()
        return bool(receipt.rows[0])

    async def stop(self) -> None:
        """Give back every run still being executed; the next start goes on without counting it.

        Call after whoever calls `execute` was given time to finish. Their executions are over when
        this returns.
        """
        now = self._clock.now_ms()
        for execution in list(self._live.values()):
            execution.fenced = True
            release = ReleaseRun(execution.run_id, execution.epoch, DRAINED, now)
            try:
                await self._store.commit(Unit((release,)))
            except (LeaseLost, StoreUnavailable) as error:
                log.warning("run.not_released", run_id=execution.run_id, reason=str(error))
            if execution.task is not None:
                execution.task.cancel()
        await self._owner.close()

    @property
    def executing(self) -> int:
        """How many runs are being executed here."""
        return len(self._live)

    async def _execute(self, execution: Execution, *, fresh: str) -> Outcome:
        run_id = execution.run_id
        if fresh:
            task, recovery = self._tasks[fresh], None
        else:
            task, recovery = await self._take(execution)
        try:
            if recovery is not None and recovery.quarantine:
                raise RunQuarantined(
                    f"run {run_id} was interrupted {recovery.recoveries} times without progress"
                )
            finish = await task.run(RunContext(execution))
        except RunParked as parked:
            return await self._park(execution, task, parked)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:  # noqa: BLE001  # the boundary of a run: every failure ends it
            finish = await task.abandon(run_id, self._known(run_id, error))
        await self._end(execution, finish)
        return "ended"

    async def _take(self, execution: Execution) -> tuple[DurableTask, Recovery | None]:
        """Take the run's lease and load its records."""
        now = self._clock.now_ms()
        run_id = execution.run_id
        rows = await self._store.read(GetRun(run_id))
        if not rows:
            raise NotFound(f"there is no run {run_id!r}")
        row = rows[0]
        if row.ended_at is not None:
            raise RunTerminal(f"run {run_id} has ended: {row.status}")
        take = TakeRun(run_id, self._worker, now + round(self._lease_s * 1000), now)
        receipt = await self._store.commit(Unit((take, ForgetKeys(run_id))))
        execution.epoch = int(receipt.value(0))
        execution.stop_requested = bool(row.cancel_requested)
        steps = await self._store.read(LoadSteps(run_id))
        execution.records = {step.path: step for step in steps}
        if row.status == "suspended":
            return self._tasks[row.task], None
        recovery = recover(row, sum(step.status == "completed" for step in steps))
        count = CountRecovery(
            run_id, execution.epoch, recovery.recoveries, recovery.completed_steps
        )
        await self._store.commit(Unit((count,)))
        return self._tasks[row.task], recovery

    async def _end(self, execution: Execution, finish: Finish) -> None:
        end = EndRun(
            execution.run_id,
            execution.epoch,
            finish.status,
            orjson.dumps(finish.result).decode(),
            finish.error,
            self._clock.now_ms(),
        )
        unit = Unit((end, *finish.ops), finish.events, Durability.CRITICAL)
        crashpoint("turn.before_boundary")
        await self._store.commit(unit)
        crashpoint("turn.after_boundary")
        if finish.after is not None:
            finish.after()

    async def _park(self, execution: Execution, task: DurableTask, parked: RunParked) -> Outcome:
        pause = await task.pause(execution.run_id, parked.reason)
        park = ParkRun(
            execution.run_id,
            execution.epoch,
            parked.reason,
            parked.wake_at,
            self._clock.now_ms(),
        )
        waits = tuple(AwaitKey(execution.run_id, key) for key in parked.keys)
        unit = Unit((park, *waits, *pause.ops), pause.events, Durability.CRITICAL)
        await self._store.commit(unit)
        # The event may have come between the look and the parking.
        self._nudge.set()
        return "parked"

    def _known(self, run_id: RunId, error: Exception) -> TurngateError:
        if isinstance(error, TurngateError):
            log.info("run.failed", run_id=run_id, reason=str(error), error=type(error).__name__)
            return error
        error_id = self._ids.new("e")
        log.exception("run.bug", run_id=run_id, error_id=error_id)
        return Bug(f"an error nobody foresaw; its id is {error_id}", error_id=error_id)

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._lease_s / RENEWALS)
            asked = self._clock.monotonic()
            now = self._clock.now_ms()
            renew = RenewLeases(self._worker, now + round(self._lease_s * 1000), now)
            try:
                # Refused or late, the lease is what the last success made it.
                async with self._clock.timeout(self._lease_s / RENEWALS):
                    await self._store.commit(Unit((renew,)))
            except (StoreUnavailable, TimeoutError) as error:
                log.warning("lease.not_renewed", reason=str(error))
                if self._clock.monotonic() > self._leased_until - FENCE_S:
                    self._fence()
                continue
            if asked > self._leased_until - FENCE_S:
                # Too late: between then and now another worker may have taken over.
                self._fence()
            self._leased_until = asked + self._lease_s

    def _fence(self) -> None:
        log.error("lease.over", runs=len(self._live))
        for execution in self._live.values():
            execution.fenced = True
            execution.interrupt()

    async def _watch(self) -> None:
        while True:
            try:
                async with self._clock.timeout(WATCH_S):
                    await self._nudge.wait()
            except TimeoutError:
                pass
            self._nudge.clear()
            try:
                await self._hand_out()
            except StoreUnavailable as error:
                log.warning("runs.watch_failed", reason=str(error))

    async def _hand_out(self) -> None:
        """Give abandoned and woken runs to their tasks' queues, each once."""
        now = self._clock.now_ms()
        after = ""
        while rows := await self._store.read(AbandonedRuns(now, after, PAGE)):
            for row in rows:
                if self._handable(row):
                    steps = await self._store.read(LoadSteps(row.run_id))
                    done = sum(step.status == "completed" for step in steps)
                    self._requeue(row, alone=recover(row, done).alone)
            after = rows[-1].run_id
        after = ""
        while rows := await self._store.read(WakeableRuns(now, after, PAGE)):
            for row in rows:
                if self._handable(row):
                    self._requeue(row, alone=False)
            after = rows[-1].run_id

    def _handable(self, row: RunRow) -> bool:
        run_id = RunId(row.run_id)
        return run_id not in self._live and run_id not in self._handed_out

    def _requeue(self, row: RunRow, *, alone: bool) -> None:
        self._handed_out.add(RunId(row.run_id))
        self._tasks[row.task].requeue(row, alone=alone)

    async def _hand_out_later(self, run_id: RunId) -> None:
        """The store refused a write: the run is still ours, so it can go on at once."""
        while True:
            await self._clock.sleep(RETRY_S)
            try:
                rows = await self._store.read(GetRun(run_id))
            except StoreUnavailable:
                continue
            if rows and rows[0].status == "running" and self._handable(rows[0]):
                self._requeue(rows[0], alone=False)
            return


def _report(name: str, error: BaseException) -> None:
    log.error("task.failed", task=name, exc_info=error)
