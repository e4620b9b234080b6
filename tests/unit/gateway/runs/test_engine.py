"""Runs end once, by their owner, and whoever else is in doubt stops acting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from agents.base.tools import Effect
from gateway.core.clock import ManualClock
from gateway.core.errors import (
    Bug,
    Conflict,
    InvalidInput,
    NotFound,
    RunCancelled,
    RunQuarantined,
    RunTerminal,
    TurngateError,
)
from gateway.core.ids import RunId, SequentialIds
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.runs.engine import STOP_S, Engine, Outcome
from gateway.runs.recovery import DRAINED
from gateway.runs.task import Finish, Pause
from gateway.store.base.bindings import RemoveBinding
from gateway.store.base.events import ReadEvents
from gateway.store.base.runs import (
    BeginStep,
    CompleteStep,
    EndRun,
    GetRun,
    RenewLeases,
    RequestCancel,
)
from gateway.store.base.store import Durability, NewEvent, Unit
from tests.unit.gateway.runs.conftest import Start
from tests.unit.gateway.runs.scripts import R1, Process, Script, Work, life, run_of, steps_of
from tests.unit.gateway.runs.stores import FlakyStore, OverheardStore, drive, holds


async def nothing(run: RunContext) -> Json:
    return None


# --- the end -----------------------------------------------------------------------------------


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
    assert await process.engine.execute(R1) == "ended"
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
    assert str(error) == f"an error nobody foresaw; its id is {error.error_id}"
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
    assert await process.fresh() == "ended"
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


# --- cancelling --------------------------------------------------------------------------------


class Stoppable:
    """Three steps, the second of them two branches; answers a wish to stop with what it reached."""

    def __init__(self) -> None:
        self.works = {name: Work(name).hold() for name in ("first", "left", "right", "last")}
        self.done: list[str] = []

    async def __call__(self, run: RunContext) -> Json:
        try:
            await self._step(run, "first")
            await run.branches(
                [
                    ("left", lambda run: self._step(run, "left")),
                    ("right", lambda run: self._step(run, "right")),
                ]
            )
            await self._step(run, "last")
        except RunCancelled:
            reached = await run.closing("cancelled", lambda: sorted(self.done))
            return Finish("cancelled", reached)
        return "all"

    async def _step(self, run: RunContext, name: str) -> None:
        await run.step(name, self.works[name])
        self.done.append(name)

    def let(self, *names: str) -> None:
        for name in names:
            self.works[name].go_on.set()


@pytest.mark.parametrize(
    ("let", "at", "reached"),
    [
        ([], "first", "[]"),
        (["first"], "left", '["first"]'),
        (["first", "left"], "right", '["first","left"]'),
        (["first", "left", "right"], "last", '["first","left","right"]'),
    ],
)
async def test_a_stop_cuts_the_work_in_progress_short(
    start: Start, store: FlakyStore, let: list[str], at: str, reached: str
) -> None:
    """In a step or in branches; the task closes with what it had."""
    body = Stoppable()
    body.let(*let)
    process = start(body)
    execution = process.begin(process.fresh())
    await body.works[at].begun.wait()
    while len(body.done) < len(let):
        await process.clock.advance(0)
    await process.engine.cancel(R1)
    assert await execution == "ended"
    run = await run_of(store)
    assert (run.status, run.result) == ("cancelled", reached)
    assert all(work.calls <= 1 for work in body.works.values())
    with pytest.raises(RunTerminal):
        await process.engine.cancel(R1)


async def test_a_stop_before_the_first_step_begins_nothing(start: Start, store: FlakyStore) -> None:
    """The wish is found when the run is taken."""
    body = Stoppable()
    process = start(body)
    await process.open()
    await process.engine.cancel(R1)
    assert await process.engine.execute(R1) == "ended"
    assert body.works["first"].calls == 0
    assert (await run_of(store)).status == "cancelled"


async def test_a_stop_while_the_run_is_being_taken_is_not_forgotten(
    store: FlakyStore, start: Start
) -> None:
    """It comes after the row was read: what is known here weighs more than the row."""
    overheard = OverheardStore(store)
    body = Stoppable()
    process = start(body, on=overheard)
    await process.open()

    async def stop(what: object) -> None:
        if isinstance(what, GetRun):
            await process.engine.cancel(R1)

    overheard.heard = stop
    assert await process.engine.execute(R1) == "ended"
    assert body.works["first"].calls == 0
    assert (await run_of(store)).status == "cancelled"


async def test_a_stop_while_an_effect_begins_prevents_it(store: FlakyStore, start: Start) -> None:
    """The beginning is written; the work has not started and does not."""
    overheard = OverheardStore(store)
    work = Work()

    async def body(run: RunContext) -> Json:
        return await run.step("send", work, effect=Effect.UNSAFE)

    process = start(body, on=overheard)

    async def stop(what: object) -> None:
        if isinstance(what, Unit) and isinstance(what.ops[0], BeginStep):
            await process.engine.cancel(R1)

    overheard.heard = stop
    assert await process.fresh() == "ended"
    assert work.calls == 0
    assert (await run_of(store)).status == "cancelled"


async def test_a_stop_between_two_steps_is_seen_at_the_next(
    start: Start, store: FlakyStore
) -> None:
    """What is done is kept; the task meets the wish where it would go on."""
    body = Stoppable()
    body.let("first")
    overheard = OverheardStore(store)
    process = start(body, on=overheard)

    async def stop(what: object) -> None:
        if isinstance(what, Unit) and isinstance(what.ops[0], CompleteStep):
            await process.engine.cancel(R1)

    overheard.heard = stop
    assert await process.fresh() == "ended"
    assert (await run_of(store)).result == '["first"]'
    assert body.works["left"].calls == 0


async def test_a_stop_asked_for_elsewhere_is_seen_with_the_next_result(
    start: Start, store: FlakyStore
) -> None:
    """Another process can only write the wish down."""
    body = Stoppable()
    process = start(body)
    execution = process.begin(process.fresh())
    await body.works["first"].begun.wait()
    await store.commit(Unit((RequestCancel(R1, 1),)))
    body.let("first")
    assert await execution == "ended"
    assert (await run_of(store)).result == '["first"]'


async def test_a_stop_wakes_a_parked_run(start: Start, store: FlakyStore) -> None:
    """At once, to end."""
    process = start(lambda run: run.await_event("go", timeout_s=60))
    await process.engine.start()
    assert await process.fresh() == "parked"
    await process.engine.cancel(R1)
    await process.task.returned.get()
    assert await process.engine.execute(R1) == "ended"
    assert (await run_of(store)).status == "cancelled"
    assert isinstance(process.task.errors[0], RunCancelled)


async def test_a_stop_at_the_end_comes_too_late(start: Start, store: FlakyStore) -> None:
    """The run has nothing left that could be stopped: it completes."""
    overheard = OverheardStore(store)
    process = start(lambda run: run.step("only", Work("done")), on=overheard)

    async def stop(what: object) -> None:
        if isinstance(what, Unit) and isinstance(what.ops[0], CompleteStep):
            await process.engine.cancel(R1)

    overheard.heard = stop
    assert await process.fresh() == "ended"
    run = await run_of(store)
    assert (run.status, run.result, run.cancel_requested) == ("completed", '"done"', 1)


async def test_a_stop_survives_a_crash(tmp_path: Path, clock: ManualClock) -> None:
    """The next execution does nothing more than to close."""
    body = Stoppable()
    body.let("first")
    stuck = asyncio.Event()

    async def slow_to_close(run: RunContext) -> Json:
        try:
            await run.step("first", body.works["first"])
            await run.step("last", body.works["last"])
        except RunCancelled:
            stuck.set()
            await asyncio.Event().wait()

    async with life(tmp_path / "db", slow_to_close, clock) as process:
        process.begin(process.fresh())
        await body.works["last"].begun.wait()
        await process.engine.cancel(R1)
        await stuck.wait()
    body.let("last")

    async def closes(run: RunContext) -> Json:
        await run.step("first", body.works["first"])
        await run.step("last", body.works["last"])

    async with life(tmp_path / "db", closes, clock) as process:
        assert await process.engine.execute(R1) == "ended"
        assert (await run_of(process.store)).status == "cancelled"
    assert [body.works[name].calls for name in ("first", "last")] == [1, 1]


async def test_whoever_waits_for_an_execution_is_not_cancelled_with_it(start: Start) -> None:
    """Stopping a run leaves nothing behind in its caller's task."""
    work = Work().hold()
    process = start(lambda run: run.step("work", work))

    async def queue() -> Outcome:
        outcome = await process.fresh()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        async with asyncio.TaskGroup() as group:
            group.create_task(process.fresh(RunId("r2")), name="next")
        return outcome

    caller = process.begin(queue())
    await work.begun.wait()
    await process.engine.cancel(R1)
    await process.engine.cancel(R1)
    work.go_on.set()
    assert await caller == "ended"


# --- leases ------------------------------------------------------------------------------------


async def test_a_lease_is_renewed_while_a_step_works(start: Start, store: FlakyStore) -> None:
    """A long model call does not make the run anybody else's."""
    work = Work().hold()
    process = start(lambda run: run.step("work", work))
    other = start(nothing)
    await process.engine.start()
    await other.engine.start()
    execution = process.begin(process.fresh())
    await work.begun.wait()
    await process.pass_time(120)
    assert other.task.returned.empty()
    work.go_on.set()
    assert await execution == "ended"


async def test_an_owner_that_cannot_renew_stops_before_another_takes_over(
    start: Start, store: FlakyStore
) -> None:
    """Its step is cut short five seconds before the lease ends; then the other executes the run."""
    flaky = FlakyStore(store)
    work = Work().hold()
    first = start(lambda run: run.step("work", work), on=flaky)
    second = start(lambda run: run.step("work", Work("by the other")))
    await first.engine.start()
    await second.engine.start()
    execution = first.begin(first.fresh())
    await work.begun.wait()
    began = first.clock.monotonic()
    flaky.refuses = holds(RenewLeases)
    assert await drive(first.clock, first.store, execution) == "lost"
    assert 24 <= first.clock.monotonic() - began <= 26
    assert second.task.returned.empty()
    assert await second.resume() == "ended"
    assert second.clock.monotonic() - began >= 30
    assert (await run_of(store)).result == '"by the other"'
    assert work.calls == 1


async def test_what_a_stale_owner_writes_is_refused(start: Start, store: FlakyStore) -> None:
    """It slept through its lease; on waking it changes nothing and acts no more."""
    work, after = Work("by the stale").hold(), Work()
    other = Work("by the other")

    async def body(run: RunContext) -> Json:
        value = await run.step("work", work)
        return [value, await run.step("after", after)]

    stale = start(body)
    execution = stale.begin(stale.fresh())
    await work.begun.wait()
    stale.clock.jump_wall(31)
    fresh = start(lambda run: run.step("work", other))
    await fresh.engine.start()
    assert await fresh.resume() == "ended"
    ended = await run_of(store), await steps_of(store)
    work.go_on.set()
    assert await execution == "lost"
    assert (await run_of(store), await steps_of(store)) == ended
    assert ended[0].result == '"by the other"'
    assert (after.calls, other.calls) == (0, 1)


async def test_a_stale_owner_acts_no_more_while_the_other_works(
    start: Start, store: FlakyStore
) -> None:
    """Neither does it record, nor fail, nor end, nor park the run."""
    held = Work("by the other").hold()

    async def record(run: RunContext) -> Json:
        return await run.now()

    async def fail(run: RunContext) -> Json:
        raise ValueError

    async def park(run: RunContext) -> Json:
        return await run.await_event("go", timeout_s=1)

    async def begin(run: RunContext) -> Json:
        return await run.step("send", Work(), effect=Effect.UNSAFE)

    async def end(run: RunContext) -> Json:
        return None

    for number, acts in enumerate((record, fail, park, begin, end)):
        run_id = RunId(f"r{number}")
        woken = asyncio.Event()

        async def body(
            run: RunContext,
            woken: asyncio.Event = woken,
            acts: Callable[[RunContext], Awaitable[Json]] = acts,
        ) -> Json:
            await woken.wait()
            return await acts(run)

        stale = start(body)
        execution = stale.begin(stale.fresh(run_id))
        await stale.clock.advance(0)
        await store.commit(Unit())
        stale.clock.jump_wall(31)
        other = start(lambda run: run.step("work", held.hold()))
        taken = other.begin(other.engine.execute(run_id))
        held.begun.clear()
        await held.begun.wait()
        before = await run_of(store, run_id), await steps_of(store, run_id)
        woken.set()
        assert await execution == "lost"
        assert (await run_of(store, run_id), await steps_of(store, run_id)) == before
        held.go_on.set()
        assert await taken == "ended"
        assert (await run_of(store, run_id)).result == '"by the other"'


async def test_a_live_lease_is_respected(start: Start, store: FlakyStore) -> None:
    """Another engine cannot execute a run that is somebody's."""
    work = Work().hold()
    owner = start(lambda run: run.step("work", work))
    execution = owner.begin(owner.fresh())
    await work.begun.wait()
    other = start(lambda run: run.step("work", work))
    assert await other.engine.execute(R1) == "lost"
    work.go_on.set()
    assert await execution == "ended"
    assert work.calls == 1


async def test_a_run_fenced_in_vain_goes_on_here(start: Start, store: FlakyStore) -> None:
    """The lease was renewed after all, in the last seconds: nobody else will ever find the run."""
    flaky = FlakyStore(store)
    work = Work("done").hold()
    process = start(lambda run: run.step("work", work), on=flaky)
    await process.engine.start()
    execution = process.begin(process.fresh())
    await work.begun.wait()
    flaky.refuses = holds(RenewLeases)
    assert await drive(process.clock, process.store, execution) == "lost"
    flaky.refuses = lambda unit: False
    work.go_on.set()
    assert await process.resume() == "ended"
    run = await run_of(store)
    assert (run.status, run.recoveries) == ("completed", 0)
    assert work.calls == 2


async def test_a_store_that_says_nothing_loses_no_run(start: Start, store: FlakyStore) -> None:
    """The records cannot be read now; the run comes back when they can."""
    flaky = FlakyStore(store)
    process = start(lambda run: run.step("work", Work("done")), on=flaky)
    await process.open()
    flaky.down = True
    assert await process.engine.execute(R1) == "lost"
    await process.pass_time(5)
    assert process.task.returned.empty()
    flaky.down = False
    assert await process.resume() == "ended"
    run = await run_of(store)
    assert (run.result, run.recoveries) == ('"done"', 0)


async def test_a_task_that_reads_a_silent_store_is_executed_again(
    start: Start, store: FlakyStore
) -> None:
    """It did nothing wrong: the run goes on later, with what it had done."""
    flaky = FlakyStore(store)
    work = Work("paid for")

    async def body(run: RunContext) -> Json:
        value = await run.step("work", work)
        await flaky.read(GetRun(R1))
        return value

    process = start(body, on=flaky)
    overheard = OverheardStore(store)

    async def fail(what: object) -> None:
        flaky.down = isinstance(what, Unit) and isinstance(what.ops[0], CompleteStep)

    overheard.heard = fail
    flaky.inner = overheard
    assert await process.fresh() == "lost"
    overheard.heard = None
    flaky.down = False
    assert await process.resume() == "ended"
    assert work.calls == 1
    assert (await run_of(store)).result == '"paid for"'


# --- being interrupted -------------------------------------------------------------------------


async def test_a_run_that_takes_its_process_down_again_and_again_is_quarantined(
    tmp_path: Path, clock: ManualClock
) -> None:
    """The third time it comes back alone, then not at all; progress starts the count anew."""
    works = [Work(), Work().hold()]

    async def body(run: RunContext) -> Json:
        for number, work in enumerate(works):
            await run.step(str(number), work)
        return "done"

    seen: list[tuple[int, bool]] = []
    async with life(tmp_path / "db", body, clock) as process:
        process.begin(process.fresh())
        await works[1].begun.wait()
    for _ in range(5):
        works[1].begun.clear()
        async with life(tmp_path / "db", body, clock) as process:
            await process.engine.start()
            run, alone = await process.task.returned.get()
            execution = process.begin(process.engine.execute(R1))
            await asyncio.wait(
                [execution, process.begin(works[1].begun.wait())],
                return_when=asyncio.FIRST_COMPLETED,
            )
            run = await run_of(process.store)
            seen.append((run.recoveries, alone))
            if run.ended_at is not None:
                assert execution.result() == "ended"
                (error,) = process.task.errors
                assert isinstance(error, RunQuarantined)
                assert run.status == "quarantined"
                assert run.error == "run r1 was interrupted 4 times without progress"
            await process.die()
            await process.engine.stop()
    assert seen == [(0, False), (1, False), (2, False), (3, True), (4, False)]
    assert [work.calls for work in works] == [1, 5]


async def test_a_stop_in_order_gives_runs_back_and_counts_nothing(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Six drains in the middle of a step; nobody has to wait for a lease; the caller is told."""
    work = Work("done").hold()

    async def body(run: RunContext) -> Json:
        return await run.step("work", work)

    for number in range(6):
        work.begun.clear()
        async with life(tmp_path / "db", body, clock) as process:
            await process.engine.start()
            if number == 0:
                execution = process.begin(process.fresh())
            else:
                await process.task.returned.get()
                execution = process.begin(process.engine.execute(R1))
            await work.begun.wait()
            await process.engine.stop()
            assert execution.result() == "lost"
            run = await run_of(process.store)
            assert (run.status, run.holder, run.lease_until) == ("running", "", 0)
            assert (run.reason, run.recoveries) == (DRAINED, 0)
            assert await process.engine.execute(R1) == "lost"
    work.go_on.set()
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "ended"
    assert work.calls == 7


async def test_a_stop_in_order_lets_an_end_be_written(start: Start, store: FlakyStore) -> None:
    """The last write is waited for; there is nothing to give back then."""
    overheard = OverheardStore(store)
    process = start(nothing, on=overheard)
    await process.open()
    stopping: list[asyncio.Task[None]] = []

    async def begin_stop(what: object) -> None:
        if isinstance(what, Unit) and isinstance(what.ops[0], EndRun):
            stopping.append(process.begin(process.engine.stop()))
            await process.clock.advance(0)

    overheard.heard = begin_stop
    assert await process.engine.execute(R1, fresh="script") == "ended"
    await stopping[0]
    run = await run_of(store)
    assert (run.status, run.reason) == ("completed", "")


async def test_a_run_that_cannot_be_cut_short_is_not_given_back(
    start: Start, store: FlakyStore
) -> None:
    """It still acts, so nobody else may; its process ends soon."""
    let_go = asyncio.Event()
    begun = asyncio.Event()

    async def deaf(run: RunContext) -> Json:
        begun.set()
        while not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()
        return None

    process = start(deaf)
    execution = process.begin(process.fresh())
    await begun.wait()
    await process.drive(process.engine.stop())
    assert STOP_S <= process.clock.monotonic() <= STOP_S + 1
    run = await run_of(store)
    assert (run.reason, run.lease_until > process.clock.now_ms()) == ("", True)
    let_go.set()
    assert await execution == "lost"
    assert execution.cancelling() == 0


async def test_a_store_that_refuses_the_release_does_not_keep_the_process(
    start: Start, store: FlakyStore
) -> None:
    """The lease ends by itself."""
    flaky = FlakyStore(store)
    work = Work().hold()
    process = start(lambda run: run.step("work", work), on=flaky)
    execution = process.begin(process.fresh())
    await work.begun.wait()
    flaky.down = True
    await process.engine.stop()
    assert await execution == "lost"


async def test_a_cancelled_execution_leaves_the_run_as_it_is(
    start: Start, store: FlakyStore
) -> None:
    """Nothing is ended, nothing is given back; it can be executed again."""
    work = Work("done").hold()
    process = start(lambda run: run.step("work", work))
    execution = process.begin(process.fresh())
    await work.begun.wait()
    execution.cancel()
    await asyncio.wait([execution])
    assert execution.cancelled()
    assert (await run_of(store)).status == "running"
    assert process.engine.executing == 0
    work.go_on.set()
    assert await process.engine.execute(R1) == "ended"


async def test_a_crash_after_waking_counts_like_any_other(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Being parked and woken is no interruption; what happens after it is."""
    work = Work().hold()

    async def body(run: RunContext) -> Json:
        await run.await_event("go", timeout_s=60)
        return await run.step("work", work)

    async with life(tmp_path / "db", body, clock) as process:
        assert await process.fresh() == "parked"
    async with life(tmp_path / "db", body, clock) as process:
        await process.engine.emit(R1, "go", None)
        process.begin(process.engine.execute(R1))
        await work.begun.wait()
        assert (await run_of(process.store)).recoveries == 0
    recoveries = []
    for _ in range(2):
        work.begun.clear()
        async with life(tmp_path / "db", body, clock) as process:
            process.begin(process.engine.execute(R1))
            await work.begun.wait()
            recoveries.append((await run_of(process.store)).recoveries)
    assert recoveries == [0, 1]


async def test_a_new_process_hands_out_what_the_old_one_left(
    tmp_path: Path, clock: ManualClock
) -> None:
    """At once: the file's lock proves that the old one is dead, so no lease is waited for."""
    async with life(tmp_path / "db", nothing, clock) as process:
        for number in range(3):
            await process.open(RunId(f"r{number}"))
    async with life(tmp_path / "db", nothing, clock) as process:
        await process.engine.start()
        rows = [process.task.returned.get_nowait() for _ in range(3)]
        assert sorted(row.run_id for row, _ in rows) == ["r0", "r1", "r2"]
        for row, _ in rows:
            assert await process.engine.execute(RunId(row.run_id)) == "ended"
        await process.engine.stop()
