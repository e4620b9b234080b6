"""Lanes: one turn at a time per conversation, conversations side by side.

A lane exists while its conversation has something to do. It claims what waits, hands the run to the
engine and goes on when the run has ended; a parked or lost run keeps the lane until it comes back
through `requeue`, ahead of what was said since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

import structlog

from gateway.core.clock import Clock
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import Conflict, NotFound, RunTerminal, StoreUnavailable
from gateway.core.ids import RunId, TurnId
from gateway.core.tasks import Ending, TaskOwner
from gateway.events.kinds import Kind
from gateway.runs.engine import Engine
from gateway.runs.gate import Party, Use
from gateway.store.base.inputs import (
    GetInput,
    InputRow,
    OpenInputs,
    QueuedInputs,
    SessionTurn,
    StaleInputs,
)
from gateway.store.base.runs import GetRun, RunRow
from gateway.store.base.store import Committed, NewEvent, Store, Unit
from gateway.telemetry.tasks import task_failed
from gateway.turns import units
from gateway.turns.lane import Lane, party_of
from gateway.turns.merging import next_group
from gateway.turns.slots import Free, Place, TurnSlots
from gateway.turns.task import TASK, TurnTask, manifest

PAGE = 500
HELD_S = 60.0
"""How often lanes held by a parked turn are looked at: it may have ended in another process."""
RETRY_S = 1.0
"""How soon a lane goes on after the store refused a write or its turn was lost."""
STALE_S = 2.0
"""How long an input that nothing stands before may wait for whoever took it in, before every
process tries to claim it; and how often such inputs are looked for."""
_CLAIMED = frozenset(
    {Kind.TURN_STARTED, Kind.INPUT_MERGED, Kind.INPUT_CANCELLED, Kind.INPUT_EXPIRED}
)
_ENDED = frozenset({Kind.TURN_COMPLETED, Kind.TURN_FAILED, Kind.TURN_CANCELLED})

log = structlog.get_logger(__name__)


class Lanes:
    """All lanes of this process."""

    def __init__(self, *, store: Store, clock: Clock, slots: TurnSlots) -> None:
        self._store = store
        self._clock = clock
        self._slots = slots
        self._engine: Engine
        self._task: TurnTask
        self._lanes: dict[str, Lane] = {}
        self._owner = TaskOwner("lanes", task_failed)
        self._upkeep = TaskOwner("lanes", task_failed)
        self._admitted = asyncio.Event()
        self._aging = asyncio.Event()
        self._hurried = asyncio.Event()
        self._left_behind = asyncio.Event()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def waiting(self) -> int:
        """How many turns could run and wait for a slot; parked ones are not among them."""
        return self._slots.waiting

    def bounds(self) -> list[Use]:
        """How far each bound on turns is used."""
        return self._slots.bounds()

    def check(self, principal: str) -> None:
        """Whether one more message of this principal is taken. Raises `Busy`."""
        self._slots.backlog.check(principal, self._clock.monotonic())

    @property
    def unanswered(self) -> int:
        """How many messages wait to be answered, and turns to go on: all that does not run now,
        except those that are parked."""
        return sum(len(lane.queued) + len(lane.returned) for lane in self._lanes.values())

    async def start(self, engine: Engine, task: TurnTask) -> None:
        """Take up every input that has not ended; what was running comes back by `requeue`.

        Nothing runs before `admit`.
        """
        self._engine = engine
        self._task = task
        engine.register(task)
        after = 0
        while rows := await self._store.read(OpenInputs(after, PAGE)):
            after = rows[-1].ordinal
            for row in rows:
                lane = self._lane(row.session_key)
                if row.state == "queued":
                    lane.put(row)
                else:
                    lane.held_by = row.turn_id
        self._store.listen(self._heard)
        await engine.start()
        for lane in list(self._lanes.values()):
            if lane.held_by and not lane.returned:
                await self._look(lane)
                if lane.lost and not lane.queued:
                    lane.release()  # another process has it, and nobody waits for it here
                self._drop(lane)
        self._upkeep.start("expiry", self._watch_expiry(), ending=Ending.ETERNAL)
        self._upkeep.start("held", self._watch_held(), ending=Ending.ETERNAL)
        self._upkeep.start("stale", self._watch_stale(), ending=Ending.ETERNAL)

    def admit(self) -> None:
        """Let turns begin: everything they need is ready. Inputs are accepted before that."""
        self._admitted.set()
        for lane in list(self._lanes.values()):
            self._kick(lane)

    def put(self, row: InputRow) -> int:
        lane = self._lane(row.session_key)
        position = len(lane.queued)
        lane.put(row)
        if row.expires_at:
            self._aging.set()
        self._kick(lane)
        return position

    def position(self, session_key: str, turn_id: str) -> int | None:
        """How many messages of the conversation wait before this one; None: it does not wait here.

        What another process took in waits there.
        """
        lane = self._lanes.get(session_key)
        queued = lane.queued if lane is not None else ()
        return next((at for at, row in enumerate(queued) if row.turn_id == turn_id), None)

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        """Take back an interrupted or woken turn."""
        lane = self._lane(run.session_key)
        lane.held_by = run.run_id
        lane.returned.append((run, alone))
        self._kick(lane)

    async def cancel(self, turn_id: TurnId) -> None:
        """Stop a turn: at once while it waits in the queue, at the next step once it runs.

        Raises `NotFound`, or `Conflict` when it has ended or was merged into another turn.
        """
        while True:
            rows = await self._store.read(GetInput(turn_id))
            if not rows:
                raise NotFound(f"there is no turn {turn_id!r}")
            row = rows[0]
            if row.state == "queued":
                try:
                    await self._end_queued(row, "cancelled", Kind.INPUT_CANCELLED)
                except Conflict:
                    continue  # claimed in the meantime
                return
            if row.state == "merged":
                raise Conflict(
                    f"the turn {turn_id!r} is answered together with {row.merged_into!r}; "
                    "cancel that one"
                )
            if row.state in ("running", "waiting"):
                try:
                    await self._engine.cancel(RunId(turn_id))
                except RunTerminal as error:
                    raise Conflict(f"the turn {turn_id!r} has just ended") from error
                self._slots.withdraw(turn_id)
                return
            raise Conflict(f"the turn {turn_id!r} has ended: {row.state}")

    async def admitted(self) -> None:
        """Wait until turns begin."""
        await self._admitted.wait()

    async def drained(self) -> None:
        """Wait until no lane has anything it can do; before `admit` that is never."""
        await self._admitted.wait()
        await self._owner.join()

    def hurry(self) -> None:
        """Let no `stop`, now or later, wait for running turns."""
        self._hurried.set()

    async def stop(self, *, grace_s: float) -> None:
        """Begin nothing new, give running turns `grace_s` to end, then give the rest back."""
        self._stopping = True
        await self._upkeep.close()
        joining = self._upkeep.start("join", self._quiet(), ending=Ending.CANCELLABLE)
        hurried = self._upkeep.start("hurry", self._hurried.wait(), ending=Ending.CANCELLABLE)
        with suppress(TimeoutError):
            async with self._clock.timeout(grace_s):
                await asyncio.wait({joining, hurried}, return_when=asyncio.FIRST_COMPLETED)
        if not joining.done():
            log.info("lanes.interrupted", turns=self._engine.executing)
        await self._upkeep.close()
        await self._engine.stop()
        await self._owner.close()

    async def _quiet(self) -> None:
        """Until no lane works, and no run that no lane executes is at it either."""
        await self._owner.join()
        await self._engine.idle()

    def _lane(self, key: str) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key, self._slots.backlog)
        return lane

    def _drop(self, lane: Lane) -> None:
        """A lane with nothing to do is not kept: there may be a million peers."""
        if lane.idle():
            self._lanes.pop(lane.key, None)

    def _kick(self, lane: Lane) -> None:
        if self._admitted.is_set() and lane.ready() and not lane.working and not self._stopping:
            lane.working = True
            # Cancellable: what a lane is at stays in the store and is taken up at the next start.
            self._owner.start(lane.key, self._work(lane), ending=Ending.CANCELLABLE)

    async def _work(self, lane: Lane) -> None:
        try:
            while lane.ready() and not self._stopping:
                try:
                    if lane.returned:
                        await self._resume(lane)
                    elif lane.lost:
                        await self._look_after(lane)
                    else:
                        await self._claim(lane)
                except StoreUnavailable as error:
                    log.warning("lane.store_unavailable", reason=str(error))
                    await self._clock.sleep(RETRY_S)
                except Exception:  # the boundary of a lane: nothing may close it for ever
                    log.exception("lane.bug", session_key=lane.key)
                    lane.lost = bool(lane.held_by)
                    await self._clock.sleep(RETRY_S)
        finally:
            lane.working = False
            self._drop(lane)

    async def _claim(self, lane: Lane) -> None:
        """Start a turn on what waits."""
        first = lane.queued[0]
        size = len(first.body or "")
        async with self._slots.hold(party_of(first), chars=size, name=lane.key) as place:
            if place is None or self._stopping or await self._expire(lane):
                return
            # What came while waiting for the slot may join; what was cancelled has left.
            group = next_group(tuple(lane.queued))
            if not group:
                return
            crashpoint("lane.before_claim")
            try:
                async with place.released():
                    await self._store.commit(self._claimed(group))
                    crashpoint("lane.after_claim")
                    lane.take_out(row.turn_id for row in group)
                    lane.held_by = group[0].turn_id
            except Conflict:
                await self._learn(lane)
                return
            await self._execute(lane, RunId(group[0].turn_id), place, fresh=group)

    async def _resume(self, lane: Lane) -> None:
        """Go on with a turn that was interrupted or has woken.

        One that was stopped has only its end to write: it waits for no slot, nor on in the line.
        """
        run, alone = lane.returned[0]
        rows = await self._store.read(GetInput(run.run_id))
        now, again = self._clock.now_ms(), {"epoch": run.epoch + 1, "recoveries": run.recoveries}
        resumed = [units.event(row, Kind.TURN_RESUMED, now, **again) for row in rows]
        if run.cancel_requested:
            await self._go_on(lane, run, Free(), resumed)
            return
        party = party_of(rows[0]) if rows else Party(run.principal)
        async with self._slots.hold(party, alone=alone, name=run.run_id) as place:
            await self._go_on(lane, run, place or Free(), resumed)

    async def _go_on(
        self, lane: Lane, run: RunRow, place: Place, resumed: Sequence[NewEvent]
    ) -> None:
        if not self._stopping:
            lane.returned.popleft()
            lane.lost = False
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
            lane.lost = outcome != "parked"

    async def _look_after(self, lane: Lane) -> None:
        """Wait for a lost turn: the engine hands it out again if it is to go on here."""
        lane.nudged.clear()
        with suppress(TimeoutError):
            async with self._clock.timeout(RETRY_S):
                await lane.nudged.wait()
        if lane.lost and not lane.returned:
            await self._look(lane)

    async def _learn(self, lane: Lane) -> None:
        """Somebody else was faster: how the conversation stands now. What was put since stays."""
        known = {row.turn_id for row in lane.queued}
        queued = await self._store.read(QueuedInputs(lane.key, PAGE))
        self._take_out(lane, known - {row.turn_id for row in queued})
        for row in queued:
            lane.put(row)
        for holder in await self._store.read(SessionTurn(lane.key)):
            lane.held_by = holder.turn_id
            lane.lost = True

    def _heard(self, committed: Committed) -> None:
        """What other processes did to the conversations that have something to do here."""
        for event in committed.events:
            lane = self._lanes.get(event.session_key)
            if lane is None:
                continue
            if event.kind in _CLAIMED:
                self._take_out(lane, [event.turn_id])
            elif event.kind in _ENDED and event.turn_id == lane.held_by != lane.executing:
                lane.release()
                lane.nudged.set()
                self._kick(lane)
            self._drop(lane)

    def take_over(self) -> None:
        """Another process stops: look immediately for what it has left."""
        self._engine.nudge()
        self._left_behind.set()

    async def _watch_stale(self) -> None:
        """Take up what nobody claims: whoever took it in may be gone, or have its hands full."""
        while True:
            with suppress(TimeoutError):
                async with self._clock.timeout(STALE_S):
                    await self._left_behind.wait()
            now = self._clock.now_ms()
            age = 0 if self._left_behind.is_set() else STALE_S
            self._left_behind.clear()
            stale = StaleInputs(now - round(age * 1000), now, PAGE)
            try:
                rows = await self._store.read(stale)
            except StoreUnavailable as error:
                log.warning("lane.stale_put_off", reason=str(error))
                continue
            for row in rows:
                lane = self._lane(row.session_key)
                lane.put(row)
                self._kick(lane)
            if any(row.expires_at for row in rows):
                self._aging.set()

    async def _look(self, lane: Lane) -> None:
        """Whether the turn that holds the lane will come back; if not, the lane goes on."""
        rows = await self._store.read(GetRun(lane.held_by))
        if rows and rows[0].ended_at is None:
            lane.lost = rows[0].status == "running"
            return
        await self._close(TurnId(lane.held_by))
        lane.release()

    async def _close(self, turn_id: TurnId) -> None:
        """Its run is over, so nobody else will end this input; mostly it has ended with the run."""
        for row in await self._store.read(GetInput(turn_id)):
            if row.state in ("running", "waiting"):
                log.error("lane.input_left_open", turn_id=turn_id)
                await self._store.commit(units.close(row, self._clock.now_ms()))

    def _claimed(self, group: tuple[InputRow, ...]) -> Unit:
        lead = group[0]
        opening = self._engine.opening(
            RunId(lead.turn_id),
            manifest(group),
            session_key=lead.session_key,
            principal=lead.principal,
        )
        return units.claim(group, opening, self._clock.now_ms())

    async def _watch_expiry(self) -> None:
        """A lane may be held for an hour by a parked turn; who waits behind it learns in time."""
        while True:
            self._aging.clear()
            try:
                for lane in list(self._lanes.values()):
                    await self._expire(lane)
            except StoreUnavailable as error:
                log.warning("lane.expiry_put_off", reason=str(error))
                await self._clock.sleep(RETRY_S)
                continue
            waiting = (row for lane in self._lanes.values() for row in lane.queued)
            soonest = min((row.expires_at for row in waiting if row.expires_at), default=None)
            left = None if soonest is None else (soonest - self._clock.now_ms()) / 1000
            with suppress(TimeoutError):
                async with self._clock.timeout(left):
                    await self._aging.wait()

    async def _watch_held(self) -> None:
        """Nobody tells this process of the end of a turn that it parked and does not execute."""
        while True:
            await self._clock.sleep(HELD_S)
            for lane in list(self._lanes.values()):
                try:
                    await self._let_go(lane, lane.held_by)
                except StoreUnavailable as error:
                    log.warning("lane.store_unavailable", reason=str(error))
                    break

    async def _let_go(self, lane: Lane, held_by: str) -> None:
        """Let a lane go on whose turn is over, unless something happens here meanwhile."""

        def stands() -> bool:
            busy = lane.working or lane.returned
            return bool(held_by) and lane.held_by == held_by and not busy

        if not stands():
            return
        rows = await self._store.read(GetRun(held_by))
        if (rows and rows[0].ended_at is None) or not stands():
            return
        await self._close(TurnId(held_by))
        if stands():
            lane.release()
            self._kick(lane)
            self._drop(lane)

    async def _expire(self, lane: Lane) -> bool:
        """End inputs nobody wants answered any more; whether there were any."""
        now = self._clock.now_ms()
        late = [row for row in lane.queued if row.expires_at and row.expires_at <= now]
        for row in late:
            try:
                await self._end_queued(row, "expired", Kind.INPUT_EXPIRED)
            except Conflict:
                self._take_out(lane, [row.turn_id])  # cancelled or claimed in the same moment
        return bool(late)

    async def _end_queued(self, row: InputRow, state: str, kind: Kind) -> None:
        await self._store.commit(units.end_queued(row, state, kind, self._clock.now_ms()))
        lane = self._lanes.get(row.session_key)
        if lane is not None:
            self._take_out(lane, [row.turn_id])
            self._drop(lane)

    def _take_out(self, lane: Lane, turn_ids: Iterable[str]) -> None:
        """Forget queued inputs, and at once give up a place in the line for slots that was theirs:
        what waits is counted, and new work refused by that number."""
        waited_as = lane.waits_as
        lane.take_out(turn_ids)
        if lane.waits_as != waited_as:
            self._slots.withdraw(lane.key)
