"""A worker stops acting before its lease is over, whatever store and clocks do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.core.clock import ManualClock
from gateway.core.ids import WorkerId
from gateway.core.tasks import Ending, TaskOwner
from gateway.runs.lease import FENCE_S, LEASE_S, Lease
from gateway.store.base.runs import GetRun, OpenRun, RenewLeases
from gateway.store.base.store import Receipt, Store, Unit
from tests.unit.gateway.runs.stores import FlakyStore, advance, holds


class SlowStore(FlakyStore):
    """Answers a renewal only when it is told to."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.answer = asyncio.Event()

    async def commit(self, unit: Unit) -> Receipt:
        await self.answer.wait()
        return await super().commit(unit)


class StallingClock(ManualClock):
    """Time that passes while nothing runs."""

    def stall(self, seconds: float) -> None:
        self._move(self._mono + seconds)


class Kept:
    """A lease being kept, and when it was said to be over."""

    def __init__(self, store: Store, clock: ManualClock, lease_s: float) -> None:
        self.over: list[float] = []
        self.lease = Lease(
            store=store,
            clock=clock,
            worker=WorkerId("w1"),
            on_over=lambda: self.over.append(clock.monotonic()),
            lease_s=lease_s,
        )


@pytest.fixture
async def owner() -> AsyncIterator[TaskOwner]:
    tasks = TaskOwner("test", lambda name, error: None)
    yield tasks
    await tasks.close()


def keep(owner: TaskOwner, store: Store, clock: ManualClock, *, lease_s: float = LEASE_S) -> Kept:
    kept = Kept(store, clock, lease_s)
    owner.start("lease", kept.lease.keep(), ending=Ending.ETERNAL)
    return kept


async def lease_until(store: FlakyStore, run_id: str) -> int:
    (run,) = await store.read(GetRun(run_id))
    return run.lease_until


async def test_one_statement_renews_every_lease_of_a_worker(
    store: FlakyStore, clock: ManualClock, owner: TaskOwner
) -> None:
    """Three times a lease; leases of others and those that are over stay as they are."""
    now = clock.now_ms()
    for run_id, holder, until in (
        ("a", "w1", now + 30_000),
        ("b", "w1", now + 20_000),
        ("late", "w1", now + 5_000),
        ("other", "w2", now + 30_000),
    ):
        unit = Unit((OpenRun(run_id, "script", "", "", "null", holder, until, now),))
        await store.commit(unit)
    watched = FlakyStore(store)
    kept = keep(owner, watched, clock)
    await advance(clock, store, 95)
    assert [len(unit.ops) for unit in watched.commits] == [1] * 9
    at = now + 90_000 + round(LEASE_S * 1000)
    assert [await lease_until(store, name) for name in ("a", "b", "late", "other")] == [
        at,
        at,
        now + 5_000,
        now + 30_000,
    ]
    assert not kept.over


async def test_a_worker_that_cannot_renew_stops_five_seconds_early(
    store: FlakyStore, clock: ManualClock, owner: TaskOwner
) -> None:
    """Counted from when it asked for the last renewal that was granted."""
    flaky = FlakyStore(store)
    kept = keep(owner, flaky, clock)
    await advance(clock, store, 12)
    flaky.refuses = holds(RenewLeases)
    await advance(clock, store, 28)
    assert kept.over == [10 + LEASE_S - FENCE_S]
    flaky.refuses = lambda unit: False
    await advance(clock, store, 12)
    assert kept.over == [35]
    flaky.refuses = holds(RenewLeases)
    await advance(clock, store, 28)
    assert len(kept.over) == 2


async def test_a_shorter_lease_keeps_the_proportions(
    store: FlakyStore, clock: ManualClock, owner: TaskOwner
) -> None:
    """The worker stops at the very moment, also between two tries."""
    store.refuses = holds(RenewLeases)
    kept = keep(owner, store, clock, lease_s=7.2)
    await advance(clock, store, 10)
    assert kept.over == [pytest.approx(6.0)]
    assert kept.lease.until(1000) == 8200


async def test_a_renewal_that_is_not_answered_is_not_waited_for(
    store: FlakyStore, clock: ManualClock, owner: TaskOwner
) -> None:
    """The worker stops in time although the store still says nothing."""
    slow = SlowStore(store)
    kept = keep(owner, slow, clock)
    await clock.advance(24.9)
    assert not kept.over
    await clock.advance(0.1)
    assert kept.over == [LEASE_S - FENCE_S]
    slow.answer.set()


async def test_a_refused_renewal_is_asked_for_again_soon(
    store: FlakyStore, clock: ManualClock, owner: TaskOwner
) -> None:
    """A store that was away for a moment costs nothing."""
    flaky = FlakyStore(store)
    flaky.refuses = holds(RenewLeases)
    kept = keep(owner, flaky, clock)
    await advance(clock, store, 15)
    assert flaky.refused == 6
    flaky.refuses = lambda unit: False
    await advance(clock, store, 30)
    assert not kept.over


async def test_a_worker_that_slept_too_long_knows_it_before_it_asks(
    store: FlakyStore, owner: TaskOwner
) -> None:
    """A stalled loop: another worker may have been there, so the renewal changes nothing."""
    clock = StallingClock()
    watched = FlakyStore(store)
    kept = keep(owner, watched, clock)
    await clock.advance(0)
    clock.stall(40)
    assert not watched.commits
    await watched.quiet()
    assert kept.over == [40]
    assert watched.commits


async def test_a_wall_clock_that_jumps_does_not_end_a_lease_here(
    store: FlakyStore, clock: ManualClock, owner: TaskOwner
) -> None:
    """The owner counts on the monotonic clock."""
    kept = keep(owner, store, clock)
    clock.jump_wall(-3600)
    await advance(clock, store, 30)
    clock.jump_wall(7200)
    await advance(clock, store, 30)
    assert not kept.over
