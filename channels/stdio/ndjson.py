"""The dialect of programs: one JSON object a line, both ways, on stdin and stdout.

In:

    {"id": "a1", "text": "hello"}           also `parts` instead of `text`, and `peer`, `agent`,
                                            `group`, `thread`, `guild`, `idempotency_key`
    {"cancel": "<turn id>"}                 `id` here only names the request in its answer

Out, `id` being null when the line had none:

    {"type": "accepted", "id", "turn_id", "session", "position", "duplicate"}
    {"type": "refused", "id", "error": {"code", "kind", "message", "retryable", "retry_after_ms"}}
    {"type": "message", "delivery_key", "turn_id", "text", "part", "parts", "destination"}
    {"type": "cancelled", "id", "turn_id"}
    {"type": "ended", "turn_id", "state", "kind", "answered_by"}    failed, stopped, or merged
    {"type": "error", "id", "line", "error"}    line number `line` was not understood

A refused wish to cancel is `refused` with `turn_id` added. `accepted` leaves after the message is
durable. `id` is the message's external id: a sender that does not know whether a line was accepted,
because either side died, sends the same line again, and gets the first turn with `duplicate` true.
So an id names one message permanently; a counter that starts again at 1 with each process does not.

A `message` is repeated with the same `delivery_key` when its first showing is in doubt; the reader
keeps the keys and shows each once. That is what `dedupes` declares. `accepted` may be missing for
messages of turns that an earlier process accepted.

Unknown members are refused, so that a typing error is an answer and not a silence.
"""

from __future__ import annotations

import json
from typing import Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from channels.base.messages import Accepted, Inbound, Outbound, TurnEnd
from channels.stdio.dialect import (
    ACCOUNT,
    CHANNEL,
    PEER,
    PRINCIPAL,
    SCOPES,
    Cancel,
    Malformed,
    Request,
    Say,
)
from gateway.core import parts as content
from gateway.core.errors import Bug, InvalidInput, TurngateError, describe
from gateway.core.ids import AgentId, TurnId
from gateway.core.keys import RouteKey
from gateway.wire.problems import in_words

MAX_NAME_CHARS = 256
"""Longest id, key or name; far above what programs use, far below what makes a key unwieldy."""

MAX_PROBLEMS = 3
"""Problems named of one line; more would not be read."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: str = Field(default="", max_length=MAX_NAME_CHARS)


class _SayLine(_Line):
    text: str | None = None
    parts: list[Any] | None = None
    peer: str = Field(default=PEER, min_length=1, max_length=MAX_NAME_CHARS)
    group: str = Field(default="", max_length=MAX_NAME_CHARS)
    thread: str = Field(default="", max_length=MAX_NAME_CHARS)
    guild: str = Field(default="", max_length=MAX_NAME_CHARS)
    agent: str = Field(default="", max_length=MAX_NAME_CHARS)
    idempotency_key: str = Field(default="", max_length=MAX_NAME_CHARS)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.text is None) == (self.parts is None):
            raise ValueError("a message has either 'text' or 'parts'")
        if not (self.parts if self.text is None else self.text.strip()):
            raise ValueError("a message is not empty")
        return self


class _CancelLine(_Line):
    cancel: str = Field(min_length=1, max_length=MAX_NAME_CHARS)


class NdjsonDialect:
    """See the module: that is the protocol."""

    dedupes = True
    encoding = "utf-8"
    notices_to_stdout = True

    def read(self, line: bytes) -> Request | None:
        if not line.strip():
            return None
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            return Malformed(f"not a JSON object in UTF-8: {error}")
        if not isinstance(value, dict):
            return Malformed(f"a line is a JSON object, got {type(value).__name__}")
        shape = _CancelLine if "cancel" in value else _SayLine
        try:
            return _cancel(value) if "cancel" in value else _say(value)
        except ValidationError as error:
            why = in_words(shape, error, most=MAX_PROBLEMS)
        except InvalidInput as error:
            why = str(error)
        given = value.get("id")
        return Malformed(why, id=given if isinstance(given, str) else "")

    def accepted(self, say: Say, accepted: Accepted) -> str:
        return _line(
            type="accepted",
            id=say.id or None,
            turn_id=accepted.turn_id,
            session=str(accepted.session),
            position=accepted.position,
            duplicate=accepted.duplicate,
        )

    def refused(self, id: str, error: Exception, *, turn_id: TurnId | None = None) -> str:
        which = {} if turn_id is None else {"turn_id": turn_id}
        return _line(type="refused", id=id or None, **which, error=_error(error))

    def cancelled(self, id: str, turn_id: TurnId) -> str:
        return _line(type="cancelled", id=id or None, turn_id=turn_id)

    def malformed(self, problem: Malformed, *, line: int) -> str:
        error = _error(InvalidInput(problem.why))
        return _line(type="error", id=problem.id or None, line=line, error=error)

    def ended(self, end: TurnEnd) -> str:
        if end.state == "answered" and end.answered_by == end.turn_id:
            return ""
        return _line(
            type="ended",
            turn_id=end.turn_id,
            state=end.state,
            kind=end.kind or None,
            answered_by=end.answered_by,
        )

    def message(self, message: Outbound, *, agent: str) -> str:
        return _line(
            type="message",
            delivery_key=message.key,
            turn_id=message.turn_id,
            text=message.text,
            part=message.part,
            parts=message.parts,
            destination=str(message.destination),
        )

    def prompt(self) -> str:
        return ""


def _say(value: dict[str, Any]) -> Say:
    line = _SayLine.model_validate(value)
    parts = content.from_json(line.parts) if line.text is None else (content.Text(line.text),)
    route = RouteKey(CHANNEL, ACCOUNT, line.guild, line.group, line.thread, line.peer)
    return Say(
        Inbound(
            route=route,
            parts=parts,
            principal=PRINCIPAL,
            external_id=line.id,
            idempotency_key=line.idempotency_key,
            agent=AgentId(line.agent) if line.agent else None,
            scopes=SCOPES,
        ),
        id=line.id,
    )


def _cancel(value: dict[str, Any]) -> Cancel:
    line = _CancelLine.model_validate(value)
    return Cancel(TurnId(line.cancel), id=line.id)


def _error(error: Exception) -> dict[str, object]:
    row = describe(error)
    known = isinstance(error, TurngateError)
    body: dict[str, object] = {
        "code": row.code,
        "kind": row.kind,
        # The text of a foreign exception may hold anything; it is not for the other side.
        "message": str(error) if known else "internal error",
        "retryable": row.retryable,
        "retry_after_ms": error.retry_after_ms if isinstance(error, TurngateError) else None,
    }
    if isinstance(error, Bug) and error.error_id:
        body["error_id"] = error.error_id
    return body


def _line(**members: object) -> str:
    try:
        return orjson.dumps(members).decode() + "\n"
    except orjson.JSONEncodeError:
        # A lone surrogate is no UTF-8; escaped it is still JSON, and nothing is lost.
        return json.dumps(members) + "\n"
