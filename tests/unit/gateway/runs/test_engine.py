"""A run ends once, by its owner, together with what it leads to."""

from __future__ import annotations

import pytest
import structlog

from gateway.core.clock import ManualClock
from gateway.core.errors import (
    Bug,
    Conflict,
    InvalidInput,
    NotFound,
    RunQuarantined,
    RunTerminal,
    TurngateError,
)
from gateway.core.ids import RunId, SequentialIds
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.runs.engine import Engine
from gateway.runs.task import Finish, Manifest, Pause
from gateway.store.base.bindings import RemoveBinding
from gateway.store.base.events import ReadEvents
from gateway.store.base.runs import EndRun
from gateway.store.base.store import Durability, NewEvent, Unit
from tests.unit.gateway.runs.conftest import Start
from tests.unit.gateway.runs.scripts import R1, Process, Script, Work, nothing, run_of
from tests.unit.gateway.runs.stores import FlakyStore


async def test_what_a_run_leads_to_holds_with_its_end(start: Start, store: FlakyStore) -> None:
    """One critical unit; its follower is called once it holds."""
    flaky = FlakyStore(store)
    followed: list[str] = []

    async def body(run: RunContext) -> Json:
        def after() -> None:
            followed.append(flaky.commits[-1].events[0].kind)

        return Finish("completed", [1], events=(NewEvent(1, "told"),), after=after)

    process = start(body, on=flaky)
    assert await process.fresh() == "ended"
    unit = flaky.commits[-1]
    assert isinstance(unit.ops[0], EndRun)
    assert unit.durability is Durability.CRITICAL
    assert followed == ["told"]
    assert [event.kind for event in await store.read(ReadEvents(0, 10))] == ["told"]


async def test_an_ended_run_is_not_executed_again(start: Start, store: FlakyStore) -> None:
    """Its end is its end."""
    work = Work()
    process = start(lambda run: run.step("work", work))
    assert await process.fresh() == "ended"
    assert await process.engine.execute(R1) == "over"
    assert work.calls == 1


async def test_a_run_is_executed_once_at_a_time(start: Start) -> None:
    """The second call gives way."""
    work = Work().hold()
    process = start(lambda run: run.step("work", work))
    first = process.begin(process.fresh())
    await work.begun.wait()
    assert process.engine.executing == 1
    assert await process.engine.execute(R1) == "lost"
    work.go_on.set()
    assert await first == "ended"
    assert (work.calls, process.engine.executing) == (1, 0)


async def test_a_run_nobody_knows_is_not_found(start: Start, store: FlakyStore) -> None:
    """Neither executed nor given events; asking it to stop says that there is nothing to stop."""
    process = start(nothing)
    with pytest.raises(NotFound, match="no run 'r1'"):
        await process.engine.execute(R1)
    with pytest.raises(NotFound, match="no run 'r1'"):
        await process.engine.emit(R1, "go", None)
    with pytest.raises(RunTerminal):
        await process.engine.cancel(R1)
    await process.open()
    other = Engine(store=store, clock=process.clock, ids=process.ids)
    with pytest.raises(NotFound, match="of a task that is known here"):
        await other.execute(R1)


async def test_a_kind_of_run_may_be_made_known_later(store: FlakyStore, clock: ManualClock) -> None:
    """A task may need the engine before the engine knows the task."""
    process = Process(store, Script(nothing), clock, SequentialIds())
    process.engine.register(Script(nothing, name="other"))
    manifest = Manifest("other", None)
    await store.commit(Unit((process.engine.opening(R1, manifest),)))
    assert await process.engine.execute(R1) == "ended"


async def test_a_foreign_exception_ends_the_run_and_tells_nothing(
    start: Start, store: FlakyStore
) -> None:
    """Outside there is an id; the log has the rest under it."""

    async def body(run: RunContext) -> Json:
        raise KeyError("/etc/internal: hunter2")

    process = start(body)
    with structlog.testing.capture_logs() as lines:
        assert await process.fresh() == "ended"
    (error,) = process.task.errors
    assert isinstance(error, Bug)
    assert error.error_id
    assert str(error) == f"an unexpected error; its id is {error.error_id}"
    run = await run_of(store)
    assert (run.status, run.error) == ("failed", "internal")
    (line,) = [line for line in lines if line["event"] == "run.bug"]
    assert line["error_id"] == error.error_id
    assert isinstance(line["exc_info"], KeyError)


async def test_a_known_error_reaches_the_task_as_it_is(start: Start, store: FlakyStore) -> None:
    """The task says how such a run ends."""

    async def body(run: RunContext) -> Json:
        raise Conflict("moved on")

    process = start(body)
    assert await process.fresh() == "ended"
    assert str(process.task.errors[0]) == "moved on"
    assert (await run_of(store)).error == "conflict"


async def test_an_end_that_is_refused_is_an_end_all_the_same(
    start: Start, store: FlakyStore
) -> None:
    """What should have held with it does not: the task ends the run in another way."""

    async def body(run: RunContext) -> Json:
        return Finish("completed", ops=(RemoveBinding("gone"),), events=(NewEvent(1, "told"),))

    process = start(body)
    assert await process.fresh() == "ended"
    assert isinstance(process.task.errors[0], NotFound)
    assert (await run_of(store)).status == "failed"
    assert await store.read(ReadEvents(0, 10)) == []


class Hopeless(Script):
    """Cannot even be abandoned."""

    def __init__(self, way: str) -> None:
        super().__init__(nothing)
        self.way = way

    async def run(self, context: RunContext) -> Finish:
        raise RunQuarantined if self.way == "quarantined" else ValueError

    async def abandon(self, run_id: RunId, error: TurngateError) -> Finish:
        if self.way == "refused":
            return Finish("failed", ops=(RemoveBinding("gone"),))
        raise IndexError("no inputs")


@pytest.mark.parametrize(
    ("way", "status", "error"),
    [
        ("raises", "failed", "internal"),
        ("refused", "failed", "internal"),
        ("quarantined", "quarantined", "run_quarantined"),
    ],
)
async def test_a_run_that_cannot_be_abandoned_ends_alone(
    store: FlakyStore, clock: ManualClock, way: str, status: str, error: str
) -> None:
    """It would come back for ever."""
    process = Process(store, Hopeless(way), clock, SequentialIds())
    assert await process.fresh() == "over"
    run = await run_of(store)
    assert (run.status, run.error) == (status, error)


async def test_a_follower_that_fails_changes_nothing(start: Start, store: FlakyStore) -> None:
    """The run has ended."""

    def after() -> None:
        raise ValueError("cannot follow")

    async def body(run: RunContext) -> Json:
        return Finish("completed", after=after)

    assert await start(body).fresh() == "ended"
    assert (await run_of(store)).status == "completed"


class Unpausable(Script):
    """Cannot say what else becomes true when it is parked."""

    async def pause(self, run_id: RunId, reason: str) -> Pause:
        raise IndexError("no inputs")


async def test_a_run_that_cannot_be_parked_ends(store: FlakyStore, clock: ManualClock) -> None:
    """It must not stay half way."""
    task = Unpausable(lambda run: run.await_event("go", timeout_s=60))
    process = Process(store, task, clock, SequentialIds())
    assert await process.fresh() == "ended"
    assert (await run_of(store)).error == "internal"


async def test_a_manifest_and_a_payload_are_checked_before_anything_is_written(
    start: Start, store: FlakyStore
) -> None:
    """They would read back as something else."""
    process = start(nothing)
    with pytest.raises(InvalidInput, match=r"\$\.input\.at is a tuple"):
        await process.open(input={"at": ()})
    await process.open()
    with pytest.raises(InvalidInput, match=r"\$ is nan"):
        await process.engine.emit(R1, "go", float("nan"))
