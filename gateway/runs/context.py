"""What a durable task holds in its hands: steps, recorded time and ids, events, parking.

Each `step`, `record`, `await_event` or `branches` takes the next position of its scope when it is
called, so a replay meets the same records in the same places whatever the scheduler does. Nothing
here decides whether a run may go on: the engine does, through `Execution`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import orjson

from agents.base.tools import Effect
from gateway.core.clock import Clock
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import (
    AwaitEventTimeout,
    LeaseLost,
    RunCancelled,
    RunParked,
    StepDivergence,
    StepInputMismatch,
    StepOutcomeUnknown,
    StepResultTooLarge,
    TurngateError,
    describe,
)
from gateway.core.ids import Ids, RunId
from gateway.runs.canonical import Json, fingerprint
from gateway.store.base.runs import (
    AppendStream,
    BeginStep,
    CompleteStep,
    FailStep,
    GetRunEvent,
    RecordStep,
    StepRow,
)
from gateway.store.base.store import Durability, Store, Unit

MAX_RESULT_BYTES = 4 << 20
"""Largest step result; a run that needs more keeps a reference instead."""
MAX_STEPS = 2000
"""Most steps of a run: a loop that never ends is found before it fills the disk."""
DECISION_S = 3600.0
"""How long a person has to say whether an unsafe step happened."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a step; `key` is the same for every attempt, for idempotent effects."""

    path: str
    number: int
    key: str


@dataclass(slots=True, eq=False)
class Execution:
    """One execution of a run in this process; the engine flips the switches."""

    run_id: RunId
    epoch: int
    store: Store
    clock: Clock
    ids: Ids
    records: dict[str, StepRow] = field(default_factory=dict)
    stop_requested: bool = False
    fenced: bool = False
    working: int = 0
    task: asyncio.Task[object] | None = None
    streamed: int = 0

    def check(self) -> None:
        """Raise what ends the execution at this boundary."""
        if self.fenced:
            raise LeaseLost(f"run {self.run_id}: the lease is over; another worker may go on")
        if self.stop_requested:
            raise RunCancelled(f"run {self.run_id} was asked to stop")

    def interrupt(self) -> None:
        """Cancel what is being worked on; between two steps the next boundary sees the switch."""
        if self.working and self.task is not None:
            self.task.cancel()


class RunContext:
    """The durable side of one scope of one run."""

    def __init__(self, execution: Execution, scope: str = "") -> None:
        self._execution = execution
        self._scope = scope
        self._positions = itertools.count()

    @property
    def run_id(self) -> RunId:
        return self._execution.run_id

    async def step(
        self,
        intent: str,
        work: Callable[[Attempt], Awaitable[Json]],
        *,
        kind: str = "logic",
        effect: Effect = Effect.PURE,
        input: Json = None,
    ) -> Json:
        """The recorded result of `work`, executing it only if there is none.

        `input` is fingerprinted: the same position with other input is refused. A failure is
        recorded and raised; the next execution of the run tries again.

        Raises `StepDivergence`, `StepInputMismatch`, `RunCancelled`, `LeaseLost`, `RunParked` (an
        unsafe step was cut by a crash and an operator has to say what became of it),
        `StepOutcomeUnknown` (nobody said in time), `StepResultTooLarge`, `StoreUnavailable`.
        Cancelled: the step counts as interrupted.
        """
        path = self._next()
        mark = fingerprint(input) if input is not None else ""
        record = self._recorded(path, intent, mark)
        if record is not None and record.status == "completed":
            return orjson.loads(record.result or "null")
        live = self._execution
        live.check()
        if record is not None and record.status == "running" and effect is Effect.UNSAFE:
            decided = await self._decision(path, record)
            if decided is not None:
                return await self._record(path, intent, kind, mark, decided["result"])
        attempt = Attempt(path, record.attempts + 1 if record else 1, f"{live.run_id}:{path}")
        begin = BeginStep(
            live.run_id, live.epoch, path, intent, kind, effect.value, mark, live.clock.now_ms()
        )
        crashpoint("step.before_begin")
        if effect is Effect.PURE:
            # Nothing in the world hangs on the record of a beginning: it rides along.
            live.store.post(Unit((begin,), durability=Durability.POSTED))
        else:
            await live.store.commit(Unit((begin,), durability=Durability.CRITICAL))
        try:
            value = await self._work(work, attempt)
        except (RunCancelled, LeaseLost, RunParked):
            raise
        except Exception as error:
            await self._fail(path, error)
            raise
        crashpoint("step.before_complete")
        complete = CompleteStep(
            live.run_id, live.epoch, path, self._encode(intent, value), live.clock.now_ms()
        )
        receipt = await live.store.commit(Unit((complete,)))
        crashpoint("step.after_complete")
        live.stop_requested |= bool(receipt.value(0))
        return value

    async def record(self, intent: str, make: Callable[[], Json], *, kind: str = "logic") -> Json:
        """The recorded value of `make`, called only if there is none; it takes no time.

        Not awaited: the store keeps order, so nothing that was built on the value can become
        durable without it.
        """
        path = self._next()
        record = self._recorded(path, intent, "")
        if record is not None and record.status == "completed":
            return orjson.loads(record.result or "null")
        self._execution.check()
        return await self._record(path, intent, kind, "", make())

    async def closing(self, intent: str, make: Callable[[], Json]) -> Json:
        """Like `record`, for a run that was asked to stop: found by its name, not by a position.

        The replay of a stopped run may be cut at another place; what was said first still holds.
        """
        record = self._recorded(intent, intent, "")
        if record is not None and record.status == "completed":
            return orjson.loads(record.result or "null")
        return await self._record(intent, intent, "logic", "", make())

    async def now(self) -> int:
        """Wall time in milliseconds, the same in every execution."""
        clock = self._execution.clock
        value = await self.record("deterministic:now", clock.now_ms, kind="deterministic")
        return int(value)

    async def uuid(self) -> str:
        """A fresh id, the same in every execution."""
        ids = self._execution.ids
        value = await self.record("deterministic:uuid", lambda: ids.new("u"), kind="deterministic")
        return str(value)

    async def await_event(self, key: str, *, timeout_s: float, reason: str = "event") -> Json:
        """The payload the first emitter of `key` gave, before or after this call.

        Parks the run until then. Raises `AwaitEventTimeout` `timeout_s` after the first wait.
        """
        path = self._next()
        intent = f"event:{key}"
        record = self._recorded(path, intent, "")
        if record is not None and record.status == "completed":
            return orjson.loads(record.result or "null")
        live = self._execution
        live.check()
        found = await live.store.read(GetRunEvent(live.run_id, key))
        if found:
            return await self._record(path, intent, "event", "", orjson.loads(found[0].payload))
        now = live.clock.now_ms()
        began = record.started_at if record is not None else now
        deadline = began + round(timeout_s * 1000)
        if record is None:
            begin = BeginStep(
                live.run_id, live.epoch, path, intent, "event", Effect.PURE.value, "", now
            )
            live.store.post(Unit((begin,), durability=Durability.POSTED))
        if now >= deadline:
            raise AwaitEventTimeout(f"run {live.run_id}: no {key!r} within {timeout_s:g} s")
        raise RunParked(reason, wake_at=deadline, keys=(key,))

    async def branches(
        self, works: Sequence[tuple[str, Callable[[RunContext], Awaitable[T]]]]
    ) -> tuple[T, ...]:
        """Run named branches side by side, each in a scope of its own; results in their order.

        One position for all of them: a branch's steps are `<position>.<name>.<n>`. The first
        failure ends the others and is raised; a branch that parks lets the others finish first.
        """
        base = self._next()
        live = self._execution
        results: dict[str, T] = {}
        parked: list[RunParked] = []

        async def branch(name: str, work: Callable[[RunContext], Awaitable[T]]) -> None:
            try:
                results[name] = await work(RunContext(live, f"{base}.{name}."))
            except RunParked as wish:
                parked.append(wish)

        live.working += 1
        try:
            async with asyncio.TaskGroup() as group:
                for name, work in works:
                    group.create_task(branch(name, work), name=f"{live.run_id}.{base}.{name}")
        except asyncio.CancelledError:
            self._translate_interruption()
            raise
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from group_error
        finally:
            live.working -= 1
        if parked:
            wakes = [wish.wake_at for wish in parked if wish.wake_at is not None]
            keys = tuple(key for wish in parked for key in wish.keys)
            raise RunParked(parked[0].reason, wake_at=min(wakes, default=None), keys=keys)
        return tuple(results[name] for name, _ in works)

    def stream(self, body: Json) -> None:
        """Add to the run's live output: posted, read by cursor, gone some time after the end."""
        live = self._execution
        live.streamed += 1
        # Epochs apart: a later execution's output follows without reading where this one stopped.
        seq = live.epoch * 1_000_000 + live.streamed
        append = AppendStream(live.run_id, seq, orjson.dumps(body).decode(), live.clock.now_ms())
        live.store.post(Unit((append,), durability=Durability.POSTED))

    def _next(self) -> str:
        position = next(self._positions)
        if position >= MAX_STEPS:
            raise StepDivergence(f"run {self.run_id} has more than {MAX_STEPS} steps in one scope")
        return f"{self._scope}{position}"

    def _recorded(self, path: str, intent: str, mark: str) -> StepRow | None:
        record = self._execution.records.get(path)
        if record is None:
            return None
        if record.intent != intent:
            raise StepDivergence(
                f"run {self.run_id}, step {path}: recorded as {record.intent!r}, now {intent!r}"
            )
        if mark and record.fingerprint and mark != record.fingerprint:
            raise StepInputMismatch(
                f"run {self.run_id}, step {path} ({intent}): recorded with other input"
            )
        return record

    async def _record(self, path: str, intent: str, kind: str, mark: str, value: Json) -> Json:
        live = self._execution
        op = RecordStep(
            live.run_id,
            live.epoch,
            path,
            intent,
            kind,
            mark,
            self._encode(intent, value),
            live.clock.now_ms(),
        )
        live.store.post(Unit((op,), durability=Durability.POSTED))
        return value

    async def _work(self, work: Callable[[Attempt], Awaitable[Json]], attempt: Attempt) -> Json:
        live = self._execution
        live.working += 1
        try:
            return await work(attempt)
        except asyncio.CancelledError:
            self._translate_interruption()
            raise
        finally:
            live.working -= 1

    def _translate_interruption(self) -> None:
        """Our own cancellation becomes what it means; anybody else's goes through."""
        live = self._execution
        current = asyncio.current_task()
        if current is None or current is not live.task:
            return
        if live.fenced or live.stop_requested:
            current.uncancel()
            live.check()

    async def _decision(self, path: str, record: StepRow) -> dict[str, Json] | None:
        """What an operator said of a cut unsafe step: None means it did not run, run it now."""
        live = self._execution
        key = f"decision:{path}"
        found = await live.store.read(GetRunEvent(live.run_id, key))
        if found:
            said: dict[str, Json] = orjson.loads(found[0].payload)
            return None if said["decision"] == "did_not_run" else {"result": said.get("result")}
        deadline = record.started_at + round(DECISION_S * 1000)
        if live.clock.now_ms() >= deadline:
            raise StepOutcomeUnknown(
                f"run {live.run_id}, step {path} ({record.intent}) was cut while it ran and nobody "
                "said whether it happened"
            )
        raise RunParked("decision", wake_at=deadline, keys=(key,))

    async def _fail(self, path: str, error: Exception) -> None:
        live = self._execution
        kind = describe(error).kind if isinstance(error, TurngateError) else type(error).__name__
        said = orjson.dumps({"kind": kind, "message": str(error)[:2000]}).decode()
        op = FailStep(live.run_id, live.epoch, path, said, live.clock.now_ms())
        await live.store.commit(Unit((op,)))

    def _encode(self, intent: str, value: Json) -> str:
        try:
            text = orjson.dumps(value)
        except TypeError as error:
            raise StepDivergence(f"run {self.run_id}, step {intent}: {error}") from error
        if len(text) > MAX_RESULT_BYTES:
            raise StepResultTooLarge(
                f"run {self.run_id}, step {intent}: the result has {len(text)} bytes, "
                f"at most {MAX_RESULT_BYTES} are kept; keep a reference instead"
            )
        return text.decode()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group of branches, however deep it was wrapped."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
