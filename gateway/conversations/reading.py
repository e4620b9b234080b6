"""Finding and reading sessions, transcripts and turns: a principal's own, an operator's all.

Lists are newest first and begin below what a caller has seen already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import orjson

from gateway.conversations.ownership import Ownership
from gateway.core.errors import TooLarge
from gateway.core.parts import Parts
from gateway.identity.principal import Principal, Scope
from gateway.sessions.content import words_of
from gateway.store.base.conversations import (
    HistoryPage,
    HistoryRow,
    ListSessions,
    SessionRow,
    SessionsOfAgent,
    SessionsOfPrincipal,
)
from gateway.store.base.inputs import (
    InputRow,
    ListTurns,
    TurnRow,
    TurnsOfPrincipal,
    TurnsOfSession,
)
from gateway.store.base.query import Query
from gateway.store.base.store import Store
from gateway.turns.lanes import Lanes
from gateway.turns.waiting import Ended, TurnWaiters

FROM_THE_TOP = 2**63 - 1
"""Above every ordinal, position and time: the largest integer a store keeps."""
PAGE = 100
"""Rows read together where all of them are wanted."""

Turn = TurnRow | InputRow
"""A turn in a list, or with all that is known of it."""
Session = SessionRow
"""A session as it is kept."""
Entry = HistoryRow
"""A message of a transcript as it is kept."""


class SessionSize(NamedTuple):
    """A session, its messages, and its turns that have not ended (of the last hundred)."""

    session: SessionRow
    entries: int
    open_turns: int


class Transcript(NamedTuple):
    """A whole session, oldest message first."""

    session: SessionRow
    entries: list[HistoryRow]


class TurnWords(NamedTuple):
    """A turn with what was said and answered; `position` as in `TurnProgress`."""

    turn: InputRow
    said: Parts
    ended: Ended | None
    position: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """See the module. Raises `NotFound` for what is not the principal's."""

    store: Store
    ownership: Ownership
    waiters: TurnWaiters
    lanes: Lanes

    async def sessions(
        self, principal: Principal, *, agent: str, before: tuple[int, str], limit: int
    ) -> list[SessionRow]:
        """Sessions last active before (time, key), the most recent first; `agent` empty: of any."""
        query: Query[SessionRow]
        if not principal.has(Scope.OPERATOR):
            query = SessionsOfPrincipal(principal.name, agent, *before, limit)
        elif agent:
            query = SessionsOfAgent(agent, *before, limit)
        else:
            query = ListSessions(*before, limit)
        return await self.store.read(query)

    async def session(self, principal: Principal, session_key: str) -> SessionSize:
        """One session with how long it has become."""
        row = await self.ownership.session(principal, session_key)
        newest = await self.store.read(HistoryPage(session_key, FROM_THE_TOP, 1))
        turns = await self.store.read(TurnsOfSession(session_key, FROM_THE_TOP, PAGE))
        open_turns = sum(turn.ended_at is None for turn in turns)
        return SessionSize(row, newest[0].position + 1 if newest else 0, open_turns)

    async def history(
        self, principal: Principal, session_key: str, *, before: int, limit: int
    ) -> list[HistoryRow]:
        """Messages below a position."""
        await self.ownership.session(principal, session_key)
        return await self.store.read(HistoryPage(session_key, before, limit))

    async def transcript(
        self, principal: Principal, session_key: str, *, max_chars: int
    ) -> Transcript:
        """All messages; raises `TooLarge` when they have more characters together."""
        row = await self.ownership.session(principal, session_key)
        entries: list[HistoryRow] = []
        size, below = 0, FROM_THE_TOP
        while page := await self.store.read(HistoryPage(session_key, below, PAGE)):
            entries += page
            below = page[-1].position
            size += sum(len(entry.body or "") for entry in page)
            if size > max_chars:
                raise TooLarge(
                    "the conversation does not fit into one answer; read it with sessions.history "
                    "in pages"
                )
        return Transcript(row, entries[::-1])

    async def turns(
        self, principal: Principal, *, session_key: str | None, before: int, limit: int
    ) -> list[TurnRow]:
        """Turns below an ordinal: of a session, or all the principal may see."""
        query: Query[TurnRow]
        if session_key is not None:
            await self.ownership.session(principal, session_key)
            query = TurnsOfSession(session_key, before, limit)
        elif principal.has(Scope.OPERATOR):
            query = ListTurns(before, limit)
        else:
            query = TurnsOfPrincipal(principal.name, before, limit)
        return await self.store.read(query)

    async def turn(self, principal: Principal, turn_id: str) -> TurnWords:
        """One turn."""
        row = await self.ownership.turn(principal, turn_id)
        ended = await self.waiters.so_far(row)
        position = self.lanes.position(row.session_key, row.turn_id)
        return TurnWords(row, _said(row.body), ended, position)


def _said(body: str | None) -> Parts:
    """What a person said; nothing for a turn that was asked for otherwise, as a summary is."""
    if body is None or orjson.loads(body).get("role") == "summary":
        return ()
    return words_of(body) or ()
