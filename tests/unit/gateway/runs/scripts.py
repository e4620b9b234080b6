"""Small durable tasks, and processes that run them and die.

A `Process` is one engine on one store. Several on one store are several gateways; one after the
other on one file is a gateway that was killed and started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from gateway.core.clock import ManualClock
from gateway.core.errors import RunCancelled, RunQuarantined, TurngateError, describe
from gateway.core.ids import RunId, SequentialIds
from gateway.core.tasks import Ending, TaskOwner
from gateway.runs.attempts import Attempt
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.runs.engine import Engine, Outcome
from gateway.runs.task import Finish, Manifest, Pause
from gateway.store.base.runs import GetRun, RunRow
from gateway.store.base.steps import LoadSteps, StepRow
from gateway.store.base.store import Store, Unit
from gateway.store.sqlite.store import open_sqlite
from tests.unit.gateway.runs.stores import FlakyStore, advance, drive

R1 = RunId("r1")
T = TypeVar("T")
Body = Callable[[RunContext], Awaitable[Json]]


class Script:
    """A durable task that is one function; remembers what the engine asked of it."""

    def __init__(self, body: Body, *, name: str = "script") -> None:
        self.name = name
        self.body = body
        self.errors: list[TurngateError] = []
        self.paused: list[str] = []
        self.returned: asyncio.Queue[tuple[RunRow, bool]] = asyncio.Queue(maxsize=2000)

    async def run(self, context: RunContext) -> Finish:
        value = await self.body(context)
        return value if isinstance(value, Finish) else Finish("completed", value)

    async def abandon(self, run_id: RunId, error: TurngateError) -> Finish:
        self.errors.append(error)
        kind = describe(error).kind
        if isinstance(error, RunCancelled):
            return Finish("cancelled", error=kind)
        if isinstance(error, RunQuarantined):
            return Finish("quarantined", error=str(error))
        return Finish("failed", error=kind)

    async def pause(self, run_id: RunId, reason: str) -> Pause:
        self.paused.append(reason)
        return Pause()

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        self.returned.put_nowait((run, alone))


class Work:
    """Step work that is counted; waits where `hold` says, fails as often as `failures` says."""

    def __init__(self, result: Json = "done", *, failures: int = 0) -> None:
        self.result = result
        self.failures = failures
        self.attempts: list[Attempt] = []
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    def hold(self) -> Work:
        """Let the next call wait for `go_on`."""
        self.go_on.clear()
        return self

    @property
    def calls(self) -> int:
        return len(self.attempts)

    async def __call__(self, attempt: Attempt) -> Json:
        self.attempts.append(attempt)
        self.begun.set()
        await self.go_on.wait()
        if self.calls <= self.failures:
            raise ValueError("not this time")
        return self.result


class Process:
    """An engine, the task it runs, and what is being executed."""

    def __init__(
        self, store: FlakyStore, task: Script, clock: ManualClock, ids: SequentialIds
    ) -> None:
        self.store = store
        self.task = task
        self.clock = clock
        self.ids = ids
        self.engine = Engine(store=store, clock=clock, ids=ids, tasks=(task,))
        self.failed: list[BaseException] = []
        self._owner = TaskOwner("process", lambda _, error: self.failed.append(error))

    async def open(self, run_id: RunId = R1, input: Json = None) -> RunId:
        """Create a run under this process's lease."""
        manifest = Manifest(self.task.name, input)
        await self.store.commit(Unit((self.engine.opening(run_id, manifest),)))
        return run_id

    async def fresh(self, run_id: RunId = R1) -> Outcome:
        """Create a run and execute it, as a queue does that has just accepted it."""
        await self.open(run_id)
        return await self.engine.execute(run_id, fresh=self.task.name)

    def begin(self, work: Awaitable[T]) -> asyncio.Task[T]:
        """Let something, mostly an execution, go on beside the test."""

        async def body() -> T:
            return await work

        return self._owner.start("execution", body(), ending=Ending.CANCELLABLE)

    async def die(self) -> None:
        """Everything at work is gone at once; nothing is given back, nothing is ended."""
        await self._owner.close()

    async def pass_time(self, seconds: float) -> None:
        """Move the clock, never while the store owes an answer."""
        await advance(self.clock, self.store, seconds)

    async def drive(self, work: Awaitable[T]) -> T:
        """The result of something that takes time."""
        return await drive(self.clock, self.store, self.begin(work))

    async def resume(self) -> Outcome:
        """Execute the next run that is handed out."""
        run, _ = await self.drive(self.task.returned.get())
        return await self.engine.execute(RunId(run.run_id))


async def run_of(store: Store, run_id: RunId = R1) -> RunRow:
    """The run as it is recorded."""
    (row,) = await store.read(GetRun(run_id))
    return row


async def steps_of(store: Store, run_id: RunId = R1) -> dict[str, StepRow]:
    """The steps of a run as they are recorded, with everything that was posted so far."""
    await store.commit(Unit())
    return {step.path: step for step in await store.read(LoadSteps(run_id))}


@asynccontextmanager
async def life(file: Path, body: Body, clock: ManualClock) -> AsyncIterator[Process]:
    """A process on a file, from its start until it is killed."""
    store = FlakyStore(await open_sqlite(file))
    process = Process(store, Script(body), clock, SequentialIds())
    try:
        yield process
    finally:
        await process.die()
        await store.close()


async def nothing(run: RunContext) -> Json:
    return None
