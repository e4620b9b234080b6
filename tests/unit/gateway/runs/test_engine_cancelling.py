"""A wish to stop is met wherever the run is, and its caller is not cancelled with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents.base.tools import Effect
from gateway.core.clock import ManualClock
from gateway.core.errors import RunCancelled, RunTerminal
from gateway.core.ids import RunId
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.runs.engine import Outcome
from gateway.runs.task import Finish
from gateway.store.base.runs import GetRun, RequestCancel
from gateway.store.base.steps import BeginStep, CompleteStep
from gateway.store.base.store import Unit
from tests.unit.gateway.runs.conftest import Start
from tests.unit.gateway.runs.scripts import R1, Work, life, run_of
from tests.unit.gateway.runs.stores import FlakyStore, OverheardStore


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
