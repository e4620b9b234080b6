"""A plain async function as a durable task: what operators and programs add to the gateway.

`async def report(ctx, input)` is executed from its top after every interruption; what it asked of
`ctx` before returns immediately. It returns JSON, or a `Finish` to say more about its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson

from gateway.core.clock import Clock
from gateway.core.errors import NotFound, TurngateError, describe
from gateway.core.ids import RunId
from gateway.events.kinds import Kind
from gateway.runs.canonical import Json, json_text
from gateway.runs.context import RunContext
from gateway.runs.queue import RunQueue
from gateway.runs.task import Finish, Pause, status_of
from gateway.store.base.runs import GetRun, RunRow
from gateway.store.base.store import NewEvent, Store

TaskFunction = Callable[[RunContext, Json], Awaitable[object]]
"""Takes the context and the run's input (JSON); returns JSON or a `Finish`."""
MAX_NOTE_CHARS = 2000
"""Longest sentence of a failure that is kept with its run."""


class FunctionTask:
    """`gateway.runs.task.DurableTask` of one function."""

    def __init__(
        self, name: str, function: TaskFunction, *, store: Store, clock: Clock, queue: RunQueue
    ) -> None:
        self.name = name
        self._function = function
        self._store = store
        self._clock = clock
        self._queue = queue

    async def run(self, context: RunContext) -> Finish:
        rows = await self._store.read(GetRun(context.run_id))
        if not rows:
            raise NotFound(f"the run {context.run_id!r} was deleted before it began")
        value = await self._function(context, orjson.loads(rows[0].input))
        finish = value if isinstance(value, Finish) else Finish("completed", value)
        return self._told(context.run_id, finish)

    async def abandon(self, run_id: RunId, error: TurngateError) -> Finish:
        note = str(error)[:MAX_NOTE_CHARS].encode(errors="replace").decode()
        finish = Finish(status_of(error), error=describe(error).kind, outcome={"note": note})
        return self._told(run_id, finish)

    async def pause(self, run_id: RunId, reason: str) -> Pause:
        return Pause(events=(self.event(run_id, Kind.RUN_WAITING, {"reason": reason}),))

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        self._queue.put(RunId(run.run_id), alone=alone, principal=run.principal)

    def event(self, run_id: RunId, kind: Kind, data: dict[str, Json]) -> NewEvent:
        """Something that happened to a run of this task; it has the run's id as its turn's."""
        return NewEvent(
            self._clock.now_ms(), kind, turn_id=run_id, data=json_text({"task": self.name, **data})
        )

    def _told(self, run_id: RunId, finish: Finish) -> Finish:
        data: dict[str, Json] = {"status": finish.status}
        if finish.error:
            data["kind"] = finish.error
        told = self.event(run_id, Kind.RUN_ENDED, data)
        return Finish(
            finish.status,
            finish.result,
            finish.error,
            finish.ops,
            (*finish.events, told),
            finish.after,
            finish.outcome,
        )
