"""Executes durable runs: taking, fencing, recovery, cancellation, parking, the end.

One engine a process. It never starts a run by itself: an abandoned or woken run is handed back to
its task's `requeue`, which decides when `execute` is called, so recovery obeys the same queues as
new work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Literal

import structlog

from gateway.core.clock import Clock
from gateway.core.errors import (
    Conflict,
    LeaseHeld,
    LeaseLost,
    NotFound,
    RunParked,
    RunQuarantined,
    RunTerminal,
    StoreUnavailable,
)
from gateway.core.ids import Chance, Ids, RunId, WorkerId, system_chance
from gateway.core.tasks import Ending, TaskOwner
from gateway.runs import ending
from gateway.runs.canonical import Json, json_text
from gateway.runs.context import RunContext
from gateway.runs.execution import UNBOUNDED, Execution, Working
from gateway.runs.lease import LEASE_S, Lease
from gateway.runs.records import Records
from gateway.runs.recovery import Recovery, recover
from gateway.runs.task import DurableTask, Manifest, Performer
from gateway.runs.watch import Watch
from gateway.store.base.runs import (
    CountRecovery,
    EmitRunEvent,
    ForgetKeys,
    GetRun,
    OpenRun,
    RequestCancel,
    RunRow,
    TakeRun,
)
from gateway.store.base.steps import LoadSteps
from gateway.store.base.store import Durability, NewEvent, Store, Unit
from gateway.telemetry.tasks import task_failed

STOP_S = 5.0
"""How long `stop` waits for executions it has cut short; what ignores that is not given back."""

log = structlog.get_logger(__name__)

Outcome = Literal["ended", "over", "parked", "lost"]
"""`ended`: here, together with all that the task's `Finish` holds. `over`: it had ended before, or
its task could not even say how; what should have become true with its end may not have."""


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
        chance: Chance | None = None,
    ) -> None:
        self._chance = chance or system_chance()
        self._store = store
        self._clock = clock
        self._ids = ids
        self._worker = WorkerId(ids.new("w"))
        self._tasks = {task.name: task for task in tasks}
        self._lease = Lease(
            store=store, clock=clock, worker=self._worker, on_over=self._fence, lease_s=lease_s
        )
        self._live: dict[RunId, Execution] = {}
        self._left = asyncio.Event()
        self._owner = TaskOwner("runs", task_failed)
        self._watch = Watch(
            store=store,
            clock=clock,
            tasks=self._tasks,
            live=self._live,
            worker=self._worker,
            stop=self._stop_here,
        )
        self._stopping = False

    def register(self, task: DurableTask) -> None:
        """Make a kind of run known; before `start`."""
        self._tasks[task.name] = task

    def opening(
        self,
        run_id: RunId,
        manifest: Manifest,
        *,
        session_key: str = "",
        principal: str = "",
    ) -> OpenRun:
        """The write that creates a run under this worker's lease, for the caller's unit."""
        now = self._clock.now_ms()
        return OpenRun(
            run_id,
            manifest.task,
            manifest.hash(),
            session_key,
            json_text(manifest.input),
            self._worker,
            self._lease.until(now),
            now,
            principal,
            run_id,
            json_text(dict(manifest.tags)),
        )

    async def start(self) -> None:
        """Hand out what a dead process left, then keep leases and watch for more."""
        await self._watch.look()
        self._owner.start("renew", self._lease.keep(), ending=Ending.ETERNAL)
        self._owner.start("watch", self._watch.keep(), ending=Ending.ETERNAL)

    async def execute(
        self,
        run_id: RunId,
        *,
        fresh: str = "",
        by: Performer | None = None,
        events: Sequence[NewEvent] = (),
        working: Working = UNBOUNDED,
    ) -> Outcome:
        """Execute a run to its end, its parking, or the loss of its lease.

        `fresh` names the task when the caller has just committed `opening`: there is nothing to
        take or replay then. Otherwise `events` hold if the run could be taken. `by` performs it
        instead of the registered task: that task with what the caller has at hand. A `lost` run is
        handed out again when it is still ours. The place `working` is given up for each write.
        Never raises what the task raised: that ends the run. Raises `NotFound` when there is no
        such run. Cancelled: the run stays unfinished and is handed out again by whoever starts
        next; only while the end itself is being written may it have ended.
        """
        # First, also for a call that gives way below: from now on the run may be handed out again.
        self._watch.taken(run_id)
        if self._stopping or run_id in self._live:
            return "lost"
        execution = Execution(
            run_id,
            1,
            self._store,
            self._clock,
            self._ids,
            task=asyncio.current_task(),
            working=working,
            chance=self._chance,
        )
        # Before the first wait: a second call, `cancel`, `emit` and the fence have to find it.
        self._live[run_id] = execution
        try:
            task, recovery = await self._begin(execution, fresh, tuple(events))
            return await self._perform(execution, by or task, recovery)
        except RunTerminal:
            return "over"
        except LeaseHeld as error:
            log.info("run.held", run_id=run_id, reason=str(error))
            return "lost"
        except (LeaseLost, StoreUnavailable) as error:
            return self._lose(run_id, str(error))
        except asyncio.CancelledError:
            # Cut short by `interrupt` it is ours to answer; cancelled by the caller as well, it is
            # not.
            if not execution.take_back():
                raise
            return self._lose(run_id, "it was cut short")
        finally:
            execution.take_back()  # a task that was deaf to it leaves it to us
            del self._live[run_id]
            self._left.set()

    async def cancel(self, run_id: RunId, *, events: Sequence[NewEvent] = ()) -> None:
        """Ask a run to stop: at once here, at its next write elsewhere, on waking if parked.

        `events` hold with the wish. A run that has nothing left to do but to write its end
        completes all the same. Raises `RunTerminal` when it has ended or never was. Cancelled: the
        wish may be written and not be passed on here; then it is seen at the next write.
        """
        wish = RequestCancel(run_id, self._clock.now_ms())
        # Durable before it is passed on: what is cut short here must find the wish on its replay.
        await self._store.commit(Unit((wish,), tuple(events), Durability.CRITICAL))
        self._stop_here(run_id)
        # A parked run is woken by the wish, to write its end.
        self._watch.nudge()

    def _stop_here(self, run_id: RunId) -> None:
        """Cut a run short if it is executed here and does not know yet."""
        execution = self._live.get(run_id)
        if execution is not None and not execution.stop_requested:
            execution.stop_requested = True
            execution.interrupt()

    async def emit(self, run_id: RunId, key: str, payload: Json) -> bool:
        """Give a run an event; the first of a key wins. Returns whether this one did.

        Raises `NotFound` when there is no such run.
        """
        op = EmitRunEvent(run_id, key, json_text(payload), self._clock.now_ms())
        try:
            receipt = await self._store.commit(Unit((op,), durability=Durability.CRITICAL))
        except Conflict as error:
            raise NotFound(f"there is no run {run_id!r}") from error
        # Both: whether it waits here or is parked may change while this was written.
        if run_id in self._live:
            self._live[run_id].emitted.set()
        self._watch.nudge()
        return bool(receipt.rows[0])

    def nudge(self) -> None:
        """Look immediately for runs that are due, after a caller has written one."""
        self._watch.nudge()

    async def idle(self) -> None:
        """Wait until nothing is executed here."""
        while self._live:
            self._left.clear()
            await self._left.wait()

    async def stop(self) -> None:
        """Cut every execution short and give its run back; the next start does not count that.

        Call after whoever calls `execute` was given time to finish: those calls return `lost`.
        """
        self._stopping = True
        await self._owner.close()
        stopped = list(self._live.values())
        for execution in stopped:
            # Fenced first: no write of it may follow the lease that is given back below.
            execution.fenced = True
            execution.interrupt()
        try:
            async with self._clock.timeout(STOP_S):
                await self.idle()
        except TimeoutError:
            log.error("runs.not_cut_short", runs=list(self._live))
        for execution in stopped:
            if execution.run_id not in self._live and not execution.settled:
                await ending.release(execution)

    @property
    def executing(self) -> int:
        """How many runs are being executed here."""
        return len(self._live)

    async def _perform(
        self, execution: Execution, task: Performer, recovery: Recovery | None
    ) -> Outcome:
        try:
            if recovery is not None and recovery.quarantine:
                raise RunQuarantined(
                    f"run {execution.run_id} was interrupted {recovery.recoveries} times "
                    "without progress"
                )
            try:
                finish = await task.run(RunContext(execution))
            except RunParked as parked:
                await ending.park(execution, task, parked)
                # The event may have come between the look and the parking.
                self._watch.nudge()
                return "parked"
            await ending.end(execution, finish)
        except (LeaseLost, StoreUnavailable):
            raise
        except Exception as error:  # noqa: BLE001  # the boundary of a run: every failure ends it
            return "ended" if await ending.abandon(execution, task, error) else "over"
        return "ended"

    async def _begin(
        self, execution: Execution, fresh: str, events: tuple[NewEvent, ...]
    ) -> tuple[DurableTask, Recovery | None]:
        """Take the run's lease and load its records; a fresh run has the one and not the other."""
        if fresh:
            return self._tasks[fresh], None
        now = self._clock.now_ms()
        run_id = execution.run_id
        rows = await self._store.read(GetRun(run_id))
        if not rows or rows[0].task not in self._tasks:
            raise NotFound(f"there is no run {run_id!r} of a task that is known here")
        row = rows[0]
        if row.ended_at is not None:
            raise RunTerminal(f"run {run_id} has ended: {row.status}")
        take = TakeRun(run_id, self._worker, self._lease.until(now), now)
        # With the lease its keys: an event that comes from here on finds a running run to tell, not
        # a parked one to wake a second time.
        await execution.take(Unit((take, ForgetKeys(run_id)), events))
        execution.root = RunId(row.root) if row.root else None
        # Never back to False: it may have been set here since the row was read.
        execution.stop_requested |= bool(row.cancel_requested)
        # Read under the new epoch: the former owner cannot add to them any more.
        execution.records = Records(await self._store.read(LoadSteps(run_id)))
        # Neither a parked run nor one this worker let go of was interrupted: nothing is counted.
        if row.status == "suspended" or self._is_ours(row, now):
            return self._tasks[row.task], None
        recovery = recover(row, execution.records.completed)
        count = CountRecovery(
            run_id, execution.epoch, recovery.recoveries, recovery.completed_steps
        )
        await execution.commit(Unit((count,)))
        return self._tasks[row.task], recovery

    def _lose(self, run_id: RunId, reason: str) -> Outcome:
        log.warning("run.lost", run_id=run_id, reason=reason)
        if not self._stopping:
            look = self._watch.look_again(run_id)
            self._owner.start(f"look_again.{run_id}", look, ending=Ending.CANCELLABLE)
        return "lost"

    def _is_ours(self, row: RunRow, now: int) -> bool:
        return row.status == "running" and row.holder == self._worker and row.lease_until > now

    def _fence(self) -> None:
        if self._live:
            log.error("lease.over", runs=list(self._live))
        for execution in self._live.values():
            execution.fenced = True
            execution.interrupt()
