"""Copies of runs: a fork goes its own way from a step on, a document carries a run elsewhere.

A copy has an id of its own, so its effects have keys of their own: what a fork does again, it does
again in the world. A document holds everything that was recorded, so it is for operators' eyes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from gateway.core.clock import Clock
from gateway.core.errors import Conflict, InvalidInput, ManifestMismatch
from gateway.core.ids import Ids, RunId
from gateway.events.kinds import Kind
from gateway.runs.canonical import Json, json_text
from gateway.runs.engine import Engine
from gateway.runs.history import is_question
from gateway.runs.operating import Operations
from gateway.runs.pieces import Pieces
from gateway.runs.results import INLINE_BYTES, apart
from gateway.runs.task import Manifest
from gateway.store.base.catalog import Op
from gateway.store.base.runs import EmitRunEvent, GetRun, PutRun, RunEventRow, RunEvents
from gateway.store.base.steps import LoadSteps, PutStep, StepRow
from gateway.store.base.store import Durability, Store, Unit
from gateway.wire.methods.run_document import FORMAT, DocumentEvent, DocumentStep, RunDocument

IMPORTED = "imported"
"""Reason of a run that came unfinished: it is executed nowhere until somebody resumes it."""

_RUN = ("status", "reason", "created_at", "updated_at", "ended_at", "error", "principal", "origin")


class Copies:
    """Forks, exports and imports."""

    def __init__(
        self, *, store: Store, clock: Clock, ids: Ids, engine: Engine, operations: Operations
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._engine = engine
        self._operations = operations
        self.pieces = Pieces(store)

    async def fork(
        self, run_id: RunId, *, by: str, step: str = "", repeat_unsafe: bool = False
    ) -> RunId:
        """A new run that has what another recorded before a step, and goes on from there.

        Without `step`: with everything that is complete. Raises `NotFound`, and `Conflict` for
        turns and as `Operations.retry` does.
        """
        row = await self._operations.reading.one(run_id)
        if row.task not in self._operations.tasks:
            raise Conflict(
                f"run {run_id} is of the task {row.task!r}, which cannot be forked here; for a "
                "conversation there is turngate sessions fork"
            )
        if step:
            rest = await self._operations.rest(run_id, step, repeat_unsafe=repeat_unsafe)
            steps: Iterable[StepRow] = rest.kept
            gone = rest.keys
        else:
            steps, gone = await self._store.read(LoadSteps(run_id)), frozenset()
        events = await self._store.read(RunEvents(run_id))
        done = [found for found in steps if found.status == "completed" and not is_question(found)]
        copy = RunId(self._ids.new("r"))
        given = Manifest(row.task, orjson.loads(row.input), tuple(orjson.loads(row.tags).items()))
        due = self._operations.due(copy, given, by=by)
        ops: list[Op] = [due._replace(origin=run_id, root=row.root or run_id)]
        ops += _steps(copy, done)
        ops += [
            EmitRunEvent(copy, event.key, event.payload, event.emitted_at)
            for event in events
            if event.key not in gone and not event.key.startswith("decision:")
        ]
        said = {"action": "fork", "by": by, "step": step, "into": copy}
        told = self._operations.event(run_id, Kind.RUN_OPERATED, said)
        started = {"task": row.task, "by": by}
        began = self._operations.event(copy, Kind.RUN_STARTED, started)
        await self._store.commit(Unit(tuple(ops), (told, began), Durability.CRITICAL))
        self._engine.nudge()
        return copy

    async def export(self, run_id: RunId) -> dict[str, Json]:
        """Everything recorded of a run, as JSON."""
        row = await self._operations.reading.one(run_id)
        # Twice, so that steps and row are of one moment or the row says that it went on.
        steps = await self._store.read(LoadSteps(run_id))
        events = await self._store.read(RunEvents(run_id))
        return {
            "format": FORMAT,
            "run": {
                "run_id": row.run_id,
                "task": row.task,
                "manifest_hash": row.manifest_hash,
                "session_key": row.session_key,
                "input": orjson.loads(row.input),
                "result": orjson.loads(row.result),
                "outcome": orjson.loads(row.outcome),
                "tags": orjson.loads(row.tags),
                **{name: getattr(row, name) for name in _RUN},
            },
            "steps": [step._asdict() for step in steps],
            "events": [event._asdict() for event in events],
        }

    async def take_in(self, document: RunDocument, *, by: str) -> RunId:
        """Keep an exported run under its own id; an unfinished one waits to be resumed.

        Raises `InvalidInput` (it holds what no run could), `ManifestMismatch` (its hash is not that
        of what it was given, or the id is here with another one), `Conflict` (it is here already).
        """
        run = document.run
        steps = [StepRow(**_checked(step, step.result)) for step in document.steps]
        events = [RunEventRow(**_checked(event, event.payload)) for event in document.events]
        manifest = Manifest(run.task, run.input)
        run_id = RunId(run.run_id)
        if manifest.hash() != run.manifest_hash:
            raise ManifestMismatch(f"the document's input is not the one run {run_id} was given")
        for known in await self._store.read(GetRun(run_id)):
            if known.manifest_hash != run.manifest_hash:
                raise ManifestMismatch(f"there is a run {run_id} with another task or input")
            raise Conflict(f"the run {run_id} is here already")
        ended = run.ended_at is not None
        if not ended and run.task == "turn":
            raise Conflict("an unfinished turn cannot be imported without its conversation")
        if ended and run.status in ("running", "suspended"):
            raise InvalidInput(f"document.run: it has ended and is still {run.status}")
        result, blob = _text(json_text(run.result))
        put = PutRun(
            run_id=run_id,
            task=run.task,
            manifest_hash=run.manifest_hash,
            session_key="",
            input=json_text(run.input),
            status=run.status if ended else "suspended",
            reason="" if ended else IMPORTED,
            wake_at=None,
            created_at=run.created_at,
            updated_at=self._clock.now_ms(),
            ended_at=run.ended_at,
            result=result,
            error=run.error,
            principal=by,
            root=run_id,
            tags=json_text(run.tags),
            outcome=json_text(run.outcome),
            origin=run.origin,
        )
        ops: list[Op] = [put, *blob, *_steps(run_id, steps)]
        ops += [EmitRunEvent(run_id, e.key, e.payload, e.emitted_at) for e in events]
        told = self._operations.event(run_id, Kind.RUN_OPERATED, {"action": "import", "by": by})
        await self._store.commit(Unit(tuple(ops), (told,), Durability.CRITICAL))
        return run_id


def _steps(run_id: RunId, steps: Iterable[StepRow]) -> list[Op]:
    ops: list[Op] = []
    for step in steps:
        result, blob = (None, ()) if step.result is None else _text(step.result)
        ops += [PutStep(run_id, *step._replace(result=result)), *blob]
    return ops


def _text(text: str) -> tuple[str, tuple[Op, ...]]:
    return apart(text) if len(text.encode()) > INLINE_BYTES else (text, ())


def _checked(part: DocumentStep | DocumentEvent, text: str | None) -> dict[str, Any]:
    """The members, once `text` is JSON that a run may keep."""
    try:
        json_text(orjson.loads("null" if text is None else text))
    except ValueError as error:
        raise InvalidInput(f"document: a {type(part).__name__} holds no JSON: {error}") from error
    return part.model_dump()
