"""What a task holds in its hands: steps happen once, and what cannot be kept is refused."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.base.tools import Effect
from gateway.core.clock import ManualClock
from gateway.core.errors import RunCancelled
from gateway.runs.attempts import Attempt
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.runs.execution import MAX_STEPS
from gateway.runs.results import MAX_RESULT_BYTES
from gateway.runs.retry import RetryPolicy
from gateway.store.base.runs import EndRun, LoadStream
from gateway.store.base.steps import BeginStep, CompleteStep, RecordStep
from gateway.store.base.store import Durability, Unit
from tests.unit.gateway.runs.conftest import Start
from tests.unit.gateway.runs.scripts import R1, Work, life, run_of, steps_of
from tests.unit.gateway.runs.stores import FlakyStore, drive, holds


async def test_a_step_gives_its_result_and_records_it(start: Start, store: FlakyStore) -> None:
    """With intent, kind, effect and the attempt it took."""
    work = Work({"said": "hi"})

    async def body(run: RunContext) -> Json:
        return await run.step("ask", work, kind="llm", effect=Effect.IDEMPOTENT, input={"n": 1})

    process = start(body)
    assert await process.fresh() == "ended"
    assert work.attempts == [Attempt("0", 1, "r1:0")]
    step = (await steps_of(store))["0"]
    assert (step.intent, step.kind, step.effect) == ("ask", "llm", "idempotent")
    assert (step.status, step.attempts, step.result) == ("completed", 1, '{"said":"hi"}')
    run = await run_of(store)
    assert (run.status, run.result, run.ended_at) == ("completed", '{"said":"hi"}', run.updated_at)


async def test_what_an_attempt_noted_is_told_to_the_next_one(
    tmp_path: Path, clock: ManualClock
) -> None:
    """In the same process and after a crash; a note is no result."""
    told: list[Json] = []
    stuck = asyncio.Event()

    async def work(run: RunContext, attempt: Attempt) -> Json:
        told.append(attempt.noted)
        run.note(attempt, {"reached": attempt.number})
        if attempt.number == 1:
            raise ValueError("once more")
        if attempt.number == 2:
            stuck.set()
            await asyncio.Event().wait()
        return "done"

    async def body(run: RunContext) -> Json:
        retry = RetryPolicy(max_attempts=3, initial_s=0)
        return await run.step("work", lambda attempt: work(run, attempt), retry=retry)

    async with life(tmp_path / "db", body, clock) as process:
        process.begin(process.fresh())
        await stuck.wait()
        await process.store.commit(Unit(()))  # behind what was posted
    async with life(tmp_path / "db", body, clock) as process:
        await process.engine.start()
        assert await process.resume() == "ended"
        assert (await run_of(process.store)).result == '"done"'
    assert told == [None, {"reached": 1}, {"reached": 2}]


async def test_completed_steps_of_a_dead_process_are_not_executed_again(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Their results come from the record; the step that was cut is executed again."""
    first, second = Work("one"), Work("two").hold()

    async def body(run: RunContext) -> Json:
        return [await run.step("first", first), await run.step("second", second)]

    async with life(tmp_path / "db", body, clock) as process:
        process.begin(process.fresh())
        await second.begun.wait()
    second.go_on.set()
    async with life(tmp_path / "db", body, clock) as process:
        await process.engine.start()
        assert await process.resume() == "ended"
        assert (await run_of(process.store)).result == '["one","two"]'
        assert (await steps_of(process.store))["1"].attempts == 2
        await process.engine.stop()
    assert (first.calls, second.calls) == (1, 2)
    assert second.attempts == [Attempt("1", 1, "r1:1"), Attempt("1", 2, "r1:1")]


async def test_a_failed_step_is_executed_again_by_the_next_execution(
    tmp_path: Path, clock: ManualClock
) -> None:
    """The recorded failure is for people; attempts grow."""
    work = Work("at last", failures=1)
    stuck = asyncio.Event()

    async def body(run: RunContext) -> Json:
        try:
            return await run.step("try", work)
        except ValueError:
            stuck.set()
            await asyncio.Event().wait()

    async with life(tmp_path / "db", body, clock) as process:
        process.begin(process.fresh())
        await stuck.wait()
        step = (await steps_of(process.store))["0"]
        assert (step.status, step.attempts) == ("failed", 1)
        assert orjson.loads(step.error or "") == {"kind": "ValueError", "message": "not this time"}
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "ended"
        step = (await steps_of(process.store))["0"]
        assert (step.status, step.attempts, step.result) == ("completed", 2, '"at last"')
        assert step.error is None


@pytest.mark.parametrize("before", ["completed", "failed", "running"])
async def test_a_replay_that_asks_for_something_else_ends_the_run(
    start: Start, store: FlakyStore, before: str
) -> None:
    """Whatever became of the recorded step; the work is not done."""
    asked = asyncio.Event()
    works = {"completed": Work(), "failed": Work(failures=1), "running": Work().hold()}

    async def body(run: RunContext) -> Json:
        with suppress(ValueError):
            await run.step("ask", works[before])
        asked.set()
        await asyncio.Event().wait()

    process = start(body)
    execution = process.begin(process.fresh())
    await (works[before].begun if before == "running" else asked).wait()
    execution.cancel()
    await asyncio.wait([execution])
    assert (await steps_of(store))["0"].status == before

    other = Work()

    async def changed(run: RunContext) -> Json:
        return await run.step("tell", other)

    process.task.body = changed
    assert await process.engine.execute(R1) == "ended"
    assert other.calls == 0
    run = await run_of(store)
    assert (run.status, run.error) == ("failed", "step_divergence")
    assert str(process.task.errors[0]) == "step 0: recorded as 'ask', now 'tell'"


async def test_the_same_step_with_other_input_ends_the_run(start: Start, store: FlakyStore) -> None:
    """An answer to another question is not an answer."""
    amount = 1
    work = Work().hold()

    async def body(run: RunContext) -> Json:
        return await run.step("pay", work, input={"amount": amount})

    process = start(body)
    execution = process.begin(process.fresh())
    await work.begun.wait()
    execution.cancel()
    await asyncio.wait([execution])
    amount = 2
    assert await process.engine.execute(R1) == "ended"
    assert work.calls == 1
    assert (await run_of(store)).error == "step_input_mismatch"


async def test_recorded_time_ids_and_snapshots_do_not_change(
    tmp_path: Path, clock: ManualClock
) -> None:
    """A later execution reads them; its own clock and ids are not asked."""
    seen: list[Json] = []
    work = Work().hold()

    async def body(run: RunContext) -> Json:
        made = [await run.now(), await run.uuid(), await run.uuid()]
        seen.append([*made, await run.record("snapshot", lambda: len(seen))])
        return await run.step("work", work)

    async with life(tmp_path / "db", body, clock) as process:
        process.begin(process.fresh())
        await work.begun.wait()
    clock.jump_wall(3600)
    work.go_on.set()
    async with life(tmp_path / "db", body, clock) as process:
        process.ids.new("used")
        assert await process.engine.execute(R1) == "ended"
    assert seen[0] == seen[1]
    assert seen[0][0] == ManualClock().now_ms()
    assert len(set(seen[0])) == 4


async def test_what_was_recorded_holds_before_anything_is_built_on_it(
    store: FlakyStore, start: Start
) -> None:
    """A value that the store refused is not handed to the task, or a replay would see another."""
    flaky = FlakyStore(store)
    flaky.refuses = holds(RecordStep)

    async def body(run: RunContext) -> Json:
        return await run.uuid()

    process = start(body, on=flaky)
    execution = process.begin(process.fresh())
    while not flaky.refused:
        await process.clock.advance(0)
    assert not execution.done()
    flaky.refuses = lambda unit: False
    assert await drive(process.clock, process.store, execution) == "ended"
    assert (await run_of(store)).result == (await steps_of(store))["0"].result


async def test_an_effect_is_begun_durably_and_a_pure_step_without_waiting(
    store: FlakyStore, start: Start
) -> None:
    """Only what might happen twice in the world waits for its beginning to survive power loss."""
    flaky = FlakyStore(store)

    async def body(run: RunContext) -> Json:
        for effect in Effect:
            await run.step(effect.value, Work(), effect=effect)

    process = start(body, on=flaky)
    assert await process.fresh() == "ended"
    begun = [
        (op.effect, unit.durability)
        for unit in flaky.commits
        for op in unit.ops
        if isinstance(op, BeginStep)
    ]
    assert begun == [("idempotent", Durability.CRITICAL), ("unsafe", Durability.CRITICAL)]
    assert {step.status for step in (await steps_of(store)).values()} == {"completed"}


async def test_a_lost_beginning_does_not_cost_the_result(store: FlakyStore, start: Start) -> None:
    """A posted beginning may go down with its batch; the end writes it again."""
    flaky = FlakyStore(store)
    flaky.refuses = lambda unit: unit.durability is Durability.POSTED
    work, failing = Work("paid for"), Work(failures=1)

    async def body(run: RunContext) -> Json:
        value = await run.step("work", work)
        with pytest.raises(ValueError, match="not this time"):
            await run.step("fail", failing)
        return value

    process = start(body, on=flaky)
    assert await process.fresh() == "ended"
    assert work.calls == 1
    assert flaky.refused == 2
    assert [step.status for step in (await steps_of(store)).values()] == ["completed", "failed"]


@pytest.mark.parametrize("op", [BeginStep, CompleteStep, EndRun])
async def test_a_store_that_refuses_for_a_while_costs_nothing(
    store: FlakyStore, start: Start, op: type
) -> None:
    """The write is put off: nothing is done twice, nothing is lost, no interruption is counted."""
    flaky = FlakyStore(store)
    flaky.refuses = holds(op)
    work = Work("paid for")

    async def body(run: RunContext) -> Json:
        return await run.step("work", work, effect=Effect.UNSAFE)

    process = start(body, on=flaky)
    execution = process.begin(process.fresh())
    while not flaky.refused:
        await process.clock.advance(0)
    await process.pass_time(3)
    assert flaky.refused > 1
    flaky.refuses = lambda unit: False
    assert await drive(process.clock, process.store, execution) == "ended"
    assert work.calls == 1
    run = await run_of(store)
    assert (run.status, run.result, run.recoveries) == ("completed", '"paid for"', 0)


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        ("x" * MAX_RESULT_BYTES, "step_result_too_large", "keep a reference instead"),
        ({"when": object()}, "invalid", "$.when is a object"),
        ((1, 2), "invalid", "$ is a tuple"),
        (float("nan"), "invalid", "$ is nan"),
    ],
    ids=["large", "object", "tuple", "nan"],
)
async def test_a_result_that_cannot_be_kept_ends_the_run(
    start: Start, store: FlakyStore, value: Any, kind: str, says: str
) -> None:
    """Trying again would give the same; the step and the run say what is wrong."""

    async def body(run: RunContext) -> Json:
        return await run.step("work", Work(value))

    process = start(body)
    assert await process.fresh() == "ended"
    run, step = await run_of(store), (await steps_of(store))["0"]
    assert (run.status, run.error) == ("failed", kind)
    assert step.status == "failed"
    assert orjson.loads(step.error or "")["kind"] == kind
    assert says in str(process.task.errors[0])
    assert "run r1, step 0 (work)" in str(process.task.errors[0])


async def test_a_run_that_returns_what_cannot_be_kept_fails(
    start: Start, store: FlakyStore
) -> None:
    """The result of a run is bounded like that of a step."""

    async def body(run: RunContext) -> Json:
        return {"size": "x" * MAX_RESULT_BYTES}

    process = start(body)
    assert await process.fresh() == "ended"
    assert (await run_of(store)).error == "step_result_too_large"


async def test_a_run_has_a_bounded_number_of_steps(start: Start, store: FlakyStore) -> None:
    """Counted over all its scopes, so that no nesting gets around it."""

    async def leaf(run: RunContext) -> Json:
        for _ in range(50):
            await run.record("tick", lambda: None)
        return None

    async def body(run: RunContext) -> Json:
        while True:
            await run.branches([(str(number), leaf) for number in range(10)])

    process = start(body)
    assert await process.fresh() == "ended"
    assert (await run_of(store)).status == "failed"
    assert f"more than {MAX_STEPS} steps" in str(process.task.errors[0])
    assert len(await steps_of(store)) <= MAX_STEPS


async def test_what_a_stopped_run_said_at_last_survives_a_crash(
    tmp_path: Path, clock: ManualClock
) -> None:
    """The next execution is stopped at another place and closes with the same words."""
    reached = 0
    second = Work().hold()
    stuck = asyncio.Event()

    async def body(run: RunContext) -> Json:
        nonlocal reached
        reached = 0
        try:
            await run.step("first", Work())
            reached = 1
            await run.step("second", second)
        except RunCancelled:
            said = await run.closing("cancelled", lambda: {"reached": reached})
            if not stuck.is_set():
                stuck.set()
                await asyncio.Event().wait()
            return said

    async with life(tmp_path / "db", body, clock) as process:
        process.begin(process.fresh())
        await second.begun.wait()
        await process.engine.cancel(R1)
        await stuck.wait()

    async def other(run: RunContext) -> Json:
        nonlocal reached
        try:
            await run.step("first", Work())
            reached = 7
            await run.step("second", second)
        except RunCancelled:
            return await run.closing("cancelled", lambda: {"reached": reached})

    async with life(tmp_path / "db", other, clock) as process:
        assert await process.engine.execute(R1) == "ended"
        assert (await run_of(process.store)).result == '{"reached":1}'


async def test_live_output_is_numbered_over_all_executions(
    tmp_path: Path, clock: ManualClock
) -> None:
    """A later execution's pieces follow those of the one before; a cursor meets none twice."""
    work = Work().hold()

    async def body(run: RunContext) -> Json:
        for number in range(3):
            run.stream({"piece": number})
        return await run.step("work", work)

    async with life(tmp_path / "db", body, clock) as process:
        process.begin(process.fresh())
        await work.begun.wait()
        await steps_of(process.store)
    work.go_on.set()
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "ended"
        pieces = await process.store.read(LoadStream(R1, 0, 100))
        assert [orjson.loads(piece.body)["piece"] for piece in pieces] == [0, 1, 2, 0, 1, 2]
        assert [piece.seq for piece in pieces] == sorted({piece.seq for piece in pieces})
        assert await process.store.read(LoadStream(R1, pieces[2].seq, 100)) == pieces[3:]
