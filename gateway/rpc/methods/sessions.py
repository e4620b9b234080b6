"""Conversations: finding them and reading them."""

from __future__ import annotations

from itertools import takewhile

from gateway.core.errors import NotFound, TooLarge
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.cursors import FROM_THE_TOP, Room, before, decode, encode
from gateway.rpc.method import Method
from gateway.rpc.transcripts import entry_of
from gateway.store.base import conversations as store
from gateway.store.base.inputs import TurnsOfSession
from gateway.store.base.query import Query
from gateway.wire.methods import sessions as wire
from gateway.wire.methods.base import MAX_PAGE
from gateway.wire.methods.turns import OPEN_STATES


async def list_(call: Call, params: wire.ListSessions) -> wire.SessionPage:
    """Conversations, most recently active first: one's own, or for operators everybody's."""
    at, key = decode(params.cursor, int, str) if params.cursor else (FROM_THE_TOP, "")
    query: Query[store.SessionRow]
    if not call.principal.has(Scope.OPERATOR):
        query = store.SessionsOfPrincipal(
            call.principal.name, params.agent_id, at, key, params.limit
        )
    elif params.agent_id:
        query = store.SessionsOfAgent(params.agent_id, at, key, params.limit)
    else:
        query = store.ListSessions(at, key, params.limit)
    rows = await call.gateway.store.read(query)
    more = len(rows) == params.limit
    return wire.SessionPage(
        sessions=[info(row) for row in rows],
        next_cursor=encode(rows[-1].last_active_at, rows[-1].session_key) if more else None,
    )


async def get(call: Call, params: wire.OneSession) -> wire.SessionDetail:
    """One conversation with how long it has become."""
    row = await call.shared.ownership.session(call.principal, params.session_key)
    reading = call.gateway.store
    newest = await reading.read(store.HistoryPage(row.session_key, FROM_THE_TOP, 1))
    turns = await reading.read(TurnsOfSession(row.session_key, FROM_THE_TOP, MAX_PAGE))
    return wire.SessionDetail(
        **info(row).model_dump(),
        entries=newest[0].position + 1 if newest else 0,
        open_turns=sum(turn.state in OPEN_STATES for turn in turns),
    )


async def history(call: Call, params: wire.History) -> wire.HistoryPage:
    """A page of a transcript, newest message first."""
    row = await call.shared.ownership.session(call.principal, params.session_key)
    query = store.HistoryPage(row.session_key, before(params.cursor), params.limit)
    rows = await call.gateway.store.read(query)
    room = Room(call.shared.max_result_bytes)
    shown = list(takewhile(lambda entry: room.takes(entry.body), rows))
    more = len(rows) == params.limit or len(shown) < len(rows)
    return wire.HistoryPage(
        entries=[entry_of(entry) for entry in shown],
        next_cursor=encode(shown[-1].position) if more else None,
    )


async def export(call: Call, params: wire.OneSession) -> wire.Export:
    """A whole conversation, oldest message first."""
    row = await call.shared.ownership.session(call.principal, params.session_key)
    entries: list[store.HistoryRow] = []
    size, below = 0, FROM_THE_TOP
    while page := await call.gateway.store.read(
        store.HistoryPage(row.session_key, below, MAX_PAGE)
    ):
        entries += page
        below = page[-1].position
        size += sum(len(entry.body or "") for entry in page)
        if size > call.shared.max_result_bytes:
            raise TooLarge(
                "the conversation does not fit into one answer; read it with sessions.history in "
                "pages"
            )
    return wire.Export(session=info(row), entries=[entry_of(entry) for entry in reversed(entries)])


def info(row: store.SessionRow) -> wire.SessionInfo:
    """A conversation as lists show it."""
    return wire.SessionInfo.of(row, owner=row.principal)


LIST = Method("sessions.list", Scope.READ, list_)
GET = Method("sessions.get", Scope.READ, get, errors=(NotFound,))
HISTORY = Method("sessions.history", Scope.READ, history, whole=True, errors=(NotFound,))
EXPORT = Method("sessions.export", Scope.READ, export, errors=(NotFound, TooLarge))
