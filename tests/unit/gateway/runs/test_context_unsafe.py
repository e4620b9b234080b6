"""An unsafe step that was cut short is a question to a person, not a second execution."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agents.base.tools import Effect
from gateway.core.clock import ManualClock
from gateway.core.errors import StepOutcomeUnknown
from gateway.runs.attempts import Attempt
from gateway.runs.canonical import Json
from gateway.runs.context import DECISION_S, RunContext, decision_key
from tests.unit.gateway.runs.scripts import R1, Work, life, run_of, steps_of


async def cut(tmp_path: Path, clock: ManualClock, work: Work, *, effect: Effect) -> Any:
    """A process that dies while `work` is being done, and the body of the run it leaves."""
    work.hold()

    async def body(run: RunContext) -> Json:
        return await run.step("send", work, effect=effect)

    async with life(tmp_path / "db", body, clock) as process:
        process.begin(process.fresh())
        await work.begun.wait()
    work.go_on.set()
    return body


@pytest.mark.parametrize("effect", [Effect.PURE, Effect.IDEMPOTENT])
async def test_a_repeatable_step_that_was_cut_is_executed_again_with_its_key(
    tmp_path: Path, clock: ManualClock, effect: Effect
) -> None:
    """The receiver of an idempotent effect knows it by the key."""
    work = Work("sent")
    body = await cut(tmp_path, clock, work, effect=effect)
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "ended"
    assert work.attempts == [Attempt("0", 1, "r1:0"), Attempt("0", 2, "r1:0")]


async def test_an_unsafe_step_that_was_cut_waits_for_a_person(
    tmp_path: Path, clock: ManualClock
) -> None:
    """It is not executed; the run is parked under the reason `decision`."""
    work = Work("sent")
    body = await cut(tmp_path, clock, work, effect=Effect.UNSAFE)
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "parked"
        run = await run_of(process.store)
        assert (run.status, run.reason, run.holder) == ("suspended", "decision", "")
        assert run.wake_at == clock.now_ms() + DECISION_S * 1000
        assert process.task.paused == ["decision"]
    assert work.calls == 1


async def test_an_unsafe_step_that_ran_is_recorded_with_the_result_a_person_gives(
    tmp_path: Path, clock: ManualClock
) -> None:
    """And the run goes on from there at once."""
    work = Work("sent")
    body = await cut(tmp_path, clock, work, effect=Effect.UNSAFE)
    async with life(tmp_path / "db", body, clock) as process:
        await process.engine.start()
        run, _ = await process.drive(process.task.returned.get())
        assert await process.engine.execute(R1) == "parked"
        answer = {"decision": "ran", "result": "seen in the outbox"}
        assert await process.engine.emit(R1, decision_key("0", 1), answer)
        run, _ = await process.task.returned.get()
        assert run.status == "suspended"
        assert await process.engine.execute(R1) == "ended"
        assert (await run_of(process.store)).result == '"seen in the outbox"'
        assert (await steps_of(process.store))["0"].status == "completed"
        await process.engine.stop()
    assert work.calls == 1


async def test_an_unsafe_step_that_did_not_run_is_executed(
    tmp_path: Path, clock: ManualClock
) -> None:
    """As another attempt of the same step."""
    work = Work("sent")
    body = await cut(tmp_path, clock, work, effect=Effect.UNSAFE)
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "parked"
        await process.engine.emit(R1, decision_key("0", 1), {"decision": "did_not_run"})
        assert await process.engine.execute(R1) == "ended"
    assert work.attempts == [Attempt("0", 1, "r1:0"), Attempt("0", 2, "r1:0")]


async def test_an_answer_about_one_attempt_says_nothing_of_the_next(
    tmp_path: Path, clock: ManualClock
) -> None:
    """An unsafe step that is cut a second time is asked about a second time."""
    work = Work("sent")
    body = await cut(tmp_path, clock, work, effect=Effect.UNSAFE)
    work.hold()
    work.begun.clear()
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "parked"
        await process.engine.emit(R1, decision_key("0", 1), {"decision": "did_not_run"})
        process.begin(process.engine.execute(R1))
        await work.begun.wait()
    work.go_on.set()
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "parked"
        assert work.calls == 2
        await process.engine.emit(R1, decision_key("0", 2), {"decision": "ran", "result": 2})
        assert await process.engine.execute(R1) == "ended"
        assert (await run_of(process.store)).result == "2"


async def test_a_question_nobody_answers_ends_the_run(tmp_path: Path, clock: ManualClock) -> None:
    """An hour after it was asked, however long the gateway was down before; late answers are not
    heard."""
    work = Work("sent")
    body = await cut(tmp_path, clock, work, effect=Effect.UNSAFE)
    await clock.advance(10 * DECISION_S)
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "parked"
        await clock.advance(DECISION_S - 1)
        assert await process.engine.execute(R1) == "parked"
        await clock.advance(2)
        await process.engine.emit(R1, decision_key("0", 1), {"decision": "ran", "result": 1})
        assert await process.engine.execute(R1) == "ended"
        run = await run_of(process.store)
        assert (run.status, run.error) == ("failed", "step_outcome_unknown")
        assert isinstance(process.task.errors[0], StepOutcomeUnknown)
    assert work.calls == 1


async def test_an_answer_that_makes_no_sense_is_no_answer(
    tmp_path: Path, clock: ManualClock
) -> None:
    """The first answer wins, so there is none left to wait for."""
    work = Work("sent")
    body = await cut(tmp_path, clock, work, effect=Effect.UNSAFE)
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "parked"
        await process.engine.emit(R1, decision_key("0", 1), "yes")
        assert await process.engine.execute(R1) == "ended"
        assert (await run_of(process.store)).error == "step_outcome_unknown"
    assert work.calls == 1


async def test_a_step_recorded_as_unsafe_stays_unsafe(tmp_path: Path, clock: ManualClock) -> None:
    """A tool that is gone or declared otherwise after a restart has had its effect all the same."""
    work = Work("sent")
    await cut(tmp_path, clock, work, effect=Effect.UNSAFE)

    async def changed(run: RunContext) -> Json:
        return await run.step("send", work, effect=Effect.PURE)

    async with life(tmp_path / "db", changed, clock) as process:
        assert await process.engine.execute(R1) == "parked"
    assert work.calls == 1


async def test_an_unsafe_step_that_failed_is_not_repeated_unasked(
    tmp_path: Path, clock: ManualClock
) -> None:
    """It may have done its work before it failed; a crash before the end must not do it twice."""
    work = Work(failures=1)
    stuck = asyncio.Event()

    async def body(run: RunContext) -> Json:
        try:
            return await run.step("send", work, effect=Effect.UNSAFE)
        except ValueError:
            stuck.set()
            await asyncio.Event().wait()

    async with life(tmp_path / "db", body, clock) as process:
        process.begin(process.fresh())
        await stuck.wait()
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "parked"
    assert work.calls == 1
