"""Having a hand in durable runs: thin callers of `gateway.runs.operating` and `.copying`."""

from __future__ import annotations

from contextlib import suppress

import orjson

from gateway.core.errors import (
    Conflict,
    EventEmitRace,
    InvalidInput,
    ManifestMismatch,
    NotFound,
    RunTerminal,
    TooLarge,
)
from gateway.core.ids import RunId
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.rpc.params import validated
from gateway.runs.task import Manifest
from gateway.wire.methods import operating as wire
from gateway.wire.methods.base import Done
from gateway.wire.methods.run_document import WHOLE_BYTES, RunDocument
from gateway.wire.methods.runs import OneRun

POLL_S = 0.25
"""How soon a waiting reader sees new output: it may be written by another process."""


async def start(call: Call, params: wire.StartRun) -> wire.StartedRun:
    """Start a run of a declared task."""
    manifest = Manifest(params.task, params.input, tuple(params.tags.items()))
    work = call.gateway.operations.start(
        manifest, by=call.principal.name, key=params.key, root=params.root
    )
    return wire.StartedRun(run_id=await call.shared.run_to_completion("runs.start", work))


async def resume(call: Call, params: OneRun) -> wire.StartedRun:
    """Let a run that failed, was stopped or is parked go on where it stopped."""
    work = call.gateway.operations.resume(RunId(params.run_id), by=call.principal.name)
    await call.shared.run_to_completion("runs.resume", work)
    return wire.StartedRun(run_id=params.run_id)


async def retry(call: Call, params: wire.RepeatRun) -> wire.StartedRun:
    """Do a run again from a step on; what was recorded before it holds."""
    work = call.gateway.operations.retry(
        RunId(params.run_id),
        params.step,
        by=call.principal.name,
        repeat_unsafe=params.repeat_unsafe,
    )
    await call.shared.run_to_completion("runs.retry", work)
    return wire.StartedRun(run_id=params.run_id)


async def fork(call: Call, params: wire.ForkRun) -> wire.StartedRun:
    """A new run that shares another's records up to a step and goes on by itself."""
    work = call.gateway.copies.fork(
        RunId(params.run_id),
        step=params.step,
        by=call.principal.name,
        repeat_unsafe=params.repeat_unsafe,
    )
    return wire.StartedRun(run_id=await call.shared.run_to_completion("runs.fork", work))


async def decide(call: Call, params: wire.Decide) -> wire.Decided:
    """Record the outcome of an unsafe step that was cut short: it ran, it did not, or skip it."""
    work = call.gateway.operations.decide(
        RunId(params.run_id),
        params.decision,
        by=call.principal.name,
        step=params.step,
        result=params.result,
    )
    step = await call.shared.run_to_completion("runs.decide", work)
    return wire.Decided(run_id=params.run_id, step=step)


async def emit(call: Call, params: wire.Emit) -> Done:
    """Give a run an event it waits for, or will; the first of a key stays."""
    work = call.gateway.operations.emit(
        RunId(params.run_id), params.key, params.payload, by=call.principal.name
    )
    await call.shared.run_to_completion("runs.emit", work)
    return Done()


async def stream(call: Call, params: wire.Stream) -> wire.StreamPage:
    """What a run says while it works, from a cursor on; kept for an hour after its end."""
    page = await _page(call, params)
    with suppress(TimeoutError):
        async with call.working.resting(), call.gateway.clock.timeout(params.wait_ms / 1000):
            while not page.pieces and not page.ended:
                await call.gateway.clock.sleep(POLL_S)
                page = await _page(call, params)
    return page


async def _page(call: Call, params: wire.Stream) -> wire.StreamPage:
    row, found = await call.gateway.operations.reading.output(
        params.run_id, after=params.after, limit=params.limit
    )
    return wire.StreamPage.model_validate(
        {
            "pieces": [each._asdict() | {"body": orjson.loads(each.body)} for each in found],
            "after": found[-1].seq if found else params.after,
            "status": row.status,
            "ended": row.ended_at is not None,
        }
    )


async def export(call: Call, params: OneRun) -> wire.Export:
    """Everything recorded of a run as one document, in pieces if it is long."""
    document = await call.gateway.copies.export(RunId(params.run_id))
    text = orjson.dumps(document)
    if len(text) <= WHOLE_BYTES:
        return wire.Export(document=document, pieces=[])
    names = await call.gateway.copies.pieces.keep_all(text.decode())
    return wire.Export(document=None, pieces=names)


async def piece(call: Call, params: wire.OnePiece) -> wire.PieceText:
    """A piece of a long document; they are kept for an hour at most."""
    return wire.PieceText(text=await call.gateway.copies.pieces.load([params.piece]))


async def keep_piece(call: Call, params: wire.KeepPiece) -> wire.KeptPiece:
    """Take a piece of a long document, for `runs.import` soon after."""
    return wire.KeptPiece(piece=await call.gateway.copies.pieces.keep(params.text))


async def import_(call: Call, params: wire.ImportRun) -> wire.StartedRun:
    """Keep an exported run here; an unfinished one waits to be resumed."""
    document = params.document
    if (document is None) != bool(params.pieces):
        raise InvalidInput("document, pieces: give one of them")
    if document is None:
        document = _document(await call.gateway.copies.pieces.load(params.pieces))
    work = call.gateway.copies.take_in(document, by=call.principal.name)
    return wire.StartedRun(run_id=await call.shared.run_to_completion("runs.import", work))


def _document(text: str) -> RunDocument:
    try:
        value = orjson.loads(text)
    except ValueError as error:
        raise InvalidInput(f"pieces: joined they are no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput("pieces: joined they are no document of a run")
    return validated(RunDocument, value)


async def prune(call: Call, params: wire.Prune) -> wire.Pruned:
    """Forget runs that ended long enough ago."""
    before = call.gateway.clock.now_ms() - params.older_than_s * 1000
    work = call.gateway.operations.prune(before=before, by=call.principal.name)
    return wire.Pruned(runs=await call.shared.run_to_completion("runs.prune", work))


START = Method(
    "runs.start", Scope.OPERATOR, start, errors=(NotFound, ManifestMismatch), adds_work=True
)
RESUME = Method(
    "runs.resume", Scope.OPERATOR, resume, errors=(NotFound, Conflict, RunTerminal), adds_work=True
)
RETRY = Method("runs.retry", Scope.OPERATOR, retry, errors=(NotFound, Conflict), adds_work=True)
FORK = Method("runs.fork", Scope.OPERATOR, fork, errors=(NotFound, Conflict), adds_work=True)
# What a run waits for, an approval or a decision, may be the way out of the load.
DECIDE = Method(
    "runs.decide",
    Scope.OPERATOR,
    decide,
    always=True,
    errors=(NotFound, Conflict, EventEmitRace),
)
EMIT = Method("runs.emit", Scope.OPERATOR, emit, always=True, errors=(NotFound, EventEmitRace))
STREAM = Method("runs.stream", Scope.OPERATOR, stream, in_batch=False, errors=(NotFound,))
EXPORT = Method("runs.export", Scope.OPERATOR, export, errors=(NotFound, TooLarge))
PIECE = Method("runs.piece", Scope.OPERATOR, piece, errors=(NotFound,))
KEEP_PIECE = Method("runs.keep_piece", Scope.OPERATOR, keep_piece)
IMPORT = Method(
    "runs.import", Scope.OPERATOR, import_, errors=(Conflict, ManifestMismatch, NotFound)
)
PRUNE = Method("runs.prune", Scope.OPERATOR, prune)
