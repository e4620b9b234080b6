"""Shapes of the methods by which operators start runs and have a hand in them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from gateway.wire.methods.base import MAX_PAGE, Limit, Milliseconds, Name, Params, Result
from gateway.wire.methods.run_document import (
    MAX_PIECES,
    PIECE_CHARS,
    PieceName,
    RunDocument,
    Tags,
)
from gateway.wire.methods.runs import OneRun, Status

MAX_WAIT_MS = 30_000
"""Longest a reader of live output waits in one call."""


class StartRun(Params):
    """Which declared task, and what it is given."""

    task: Name
    input: Any = Field(None, description="What the task is given, as JSON.")
    key: str = Field(
        "", max_length=512, description="The same key with the same input is the same run, 24 h."
    )
    tags: Tags = Field({}, description="Words for people, as JSON.")
    root: str = Field(
        "", max_length=512, description="The run that sets it off; its costs are added up there."
    )


class StartedRun(Result):
    """It is durable and due."""

    run_id: str


class RepeatRun(OneRun):
    """Which run, and from which step on."""

    step: str = Field(description="Path of a step, as `runs.steps` shows it.", max_length=2048)
    repeat_unsafe: bool = Field(False, description="Whether unsafe steps may happen once more.")


class ForkRun(RepeatRun):
    """Which run, and where the copy goes its own way; default: behind all that is complete."""

    step: str = Field("", description="Path of a step, as `runs.steps` shows it.", max_length=2048)


class Decide(OneRun):
    """What became of an unsafe step that was cut short."""

    decision: Literal["ran", "did_not_run", "skip"]
    step: str = Field("", description="Which, if several are in doubt.", max_length=2048)
    result: Any = Field(None, description="What it came to, if it ran; as JSON.")


class Decided(Result):
    """The step that was decided about."""

    run_id: str
    step: str


class Emit(OneRun):
    """An event of a run; the first of a key stays."""

    key: Name
    payload: Any = Field(None, description="Input of the run, as JSON.")


class Stream(OneRun):
    """Which run's live output, after which piece, and how long to wait for more."""

    after: int = Field(0, ge=0, le=2**62, description="`after` of the answer before.")
    limit: Limit = MAX_PAGE
    wait_ms: int = Field(0, ge=0, le=MAX_WAIT_MS, description="How long to wait for the first.")


class Piece(Result):
    """A piece of live output, as the run gave it."""

    seq: int
    at: Milliseconds
    body: Any


class StreamPage(Result):
    """What came after the cursor; `ended` without pieces: nothing more will come."""

    pieces: list[Piece]
    after: int
    status: Status
    ended: bool


class ImportRun(Params):
    """What `runs.export` gave: a document, or the pieces of a long one."""

    document: RunDocument | None = None
    pieces: list[PieceName] = Field(
        [], max_length=MAX_PIECES, description="Names `runs.keep_piece` gave, in their order."
    )


class Export(Result):
    """Everything recorded of a run; `document` is null when it is too long for a frame."""

    document: dict[str, Any] | None
    pieces: list[str] = Field(description="Names for `runs.piece`; their texts joined are JSON.")


class OnePiece(Params):
    """Which piece of a long document."""

    piece: PieceName


class PieceText(Result):
    """A part of a document's text."""

    text: str


class KeepPiece(Params):
    """A part of a document's text, to be imported with the others."""

    text: str = Field(min_length=1, max_length=PIECE_CHARS)


class KeptPiece(Result):
    """Under what name it is kept: the SHA-256 of its text."""

    piece: str


class Prune(Params):
    """Runs that ended longer ago than this."""

    older_than_s: int = Field(ge=0, le=10**10, description="Seconds since they ended.")


class Pruned(Result):
    """How many were forgotten."""

    runs: int
