"""Three watches over the lanes, for what no event of this process announces.

`expiry`: queued inputs whose time is over. `held`: lanes whose turn has ended in another process.
`stale`: inputs that no process claims. Each outlives a store that refuses.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable
from gateway.core.ids import TurnId
from gateway.core.tasks import Ending, TaskOwner
from gateway.store.base.inputs import StaleInputs
from gateway.store.base.runs import GetRun
from gateway.store.base.store import Store
from gateway.telemetry.tasks import task_failed
from gateway.turns.lane import Lane
from gateway.turns.lane_table import LaneTable
from gateway.turns.lane_worker import PAGE, RETRY_S, LaneWorker

HELD_S = 60.0
"""How often lanes held by a parked turn are looked at: it may have ended in another process."""
STALE_S = 2.0
"""How long an input that nothing stands before may wait for the process that accepted it, before
every process tries to claim it; and how often such inputs are looked for."""

log = structlog.get_logger(__name__)


class LaneUpkeep:
    """The watches of this process."""

    def __init__(self, *, store: Store, clock: Clock, table: LaneTable, worker: LaneWorker) -> None:
        self._store = store
        self._clock = clock
        self._table = table
        self._worker = worker
        self._owner = TaskOwner("lanes", task_failed)
        self._aging = asyncio.Event()
        self._left_behind = asyncio.Event()

    def start(self) -> None:
        """Watch until `close`."""
        self._owner.start("expiry", self._watch_expiry(), ending=Ending.ETERNAL)
        self._owner.start("held", self._watch_held(), ending=Ending.ETERNAL)
        self._owner.start("stale", self._watch_stale(), ending=Ending.ETERNAL)

    async def close(self) -> None:
        """Watch no more; a write under way holds or not, as the store says."""
        await self._owner.close()

    def ages(self) -> None:
        """An input with a time limit was queued."""
        self._aging.set()

    def take_over(self) -> None:
        """Another process stops: look immediately for what it has left."""
        self._left_behind.set()

    async def _watch_expiry(self) -> None:
        """A lane may be held for an hour by a parked turn; who waits behind it learns in time."""
        while True:
            # Cleared before looking: what is queued during the look is looked at again.
            self._aging.clear()
            try:
                for lane in self._table:
                    await self._table.expire(lane)
            except StoreUnavailable as error:
                log.warning("lane.expiry_put_off", reason=str(error))
                await self._clock.sleep(RETRY_S)
                continue
            soonest = self._table.next_expiry
            left = None if soonest is None else (soonest - self._clock.now_ms()) / 1000
            with suppress(TimeoutError):
                async with self._clock.timeout(left):
                    await self._aging.wait()

    async def _watch_held(self) -> None:
        """The end of a turn that was parked here and executed elsewhere may not be announced."""
        while True:
            await self._clock.sleep(HELD_S)
            for lane in self._table:
                try:
                    await self._release_if_ended(lane, lane.turn_id)
                except StoreUnavailable as error:
                    log.warning("lane.store_unavailable", reason=str(error))
                    break

    async def _release_if_ended(self, lane: Lane, turn_id: str) -> None:
        """Let a lane go on whose turn is over, unless something happens here in between."""

        def stands() -> bool:
            busy = lane.working or lane.resumable
            return bool(turn_id) and lane.turn_id == turn_id and not busy

        # Asked again after each wait: the turn may have come back and be executed by now.
        if not stands():
            return
        rows = await self._store.read(GetRun(turn_id))
        if (rows and rows[0].ended_at is None) or not stands():
            return
        await self._worker.close_input(TurnId(turn_id))
        if stands():
            lane.release()
            self._worker.kick(lane)
            self._table.drop(lane)

    async def _watch_stale(self) -> None:
        """Take up what no process claims: the one that accepted it may be gone, or too busy."""
        while True:
            with suppress(TimeoutError):
                async with self._clock.timeout(STALE_S):
                    await self._left_behind.wait()
            now = self._clock.now_ms()
            # What a stopping process left has no owner: it need not be old.
            age = 0 if self._left_behind.is_set() else STALE_S
            self._left_behind.clear()
            stale = StaleInputs(now - round(age * 1000), now, PAGE)
            try:
                rows = await self._store.read(stale)
            except StoreUnavailable as error:
                log.warning("lane.stale_put_off", reason=str(error))
                continue
            for row in rows:
                lane = self._table.lane(row.session_key)
                lane.put(row)
                self._worker.kick(lane)
            if any(row.expires_at for row in rows):
                self._aging.set()
