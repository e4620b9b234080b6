"""Runs that nobody executes find their way back, each once."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from gateway.core.clock import ManualClock
from gateway.core.ids import RunId, WorkerId
from gateway.core.tasks import Ending, TaskOwner
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.runs.watch import PAGE, WATCH_S, Watch
from gateway.store.base.runs import CountRecovery, OpenRun, ParkRun, RequestCancel, RunRow
from gateway.store.base.store import Unit
from tests.unit.gateway.runs.scripts import Script
from tests.unit.gateway.runs.stores import FlakyStore, advance


async def nothing(run: RunContext) -> Json:
    return None


def a_watch(store: FlakyStore, clock: ManualClock, task: Script, *live: str) -> Watch:
    return Watch(
        store=store,
        clock=clock,
        tasks={task.name: task},
        live={RunId(run_id) for run_id in live},
        worker=WorkerId("w1"),
        stop=lambda run_id: None,
    )


async def open_run(
    store: FlakyStore, run_id: str, *, until: int = 0, task: str = "script", recoveries: int = 0
) -> None:
    ops = OpenRun(run_id, task, "", "", "null", "w0", until, 1)
    await store.commit(Unit((ops, CountRecovery(run_id, 1, recoveries, 0))))


def handed_out(task: Script) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    while not task.returned.empty():
        row, alone = task.returned.get_nowait()
        found.append((row.run_id, alone))
    return found


async def test_every_abandoned_run_is_handed_out_once(
    store: FlakyStore, clock: ManualClock
) -> None:
    """Beyond one page, and however often somebody looks."""
    count = 2 * PAGE + 50
    for number in range(count):
        store.post(Unit((OpenRun(f"r{number:04}", "script", "", "", "null", "w0", 0, 1),)))
    await open_run(store, "live")
    await open_run(store, "held", until=clock.now_ms() + 1)
    task = Script(nothing)
    watch = a_watch(store, clock, task, "live")
    await asyncio.gather(watch.look(), watch.look())
    await watch.look()
    found = Counter(run_id for run_id, _ in handed_out(task))
    assert found == {f"r{number:04}": 1 for number in range(count)}
    watch.taken(RunId("r0007"))
    await watch.look()
    assert handed_out(task) == [("r0007", False)]


async def test_a_lease_that_ends_is_noticed_within_a_second(
    store: FlakyStore, clock: ManualClock
) -> None:
    """Nobody tells: the owner is gone."""
    task = Script(nothing)
    await open_run(store, "r1", until=clock.now_ms() + 5_000)
    watch = a_watch(store, clock, task)
    owner = TaskOwner("test", lambda name, error: None)
    owner.start("watch", watch.keep(), ending=Ending.ETERNAL)
    while task.returned.empty():
        await advance(clock, store, 0.25)
    row, _ = task.returned.get_nowait()
    assert row.run_id == "r1"
    assert 5 <= clock.monotonic() <= 5 + 2 * WATCH_S
    await owner.close()


async def test_what_a_parked_run_waits_for_wakes_it(store: FlakyStore, clock: ManualClock) -> None:
    """Its timer, or a wish that it stop; a run without either stays parked."""
    now = clock.now_ms()
    for run_id, wake_at in (("due", now), ("later", now + 1), ("stop", None), ("never", None)):
        await open_run(store, run_id)
        await store.commit(Unit((ParkRun(run_id, 1, "timer", wake_at, now),)))
    await store.commit(Unit((RequestCancel("stop", now),)))
    task = Script(nothing)
    await a_watch(store, clock, task).look()
    assert sorted(handed_out(task)) == [("due", False), ("stop", False)]


@pytest.mark.parametrize(("recoveries", "alone"), [(0, False), (1, False), (2, True), (3, False)])
async def test_a_run_interrupted_twice_without_progress_comes_back_to_run_alone(
    store: FlakyStore, clock: ManualClock, recoveries: int, alone: bool
) -> None:
    """It may be what takes the process down."""
    await open_run(store, "r1", recoveries=recoveries)
    task = Script(nothing)
    await a_watch(store, clock, task).look()
    assert handed_out(task) == [("r1", alone)]


async def test_a_run_of_an_unknown_task_stops_nothing(
    store: FlakyStore, clock: ManualClock
) -> None:
    """A part that is switched off leaves its runs where they are."""
    await open_run(store, "a", task="gone")
    await open_run(store, "b")
    task = Script(nothing)
    await a_watch(store, clock, task).look()
    assert handed_out(task) == [("b", False)]


class Stubborn(Script):
    """Refuses what comes back, the first time."""

    refusals = 0

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        if not self.refusals:
            self.refusals += 1
            raise RuntimeError("no room")
        super().requeue(run, alone=alone)


async def test_the_watch_goes_on_whatever_goes_wrong(store: FlakyStore, clock: ManualClock) -> None:
    """A store that does not answer and a queue that refuses: both are tried again."""
    flaky = FlakyStore(store)
    flaky.down = True
    await open_run(store, "r1")
    task = Stubborn(nothing)
    watch = a_watch(flaky, clock, task)
    failures: list[BaseException] = []
    owner = TaskOwner("test", lambda name, error: failures.append(error))
    owner.start("watch", watch.keep(), ending=Ending.ETERNAL)
    await clock.advance(3 * WATCH_S)
    assert task.returned.empty()
    flaky.down = False
    await advance(clock, flaky, 3 * WATCH_S)
    row, _ = task.returned.get_nowait()
    assert (row.run_id, task.refusals) == ("r1", 1)
    assert not failures
    await owner.close()
