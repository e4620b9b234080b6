"""What is written of a step: its beginning, its result or failure, and what the attempt used.

Each is one write fenced by the run's epoch, like the ways out of a run in `ending`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agents.base.tools import Effect
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import LeaseLost, RunCancelled, RunParked, TurngateError, describe
from gateway.runs.canonical import Json, json_text
from gateway.runs.execution import Execution
from gateway.runs.results import kept
from gateway.store.base.catalog import Op
from gateway.store.base.costs import ChargeRun
from gateway.store.base.steps import BeginStep, CompleteStep, FailStep, RecordStep
from gateway.store.base.store import Durability, Receipt, Unit

MAX_MESSAGE_CHARS = 2000
"""Longest message of a failed step that is kept."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a step; `key` is the same for every attempt, for idempotent effects.

    `noted` is what an earlier attempt had to say last, if it did and the note was not lost.
    """

    path: str
    number: int
    key: str
    noted: Json = None


async def attempt(
    live: Execution, begin: BeginStep, work: Callable[[Attempt], Awaitable[Json]], number: int
) -> Json:
    """Begin a step, do its work and write down what became of it; returns the result.

    Raises what the work raised, once that is written down. Control flow (`RunCancelled`,
    `LeaseLost`, `RunParked`) is no failure: the step stays begun.
    """
    begin = begin._replace(at=live.clock.now_ms())
    key = f"{live.run_id}:{begin.path}"
    attempt = Attempt(begin.path, number, key, live.notes.get(begin.path))
    crashpoint("step.before_begin")
    if begin.effect == Effect.PURE:
        # Nothing in the world hangs on the record of a beginning: it rides along.
        live.store.post(Unit((begin,), durability=Durability.POSTED))
    else:
        await live.commit(Unit((begin,), durability=Durability.CRITICAL))
        live.check()
    try:
        value = await live.interruptible(work(attempt))
        what = f"run {live.run_id}, step {begin.path} ({begin.intent})"
        result, blob = kept(what, value)
    except (RunCancelled, LeaseLost, RunParked):
        live.store.post(Unit(_costs(live, attempt), durability=Durability.POSTED))
        raise
    except Exception as error:
        await _close(live, begin, failure(live, begin.path, error), _costs(live, attempt))
        raise
    crashpoint("step.before_complete")
    done = CompleteStep(live.run_id, live.epoch, begin.path, result, live.clock.now_ms())
    receipt = await _close(live, begin, done, (*blob, *_costs(live, attempt)))
    crashpoint("step.after_complete")
    live.stop_requested |= any(bool(row[0]) for rows in receipt.rows.values() for row in rows)
    return value


async def record(
    live: Execution, path: str, intent: str, kind: str, mark: str, value: Json
) -> Json:
    """Begin and complete a step that takes no time; returns `value`.

    Raises `StepResultTooLarge`, `InvalidInput`, `LeaseLost`.
    """
    result, blob = kept(f"run {live.run_id}, step {path} ({intent})", value)
    now = live.clock.now_ms()
    op = RecordStep(live.run_id, live.epoch, path, intent, kind, mark, result, now)
    receipt = await live.commit(Unit((op, *blob)))
    live.stop_requested |= bool(receipt.value(0))
    return value


def failure(live: Execution, path: str, error: Exception) -> FailStep:
    """The write that says why an attempt gave no result."""
    kind = describe(error).kind if isinstance(error, TurngateError) else type(error).__name__
    message = str(error)[:MAX_MESSAGE_CHARS].encode(errors="replace").decode()
    said = json_text({"kind": kind, "message": message})
    return FailStep(live.run_id, live.epoch, path, said, live.clock.now_ms())


def _costs(live: Execution, attempt: Attempt) -> tuple[Op, ...]:
    return tuple(
        ChargeRun(live.run_id, live.epoch, attempt.path, attempt.number, model, *used)
        for model, used in live.charges.pop(attempt.path, {}).items()
    )


async def _close(
    live: Execution, begin: BeginStep, end: CompleteStep | FailStep, beside: tuple[Op, ...]
) -> Receipt:
    events = tuple(live.told.pop(begin.path, ()))
    try:
        return await live.commit(Unit((end, *beside), events))
    except LeaseLost:
        # A posted beginning may have gone down with its batch; a lost lease refuses it again.
        return await live.commit(Unit((begin, end, *beside), events))
