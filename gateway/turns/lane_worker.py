"""What a lane does while it has something to do: claim inputs, run the turn, see that it ended.

One task a lane, from the first thing to do to the last. It claims what waits, hands the run to the
engine and goes on when the run has ended. A parked or lost run keeps the lane until it is handed
out again, ahead of what was said since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from gateway.core.clock import Clock
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import Conflict, StoreUnavailable
from gateway.core.ids import RunId, TurnId
from gateway.core.tasks import Ending, TaskOwner
from gateway.runs.engine import Engine
from gateway.runs.gate import Party
from gateway.store.base.inputs import GetInput, InputRow, QueuedInputs, SessionTurn
from gateway.store.base.runs import GetRun, RunRow
from gateway.store.base.store import NewEvent, Store
from gateway.telemetry.tasks import task_failed
from gateway.turns import units
from gateway.turns.lane import Lane, party_of
from gateway.turns.lane_table import LaneTable
from gateway.turns.merging import next_group
from gateway.turns.slots import Free, Place, TurnSlots
from gateway.turns.task import TASK, TurnTask, manifest

PAGE = 500
"""Inputs of one read: few round trips, and no long stop of the event loop. The mailbox of a session
is bounded far below."""
RETRY_S = 1.0
"""How soon a lane goes on after the store refused a write or its turn was lost."""

log = structlog.get_logger(__name__)


class LaneWorker:
    """The tasks of all lanes. Before `admit` and after `stop` none begins anything."""

    def __init__(self, *, store: Store, clock: Clock, slots: TurnSlots, table: LaneTable) -> None:
        self._store = store
        self._clock = clock
        self._slots = slots
        self._table = table
        self._engine: Engine
        self._task: TurnTask
        self._owner = TaskOwner("lanes", task_failed)
        self._admitted = asyncio.Event()
        self._stopping = False

    def start(self, engine: Engine, task: TurnTask) -> None:
        """Execute turns by this engine as this task."""
        self._engine = engine
        self._task = task

    def admit(self) -> None:
        """Let turns begin."""
        self._admitted.set()
        for lane in self._table:
            self.kick(lane)

    async def admitted(self) -> None:
        """Wait until turns may begin."""
        await self._admitted.wait()

    async def join(self) -> None:
        """Wait until no lane has anything it can do."""
        await self._owner.join()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopping = True

    async def close(self) -> None:
        """Cancel what lanes are at, which the next start takes up."""
        await self._owner.close()

    def kick(self, lane: Lane) -> None:
        """Work a lane that has something to do, unless its task does already."""
        if self._admitted.is_set() and lane.ready() and not lane.working and not self._stopping:
            lane.working = True
            # Cancellable: what a lane is at stays in the store and is taken up at the next start.
            self._owner.start(lane.key, self._work(lane), ending=Ending.CANCELLABLE)

    async def check_turn(self, lane: Lane) -> None:
        """Look whether the turn that holds a lane will come back; if not, the lane goes on."""
        rows = await self._store.read(GetRun(lane.turn_id))
        if rows and rows[0].ended_at is None:
            lane.orphaned = rows[0].status == "running"
            return
        await self.close_input(TurnId(lane.turn_id))
        lane.release()

    async def close_input(self, turn_id: TurnId) -> None:
        """End an input whose run is over. Mostly both ended in one unit; no one else closes it."""
        for row in await self._store.read(GetInput(turn_id)):
            if row.state in ("running", "waiting"):
                log.error("lane.input_left_open", turn_id=turn_id)
                await self._store.commit(units.close(row, self._clock.now_ms()))

    async def _work(self, lane: Lane) -> None:
        try:
            while lane.ready() and not self._stopping:
                try:
                    # What has begun goes first: it holds the lane, and newer inputs wait behind.
                    if lane.resumable:
                        await self._resume(lane)
                    elif lane.orphaned:
                        await self._await_orphan(lane)
                    else:
                        await self._claim(lane)
                except StoreUnavailable as error:
                    log.warning("lane.store_unavailable", reason=str(error))
                    await self._clock.sleep(RETRY_S)
                except Exception:  # the boundary of a lane: nothing may close it for good
                    log.exception("lane.bug", session_key=lane.key)
                    # The store knows how far the turn got; only a held lane has one to look for.
                    lane.orphaned = bool(lane.turn_id)
                    await self._clock.sleep(RETRY_S)
        finally:
            lane.working = False
            self._table.drop(lane)

    async def _claim(self, lane: Lane) -> None:
        """Start a turn on what waits."""
        first = lane.queued[0]
        size = len(first.body or "")
        async with self._slots.hold(party_of(first), chars=size, name=lane.key) as place:
            if place is None or self._stopping or await self._table.expire(lane):
                return
            # What came while waiting for the slot may join; what was cancelled has left.
            group = next_group(tuple(lane.queued))
            if not group:
                return
            lead = group[0]
            opening = self._engine.opening(
                RunId(lead.turn_id),
                manifest(group),
                session_key=lead.session_key,
                principal=lead.principal,
            )
            crashpoint("lane.before_claim")
            try:
                async with place.released():
                    await self._store.commit(units.claim(group, opening, self._clock.now_ms()))
                    crashpoint("lane.after_claim")
                    # Before the block ends, which waits for the place: until then expiry and the
                    # positions of newcomers would find claimed inputs still queued.
                    lane.take_out(row.turn_id for row in group)
                    lane.turn_id = lead.turn_id
            except Conflict:
                # A cancel, an expiry or another process was first: one of the group is not queued.
                await self._refresh_from_store(lane)
                return
            await self._execute(lane, RunId(lead.turn_id), place, fresh=group)

    async def _resume(self, lane: Lane) -> None:
        """Go on with a turn that was interrupted or has woken.

        One that was stopped has only its end to write: it waits for no slot, nor on in the line.
        """
        run, alone = lane.resumable[0]
        rows = await self._store.read(GetInput(run.run_id))
        resumed = [units.resumed(row, run, self._clock.now_ms()) for row in rows]
        if run.cancel_requested:
            await self._go_on(lane, run, Free(), resumed)
            return
        party = party_of(rows[0]) if rows else Party(run.principal)
        async with self._slots.hold(party, alone=alone, name=run.run_id) as place:
            # No place: it was stopped while it waited for one (`Lanes.cancel` withdraws it).
            await self._go_on(lane, run, place or Free(), resumed)

    async def _go_on(
        self, lane: Lane, run: RunRow, place: Place, resumed: Sequence[NewEvent]
    ) -> None:
        if not self._stopping:
            # Taken only now: while it waited for a slot it counted as unanswered.
            lane.resumable.popleft()
            lane.orphaned = False
            await self._execute(lane, RunId(run.run_id), place, events=resumed)

    async def _execute(
        self,
        lane: Lane,
        run_id: RunId,
        place: Place,
        *,
        fresh: tuple[InputRow, ...] = (),
        events: Sequence[NewEvent] = (),
    ) -> None:
        """Execute the turn in this place; `fresh` are the inputs of one that was just claimed."""
        lane.executing = run_id
        try:
            outcome = await self._engine.execute(
                run_id,
                fresh=TASK if fresh else "",
                by=self._task.placed(place, fresh),
                events=events,
                working=place,
            )
        finally:
            lane.executing = ""
        if outcome == "ended":
            lane.release()
        else:
            lane.orphaned = outcome != "parked"

    async def _await_orphan(self, lane: Lane) -> None:
        """Wait for an orphaned turn: the engine hands it out again if it is to go on here."""
        lane.wake.clear()
        with suppress(TimeoutError):
            async with self._clock.timeout(RETRY_S):
                await lane.wake.wait()
        # It may have been handed out, or have ended elsewhere, while this waited.
        if lane.orphaned and not lane.resumable:
            await self.check_turn(lane)

    async def _refresh_from_store(self, lane: Lane) -> None:
        """Learn how the session stands after a claim was refused. What was put since stays."""
        known = {row.turn_id for row in lane.queued}
        queued = await self._store.read(QueuedInputs(lane.key, PAGE))
        self._table.take_out(lane, known - {row.turn_id for row in queued})
        for row in queued:
            lane.put(row)
        for holder in await self._store.read(SessionTurn(lane.key)):
            lane.turn_id = holder.turn_id
            # Whether it is executed elsewhere or was left behind, `_await_orphan` finds out.
            lane.orphaned = True
