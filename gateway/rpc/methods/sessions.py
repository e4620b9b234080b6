"""Sessions: found and read, begun and changed."""

from __future__ import annotations

from itertools import takewhile
from typing import Any, assert_never

import orjson

from agents.base import messages
from agents.base.messages import AssistantMessage, SummaryMessage, ToolMessage, UserMessage
from gateway.conversations.reading import FROM_THE_TOP, Entry, Session
from gateway.core.errors import (
    BudgetSpent,
    Busy,
    Conflict,
    ModelFailed,
    NotFound,
    TooLarge,
    UnknownAgent,
)
from gateway.core.parts import text_of, to_json
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.cursors import Room, before, decode, encode
from gateway.rpc.method import Method
from gateway.wire.methods import sessions as wire


async def list_(call: Call, params: wire.ListSessions) -> wire.SessionPage:
    """Conversations, most recently active first: one's own, or for operators those of all."""
    at, key = decode(params.cursor, int, str) if params.cursor else (FROM_THE_TOP, "")
    rows = await call.conversations.reading.sessions(
        call.principal, agent=params.agent_id, before=(at, key), limit=params.limit
    )
    more = len(rows) == params.limit
    return wire.SessionPage(
        sessions=[_info(row) for row in rows],
        next_cursor=encode(rows[-1].last_active_at, rows[-1].session_key) if more else None,
    )


async def get(call: Call, params: wire.OneSession) -> wire.SessionDetail:
    """One conversation with how long it has become."""
    found = await call.conversations.reading.session(call.principal, params.session_key)
    return wire.SessionDetail(
        **_info(found.session).model_dump(),
        entries=found.entries,
        open_turns=found.open_turns,
    )


async def history(call: Call, params: wire.History) -> wire.HistoryPage:
    """A page of a transcript, newest message first."""
    rows = await call.conversations.reading.history(
        call.principal, params.session_key, before=before(params.cursor), limit=params.limit
    )
    room = Room(call.shared.max_result_bytes)
    shown = list(takewhile(lambda entry: room.takes(entry.body), rows))
    more = len(rows) == params.limit or len(shown) < len(rows)
    return wire.HistoryPage(
        entries=[_entry(entry) for entry in shown],
        next_cursor=encode(shown[-1].position) if more else None,
    )


async def export(call: Call, params: wire.OneSession) -> wire.Export:
    """A whole conversation, oldest message first."""
    session, entries = await call.conversations.reading.transcript(
        call.principal, params.session_key, max_chars=call.shared.max_result_bytes
    )
    return wire.Export(session=_info(session), entries=[_entry(entry) for entry in entries])


async def context(call: Call, params: wire.OneSession) -> wire.ContextUse:
    """How much of the model's window a conversation takes, by estimate."""
    use = await call.conversations.compacting.context(call.principal, params.session_key)
    return wire.ContextUse.of(use, total=None)


async def compact(call: Call, params: wire.CompactSession) -> wire.SessionCompacted:
    """Summarise all but the newest messages of a conversation; the originals stay readable."""
    done = await call.conversations.compacting.compact(
        call.principal, params.session_key, wait_ms=params.wait_ms, resting=call.working.resting
    )
    call.shows(done.turn.ended)
    turn = done.turn
    return wire.SessionCompacted.of(
        done, session_key=params.session_key, turn_id=turn.turn_id, state=turn.state
    )


async def new(call: Call, params: wire.NewSession) -> wire.NewSessionResult:
    """Begin a fresh conversation."""
    fresh = await call.conversations.lifecycle.new(
        call.principal, agent=params.agent_id, label=params.label
    )
    return wire.NewSessionResult.of(fresh)


async def label(call: Call, params: wire.LabelSession) -> wire.Labelled:
    """Call a conversation something."""
    await call.conversations.lifecycle.label(call.principal, params.session_key, params.label)
    return wire.Labelled(session_key=params.session_key, label=params.label)


async def reset(call: Call, params: wire.OneSession) -> wire.SessionReset:
    """Begin a conversation anew: the agent no longer sees what was said."""
    cleared = await call.conversations.lifecycle.reset(call.principal, params.session_key)
    return wire.SessionReset(session_key=params.session_key, cleared=cleared)


async def delete(call: Call, params: wire.OneSession) -> wire.SessionDeleted:
    """Delete a conversation; its words are gone everywhere."""
    blanked = await call.conversations.lifecycle.delete(call.principal, params.session_key)
    return wire.SessionDeleted(session_key=params.session_key, blanked=blanked)


async def rewind(call: Call, params: wire.RewindSession) -> wire.SessionRewound:
    """Take the last turns of a conversation back."""
    rewound = await call.conversations.branching.rewind(
        call.principal, params.session_key, params.count
    )
    return wire.SessionRewound.of(rewound, session_key=params.session_key)


async def fork(call: Call, params: wire.ForkSession) -> wire.SessionForked:
    """Copy a conversation up to a turn into a fresh one; both go on by themselves."""
    forked = await call.conversations.branching.fork(
        call.principal, params.session_key, turn_id=params.turn_id, label=params.label
    )
    return wire.SessionForked.of(forked.fresh, entries=forked.entries)


def _info(row: Session) -> wire.SessionInfo:
    """A conversation as lists show it."""
    return wire.SessionInfo.of(row, owner=row.principal)


def _entry(row: Entry) -> wire.Entry:
    """One message of a transcript; what was blanked stays as its place."""
    place = {"position": row.position, "turn_id": row.turn_id, "at": row.at}
    if row.body is None:
        return wire.Entry.model_validate({**place, "role": "deleted"})
    return wire.Entry.model_validate({**place, **_said(messages.from_json(orjson.loads(row.body)))})


def _said(message: messages.Message) -> dict[str, Any]:
    match message:
        case UserMessage(parts):
            return {"role": "user", "text": text_of(parts), "parts": to_json(parts)}
        case AssistantMessage(text, calls, partial):
            told = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in calls]
            return {"role": "assistant", "text": text, "tool_calls": told, "partial": partial}
        case ToolMessage(call_id, name, text, is_error):
            said = {"call_id": call_id, "name": name, "text": text}
            return {"role": "tool", **said, "is_error": is_error}
        case SummaryMessage(text):
            return {"role": "summary", "text": text}
        case _:
            assert_never(message)


LIST = Method("sessions.list", Scope.READ, list_)
GET = Method("sessions.get", Scope.READ, get, errors=(NotFound,))
HISTORY = Method("sessions.history", Scope.READ, history, whole=True, errors=(NotFound,))
EXPORT = Method("sessions.export", Scope.READ, export, errors=(NotFound, TooLarge))
CONTEXT = Method("sessions.context", Scope.READ, context, errors=(NotFound,))
COMPACT = Method(
    "sessions.compact",
    Scope.CHAT,
    compact,
    in_batch=False,
    errors=(NotFound, Busy, Conflict, UnknownAgent, ModelFailed, BudgetSpent),
    adds_work=True,
)
NEW = Method("sessions.new", Scope.CHAT, new, errors=(Conflict, UnknownAgent))
LABEL = Method("sessions.label", Scope.CHAT, label, errors=(NotFound,))
RESET = Method("sessions.reset", Scope.CHAT, reset, errors=(NotFound, Conflict))
DELETE = Method("sessions.delete", Scope.CHAT, delete, errors=(NotFound, Conflict))
REWIND = Method("sessions.rewind", Scope.CHAT, rewind, errors=(NotFound, Conflict))
FORK = Method("sessions.fork", Scope.CHAT, fork, errors=(NotFound, Conflict, UnknownAgent))
