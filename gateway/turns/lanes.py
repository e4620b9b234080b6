"""Lanes: one turn at a time per session, sessions side by side.

What other parts call: put an input, give a run back, cancel a turn, start and stop. A lane is its
state (`lane`); which exist is in `lane_table`, what one does in `lane_worker`, and the watches over
all of them in `lane_upkeep`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from gateway.core.clock import Clock
from gateway.core.errors import Conflict, NotFound, RunTerminal
from gateway.core.ids import RunId, TurnId
from gateway.core.tasks import Ending, TaskOwner
from gateway.events.kinds import Kind
from gateway.runs.engine import Engine
from gateway.runs.gate import Use
from gateway.store.base.inputs import GetInput, InputRow, OpenInputs
from gateway.store.base.runs import RunRow
from gateway.store.base.store import Committed, Store
from gateway.telemetry.tasks import task_failed
from gateway.turns.lane_table import LaneTable
from gateway.turns.lane_upkeep import LaneUpkeep
from gateway.turns.lane_worker import PAGE, LaneWorker
from gateway.turns.slots import TurnSlots
from gateway.turns.task import TurnTask

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
        self._table = LaneTable(store=store, clock=clock, slots=slots)
        self._worker = LaneWorker(store=store, clock=clock, slots=slots, table=self._table)
        self._upkeep = LaneUpkeep(store=store, clock=clock, table=self._table, worker=self._worker)
        self._engine: Engine
        self._owner = TaskOwner("lanes", task_failed)
        self._hurried = asyncio.Event()

    def __len__(self) -> int:
        return len(self._table)

    @property
    def waiting(self) -> int:
        """How many turns could run and wait for a slot; parked ones are not among them."""
        return self._slots.waiting

    @property
    def unanswered(self) -> int:
        """How many messages wait to be answered, and turns to go on: all that does not run now,
        except those that are parked."""
        return self._table.unanswered

    def bounds(self) -> list[Use]:
        """How far each bound on turns is used."""
        return self._slots.bounds()

    def check(self, principal: str) -> None:
        """Whether one more message of this principal is taken. Raises `Busy`."""
        self._slots.backlog.check(principal, self._clock.monotonic())

    async def start(self, engine: Engine, task: TurnTask) -> None:
        """Take up every input that has not ended; what was running comes back by `requeue`.

        Nothing runs before `admit`.
        """
        self._engine = engine
        self._worker.start(engine, task)
        engine.register(task)
        after = 0
        while rows := await self._store.read(OpenInputs(after, PAGE)):
            after = rows[-1].ordinal
            for row in rows:
                lane = self._table.lane(row.session_key)
                if row.state == "queued":
                    lane.put(row)
                else:
                    lane.turn_id = row.turn_id
        # What another process claimed while this was read is learnt by a claim that is refused.
        self._store.listen(self._on_committed)
        # First the engine hands out what a dead process left; the other turns are looked up.
        await engine.start()
        for lane in self._table:
            if lane.turn_id and not lane.resumable:
                await self._worker.check_turn(lane)
                if lane.orphaned and not lane.queued:
                    lane.release()  # another process has it, and nothing waits for it here
                self._table.drop(lane)
        self._upkeep.start()

    def admit(self) -> None:
        """Let turns begin: everything they need is ready. Inputs are accepted before that."""
        self._worker.admit()

    def put(self, row: InputRow) -> int:
        """Queue an accepted input; how many of its session wait before it."""
        lane = self._table.lane(row.session_key)
        position = len(lane.queued)
        lane.put(row)
        if row.expires_at:
            self._upkeep.ages()
        self._worker.kick(lane)
        return position

    def position(self, session_key: str, turn_id: str) -> int | None:
        """How many messages of the session wait before this one; None: it does not wait here.

        What another process took in waits there.
        """
        lane = self._table.find(session_key)
        queued = lane.queued if lane is not None else ()
        return next((at for at, row in enumerate(queued) if row.turn_id == turn_id), None)

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        """Take back an interrupted or woken turn."""
        lane = self._table.lane(run.session_key)
        lane.turn_id = run.run_id
        lane.resumable.append((run, alone))
        self._worker.kick(lane)

    async def cancel(self, turn_id: TurnId) -> None:
        """Stop a turn: immediately while it waits in the queue, at the next step once it runs.

        Raises `NotFound`, or `Conflict` when it has ended or was merged into another turn.
        """
        while True:
            rows = await self._store.read(GetInput(turn_id))
            if not rows:
                raise NotFound(f"there is no turn {turn_id!r}")
            row = rows[0]
            if row.state == "queued":
                try:
                    await self._table.end_queued(row, "cancelled", Kind.INPUT_CANCELLED)
                except Conflict:
                    continue  # claimed since it was read: it has another state now
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
                # After the wish is durable: a resumed turn that waits for a slot now only ends.
                self._slots.withdraw(turn_id)
                return
            raise Conflict(f"the turn {turn_id!r} has ended: {row.state}")

    async def admitted(self) -> None:
        """Wait until turns begin."""
        await self._worker.admitted()

    async def drained(self) -> None:
        """Wait until no lane has anything it can do; before `admit` that is never."""
        await self._worker.admitted()
        await self._worker.join()

    def take_over(self) -> None:
        """Another process stops: look immediately for what it has left."""
        self._engine.nudge()
        self._upkeep.take_over()

    def hurry(self) -> None:
        """Let no `stop`, now or later, wait for running turns."""
        self._hurried.set()

    async def stop(self, *, grace_s: float) -> None:
        """Begin nothing new, give running turns `grace_s` to end, then give the rest back."""
        self._worker.stop()
        await self._upkeep.close()
        joining = self._owner.start("join", self._quiet(), ending=Ending.CANCELLABLE)
        hurried = self._owner.start("hurry", self._hurried.wait(), ending=Ending.CANCELLABLE)
        with suppress(TimeoutError):
            async with self._clock.timeout(grace_s):
                await asyncio.wait({joining, hurried}, return_when=asyncio.FIRST_COMPLETED)
        if not joining.done():
            log.info("lanes.interrupted", turns=self._engine.executing)
        await self._owner.close()
        # The engine first: it gives back the leases of what it cuts short. A run whose lane was
        # cancelled before would keep its lease, and wait for that to end.
        await self._engine.stop()
        await self._worker.close()

    async def _quiet(self) -> None:
        """Until no lane works, and no run that no lane executes is at it either."""
        await self._worker.join()
        await self._engine.idle()

    def _on_committed(self, committed: Committed) -> None:
        """What any process did to the sessions that have something to do here."""
        for event in committed.events:
            lane = self._table.find(event.session_key)
            if lane is None:
                continue
            if event.kind in _CLAIMED:
                self._table.take_out(lane, [event.turn_id])
            elif event.kind in _ENDED and event.turn_id == lane.turn_id != lane.executing:
                # Not of a turn executed here: its lane goes on when `execute` has returned.
                lane.release()
                lane.wake.set()
                self._worker.kick(lane)
            self._table.drop(lane)
