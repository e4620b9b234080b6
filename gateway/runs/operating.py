"""What people do with runs: start, go on, do again from a step, decide, give an event, forget.

Nothing here executes. Each wish is one unit that leaves the run parked and due, with an entry in
the log that says who wished it; the engine finds it like any other that has woken. A turn is not
done again: its answer has left, and its conversation has commands of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import structlog

from gateway.core.clock import Clock
from gateway.core.errors import (
    Conflict,
    Duplicate,
    EventEmitRace,
    InvalidInput,
    ManifestMismatch,
    NotFound,
    RunTerminal,
)
from gateway.core.ids import Ids, RunId
from gateway.events.kinds import Kind
from gateway.runs.canonical import Json, json_text
from gateway.runs.engine import Engine
from gateway.runs.history import Rest, rest_from, rest_unfinished
from gateway.runs.reading import RunReading
from gateway.runs.task import Manifest
from gateway.store.base.catalog import Op
from gateway.store.base.inputs import FindKey, RememberKey
from gateway.store.base.retention import PruneRuns
from gateway.store.base.runs import (
    DropRunEvent,
    GetRunEvent,
    PutRun,
    ReopenRun,
    RunEvents,
    RunRow,
    RunWaits,
)
from gateway.store.base.steps import DropStep, LoadSteps
from gateway.store.base.store import Durability, NewEvent, Store, Unit

Decision = Literal["ran", "did_not_run", "skip"]
METHOD = "runs.start"
"""Under which idempotency keys of starts are remembered."""
QUEUED = "queued"
"""Reason of a run that is due and waits for a place."""
PIECE = 500
"""Rows a piece of pruning deletes."""
NOT_MADE = "An operator decided that this call is not made."

log = structlog.get_logger(__name__)


class Operations:
    """The wishes. `tasks` are those that may be started and done again.

    Every method raises `NotFound` for a run that is not there. Cancelled: the wish holds or not, as
    the store says; a run that is due is found within a second all the same.
    """

    def __init__(
        self, *, store: Store, clock: Clock, ids: Ids, engine: Engine, tasks: Collection[str]
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._engine = engine
        self.tasks = tuple(tasks)
        self.reading = RunReading(store)

    async def start(self, manifest: Manifest, *, by: str, key: str = "", root: str = "") -> RunId:
        """A new run of a declared task; the same `key` with the same manifest is the same run.

        `root` is a run that sets it off: what all of them use is added up under the first of them.
        Raises `NotFound` (no such task or root), `ManifestMismatch` (the key stands for another
        manifest), `InvalidInput` (the input is not JSON).
        """
        if manifest.task not in self.tasks:
            known = ", ".join(self.tasks) or "none is; TURNGATE_TASKS declares them"
            raise NotFound(f"there is no task {manifest.task!r}; declared: {known}")
        run_id, now = RunId(self._ids.new("r")), self._clock.now_ms()
        due = self.due(run_id, manifest, by=by)
        if root:
            due = due._replace(root=(await self.reading.one(root)).root)
        ops: list[Op] = [due]
        if key:
            ops.append(RememberKey(by, METHOD, key, manifest.hash(), run_id, now))
        event = self.event(run_id, Kind.RUN_STARTED, {"task": manifest.task, "by": by})
        try:
            await self._store.commit(Unit(tuple(ops), (event,), Durability.CRITICAL))
        except Duplicate:
            (known_key,) = await self._store.read(FindKey(by, METHOD, key))
            if known_key.body_hash != manifest.hash():
                raise ManifestMismatch(
                    f"the key {key!r} started {known_key.turn_id} with another task or input"
                ) from None
            return RunId(known_key.turn_id)
        self._engine.nudge()
        return run_id

    async def resume(self, run_id: RunId, *, by: str) -> None:
        """Go on where a run stopped: failed, cancelled, quarantined, or parked.

        Waits that ran out begin anew. Raises `RunTerminal` when it has completed, `Conflict` when
        it runs or is a turn that has ended.
        """
        row = await self.reading.one(run_id)
        if row.status == "completed":
            raise RunTerminal(f"run {run_id} has completed; do it again with retry or fork")
        self._check_idle(row)
        steps = await self._store.read(LoadSteps(run_id))
        await self._reopen(row, rest_unfinished(steps), {"action": "resume", "by": by})

    async def retry(
        self, run_id: RunId, step: str, *, by: str, repeat_unsafe: bool = False
    ) -> None:
        """Do a run again from a step on; what was recorded before it holds.

        Raises `NotFound` (no such step) and `Conflict`: it runs, is a turn that has ended, or would
        repeat unsafe steps without `repeat_unsafe`.
        """
        row = await self.reading.one(run_id)
        self._check_idle(row)
        rest = await self.rest(run_id, step, repeat_unsafe=repeat_unsafe)
        await self._reopen(row, rest, {"action": "retry", "by": by, "step": step})

    async def cancel(self, run_id: RunId, *, by: str) -> None:
        """Ask a run to stop, as `Engine.cancel` does; raises `RunTerminal` when it has ended."""
        await self.reading.one(run_id)
        event = self.event(run_id, Kind.RUN_OPERATED, {"action": "cancel", "by": by})
        await self._engine.cancel(run_id, events=(event,))

    async def rest(self, run_id: RunId, step: str, *, repeat_unsafe: bool) -> Rest:
        """What holds when a run is done again from a step; raises as `retry` does."""
        steps = await self._store.read(LoadSteps(run_id))
        rest = rest_from(steps, await self._store.read(RunEvents(run_id)), step)
        if rest.repeated and not repeat_unsafe:
            raise Conflict(
                f"from step {step} on, run {run_id} would repeat what must not happen twice "
                f"(steps {', '.join(rest.repeated)}); repeat_unsafe says that it may"
            )
        return rest

    async def decide(
        self, run_id: RunId, decision: Decision, *, by: str, step: str = "", result: Json = None
    ) -> str:
        """Say what became of an unsafe step that was cut short; the step's path.

        `ran` (with its result), `did_not_run` (so it is run now), or `skip` (and shall not be).
        Raises `Conflict` when nothing waits for a decision, `InvalidInput` when several do and
        `step` names none, `EventEmitRace` when another decision came first.
        """
        await self.reading.one(run_id)
        keys = [row.key for row in await self._store.read(RunWaits(run_id))]
        asked = {key.split(":")[1]: key for key in keys if key.startswith("decision:")}
        if not asked:
            raise Conflict(f"run {run_id} waits for no decision")
        if not step and len(asked) == 1:
            (step,) = asked
        if step not in asked:
            raise InvalidInput(f"step: say which, one of {', '.join(sorted(asked))}")
        said: dict[str, Json] = {"decision": decision, "by": by}
        if decision != "did_not_run":
            said["result"] = result
        if decision == "skip" and result is None:
            steps = await self._store.read(LoadSteps(run_id))
            if any(found.path == step and found.kind == "tool" for found in steps):
                said["result"] = {"text": NOT_MADE, "is_error": True}
        if not await self._engine.emit(run_id, asked[step], said):
            raise EventEmitRace(f"step {step} of run {run_id} was already decided")
        await self._tell(run_id, {"action": "decide", "by": by, "step": step, "what": decision})
        return step

    async def emit(self, run_id: RunId, key: str, payload: Json, *, by: str) -> None:
        """Give a run an event it waits for, or will; again with the same payload changes nothing.

        Raises `EventEmitRace` when the key had another payload before, `InvalidInput` for keys that
        decisions are made under.
        """
        if key.startswith("decision:"):
            raise InvalidInput("key: what became of a step is said with runs.decide")
        await self.reading.one(run_id)
        if await self._engine.emit(run_id, key, payload):
            await self._tell(run_id, {"action": "emit", "by": by, "key": key})
            return
        for winner in await self._store.read(GetRunEvent(run_id, key)):
            if winner.payload != json_text(payload):
                raise EventEmitRace(f"run {run_id} got {key!r} before, with another payload")

    async def prune(self, *, before: int, by: str) -> int:
        """Forget runs that ended before an instant (ms); how many. What they did stays done."""
        count = 0
        while True:
            receipt = await self._store.commit(Unit((PruneRuns(before, PIECE),)))
            count += receipt.touched[0]
            if receipt.touched[0] < PIECE:
                break
        await self._tell(RunId(""), {"action": "prune", "by": by, "runs": count})
        return count

    def due(self, run_id: RunId, manifest: Manifest, *, by: str) -> PutRun:
        """The write that makes a new run due."""
        now = self._clock.now_ms()
        return PutRun(
            run_id=run_id,
            task=manifest.task,
            manifest_hash=manifest.hash(),
            session_key="",
            input=json_text(manifest.input),
            status="suspended",
            reason=QUEUED,
            wake_at=now,
            created_at=now,
            updated_at=now,
            ended_at=None,
            result="null",
            error="",
            principal=by,
            root=run_id,
            tags=json_text(dict(manifest.tags)),
            outcome="null",
            origin="",
        )

    def event(self, run_id: RunId, kind: Kind, data: dict[str, Json]) -> NewEvent:
        """An entry of the log about a run; it has the run's id as its turn's."""
        return NewEvent(self._clock.now_ms(), kind, turn_id=run_id, data=json_text(data))

    def _check_idle(self, row: RunRow) -> None:
        if row.status == "running":
            raise Conflict(f"run {row.run_id} is being executed; cancel it first")
        if row.ended_at is not None and row.task not in self.tasks:
            raise Conflict(
                f"run {row.run_id} is a {row.task} that has ended, and what it led to has left; "
                "say it again, or use turngate sessions rewind"
                if row.task == "turn"
                else f"the task {row.task!r} of run {row.run_id} is not declared here any more"
            )

    async def _reopen(self, row: RunRow, rest: Rest, said: dict[str, Json]) -> None:
        run_id = RunId(row.run_id)
        ops: list[Op] = [ReopenRun(run_id, row.epoch, self._clock.now_ms())]
        ops += [DropStep(run_id, step.path) for step in rest.dropped]
        ops += [DropRunEvent(run_id, key) for key in sorted(rest.keys)]
        event = self.event(run_id, Kind.RUN_OPERATED, said)
        await self._store.commit(Unit(tuple(ops), (event,), Durability.CRITICAL))
        self._engine.nudge()

    async def _tell(self, run_id: RunId, said: dict[str, Json]) -> None:
        await self._store.commit(Unit((), (self.event(run_id, Kind.RUN_OPERATED, said),)))
