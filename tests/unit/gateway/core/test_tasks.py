"""Supervised tasks and the bounded queue."""

import asyncio

import pytest

from gateway.core.clock import settle
from gateway.core.tasks import BoundedQueue, Ending, QueueClosed, QueueFull, TaskOwner
from tests.support.patience import PATIENCE_S


class Failures:
    """What an owner was told of."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, BaseException]] = []

    def __call__(self, name: str, error: BaseException) -> None:
        self.seen.append((name, error))

    def said(self) -> list[tuple[str, str]]:
        return [(name, str(error)) for name, error in self.seen]


@pytest.fixture
def failures() -> Failures:
    """Nothing yet."""
    return Failures()


@pytest.fixture
async def owner(failures: Failures) -> TaskOwner:
    """An owner called `lane`."""
    return TaskOwner("lane", failures)


async def for_ever() -> None:
    await asyncio.Event().wait()


async def at_once() -> str:
    return "done"


async def fails() -> None:
    raise KeyError("no")


# Tasks.


async def test_a_task_is_named_after_its_owner(owner: TaskOwner) -> None:
    """So a traceback says what died, and the owner knows how many there are."""
    task = owner.start("worker", at_once(), ending=Ending.FINISHABLE)
    assert task.get_name() == "lane.worker"
    assert len(owner) == 1
    assert await task == "done"
    await owner.join()
    assert len(owner) == 0


@pytest.mark.parametrize("ending", Ending)
async def test_a_failure_is_reported_with_the_tasks_name(
    owner: TaskOwner, failures: Failures, ending: Ending
) -> None:
    """Whatever its ending was to be; the others go on."""
    other = owner.start("other", for_ever(), ending=Ending.CANCELLABLE)
    owner.start("worker", fails(), ending=ending)
    await settle()
    assert failures.said() == [("lane.worker", "'no'")]
    assert not other.done()
    await owner.close()


async def test_an_eternal_task_that_ends_has_failed(owner: TaskOwner, failures: Failures) -> None:
    """It was to run until its owner closes."""
    owner.start("poller", at_once(), ending=Ending.ETERNAL)
    await settle()
    assert failures.said() == [("lane.poller", "ended although it should run until cancelled")]


@pytest.mark.parametrize("ending", [Ending.FINISHABLE, Ending.CANCELLABLE])
async def test_other_tasks_may_end(owner: TaskOwner, failures: Failures, ending: Ending) -> None:
    """Nobody is told."""
    owner.start("worker", at_once(), ending=ending)
    await settle()
    await owner.close()
    assert failures.seen == []


async def test_an_eternal_task_cancelled_from_within_has_failed(
    owner: TaskOwner, failures: Failures
) -> None:
    """Awaiting something cancelled ends a worker as surely as an exception, and as wrongly."""

    async def awaits_something_cancelled() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    owner.start("poller", awaits_something_cancelled(), ending=Ending.ETERNAL)
    await settle()
    assert [name for name, _ in failures.said()] == ["lane.poller"]


async def test_closing_cancels_what_may_be_lost_and_waits_for_the_rest(
    owner: TaskOwner, failures: Failures
) -> None:
    """Finishable tasks end by themselves, the others are cancelled; none is left, none reported."""
    let_go = asyncio.Event()
    eternal = owner.start("eternal", for_ever(), ending=Ending.ETERNAL)
    cancellable = owner.start("cancellable", for_ever(), ending=Ending.CANCELLABLE)
    finishable = owner.start("finishable", let_go.wait(), ending=Ending.FINISHABLE)
    async with asyncio.TaskGroup() as group:
        closing = group.create_task(owner.close())
        await settle()
        assert eternal.cancelled()
        assert cancellable.cancelled()
        assert not closing.done()
        let_go.set()
    assert finishable.result() is True
    assert len(owner) == 0
    assert failures.seen == []


async def test_closing_waits_for_what_a_cancelled_task_still_does(owner: TaskOwner) -> None:
    """Cleaning up takes as long as it takes."""
    let_go = asyncio.Event()
    seen: list[str] = []

    async def tidy() -> None:
        try:
            await for_ever()
        finally:
            await let_go.wait()
            seen.append("tidied")

    owner.start("tidy", tidy(), ending=Ending.CANCELLABLE)
    await settle()
    async with asyncio.TaskGroup() as group:
        closing = group.create_task(owner.close())
        await settle()
        assert not closing.done()
        let_go.set()
    assert seen == ["tidied"]


async def test_cancelling_a_close_cancels_the_finishable_too(owner: TaskOwner) -> None:
    """The drain's deadline has come; nothing outlives it."""
    finishable = owner.start("finishable", for_ever(), ending=Ending.FINISHABLE)
    async with asyncio.TaskGroup() as group:
        closing = group.create_task(owner.close())
        await settle()
        closing.cancel()
    assert finishable.cancelled()
    assert closing.cancelled()
    assert len(owner) == 0


async def test_a_failure_while_closing_is_reported(owner: TaskOwner, failures: Failures) -> None:
    """An eternal task that merely ends then is not."""

    async def fails_when_cancelled() -> None:
        try:
            await for_ever()
        except asyncio.CancelledError:
            raise KeyError("late") from None

    async def ends_when_cancelled() -> None:
        try:
            await for_ever()
        except asyncio.CancelledError:
            return

    owner.start("bad", fails_when_cancelled(), ending=Ending.CANCELLABLE)
    owner.start("good", ends_when_cancelled(), ending=Ending.ETERNAL)
    await settle()
    await owner.close()
    assert failures.said() == [("lane.bad", "'late'")]


async def test_tasks_started_while_closing_are_waited_for(owner: TaskOwner) -> None:
    """A finishable task may need a last helper."""
    seen: list[str] = []

    async def helper() -> None:
        seen.append("helped")

    async def worker() -> None:
        await settle()
        owner.start("helper", helper(), ending=Ending.FINISHABLE)

    owner.start("worker", worker(), ending=Ending.FINISHABLE)
    await owner.close()
    assert seen == ["helped"]
    assert len(owner) == 0


async def test_what_is_run_to_completion_outlives_its_caller(owner: TaskOwner) -> None:
    """A caller that stays has the result; one that is cancelled does not stop the work."""
    assert await owner.run_to_completion("stays", at_once()) == "done"
    gate, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await gate.wait()
        done.set()

    async with asyncio.TaskGroup() as group:
        caller = group.create_task(owner.run_to_completion("leaves", work()))
        await settle()
        caller.cancel()
    gate.set()
    await owner.close()
    assert done.is_set()


async def test_joining_waits_without_ending_anything(owner: TaskOwner) -> None:
    """Cancelling the wait leaves the tasks alone."""
    task = owner.start("worker", for_ever(), ending=Ending.FINISHABLE)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(owner.join())
        await settle()
        waiting.cancel()
    assert not task.done()
    task.cancel()
    await owner.join()


# The queue.


async def test_a_queue_gives_in_order_what_it_was_given() -> None:
    """First in, first out."""
    queue: BoundedQueue[int] = BoundedQueue(3)
    for n in range(3):
        queue.put_nowait(n)
    assert len(queue) == 3
    assert [await queue.get() for _ in range(3)] == [0, 1, 2]


async def test_a_full_queue_says_so() -> None:
    """The caller refuses or drops; taking one makes room."""
    queue: BoundedQueue[int] = BoundedQueue(1)
    queue.put_nowait(1)
    with pytest.raises(QueueFull):
        queue.put_nowait(2)
    assert await queue.get() == 1
    queue.put_nowait(3)


async def test_a_getter_waits_for_an_item() -> None:
    """Several getters get one item each."""
    queue: BoundedQueue[int] = BoundedQueue(9)
    async with asyncio.TaskGroup() as group:
        getters = [group.create_task(queue.get()) for _ in range(3)]
        await settle()
        for n in range(2):
            queue.put_nowait(n)
        await settle()
        assert sum(getter.done() for getter in getters) == 2
        queue.put_nowait(2)
    assert sorted(getter.result() for getter in getters) == [0, 1, 2]


async def test_a_cancelled_getter_takes_nothing() -> None:
    """Not even when an item comes in the same step."""
    queue: BoundedQueue[int] = BoundedQueue(9)
    async with asyncio.TaskGroup() as group:
        getter = group.create_task(queue.get())
        other = group.create_task(queue.get())
        await settle()
        queue.put_nowait(1)
        getter.cancel()
    assert getter.cancelled()
    assert other.result() == 1


async def test_a_closed_queue_gives_what_is_left_and_takes_no_more() -> None:
    """Then it says that it is closed, every time."""
    queue: BoundedQueue[int] = BoundedQueue(9)
    queue.put_nowait(1)
    queue.close()
    with pytest.raises(QueueClosed):
        queue.put_nowait(2)
    assert await queue.get() == 1
    for _ in range(2):
        with pytest.raises(QueueClosed):
            await queue.get()


async def test_closing_wakes_every_getter() -> None:
    """None waits for something that will never come."""
    queue: BoundedQueue[int] = BoundedQueue(9)
    async with asyncio.TaskGroup() as group:
        getters = [
            group.create_task(asyncio.wait_for(_closed(queue), PATIENCE_S)) for _ in range(3)
        ]
        await settle()
        queue.close()
    assert [getter.result() for getter in getters] == [True] * 3


async def _closed(queue: BoundedQueue[int]) -> bool:
    try:
        await queue.get()
    except QueueClosed:
        return True
    return False
