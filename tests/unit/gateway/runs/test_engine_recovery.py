"""A run that was interrupted goes on, unless it is what interrupts."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from gateway.core.clock import ManualClock
from gateway.core.errors import RunQuarantined
from gateway.core.ids import RunId
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.runs.engine import STOP_S
from gateway.runs.recovery import DRAINED
from gateway.store.base.runs import EndRun, TakeRun
from gateway.store.base.store import Unit
from tests.unit.gateway.runs.conftest import Start
from tests.unit.gateway.runs.scripts import R1, Work, life, nothing, run_of
from tests.unit.gateway.runs.stores import FlakyStore, OverheardStore


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


async def test_a_stop_in_order_cuts_short_what_waits_outside_of_a_step(
    start: Start, store: FlakyStore
) -> None:
    """A task may wait for something that is recorded nowhere; its caller is not cancelled."""
    waiting = asyncio.Event()

    async def body(run: RunContext) -> Json:
        waiting.set()
        await asyncio.Event().wait()

    process = start(body)
    execution = process.begin(process.fresh())
    await waiting.wait()
    await process.engine.stop()
    assert await execution == "lost"
    assert execution.cancelling() == 0
    assert (await run_of(store)).reason == DRAINED


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


async def test_a_stop_in_order_gives_back_what_is_just_being_taken(
    start: Start, store: FlakyStore
) -> None:
    """The taking is waited for, so that it is known what to give back; nothing is counted."""
    overheard = OverheardStore(store)
    work = Work()
    process = start(lambda run: run.step("work", work), on=overheard)
    await process.open()
    stopping: list[asyncio.Task[None]] = []

    async def begin_stop(what: object) -> None:
        if isinstance(what, Unit) and isinstance(what.ops[0], TakeRun):
            stopping.append(process.begin(process.engine.stop()))
            await process.clock.advance(0)

    overheard.heard = begin_stop
    assert await process.engine.execute(R1) == "lost"
    await stopping[0]
    run = await run_of(store)
    assert (run.epoch, run.holder, run.reason, run.recoveries) == (2, "", DRAINED, 0)
    assert work.calls == 0


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
