"""Time as an input: real time does what asyncio does, manual time only what it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.core.clock import Clock, ManualClock, SystemClock, settle


@pytest.fixture(params=[SystemClock, ManualClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    """Either clock."""
    made: Clock = request.param()
    return made


def drive(clock: Clock) -> Callable[[Awaitable[Any]], Awaitable[Any]]:
    """How to run something that waits: manual time has to be moved along."""

    async def run(work: Awaitable[Any]) -> Any:
        return await work

    return clock.drive if isinstance(clock, ManualClock) else run


# Both clocks.


async def test_sleeping_for_no_time_lets_others_run(clock: Clock) -> None:
    """Zero and less are a single step of the loop."""
    seen: list[str] = []
    asyncio.get_running_loop().call_soon(seen.append, "other")
    await clock.sleep(0)
    assert seen == ["other"]
    await clock.sleep(-1)


async def test_sleeping_ends(clock: Clock) -> None:
    """Monotonic time has passed then, and never goes back."""
    before = clock.monotonic()
    await drive(clock)(clock.sleep(0.001))
    assert clock.monotonic() >= before


async def test_a_timeout_cancels_the_block_and_says_so(clock: Clock) -> None:
    """What waits inside is cancelled; outside it is a `TimeoutError`."""
    seen: list[str] = []

    async def work() -> None:
        async with clock.timeout(0.001):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

    with pytest.raises(TimeoutError):
        await drive(clock)(work())
    assert seen == ["cancelled"]


async def test_a_block_that_ends_in_time_is_left_alone(clock: Clock) -> None:
    """Its result and its own errors pass through."""
    async with clock.timeout(1000):
        await clock.sleep(0)
    with pytest.raises(KeyError):
        async with clock.timeout(1000):
            raise KeyError


async def test_no_timeout_is_no_timeout(clock: Clock) -> None:
    """None never fires."""
    async with clock.timeout(None):
        await clock.sleep(0)


async def test_a_timeout_of_nothing_ends_at_the_first_wait(clock: Clock) -> None:
    """Zero is a deadline that has passed."""

    async def work() -> None:
        async with clock.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await drive(clock)(work())


async def test_a_cancelled_block_is_cancelled_and_not_timed_out(clock: Clock) -> None:
    """Cancelling from outside keeps its meaning."""

    async def work() -> None:
        async with clock.timeout(1000):
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await settle()
        task.cancel()
    assert task.cancelled()


async def test_a_cancelled_sleep_has_no_other_effect(clock: Clock) -> None:
    """Later sleeps work."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.sleep(1000))
        await settle()
        task.cancel()
    await drive(clock)(clock.sleep(0.001))


def test_wall_time_is_in_milliseconds() -> None:
    """Thirteen digits for as long as anybody cares."""
    assert len(str(SystemClock().now_ms())) == 13
    assert ManualClock(now_ms=1_234_567_890_123).now_ms() == 1_234_567_890_123


# Manual time.


async def test_manual_time_stands_still() -> None:
    """Whatever runs meanwhile."""
    clock = ManualClock()
    before = (clock.now_ms(), clock.monotonic())
    await settle(100)
    assert (clock.now_ms(), clock.monotonic()) == before


async def test_advancing_moves_both_clocks() -> None:
    """By the same amount, in many small steps as in a large one."""
    clock = ManualClock(now_ms=1_000_000)
    for _ in range(100):
        await clock.advance(0.01)
    assert clock.now_ms() == 1_001_000
    assert clock.monotonic() == pytest.approx(1)


async def test_a_jump_moves_wall_time_alone() -> None:
    """Neither sleeps nor timeouts notice; back is a direction too."""
    clock = ManualClock(now_ms=1_000_000)
    async with asyncio.TaskGroup() as group:
        sleep = group.create_task(clock.sleep(10))
        await settle()
        clock.jump_wall(-500)
        await settle()
        assert not sleep.done()
        assert (clock.now_ms(), clock.monotonic()) == (500_000, 0)
        await clock.advance(10)
        assert sleep.done()


async def test_timers_fire_in_order_of_their_deadline_then_of_their_creation() -> None:
    """Each sees the time it asked for, however far the clock is moved at once."""
    clock = ManualClock(now_ms=0)
    fired: list[tuple[str, int]] = []

    async def wait(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        fired.append((name, clock.now_ms()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("c", 3), ("a1", 1), ("b", 2), ("a2", 1)):
            group.create_task(wait(name, seconds))
        await clock.advance(60)
    assert fired == [("a1", 1000), ("a2", 1000), ("b", 2000), ("c", 3000)]


async def test_what_a_timer_starts_is_seen_before_the_next_one_fires() -> None:
    """A chain of sleeps runs through in one advance, interleaved with others."""
    clock = ManualClock()
    seen: list[str] = []

    async def tick(name: str, every: float, times: int) -> None:
        for n in range(times):
            await clock.sleep(every)
            seen.append(f"{name}{n}")

    async with asyncio.TaskGroup() as group:
        group.create_task(tick("a", 2, 3))
        group.create_task(tick("b", 3, 2))
        await clock.advance(6)
    assert seen == ["a0", "b0", "a1", "b1", "a2"]


async def test_a_timer_does_not_fire_before_its_time() -> None:
    """Nor a second time."""
    clock = ManualClock()
    async with asyncio.TaskGroup() as group:
        sleep = group.create_task(clock.sleep(1))
        await clock.advance(0.999)
        assert not sleep.done()
        await clock.advance(0.001)
        assert sleep.done()
        await clock.advance(5)


async def test_nested_timeouts_end_the_right_block() -> None:
    """The inner one alone when it is due first."""
    clock = ManualClock()
    seen: list[str] = []

    async def work() -> None:
        async with clock.timeout(10):
            try:
                async with clock.timeout(1):
                    await asyncio.Event().wait()
            except TimeoutError:
                seen.append("inner")
            await clock.sleep(1)
            seen.append("went on")

    await clock.drive(work())
    assert seen == ["inner", "went on"]


async def test_driving_returns_what_the_work_returns() -> None:
    """Jumping over hours of sleep; its error comes out as well."""
    clock = ManualClock()

    async def work() -> str:
        for _ in range(10):
            await clock.sleep(3600)
        return "done"

    async def fail() -> None:
        await clock.sleep(1)
        raise KeyError("no")

    assert await clock.drive(work()) == "done"
    assert clock.monotonic() == 36_000
    with pytest.raises(KeyError, match="no"):
        await clock.drive(fail())


async def test_driving_waits_for_work_no_virtual_clock_can_see() -> None:
    """A thread answers in real time; no timer is needed for that."""
    clock = ManualClock()

    async def work() -> int:
        return await asyncio.to_thread(lambda: 7)

    assert await clock.drive(work()) == 7
    assert clock.monotonic() == 0


async def test_cancelling_a_drive_cancels_its_work() -> None:
    """Nothing is left behind."""
    clock = ManualClock()
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.drive(work()))
        await settle()
        task.cancel()
    assert seen == ["ended"]


async def test_a_block_that_ends_as_its_timeout_falls_due_ends_quietly() -> None:
    """Both in one step of the loop: the block was first, so nothing is left to cancel."""
    clock = ManualClock()
    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    ready = asyncio.Event()

    async def work() -> None:
        async with clock.timeout(1):
            await ready.wait()

    async def end() -> None:
        await settle()  # as long as `advance` does before it moves the clock
        ready.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        await settle()
        group.create_task(end())
        group.create_task(clock.advance(1))
    await settle()
    assert problems == []


async def test_settling_runs_a_chain_of_callbacks() -> None:
    """As many links as rounds."""
    seen: list[int] = []
    loop = asyncio.get_running_loop()

    def link(n: int) -> None:
        seen.append(n)
        loop.call_soon(link, n + 1)

    link(0)
    await settle(5)
    assert seen == [0, 1, 2, 3, 4, 5]
