"""Whoever is in doubt stops acting, and no run is lost by it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agents.base.tools import Effect
from gateway.core.ids import RunId
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.store.base.runs import GetRun, RenewLeases
from gateway.store.base.steps import CompleteStep
from gateway.store.base.store import Unit
from tests.unit.gateway.runs.conftest import Start
from tests.unit.gateway.runs.scripts import R1, Work, nothing, run_of, steps_of
from tests.unit.gateway.runs.stores import FlakyStore, OverheardStore, drive, holds


async def test_a_lease_is_renewed_while_a_step_works(start: Start, store: FlakyStore) -> None:
    """A long model call does not make the run anybody else's."""
    work = Work().hold()
    process = start(lambda run: run.step("work", work))
    other = start(nothing)
    await process.engine.start()
    await other.engine.start()
    execution = process.begin(process.fresh())
    await work.begun.wait()
    await process.pass_time(65)
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
    await stale.pass_time(5)
    assert stale.task.returned.empty()
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
