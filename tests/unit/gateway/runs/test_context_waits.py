"""Sleeping, short waits that keep their place, steps that are tried again, and what they leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.base.tools import Effect
from gateway.core.clock import ManualClock
from gateway.core.errors import AwaitEventTimeout, Busy
from gateway.runs.attempts import Attempt
from gateway.runs.canonical import Json
from gateway.runs.context import HOLD_S, RunContext
from gateway.runs.results import INLINE_BYTES
from gateway.runs.retry import RetryPolicy
from gateway.store.base.costs import RunCosts
from gateway.store.base.runs import LoadStream
from tests.unit.gateway.runs.conftest import Start
from tests.unit.gateway.runs.scripts import R1, Work, life, run_of, steps_of
from tests.unit.gateway.runs.stores import FlakyStore

RETRY = RetryPolicy(jitter=0)


async def test_a_long_sleep_parks_the_run_and_its_time_is_fixed(
    store: FlakyStore, clock: ManualClock, start: Start
) -> None:
    """Neither task nor lease is held; the process that wakes it need not be the same."""
    work = Work()

    async def body(run: RunContext) -> Json:
        await run.sleep(60)
        return await run.step("work", work)

    process = start(body)
    await process.engine.start()
    assert await process.fresh() == "parked"
    run = await run_of(store)
    assert (run.reason, run.holder) == ("timer", "")
    assert run.wake_at == clock.now_ms() + 60_000
    await process.die()
    await process.pass_time(30)
    other = start(body)
    await other.engine.start()
    assert other.task.returned.empty()
    assert await other.resume() == "ended"
    assert work.calls == 1
    assert clock.now_ms() < run.created_at + 63_000


async def test_a_short_sleep_keeps_its_place(store: FlakyStore, start: Start) -> None:
    """Nothing is parked for a few seconds."""

    async def body(run: RunContext) -> Json:
        await run.sleep(HOLD_S)
        return "awake"

    process = start(body)
    await process.open()
    assert await process.drive(process.engine.execute(R1, fresh="script")) == "ended"
    assert (await run_of(store)).result == '"awake"'


async def test_a_short_wait_hears_its_event_in_place(store: FlakyStore, start: Start) -> None:
    """Without parking, whether this process is told or another one."""

    async def body(run: RunContext) -> Json:
        return await run.await_event("go", timeout_s=HOLD_S)

    process = start(body)
    await process.open()
    execution = process.begin(process.engine.execute(R1, fresh="script"))
    await store.quiet()
    assert process.engine.executing == 1
    await process.engine.emit(R1, "go", "now")
    assert await process.drive(execution) == "ended"
    assert (await run_of(store)).result == '"now"'


async def test_a_short_wait_for_nothing_ends_in_time(store: FlakyStore, start: Start) -> None:
    """It is a failed step, like that of a long one."""

    async def body(run: RunContext) -> Json:
        with pytest.raises(AwaitEventTimeout):
            await run.await_event("go", timeout_s=1)
        return "went on"

    process = start(body)
    await process.open()
    assert await process.drive(process.engine.execute(R1, fresh="script")) == "ended"
    assert (await run_of(store)).result == '"went on"'
    assert (await steps_of(store))["0"].status == "failed"


async def test_a_step_is_tried_again_as_its_policy_says(
    store: FlakyStore, clock: ManualClock, start: Start
) -> None:
    """The record counts attempts; the pauses are the policy's."""
    seen: list[tuple[int, int]] = []

    async def work(attempt: Attempt) -> Json:
        seen.append((attempt.number, clock.now_ms()))
        if attempt.number < 3:
            raise Busy("later", retry_after_ms=4000 if attempt.number == 2 else None)
        return "done"

    process = start(lambda run: run.step("work", work, retry=RETRY))
    await process.open()
    began = clock.now_ms()
    assert await process.drive(process.engine.execute(R1, fresh="script")) == "ended"
    assert [(number, at - began) for number, at in seen] == [(1, 0), (2, 1000), (3, 5000)]
    step = (await steps_of(store))["0"]
    assert (step.status, step.attempts, step.result) == ("completed", 3, '"done"')


async def test_attempts_of_dead_processes_count_and_the_next_makes_at_least_one(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Five altogether, and the sixth only because somebody executes the run once more."""
    calls = Work()

    async def work(attempt: Attempt) -> Json:
        await calls(attempt)
        raise ConnectionError("down")

    async def body(run: RunContext) -> Json:
        return await run.step("work", work, retry=RetryPolicy(max_attempts=2, jitter=0))

    async with life(tmp_path / "db", body, clock) as first:
        await first.open()
        execution = first.begin(first.engine.execute(R1, fresh="script"))
        await first.store.quiet()
        assert calls.calls == 1
        execution.cancel()
    async with life(tmp_path / "db", body, clock) as second:
        assert await second.drive(second.engine.execute(R1)) == "ended"
        assert calls.calls == 2
        assert (await run_of(second.store)).status == "failed"


async def test_an_unsafe_step_is_never_tried_again_by_itself(start: Start) -> None:
    """Whatever its policy says."""
    calls = Work()

    async def work(attempt: Attempt) -> Json:
        await calls(attempt)
        raise ConnectionError("down")

    process = start(lambda run: run.step("pay", work, effect=Effect.UNSAFE, retry=RETRY))
    assert await process.fresh() == "ended"
    assert calls.calls == 1


async def test_a_long_result_is_replayed_whole(store: FlakyStore, start: Start) -> None:
    """From where it is kept apart."""
    long = "x" * INLINE_BYTES
    work = Work()

    async def first(attempt: Attempt) -> Json:
        await work(attempt)
        return long

    async def body(run: RunContext) -> Json:
        value = await run.step("long", first)
        await run.sleep(60)
        return value

    process = start(body)
    await process.engine.start()
    assert await process.fresh() == "parked"
    assert await process.resume() == "ended"
    assert work.calls == 1
    assert (await run_of(store)).result == f'"{long}"'


async def test_what_attempts_used_is_written_down_with_them(
    store: FlakyStore, start: Start
) -> None:
    """The failed ones too: they were paid for."""

    async def body(run: RunContext) -> Json:
        async def ask(attempt: Attempt) -> Json:
            run.charge(attempt, "small", tokens_in=10, tokens_out=1)
            run.charge(attempt, "large", tokens_in=100, tokens_out=5)
            if attempt.number == 1:
                raise ConnectionError("down")
            run.charge(attempt, "small", tokens_in=1, tokens_out=1)
            return "done"

        return await run.step("ask", ask, retry=RETRY)

    process = start(body)
    await process.open()
    assert await process.drive(process.engine.execute(R1, fresh="script")) == "ended"
    costs = await store.read(RunCosts(R1))
    assert costs == [("large", 2, 200, 10), ("small", 3, 21, 3)]


async def test_live_output_of_a_run_has_a_bound(
    store: FlakyStore, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after is dropped."""
    monkeypatch.setattr("gateway.runs.context.MAX_STREAMED", 2)

    async def body(run: RunContext) -> Json:
        for number in range(4):
            run.stream(number)
        return None

    process = start(body)
    assert await process.fresh() == "ended"
    assert [row.body for row in await store.read(LoadStream(R1, 0, 10))] == ["0", "1"]
