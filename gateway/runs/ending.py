"""How an execution leaves its run: ended, parked, given up on, or given back.

Each is one write fenced by the run's epoch; who executes it next finds either none of it or all.
"""

from __future__ import annotations

import structlog

from gateway.core.crashpoints import crashpoint
from gateway.core.errors import (
    Bug,
    LeaseLost,
    RunParked,
    StoreUnavailable,
    TurngateError,
    describe,
)
from gateway.runs.canonical import json_text
from gateway.runs.execution import Execution
from gateway.runs.recovery import DRAINED
from gateway.runs.results import kept
from gateway.runs.task import Finish, Performer, status_of
from gateway.store.base.runs import AwaitKey, EndRun, ParkRun, ReleaseRun
from gateway.store.base.store import Durability, Unit

log = structlog.get_logger(__name__)


async def end(execution: Execution, finish: Finish) -> None:
    """Give the run its one end, with what it leads to; raises `LeaseLost`, `StoreUnavailable`."""
    result, blob = kept(f"run {execution.run_id}", finish.result)
    op = EndRun(
        execution.run_id,
        execution.epoch,
        finish.status,
        result,
        finish.error,
        execution.clock.now_ms(),
        json_text(finish.outcome),
    )
    crashpoint("turn.before_boundary")
    await execution.settle(Unit((op, *blob, *finish.ops), finish.events, Durability.CRITICAL))
    crashpoint("turn.after_boundary")
    if finish.after is not None:
        try:
            finish.after()
        except Exception:  # a boundary: the run has ended, also if its follower fails
            log.exception("run.follower_failed", run_id=execution.run_id)


async def abandon(execution: Execution, task: Performer, error: Exception) -> bool:
    """End a run whose task raised, in the task's own way if it has one; whether it had.

    Raises `LeaseLost`, `StoreUnavailable`.
    """
    known = _known(execution, error)
    try:
        await end(execution, await task.abandon(execution.run_id, known))
    except (LeaseLost, StoreUnavailable):
        raise
    except Exception:  # a boundary: a run that cannot even be abandoned must not come back
        log.exception("run.not_abandoned", run_id=execution.run_id)
        await end(execution, Finish(status_of(known), error=describe(known).kind))
        return False
    return True


async def park(execution: Execution, task: Performer, parked: RunParked) -> None:
    """Give up task and lease until the run wakes."""
    pause = await task.pause(execution.run_id, parked.reason)
    op = ParkRun(
        execution.run_id,
        execution.epoch,
        parked.reason,
        parked.wake_at,
        execution.clock.now_ms(),
    )
    waits = tuple(AwaitKey(execution.run_id, key) for key in parked.keys)
    await execution.settle(Unit((op, *waits, *pause.ops), pause.events, Durability.CRITICAL))


async def release(execution: Execution) -> None:
    """Give the lease of an unfinished run back; the next start does not count this."""
    op = ReleaseRun(execution.run_id, execution.epoch, DRAINED, execution.clock.now_ms())
    try:
        await execution.store.commit(Unit((op,)))
    except (LeaseLost, StoreUnavailable) as error:
        log.warning("run.not_released", run_id=execution.run_id, reason=str(error))


def _known(execution: Execution, error: Exception) -> TurngateError:
    run_id = execution.run_id
    if isinstance(error, TurngateError):
        log.info("run.failed", run_id=run_id, reason=str(error), error=type(error).__name__)
        return error
    error_id = execution.ids.new("e")
    log.error("run.bug", run_id=run_id, error_id=error_id, exc_info=error)
    return Bug(f"an unexpected error; its id is {error_id}", error_id=error_id)
