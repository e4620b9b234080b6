"""What a durable task holds in its hands: steps, recorded time and ids, events, parking.

Each `step`, `record`, `sleep`, `await_event` or `branches` takes the next position of its scope
when it is called, so a replay meets the same records in the same places in any order of scheduling.
Steps that shall run side by side are `branches`. Nothing here decides whether a run may go on: the
engine does, through `Execution`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import orjson

from agents.base.tools import Effect
from gateway.core.errors import (
    AwaitEventTimeout,
    LeaseLost,
    RunCancelled,
    RunParked,
    StepOutcomeUnknown,
)
from gateway.core.ids import RunId
from gateway.runs import attempts
from gateway.runs.attempts import Attempt
from gateway.runs.canonical import Json, fingerprint, json_text
from gateway.runs.execution import Execution
from gateway.runs.retry import ONCE, RetryPolicy
from gateway.store.base.runs import AppendStream, GetRunEvent, RunEventRow
from gateway.store.base.steps import (
    BeginStep,
    NoteStep,
    StepRow,
)
from gateway.store.base.store import Durability, NewEvent, Unit

DECISION_S = 3600.0
"""How long a person has to say whether an unsafe step happened."""
HOLD_S = 5.0
"""Longest wait that keeps its place in the process: parking costs two writes and a replay."""
POLL_S = 0.25
"""How soon such a wait sees an event that another process was given."""
MAX_STREAMED = 100_000
"""Maximum number of pieces of live output of one execution; what comes after is dropped."""

T = TypeVar("T")


def decision_key(path: str, attempts: int) -> str:
    """The event that says what became of an unsafe step whose last attempt was cut short.

    Its payload is `{"decision": "ran", "result": …}`, `{"decision": "did_not_run"}` (run it now),
    or `{"decision": "skip", "result": …}` (it did not, and shall not).
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

    @property
    def root(self) -> RunId:
        """The run that set this one off in the end, mostly itself."""
        return self._execution.root or self._execution.run_id

    async def step(
        self,
        intent: str,
        work: Callable[[Attempt], Awaitable[Json]],
        *,
        kind: str = "logic",
        effect: Effect = Effect.PURE,
        input: Json = None,
        retry: RetryPolicy = ONCE,
    ) -> Json:
        """The recorded result of `work`, executing it only if there is none.

        `input` is fingerprinted: the same position with other input is refused. A failure is
        recorded; `retry` says whether it is tried again here, which an unsafe step never is. Else
        it is raised, and the next execution tries again: what a task wants to live with is a
        result, not an exception.

        Raises `StepDivergence`, `TooManySteps`, `StepInputMismatch`, `RunParked` (an unsafe step
        was cut short and an operator has to say what became of it), `StepOutcomeUnknown` (nobody
        said in time), `StepResultTooLarge`, `InvalidInput` (the result is not JSON).
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
                return await attempts.record(live, path, intent, kind, mark, decided["result"])
        if record is not None and record.result is not None:
            live.notes.setdefault(path, orjson.loads(record.result))
        begin = BeginStep(live.run_id, live.epoch, path, intent, kind, effect.value, mark, 0)
        number, began = record.attempts if record else 0, live.clock.monotonic()
        while True:
            number += 1
            try:
                return await attempts.attempt(live, begin, work, number)
            except (RunCancelled, LeaseLost, RunParked):
                raise
            except Exception as error:
                elapsed = live.clock.monotonic() - began
                pause = retry.pause_s(error, attempts=number, elapsed_s=elapsed, chance=live.chance)
                if pause is None or effect is Effect.UNSAFE:
                    raise
                await live.interruptible(live.clock.sleep(pause))
                live.check()

    async def record(self, intent: str, make: Callable[[], Json], *, kind: str = "logic") -> Json:
        """The recorded value of `make`, called only if there is none; it takes no time."""
        path = self._next()
        record = self._execution.records.step(path, intent)
        if record is not None and record.status == "completed":
            return orjson.loads(record.result or "null")
        self._execution.check()
        return await attempts.record(self._execution, path, intent, kind, "", make())

    async def closing(self, intent: str, make: Callable[[], Json]) -> Json:
        """Like `record`, for a run that was asked to stop: found by its name, not by a position.

        The replay of a stopped run may be cut at another place; what was said first still holds.
        """
        record = self._execution.records.step(intent, intent)
        if record is not None and record.status == "completed":
            return orjson.loads(record.result or "null")
        return await attempts.record(self._execution, intent, intent, "logic", "", make())

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

    async def sleep(self, seconds: float) -> None:
        """Go on `seconds` after this was first called, in whatever process.

        Parks the run, unless there is little left to wait.
        """
        live = self._execution
        made = live.clock.now_ms() + round(seconds * 1000)
        due = int(await self.record("sleep", lambda: made, kind="event"))
        left = (due - live.clock.now_ms()) / 1000
        if left <= 0:
            return
        if left > HOLD_S:
            raise RunParked("timer", wake_at=due)
        await live.interruptible(live.clock.sleep(left))
        live.check()

    async def await_event(self, key: str, *, timeout_s: float, reason: str = "event") -> Json:
        """The payload the first emitter of `key` gave, before or after this call.

        Parks the run until then, unless there is little left to wait. Raises `AwaitEventTimeout`
        `timeout_s` after the first wait, and again in every later execution, whatever was emitted
        since.
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
        found = await self._heard(key)
        if found is not None:
            return await attempts.record(
                live, path, intent, "event", "", orjson.loads(found.payload)
            )
        now = live.clock.now_ms()
        if record is None:
            pure = Effect.PURE.value
            begin = BeginStep(live.run_id, live.epoch, path, intent, "event", pure, "", now)
            await live.commit(Unit((begin,)))
        deadline = (record.started_at if record is not None else now) + round(timeout_s * 1000)
        if deadline - now > HOLD_S * 1000:
            raise RunParked(reason, wake_at=deadline, keys=(key,))
        found = await self._heard(key, until=deadline)
        if found is None:
            await live.commit(Unit((attempts.failure(live, path, late),)))
            raise late
        return await attempts.record(live, path, intent, "event", "", orjson.loads(found.payload))

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
        if live.streamed >= MAX_STREAMED:
            return
        live.streamed += 1
        # Epochs apart: a later execution's output follows without reading where this one stopped.
        seq = live.epoch * 1_000_000 + live.streamed
        append = AppendStream(live.run_id, seq, json_text(body), live.clock.now_ms())
        live.store.post(Unit((append,), durability=Durability.POSTED))

    def note(self, attempt: Attempt, value: Json) -> None:
        """Tell the next attempt how far this one has come: posted, so a crash may lose the last."""
        live = self._execution
        live.notes[attempt.path] = value
        note = NoteStep(live.run_id, live.epoch, attempt.path, json_text(value))
        live.store.post(Unit((note,), durability=Durability.POSTED))

    def charge(self, attempt: Attempt, model: str, *, tokens_in: int, tokens_out: int) -> None:
        """Note a call of a model by this attempt; written down with the attempt's end."""
        live = self._execution
        calls = live.charges.setdefault(attempt.path, {})
        was = calls.get(model, (0, 0, 0))
        calls[model] = (was[0] + 1, was[1] + tokens_in, was[2] + tokens_out)

    def tell(self, attempt: Attempt, event: NewEvent) -> None:
        """Note an entry of the log; written down with the attempt's end."""
        self._execution.told.setdefault(attempt.path, []).append(event)

    def _next(self) -> str:
        self._execution.count_position()
        return f"{self._scope}{next(self._positions)}"

    async def _heard(self, key: str, *, until: int | None = None) -> RunEventRow | None:
        """The event of a key if it has come; given `until` (ms), as soon as it comes."""
        live = self._execution
        while True:
            live.emitted.clear()
            for row in await live.store.read(GetRunEvent(live.run_id, key)):
                return row
            left = 0.0 if until is None else (until - live.clock.now_ms()) / 1000
            if left <= 0:
                return None
            with suppress(TimeoutError):
                async with live.clock.timeout(min(left, POLL_S)):
                    await live.interruptible(live.emitted.wait())
            live.check()

    async def _decision(self, path: str, record: StepRow) -> dict[str, Json] | None:
        """What an operator said of a cut unsafe step: None means it did not run, run it now."""
        live = self._execution
        key = decision_key(path, record.attempts)
        asked_path, intent = f"{path}!{record.attempts}", f"ask:{key}"
        asked = live.records.step(asked_path, intent)
        if asked is not None:
            asked_at = int(orjson.loads(asked.result or "0"))
        else:
            asked_at = await attempts.record(
                live, asked_path, intent, "event", "", live.clock.now_ms()
            )
        deadline = asked_at + round(DECISION_S * 1000)
        found = await live.store.read(GetRunEvent(live.run_id, key))
        if found and found[0].emitted_at <= deadline:
            match orjson.loads(found[0].payload):
                case {"decision": "did_not_run"}:
                    return None
                case {"decision": "ran" | "skip", **said}:
                    return {"result": said.get("result")}
        elif live.clock.now_ms() < deadline:
            raise RunParked("decision", wake_at=deadline, keys=(key,))
        raise StepOutcomeUnknown(
            f"run {live.run_id}, step {path} ({record.intent}) was cut short while it ran and "
            "no operator has said whether it happened"
        )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure of a group of branches, however deep it was wrapped."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
