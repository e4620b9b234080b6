"""What a task holds in its hands: steps happen once, and a replay meets the same world."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.base.tools import Effect
from gateway.core.clock import ManualClock
from gateway.core.errors import (
    AwaitEventTimeout,
    InvalidInput,
    RunCancelled,
    StepOutcomeUnknown,
)
from gateway.runs.canonical import Json
from gateway.runs.context import DECISION_S, MAX_RESULT_BYTES, Attempt, RunContext, decision_key
from gateway.runs.execution import MAX_STEPS
from gateway.store.base.runs import BeginStep, CompleteStep, EndRun, LoadStream, RecordStep
from gateway.store.base.store import Durability
from tests.unit.gateway.runs.conftest import Start
from tests.unit.gateway.runs.scripts import R1, Work, life, run_of, steps_of
from tests.unit.gateway.runs.stores import FlakyStore, drive, holds

# --- steps -------------------------------------------------------------------------------------


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
        assert orjson.loads(step.error or "") == {
            "kind": "ValueError",
            "message": "not this time",
        }
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
    works = {
        "completed": Work(),
        "failed": Work(failures=1),
        "running": Work().hold(),
    }

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


# --- what cannot be kept -----------------------------------------------------------------------


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


# --- unsafe steps ------------------------------------------------------------------------------


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


# --- events ------------------------------------------------------------------------------------


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
    assert (run.status, run.reason, run.holder, run.lease_until) == (
        "suspended",
        "approval",
        "",
        0,
    )
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


# --- branches ----------------------------------------------------------------------------------


async def test_branches_keep_their_paths_and_order_whoever_is_faster(
    tmp_path: Path, clock: ManualClock
) -> None:
    """A branch is a scope of its own; the results come in the order of the branches."""
    works = {name: Work(name.upper()).hold() for name in ("a", "b", "c")}
    last = Work().hold()

    async def branch(run: RunContext, name: str) -> Json:
        first = await run.step("first", works[name])
        return [first, await run.uuid()]

    async def body(run: RunContext) -> Json:
        await run.now()
        results = await run.branches([(name, partial(branch, name=name)) for name in works])
        await run.step("last", last)
        return list(results)

    async with life(tmp_path / "db", body, clock) as process:
        process.begin(process.fresh())
        for name in ("c", "a", "b"):
            await works[name].begun.wait()
            works[name].go_on.set()
            await clock.advance(0)
        await last.begun.wait()
        steps = await steps_of(process.store)
        assert sorted(steps) == [
            "0",
            "1.a.0",
            "1.a.1",
            "1.b.0",
            "1.b.1",
            "1.c.0",
            "1.c.1",
            "2",
        ]
        ids = [orjson.loads(steps[f"1.{name}.1"].result or "") for name in works]
    last.go_on.set()
    async with life(tmp_path / "db", body, clock) as process:
        assert await process.engine.execute(R1) == "ended"
        result = orjson.loads((await run_of(process.store)).result)
    assert result == [["A", ids[0]], ["B", ids[1]], ["C", ids[2]]]
    assert [work.calls for work in works.values()] == [1, 1, 1]


async def test_branches_nest(start: Start, store: FlakyStore) -> None:
    """A path tells the whole way."""

    async def leaf(run: RunContext) -> Json:
        return await run.step("leaf", Work("leaf"))

    async def inner(run: RunContext) -> Json:
        await run.now()
        return list(await run.branches([("x", leaf), ("y", leaf)]))

    async def body(run: RunContext) -> Json:
        return list(await run.branches([("left", inner), ("right", leaf)]))

    process = start(body)
    assert await process.fresh() == "ended"
    assert sorted(await steps_of(store)) == [
        "0.left.0",
        "0.left.1.x.0",
        "0.left.1.y.0",
        "0.right.0",
    ]
    assert (await run_of(store)).result == '[["leaf","leaf"],"leaf"]'


async def test_a_branch_that_parks_lets_the_others_finish(start: Start, store: FlakyStore) -> None:
    """The run parks when nothing else is left to do, for all that its branches wait for."""
    slow, fast = Work("slow").hold(), Work("fast")

    async def waits(run: RunContext, key: str, timeout_s: float) -> Json:
        return await run.await_event(key, timeout_s=timeout_s, reason="approval")

    async def body(run: RunContext) -> Json:
        return list(
            await run.branches(
                [
                    ("wait", lambda run: waits(run, "one", 60)),
                    ("slow", lambda run: run.step("slow", slow)),
                    ("wait-too", lambda run: waits(run, "two", 30)),
                    ("fast", lambda run: run.step("fast", fast)),
                ]
            )
        )

    process = start(body)
    await process.engine.start()
    execution = process.begin(process.fresh())
    await slow.begun.wait()
    assert not execution.done()
    slow.go_on.set()
    assert await execution == "parked"
    run = await run_of(store)
    assert (run.reason, run.wake_at) == ("approval", process.clock.now_ms() + 30_000)
    await process.engine.emit(R1, "two", 2)
    await process.task.returned.get()
    assert await process.engine.execute(R1) == "parked"
    await process.engine.emit(R1, "one", 1)
    await process.task.returned.get()
    assert await process.engine.execute(R1) == "ended"
    assert (await run_of(store)).result == '[1,"slow",2,"fast"]'
    assert (slow.calls, fast.calls) == (1, 1)


async def test_the_failure_of_a_branch_ends_the_others(start: Start, store: FlakyStore) -> None:
    """The first failure is the failure of them all, not a group of failures."""
    held = Work().hold()

    async def fails(run: RunContext) -> Json:
        await held.begun.wait()
        return await run.step("fails", Work(failures=1))

    async def body(run: RunContext) -> Json:
        with pytest.raises(ValueError, match="not this time"):
            await run.branches([("fails", fails), ("held", lambda run: run.step("held", held))])
        return "caught"

    process = start(body)
    assert await process.fresh() == "ended"
    steps = await steps_of(store)
    assert (steps["0.fails.0"].status, steps["0.held.0"].status) == ("failed", "running")
    assert (await run_of(store)).result == '"caught"'


async def test_a_replay_with_other_branches_ends_the_run(start: Start, store: FlakyStore) -> None:
    """Else what the missing one has done would be forgotten silently."""
    names = ["a", "b"]
    stuck = asyncio.Event()

    async def body(run: RunContext) -> Json:
        await run.branches([(name, lambda run: run.now()) for name in names])
        stuck.set()
        await asyncio.Event().wait()

    process = start(body)
    execution = process.begin(process.fresh())
    await stuck.wait()
    execution.cancel()
    await asyncio.wait([execution])
    names[1] = "c"
    assert await process.engine.execute(R1) == "ended"
    assert (await run_of(store)).error == "step_divergence"


async def test_branches_of_one_name_are_refused(start: Start) -> None:
    """They would share their records."""

    async def body(run: RunContext) -> Json:
        return await run.branches([("a", lambda run: run.now()), ("a", lambda run: run.now())])

    process = start(body)
    assert await process.fresh() == "ended"
    assert isinstance(process.task.errors[0], InvalidInput)


# --- stopping and live output ------------------------------------------------------------------


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
