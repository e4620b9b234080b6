"""A run waits outside of the process, and wakes when what it waits for is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.core.clock import ManualClock
from gateway.core.errors import AwaitEventTimeout
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from tests.unit.gateway.runs.conftest import Start
from tests.unit.gateway.runs.scripts import R1, Work, life, run_of, steps_of
from tests.unit.gateway.runs.stores import FlakyStore


async def wait_for_go(run: RunContext) -> Json:
    return await run.await_event("go", timeout_s=60, reason="approval")


async def test_an_event_that_came_before_the_wait_is_there(start: Start, store: FlakyStore) -> None:
    """Nothing is parked for it."""
    process = start(wait_for_go)
    await process.open()
    assert await process.engine.emit(R1, "go", {"by": "ann"})
    assert await process.engine.execute(R1, fresh="script") == "ended"
    assert (await run_of(store)).result == '{"by":"ann"}'
    assert (await steps_of(store))["0"].kind == "event"


async def test_a_parked_run_wakes_when_its_event_comes(start: Start, store: FlakyStore) -> None:
    """At once: no clock has to move. Neither task nor lease is held meanwhile."""
    process = start(wait_for_go)
    await process.engine.start()
    assert await process.fresh() == "parked"
    run = await run_of(store)
    assert (run.status, run.reason, run.holder, run.lease_until) == ("suspended", "approval", "", 0)
    assert process.engine.executing == 0
    assert process.task.returned.empty()
    await process.engine.emit(R1, "other", None)
    assert await process.engine.emit(R1, "go", 1)
    run, alone = await process.task.returned.get()
    assert (run.run_id, alone) == ("r1", False)
    assert await process.engine.execute(R1) == "ended"
    assert (await run_of(store)).result == "1"


async def test_the_first_to_emit_a_key_wins(start: Start, store: FlakyStore) -> None:
    """Of many at once exactly one is told that it did, before the wait, after it and at the end."""
    process = start(wait_for_go)
    await process.open()
    told = await asyncio.gather(*(process.engine.emit(R1, "go", number) for number in range(32)))
    assert told.count(True) == 1
    assert await process.engine.execute(R1, fresh="script") == "ended"
    assert (await run_of(store)).result == str(told.index(True))
    assert not await process.engine.emit(R1, "go", "late")


async def test_an_event_that_comes_while_the_run_parks_is_not_missed(
    store: FlakyStore, start: Start
) -> None:
    """It looked, there was nothing; the event came; it parked."""
    process = start(wait_for_go)

    async def body(run: RunContext) -> Json:
        try:
            return await wait_for_go(run)
        finally:
            await process.engine.emit(R1, "go", "in between")
            await process.pass_time(0)  # who watches has looked, and the run was not parked yet

    process.task.body = body
    await process.engine.start()
    assert await process.fresh() == "parked"
    await process.task.returned.get()
    assert await process.engine.execute(R1) == "ended"
    assert (await run_of(store)).result == '"in between"'


async def test_a_wait_ends_at_its_deadline(start: Start, store: FlakyStore) -> None:
    """Counted from the first wait, not from the last execution."""
    process = start(wait_for_go)
    await process.engine.start()
    assert await process.fresh() == "parked"
    began = process.clock.now_ms()
    assert (await run_of(store)).wake_at == began + 60_000
    await process.pass_time(30)
    await process.engine.emit(R1, "other", None)
    assert await process.engine.execute(R1) == "parked"
    assert (await run_of(store)).wake_at == began + 60_000
    assert await process.resume() == "ended"
    assert process.clock.now_ms() >= began + 60_000
    assert isinstance(process.task.errors[0], AwaitEventTimeout)
    assert (await run_of(store)).error == "await_event_timeout"


async def test_a_wait_that_ended_without_its_event_stays_that_way(
    tmp_path: Path, clock: ManualClock
) -> None:
    """A task that went on without it must not find it when it is replayed."""
    work = Work().hold()

    async def body(run: RunContext) -> Json:
        try:
            return await run.await_event("go", timeout_s=60)
        except AwaitEventTimeout:
            await run.step("go on without", work)
            return "without"

    async with life(tmp_path / "db", body, clock) as process:
        assert await process.fresh() == "parked"
        await clock.advance(60)
        process.begin(process.engine.execute(R1))
        await work.begun.wait()
        assert await process.engine.emit(R1, "go", "too late")
    work.go_on.set()
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "ended"
        assert (await run_of(process.store)).result == '"without"'
        assert (await steps_of(process.store))["0"].status == "failed"


async def test_an_event_received_is_kept_with_the_run(tmp_path: Path, clock: ManualClock) -> None:
    """A replay reads it from its step."""
    work = Work().hold()

    async def body(run: RunContext) -> Json:
        value = await wait_for_go(run)
        await run.step("work", work)
        return value

    async with life(tmp_path / "db", body, clock) as process:
        await process.open()
        await process.engine.emit(R1, "go", [1, 2])
        process.begin(process.engine.execute(R1))
        await work.begun.wait()
        assert (await steps_of(process.store))["0"].result == "[1,2]"
    work.go_on.set()
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "ended"
        assert (await run_of(process.store)).result == "[1,2]"
