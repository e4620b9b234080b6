"""One execution is cut short without cancelling whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.core.clock import ManualClock
from gateway.core.errors import LeaseLost, RunCancelled, TooManySteps
from gateway.core.ids import SequentialIds
from gateway.core.tasks import Ending, TaskOwner
from gateway.runs.execution import MAX_STEPS, Execution
from gateway.store.base.runs import RequestCancel
from gateway.store.base.store import Unit
from tests.unit.gateway.runs.scripts import R1
from tests.unit.gateway.runs.stores import FlakyStore, drive

Begin = Callable[[Awaitable[object]], asyncio.Task[object]]


@pytest.fixture
def execution(store: FlakyStore, clock: ManualClock) -> Execution:
    return Execution(R1, 1, store, clock, SequentialIds())


@pytest.fixture
async def begin(execution: Execution) -> AsyncIterator[Begin]:
    """Do something as the execution's own task."""
    owner = TaskOwner("test", lambda name, error: None)

    def start(work: Awaitable[object]) -> asyncio.Task[object]:
        async def body() -> object:
            return await work

        execution.task = owner.start("execution", body(), ending=Ending.CANCELLABLE)
        return execution.task

    yield start
    await owner.close()


class Held:
    """Work that waits; what it does when it is cut short is up to `on_cut`."""

    def __init__(self, on_cut: Callable[[], object] | None = None) -> None:
        self.on_cut = on_cut
        self.begun = asyncio.Event()

    async def __call__(self) -> object:
        self.begun.set()
        try:
            return await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self.on_cut is None:
                raise
            return self.on_cut()


class Place:
    """`gateway.runs.execution.Working`; `held` as it was at each commit is in `seen`."""

    def __init__(self, store: FlakyStore) -> None:
        self.held = True
        self.seen: list[bool] = []
        store.refuses = self._look

    def _look(self, unit: Unit) -> bool:
        self.seen.append(self.held)
        return False

    def rest(self) -> bool:
        held, self.held = self.held, False
        return held

    async def work(self) -> None:
        self.held = True


def fail() -> None:
    raise ValueError("could not clean up")


async def test_the_switches_speak_at_a_boundary(execution: Execution) -> None:
    """A lease that is over weighs more than a wish to stop."""
    execution.check()
    execution.stop_requested = True
    with pytest.raises(RunCancelled, match="run r1 was asked to stop"):
        execution.check()
    execution.fenced = True
    with pytest.raises(LeaseLost, match="another worker may go on"):
        execution.check()


def test_steps_are_counted_to_a_bound(execution: Execution) -> None:
    """A loop that never ends does not fill the disk."""
    for _ in range(MAX_STEPS):
        execution.count_position()
    with pytest.raises(TooManySteps, match=f"more than {MAX_STEPS} steps"):
        execution.count_position()


@pytest.mark.parametrize("switch", ["stop_requested", "fenced"])
@pytest.mark.parametrize("on_cut", [None, fail], ids=["lets it through", "fails"])
async def test_work_that_is_cut_short_ends_as_the_switch_says(
    execution: Execution, begin: Begin, switch: str, on_cut: Callable[[], object] | None
) -> None:
    """Whatever the work makes of its cancellation; none of it is left in the task."""
    held = Held(on_cut)
    wanted = LeaseLost if switch == "fenced" else RunCancelled

    async def body() -> int:
        with pytest.raises(wanted):
            await execution.interruptible(held())
        task = asyncio.current_task()
        assert task is not None
        await asyncio.wait_for(asyncio.Event().wait(), 0) if task.cancelling() else None
        return task.cancelling()

    task = begin(body())
    await held.begun.wait()
    setattr(execution, switch, True)
    execution.interrupt()
    execution.interrupt()
    assert await task == 0


async def test_work_that_is_done_although_it_was_cut_short_is_done(
    execution: Execution, begin: Begin
) -> None:
    """Its result is worth keeping; nothing cancels the await that follows."""
    held = Held(lambda: "done")

    async def body() -> object:
        value = await execution.interruptible(held())
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        return value

    task = begin(body())
    await held.begun.wait()
    execution.stop_requested = True
    execution.interrupt()
    assert await task == "done"
    assert task.cancelling() == 0


async def test_work_that_cuts_itself_short_and_returns_is_done(
    execution: Execution, begin: Begin
) -> None:
    """A run may ask for its own end; the cancellation must not hit what comes after."""

    async def asks() -> str:
        execution.stop_requested = True
        execution.interrupt()
        return "asked"

    async def body() -> object:
        value = await execution.interruptible(asks())
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        return value

    assert await begin(body()) == "asked"


async def test_somebody_elses_cancellation_goes_through(execution: Execution, begin: Begin) -> None:
    """Alone or together with ours, and whatever the work makes of it: the task is to end."""
    for ours, on_cut in ((False, None), (True, None), (True, lambda: "done")):
        held = Held(on_cut)
        task = begin(execution.interruptible(held()))
        await held.begun.wait()
        if ours:
            execution.stop_requested = True
            execution.interrupt()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_a_cancellation_from_nowhere_is_a_failure_of_the_work(
    execution: Execution, begin: Begin
) -> None:
    """A library that loses one of its own must not end the task that waits for it."""

    async def lost() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    with pytest.raises(RuntimeError, match="cancelled from inside"):
        await begin(execution.interruptible(lost()))


async def test_between_two_pieces_of_work_nothing_is_cut_short(
    execution: Execution, begin: Begin
) -> None:
    """A wish to stop waits for the next boundary; a lease that is over does not."""
    begun = asyncio.Event()

    async def body() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = begin(body())
    await begun.wait()
    execution.stop_requested = True
    execution.interrupt()
    assert task.cancelling() == 0
    execution.fenced = True
    execution.interrupt()
    assert task.cancelling() == 1


async def test_the_last_write_is_not_cut_short(
    execution: Execution, begin: Begin, store: FlakyStore
) -> None:
    """Its outcome decides what the process does next."""
    ended = begin(execution.settle(Unit()))
    await asyncio.wait([ended], timeout=0)
    execution.fenced = True
    execution.interrupt()
    await ended
    assert execution.settled


async def test_a_write_waits_for_a_store_that_refuses(
    execution: Execution, begin: Begin, store: FlakyStore, clock: ManualClock
) -> None:
    """As long as the lease lasts."""
    flaky = FlakyStore(store)
    flaky.down = True
    execution.store = flaky
    task = begin(execution.commit(Unit()))
    await clock.advance(5)
    assert not task.done()
    flaky.down = False
    await drive(clock, flaky, task)
    flaky.down = True
    task = begin(execution.commit(Unit()))
    await clock.advance(1)
    execution.fenced = True
    await clock.advance(1)
    await asyncio.wait([task])
    with pytest.raises(LeaseLost):
        task.result()


async def test_a_write_that_a_guard_refuses_is_not_repeated(
    execution: Execution, store: FlakyStore
) -> None:
    """The store has answered."""
    flaky = FlakyStore(store)
    execution.store = flaky
    with pytest.raises(Exception, match="already ended"):
        await execution.commit(Unit((RequestCancel("nobody", 1),)))


async def test_what_waits_for_the_store_holds_no_place(
    store: FlakyStore, execution: Execution
) -> None:
    """It works again after a write, but not after the last one, nor if it did not before."""
    place = execution.working = Place(store)
    await execution.commit(Unit(()))
    assert (place.seen, place.held) == ([False], True)
    place.rest()
    await execution.commit(Unit(()))
    assert (place.seen, place.held) == ([False, False], False)
    await place.work()
    await execution.settle(Unit(()))
    assert (place.seen, place.held) == ([False, False, False], False)
