"""Writes and reads of inputs: what was accepted, and what became of it.

An input is *open* while `queued`, `running` or `waiting`; it ends exactly once, as `answered`,
`merged`, `failed`, `expired` or `cancelled`. Every write names the state it expects, so two
endings cannot both win.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class AcceptInput(NamedTuple):
    """Queue an input. Refused `Busy` when `mailbox` inputs of the session wait already,

    `Duplicate` when (channel, account, external_id) was accepted before. Returns its ordinal.
    """

    turn_id: str
    session_key: str
    agent_id: str
    channel: str
    account: str
    external_id: str
    principal: str
    route_key: str
    agent_override: str
    source: str
    barrier: bool
    destination: str
    content_id: str
    explanation: str
    at: int
    expires_at: int
    mailbox: int


class RememberKey(NamedTuple):
    """Bind an idempotency key to its turn; refused `Duplicate` when it is bound already."""

    principal: str
    method: str
    key: str
    body_hash: str
    turn_id: str
    at: int


class StartInput(NamedTuple):
    """queued → running; refused `Conflict` otherwise.

    Also refused while its session has a turn or an older queued input: whoever asks, and however
    many processes do, a session has one turn at a time and answers in the order of acceptance.
    """

    turn_id: str


class MergeInput(NamedTuple):
    """queued → merged into another turn, which ends for both; refused `Conflict` otherwise."""

    turn_id: str
    into: str
    at: int


class PauseInput(NamedTuple):
    """running → waiting, with what it waits for."""

    turn_id: str
    detail: str


class ResumeInput(NamedTuple):
    """waiting → running."""

    turn_id: str


class EndInput(NamedTuple):
    """running or waiting → an end; refused `Conflict` when it has ended already."""

    turn_id: str
    state: str
    detail: str
    at: int


class EndQueued(NamedTuple):
    """queued → cancelled or expired; refused `Conflict` once it is claimed or over."""

    turn_id: str
    state: str
    at: int


class InputRow(NamedTuple):
    ordinal: int
    turn_id: str
    session_key: str
    agent_id: str
    channel: str
    account: str
    external_id: str
    principal: str
    route_key: str
    agent_override: str
    source: str
    barrier: int
    destination: str
    content_id: str
    explanation: str
    state: str
    detail: str
    merged_into: str
    accepted_at: int
    expires_at: int
    ended_at: int | None
    body: str | None


class KeyRow(NamedTuple):
    body_hash: str
    turn_id: str


@dataclass(frozen=True, slots=True)
class GetInput(Query[InputRow]):
    turn_id: str


@dataclass(frozen=True, slots=True)
class FindInput(Query[InputRow]):
    """The input a channel knows by its own id."""

    channel: str
    account: str
    external_id: str


@dataclass(frozen=True, slots=True)
class FindKey(Query[KeyRow]):
    principal: str
    method: str
    key: str


@dataclass(frozen=True, slots=True)
class OpenInputs(Query[InputRow]):
    """What has not ended, in order of acceptance, after an ordinal."""

    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class QueuedInputs(Query[InputRow]):
    """What one session has waiting, in order of acceptance."""

    session_key: str
    limit: int


class TurnId(NamedTuple):
    turn_id: str


@dataclass(frozen=True, slots=True)
class SessionTurn(Query[TurnId]):
    """The turn a session has now, running or waiting; none or one."""

    session_key: str


@dataclass(frozen=True, slots=True)
class StaleInputs(Query[InputRow]):
    """Queued before a moment and still not claimed although their session has no turn, or expired
    by now; in order of acceptance. Whoever took them in may be gone.
    """

    before: int
    now: int
    limit: int


@dataclass(frozen=True, slots=True)
class InputsOfTurn(Query[InputRow]):
    """The leading input of a turn and those merged into it, in order of acceptance."""

    turn_id: str


class TurnRow(NamedTuple):
    """An input without its words, for lists."""

    ordinal: int
    turn_id: str
    session_key: str
    agent_id: str
    channel: str
    principal: str
    state: str
    detail: str
    merged_into: str
    accepted_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class ListTurns(Query[TurnRow]):
    """Newest first, below an ordinal."""

    before: int
    limit: int


@dataclass(frozen=True, slots=True)
class TurnsOfSession(Query[TurnRow]):
    """One session's, newest first, below an ordinal."""

    session_key: str
    before: int
    limit: int


@dataclass(frozen=True, slots=True)
class TurnsOfPrincipal(Query[TurnRow]):
    """What one principal asked for, newest first, below an ordinal."""

    principal: str
    before: int
    limit: int
