"""Tool calls of an answer, put together from pieces. Pure.

Pieces of one call share an index, and its arguments are one JSON object. Servers break both: whole
calls under one index, no index at all, a call sent again at the end, an empty object in front of
the real one, several objects for several calls. What may be one call twice is run once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from agents.base.messages import ToolCall
from agents.models.openai_beside import Beside
from gateway.core.errors import ModelFailed

MAX_CALLS = 128
"""Calls in one answer, as OpenAI bounds the tools themselves."""

_DECODER = json.JSONDecoder()


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    beside: Beside = field(default_factory=Beside)

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


class Calls:
    """The calls so far."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, piece: object) -> int:
        """Add a piece; returns how many characters it holds. Raises `ModelFailed` for no piece."""
        function = piece.get("function") if isinstance(piece, dict) else None
        if not isinstance(piece, dict) or not isinstance(function, dict | None):
            raise _bad("a tool call of the answer is not an object")
        function = function or {}
        id_, name = _word(piece.get("id")), _word(function.get("name"))
        text = _arguments(function.get("arguments"))
        call = self._call_for(piece.get("index"), id_, name, text)
        call.id = call.id or id_
        # Some servers repeat the name with each piece, none splits it.
        call.name = call.name or name
        call.pieces.append(text)
        return len(text) + call.beside.take(piece)

    def whole(self) -> tuple[tuple[ToolCall, Beside], ...]:
        """The calls to run, in order, each with what was sent beside it; raises `ModelFailed` when
        one has no name."""
        if any(not call.name for call in self._calls):
            raise _bad("a tool call of the answer has no name")
        calls: list[tuple[ToolCall, Beside]] = []
        for call in self._calls:
            for number, arguments in enumerate(_objects(call.arguments)):
                one = ToolCall(call.id if number == 0 else "", call.name, arguments)
                if not any(_same(one, other) for other, _ in calls):
                    calls.append((one, call.beside if number == 0 else Beside()))
        if len(calls) > MAX_CALLS:
            raise _too_many()
        return tuple(calls)

    def _call_for(self, index: object, id_: str, name: str, text: str) -> _Call:
        """The call this piece belongs to."""
        known = self._calls[-1] if self._calls else None
        if isinstance(index, int):
            known = self._by_index.get(index)
        elif known is not None and name:
            more = name == known.name and id_ in ("", known.id) and not _is_object(known.arguments)
            known = known if more else None
        if known is not None and not _another(known, id_, name, text):
            return known
        if len(self._calls) == MAX_CALLS:
            raise _too_many()
        call = _Call()
        self._calls.append(call)
        if isinstance(index, int):
            self._by_index[index] = call
        return call


def _another(known: _Call, id_: str, name: str, text: str) -> bool:
    """Whether a piece under the index of a call begins another one."""
    if not name or not known.name:
        return False
    if id_ and known.id and id_ != known.id:
        return True
    if name != known.name:
        return bool(known.arguments)
    # The same id or none: another call only where both are whole by themselves.
    begun = known.arguments == "{}" and id_ and id_ == known.id
    return not begun and _is_object(known.arguments) and _is_object(text)


def _same(one: ToolCall, other: ToolCall) -> bool:
    """Whether these may be one call told twice: only ids of their own say that they are two."""
    if (one.name, _parsed(one.arguments)) != (other.name, _parsed(other.arguments)):
        return False
    return not (one.id and other.id and one.id != other.id)


def _objects(arguments: str) -> list[str]:
    """The arguments of each call in there: one, unless it is several objects in a row."""
    found: list[str] = []
    at = 0
    while at < len(arguments):
        try:
            value, end = _DECODER.raw_decode(arguments, at)
        except (ValueError, RecursionError):
            return [arguments]  # the tool says what is wrong with it
        if not isinstance(value, dict):
            return [arguments]
        found.append(arguments[at:end])
        at = end + len(arguments[end:]) - len(arguments[end:].lstrip(" \t\r\n,;"))
    if len(found) < 2:
        return [arguments]
    # An empty object in front is how some servers begin each call.
    return [one for one in found if json.loads(one)] or found[:1]


def _is_object(text: str) -> bool:
    return isinstance(_parsed(text), dict)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _arguments(value: object) -> str:
    """Text; some servers send the object itself where its text is due."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _too_many() -> ModelFailed:
    return _bad(f"the answer holds more than {MAX_CALLS} tool calls")


def _bad(message: str) -> ModelFailed:
    return ModelFailed("bad_response", message)
