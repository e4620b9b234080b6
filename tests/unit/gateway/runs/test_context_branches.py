"""Branches side by side: deterministic, each in a scope of its own."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import orjson
import pytest

from gateway.core.clock import ManualClock
from gateway.core.errors import InvalidInput
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from tests.unit.gateway.runs.conftest import Start
from tests.unit.gateway.runs.scripts import R1, Work, life, run_of, steps_of
from tests.unit.gateway.runs.stores import FlakyStore


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
        assert sorted(steps) == ["0", "1.a.0", "1.a.1", "1.b.0", "1.b.1", "1.c.0", "1.c.1", "2"]
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
