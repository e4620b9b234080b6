"""Writes and reads of sessions, their transcripts and the contents both refer to.

Text lives in content rows; everything else points at them. Blanking a content therefore blanks it
in the transcript, the outbox and the event log together, and leaves a tombstone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class PutContent(NamedTuple):
    """Keep a body (JSON text) under a fresh id."""

    content_id: str
    session_key: str
    body: str


class TouchSession(NamedTuple):
    """Make the session if it is new, else note that it was active. Its owner never changes."""

    session_key: str
    agent_id: str
    principal: str
    at: int


class AppendEntry(NamedTuple):
    """Add one message to a transcript; refused when another turn has taken the position."""

    session_key: str
    position: int
    turn_id: str
    content_id: str
    at: int


class SetLabel(NamedTuple):
    """Call a session something; refused `NotFound` when there is none."""

    session_key: str
    label: str


class ExpectIdle(NamedTuple):
    """Change nothing; refused `Conflict` while the session has inputs that have not ended."""

    session_key: str


class ClearTranscript(NamedTuple):
    """Forget what was said as far as the conversation goes; the log still points at it."""

    session_key: str


class CutTranscript(NamedTuple):
    """Forget what was said from a position on, as `ClearTranscript` does with all of it.

    Refused `Conflict` when there is nothing to forget, or more was said than `revision` entries.
    """

    session_key: str
    position: int
    revision: int


class MoveEntries(NamedTuple):
    """Make a transcript that of another session, whose own is empty; refused `Conflict` else."""

    session_key: str
    to: str


class MoveContents(NamedTuple):
    """Make the words of a transcript those of its session, after it was moved there."""

    session_key: str


class MoveInputs(NamedTuple):
    """Make the turns of a transcript those of its session `to`, after it was moved there."""

    session_key: str
    to: str


class BlankSession(NamedTuple):
    """Turn everything that was ever said in a session into tombstones, wherever it shows."""

    session_key: str


class DropRuns(NamedTuple):
    """Forget the runs of a session's turns: their steps hold what was said."""

    session_key: str


class DropSession(NamedTuple):
    """Forget a session; refused `NotFound` when there is none."""

    session_key: str


class SessionRow(NamedTuple):
    session_key: str
    agent_id: str
    principal: str
    created_at: int
    last_active_at: int
    label: str = ""


class KeptRow(NamedTuple):
    session_key: str
    label: str
    at: int
    entries: int


class HistoryRow(NamedTuple):
    """`body` is None where the content was blanked."""

    position: int
    turn_id: str
    at: int
    body: str | None


class EntryRow(NamedTuple):
    """`body` is None where the content was blanked."""

    position: int
    turn_id: str
    content_id: str
    body: str | None


@dataclass(frozen=True, slots=True)
class GetSession(Query[SessionRow]):
    session_key: str


@dataclass(frozen=True, slots=True)
class ListSessions(Query[SessionRow]):
    """Most recently active first, strictly before (`before_at`, `before_key`)."""

    before_at: int
    before_key: str
    limit: int


@dataclass(frozen=True, slots=True)
class LoadTranscript(Query[EntryRow]):
    """The whole transcript in order."""

    session_key: str


@dataclass(frozen=True, slots=True)
class SessionsOfAgent(Query[SessionRow]):
    """Like `ListSessions`, of one agent."""

    agent_id: str
    before_at: int
    before_key: str
    limit: int


@dataclass(frozen=True, slots=True)
class SessionsOfPrincipal(Query[SessionRow]):
    """Like `ListSessions`, of one owner; `agent_id` empty means any."""

    principal: str
    agent_id: str
    before_at: int
    before_key: str
    limit: int


@dataclass(frozen=True, slots=True)
class KeptSessions(Query[KeptRow]):
    """One owner's whose keys begin so, the newest first, with their number of entries."""

    principal: str
    prefix: str
    limit: int


@dataclass(frozen=True, slots=True)
class HistoryPage(Query[HistoryRow]):
    """Entries of a transcript, newest first, below a position."""

    session_key: str
    before: int
    limit: int


@dataclass(frozen=True, slots=True)
class LastEntryOfTurn(Query[HistoryRow]):
    """The last thing a turn added to its transcript."""

    session_key: str
    turn_id: str
