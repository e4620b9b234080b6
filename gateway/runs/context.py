"""What a durable task holds in its hands: steps, recorded time and ids, events, parking.

Each `step`, `record`, `await_event` or `branches` takes the next position of its scope when it is
called, so a replay meets the same records in the same places whatever the scheduler does. Steps
that shall run side by side are `branches`. Nothing here decides whether a run may go on: the engine
does, through `Execution`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import orjson

from agents.base.tools import Effect
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import (
    AwaitEventTimeout,
    InvalidInput,
    LeaseLost,
    RunCancelled,
    RunParked,
    StepOutcomeUnknown,
    StepResultTooLarge,
    TurngateError,
    describe,
)
from gateway.core.ids import RunId
from gateway.runs.canonical import Json, fingerprint, json_text
from gateway.runs.execution import Execution
from gateway.store.base.runs import (
    AppendStream,
    BeginStep,
    CompleteStep,
    FailStep,
    GetRunEvent,
    RecordStep,
    StepRow,
)
from gateway.store.base.store import Durability, Receipt, Unit

MAX_RESULT_BYTES = 4 << 20
"""Largest result of a step or a run; one that needs more keeps a reference instead."""
DECISION_S = 3600.0
"""How long a person has to say whether an unsafe step happened."""
MAX_MESSAGE_CHARS = 2000
"""Longest message of a failed step that is kept."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a step; `key` is the same for every attempt, for idempotent effects."""

    path: str
    number: int
    key: str


def decision_key(path: str, attempts: int) -> str:
    """The event that says what became of an unsafe step whose last attempt was cut short.

    Its payload is `{"decision": "ran", "result": …}` or `{"decision": "did_not_run"}`.
    """
    return f"decision:{path}:{attempts}"


class RunContext:
    """The durable side of one scope of one run.

    Every method raises `RunCancelled` once the run was asked to stop and `LeaseLost` once it is
    somebody else's; a task lets both through, or ends by itself after the first. Cancelling any of
    them leaves what was recorded, and the next execution goes on from there.
    """

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
        recorded and raised, and the next execution tries again: what a task wants to live with is a
        result, not an exception.

        Raises `StepDivergence`, `StepInputMismatch`, `RunParked` (an unsafe step was cut short and
        an operator has to say what became of it), `StepOutcomeUnknown` (nobody said in time),
        `StepResultTooLarge`, `InvalidInput` (the result is not JSON).
        """
        path = self._next()
        mark = fingerprint(input) if input is not None else ""
        record = self._execution.records.step(path, intent, mark)
        if record is not None and record.status == "completed":
            return orjson.loads(record.result or "null")
        live = self._execution
        live.check()
        if record is not None and Effect.UNSAFE in (effect, record.effect):
            decided = await self._decision(path, record)
            if decided is not None:
                return await self._record(path, intent, kind, mark, decided["result"])
        begin = BeginStep(
            live.run_id, live.epoch, path, intent, kind, effect.value, mark, live.clock.now_ms()
        )
        crashpoint("step.before_begin")
        if effect is Effect.PURE:
            # Nothing in the world hangs on the record of a beginning: it rides along.
            live.store.post(Unit((begin,), durability=Durability.POSTED))
        else:
            await live.commit(Unit((begin,), durability=Durability.CRITICAL))
            live.check()
        attempt = Attempt(path, record.attempts + 1 if record else 1, f"{live.run_id}:{path}")
        return await self._attempt(begin, work, attempt)

    async def record(self, intent: str, make: Callable[[], Json], *, kind: str = "logic") -> Json:
        """The recorded value of `make`, called only if there is none; it takes no time."""
        path = self._next()
        record = self._execution.records.step(path, intent)
        if record is not None and record.status == "completed":
            return orjson.loads(record.result or "null")
        self._execution.check()
        return await self._record(path, intent, kind, "", make())

    async def closing(self, intent: str, make: Callable[[], Json]) -> Json:
        """Like `record`, for a run that was asked to stop: found by its name, not by a position.

        The replay of a stopped run may be cut at another place; what was said first still holds.
        """
        record = self._execution.records.step(intent, intent)
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

        Parks the run until then. Raises `AwaitEventTimeout` `timeout_s` after the first wait, and
        again in every later execution, whatever was emitted since.
        """
        path = self._next()
        intent = f"event:{key}"
        record = self._execution.records.step(path, intent)
        if record is not None and record.status == "completed":
            return orjson.loads(record.result or "null")
        live = self._execution
        late = AwaitEventTimeout(f"run {live.run_id}: no {key!r} within {timeout_s:g} s")
        if record is not None and record.status == "failed":
            raise late
        live.check()
        found = await live.store.read(GetRunEvent(live.run_id, key))
        if found:
            return await self._record(path, intent, "event", "", orjson.loads(found[0].payload))
        now = live.clock.now_ms()
        if record is None:
            pure = Effect.PURE.value
            begin = BeginStep(live.run_id, live.epoch, path, intent, "event", pure, "", now)
            await live.commit(Unit((begin,)))
        deadline = (record.started_at if record is not None else now) + round(timeout_s * 1000)
        if now >= deadline:
            await live.commit(Unit((self._failure(path, late),)))
            raise late
        raise RunParked(reason, wake_at=deadline, keys=(key,))

    async def branches(
        self, works: Sequence[tuple[str, Callable[[RunContext], Awaitable[T]]]]
    ) -> tuple[T, ...]:
        """Run named branches side by side, each in a scope of its own; results in their order.

        One position for all of them: a branch's steps are `<position>.<name>.<n>`. The first
        failure ends the others and is raised; a branch that parks lets the others finish first.
        """
        base = self._next()
        self._execution.records.check_branches(base, [name for name, _ in works])
        results: dict[str, T] = {}
        parked: list[RunParked] = []

        async def branch(name: str, work: Callable[[RunContext], Awaitable[T]]) -> None:
            try:
                results[name] = await work(RunContext(self._execution, f"{base}.{name}."))
            except RunParked as wish:
                parked.append(wish)

        async def side_by_side() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    for name, work in works:
                        group.create_task(branch(name, work), name=f"{self.run_id}.{base}.{name}")
            except BaseExceptionGroup as group_error:
                raise _first(group_error) from group_error

        await self._execution.interruptible(side_by_side())
        if parked:
            self._execution.check()
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
        append = AppendStream(live.run_id, seq, json_text(body), live.clock.now_ms())
        live.store.post(Unit((append,), durability=Durability.POSTED))

    def _next(self) -> str:
        self._execution.count_position()
        return f"{self._scope}{next(self._positions)}"

    async def _attempt(
        self, begin: BeginStep, work: Callable[[Attempt], Awaitable[Json]], attempt: Attempt
    ) -> Json:
        """Do the work of a step that has begun and write down what became of it."""
        live = self._execution
        try:
            value = await live.interruptible(work(attempt))
            result = encode_result(f"run {live.run_id}, step {begin.path} ({begin.intent})", value)
        except (RunCancelled, LeaseLost, RunParked):
            raise
        except Exception as error:
            await self._close_step(begin, self._failure(begin.path, error))
            raise
        crashpoint("step.before_complete")
        done = CompleteStep(live.run_id, live.epoch, begin.path, result, live.clock.now_ms())
        receipt = await self._close_step(begin, done)
        crashpoint("step.after_complete")
        live.stop_requested |= any(bool(row[0]) for rows in receipt.rows.values() for row in rows)
        return value

    async def _close_step(self, begin: BeginStep, end: CompleteStep | FailStep) -> Receipt:
        try:
            return await self._execution.commit(Unit((end,)))
        except LeaseLost:
            # A posted beginning may have gone down with its batch; a lost lease refuses it again.
            return await self._execution.commit(Unit((begin, end)))

    async def _record(self, path: str, intent: str, kind: str, mark: str, value: Json) -> Json:
        live = self._execution
        result = encode_result(f"run {live.run_id}, step {path} ({intent})", value)
        now = live.clock.now_ms()
        op = RecordStep(live.run_id, live.epoch, path, intent, kind, mark, result, now)
        receipt = await live.commit(Unit((op,)))
        live.stop_requested |= bool(receipt.value(0))
        return value

    async def _decision(self, path: str, record: StepRow) -> dict[str, Json] | None:
        """What an operator said of a cut unsafe step: None means it did not run, run it now."""
        live = self._execution
        key = decision_key(path, record.attempts)
        asked_path, intent = f"{path}!{record.attempts}", f"ask:{key}"
        asked = live.records.step(asked_path, intent)
        if asked is not None:
            asked_at = int(orjson.loads(asked.result or "0"))
        else:
            asked_at = await self._record(asked_path, intent, "event", "", live.clock.now_ms())
        deadline = asked_at + round(DECISION_S * 1000)
        found = await live.store.read(GetRunEvent(live.run_id, key))
        if found and found[0].emitted_at <= deadline:
            match orjson.loads(found[0].payload):
                case {"decision": "did_not_run"}:
                    return None
                case {"decision": "ran", **said}:
                    return {"result": said.get("result")}
        elif live.clock.now_ms() < deadline:
            raise RunParked("decision", wake_at=deadline, keys=(key,))
        raise StepOutcomeUnknown(
            f"run {live.run_id}, step {path} ({record.intent}) was cut short while it ran and "
            "nobody said whether it happened"
        )

    def _failure(self, path: str, error: Exception) -> FailStep:
        live = self._execution
        kind = describe(error).kind if isinstance(error, TurngateError) else type(error).__name__
        message = str(error)[:MAX_MESSAGE_CHARS].encode(errors="replace").decode()
        said = json_text({"kind": kind, "message": message})
        return FailStep(live.run_id, live.epoch, path, said, live.clock.now_ms())


def encode_result(what: str, value: Json) -> str:
    """The text of a result as it is kept; raises `InvalidInput` or `StepResultTooLarge`."""
    try:
        text = json_text(value)
    except InvalidInput as error:
        raise InvalidInput(f"{what}: the result is not JSON: {error}") from error
    size = len(text.encode())
    if size > MAX_RESULT_BYTES:
        raise StepResultTooLarge(
            f"{what}: the result has {size} bytes, at most {MAX_RESULT_BYTES} are kept; "
            "keep a reference instead"
        )
    return text


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group of branches, however deep it was wrapped."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
