"""Durable runs: listed, looked into, asked to stop."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.core.errors import NotFound, RunTerminal
from gateway.core.ids import RunId
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.cursors import decode, encode, next_cursor
from gateway.rpc.method import Method
from gateway.runs import reading
from gateway.runs.results import INLINE_BYTES
from gateway.turns.records import without_opaque
from gateway.wire.methods import runs as wire

MAX_SHOWN_BYTES = 8192
"""Longest result of a step that is shown: a page of steps has to fit into a frame."""


async def list_(call: Call, params: wire.ListRuns) -> wire.RunPage:
    """Runs, newest first."""
    rows = await call.gateway.operations.reading.page(
        before=decode(params.cursor, str)[0] if params.cursor else reading.FIRST,
        status=params.status or "",
        task=params.task,
        limit=params.limit,
    )
    return wire.RunPage(
        runs=[wire.RunInfo.of(row, **_parsed(row.tags, row.outcome)) for row in rows],
        next_cursor=next_cursor(rows, params.limit, lambda row: row.run_id),
    )


async def get(call: Call, params: wire.OneRun) -> wire.RunDetail:
    """A run with what it was given and what came out."""
    found = await call.gateway.operations.reading.detail(params.run_id)
    row = found.run
    return wire.RunDetail.of(
        row,
        **_parsed(row.tags, row.outcome),
        waits=found.waits,
        costs=[wire.Cost.of(cost) for cost in found.costs],
        root_costs=[wire.Cost.of(cost) for cost in found.root_costs],
        input=_shown(row.input, INLINE_BYTES),
        input_bytes=len(row.input.encode()),
        result=_shown(row.result, INLINE_BYTES),
        result_bytes=len(row.result.encode()),
    )


async def steps(call: Call, params: wire.Steps) -> wire.StepPage:
    """What a run asked the world for, in the order in which it began."""
    found = await call.gateway.operations.reading.steps(params.run_id)
    after = decode(params.cursor, int)[0] if params.cursor else 0
    page = found[after : after + params.limit]
    more = after + len(page) < len(found)
    return wire.StepPage(
        steps=[_step(step) for step in page],
        next_cursor=encode(after + len(page)) if more else None,
    )


async def cancel(call: Call, params: wire.OneRun) -> wire.RunCancelling:
    """Ask a run to stop: immediately, at its next step, or when it wakes."""
    work = call.gateway.operations.cancel(RunId(params.run_id), by=call.principal.name)
    await call.shared.run_to_completion("runs.cancel", work)
    return wire.RunCancelling(run_id=params.run_id)


def _parsed(tags: str, outcome: str) -> dict[str, Any]:
    return {"tags": orjson.loads(tags), "outcome": orjson.loads(outcome)}


def _step(step: reading.Step) -> wire.StepInfo:
    seen = step.result or "null"
    if '"opaque"' in seen:
        seen = orjson.dumps(without_opaque(orjson.loads(seen))).decode()
    return wire.StepInfo.of(
        step,
        result=_shown(seen, MAX_SHOWN_BYTES),
        result_bytes=len((step.result or "").encode()),
    )


def _shown(text: str, most: int) -> Any:
    """The value of a JSON text, null when it is longer than that many bytes."""
    return orjson.loads(text) if len(text.encode()) <= most else None


LIST = Method("runs.list", Scope.OPERATOR, list_)
GET = Method("runs.get", Scope.OPERATOR, get, errors=(NotFound,))
STEPS = Method("runs.steps", Scope.OPERATOR, steps, errors=(NotFound,))
CANCEL = Method("runs.cancel", Scope.OPERATOR, cancel, always=True, errors=(NotFound, RunTerminal))
