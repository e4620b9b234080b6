"""Shape of the document that carries a run elsewhere: what `runs.export` gave, `runs.import` takes.

Checked member by member, because what is kept of it is shown to every operator from then on: one
value that fits no listing would spoil them all.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.wire.methods.base import Name, Params
from gateway.wire.methods.runs import Status

FORMAT = "turngate run 1"
"""What a document says it is; another number is another shape."""

WHOLE_BYTES = 1 << 19
"""Longest document that travels in one frame, which holds twice as much."""
PIECE_CHARS = 80_000
"""Most characters of a piece: with every one of them escaped twelve-fold it still fits a frame."""
MAX_PIECES = 800
"""Maximum pieces of a document: 64 million characters are held in memory while they are read."""

PieceName = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RunName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
Moment = Annotated[int, Field(ge=0, le=2**53, description="Milliseconds since the epoch.")]
Word = Annotated[str, Field(max_length=512)]
Sentence = Annotated[str, Field(max_length=8192)]
Path = Annotated[str, Field(min_length=1, max_length=2048)]
Tags = Annotated[dict[Word, Word], Field(max_length=32, description="Words for people.")]


class DocumentRun(Params):
    """The run itself."""

    run_id: RunName
    task: Name
    manifest_hash: Word
    input: Any
    result: Any
    outcome: Any
    tags: Tags
    status: Status
    created_at: Moment
    ended_at: Moment | None
    error: Sentence
    origin: Word
    session_key: str = Field("", max_length=2048)
    reason: Sentence = ""
    updated_at: Moment = 0
    principal: Word = ""


class DocumentStep(Params):
    """A recorded effect; `result` is JSON in a text."""

    path: Path
    intent: Sentence
    kind: Word
    effect: Word
    fingerprint: Word
    status: Literal["running", "completed", "failed"]
    attempts: Annotated[int, Field(ge=0, le=2**31)]
    result: str | None
    error: str | None
    started_at: Moment
    completed_at: Moment | None


class DocumentEvent(Params):
    """The input of the run; `payload` is JSON in a text."""

    key: Path
    payload: str
    emitted_at: Moment


class RunDocument(Params):
    """Everything recorded of a run."""

    format: Literal["turngate run 1"]
    run: DocumentRun
    steps: list[DocumentStep]
    events: list[DocumentEvent]
