"""Messages of a transcript as the methods show them; what was blanked stays as its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

import orjson

from agents.base import messages, summaries
from agents.base.messages import (
    AssistantMessage,
    Messages,
    SummaryMessage,
    ToolMessage,
    UserMessage,
)
from gateway.core.parts import text_of, to_json
from gateway.store.base.conversations import EntryRow, HistoryRow
from gateway.wire.methods.sessions import Entry


def entry_of(row: HistoryRow) -> Entry:
    """One message."""
    place = {"position": row.position, "turn_id": row.turn_id, "at": row.at}
    if row.body is None:
        return Entry.model_validate({**place, "role": "deleted"})
    return Entry.model_validate({**place, **_said(messages.from_json(orjson.loads(row.body)))})


def said_in(entries: Sequence[EntryRow]) -> Messages:
    """What was said, and the summaries of it; what was blanked is left out."""
    return tuple(messages.from_json(orjson.loads(row.body)) for row in entries if row.body)


def seen(entries: Sequence[EntryRow]) -> Messages:
    """The conversation as models see it: the last summary, whichever it was made for, counts."""
    return summaries.view(said_in(entries), summaries.SMALLEST)


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
