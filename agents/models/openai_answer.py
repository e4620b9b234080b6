"""Putting an answer together from the pieces an OpenAI-compatible server streams. Pure.

Nothing a server sends is trusted: each member is looked at before it is used, what is no answer
raises `ModelFailed`, and an answer without its finish reason is never taken for a whole one.
Called by the OpenAI client for each event, or once for a server that does not stream.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from agents.base.messages import ToolCall
from agents.base.models import ModelReply, Usage
from gateway.core.errors import ModelFailed

MAX_OUTPUT_CHARS = 4_000_000
"""Longest answer taken, calls included: ten times the largest output limit any model has."""

MAX_CALLS = 128
"""Most calls in one answer, as OpenAI bounds the tools themselves."""

FINISH_REASONS = {
    "end_turn": "stop",
    "eos": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "safety": "content_filter",
    "function_call": "tool_calls",
}
"""Words of other providers for the ones OpenAI uses."""


class UpstreamError(Exception):
    """The server reports an error where an answer should be; `body` is what it says."""

    def __init__(self, body: object) -> None:
        super().__init__("an error came in place of an answer")
        self.body = body


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Answer:
    """Grows with each event; `reply` hands it out once it is whole."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._chars = 0
        self._events = 0
        self._choices = 0
        self._finish = ""
        self._usage = Usage()
        self._model = ""

    @property
    def begun(self) -> bool:
        """Whether anything of the answer has arrived."""
        return self._choices > 0

    def feed(self, event: object) -> str:
        """Take one event in; returns the text it adds."""
        self._events += 1
        if isinstance(event, list) and len(event) == 1:
            event = event[0]
        if not isinstance(event, dict):
            raise _bad(f"an event of the answer is a {type(event).__name__}, not an object")
        if event.get("error") or event.get("object") == "error" or event.get("type") == "error":
            raise UpstreamError(event)
        if isinstance(model := event.get("model"), str) and model:
            self._model = model
        if isinstance(usage := event.get("usage"), dict):
            self._usage = Usage(_count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))
        choice = _first_choice(event.get("choices"))
        return self._take(choice) if choice is not None else ""

    def reply(self, profile: str) -> ModelReply:
        """The whole answer; raises `ModelFailed` when it is not whole."""
        if not self._events:
            raise _bad("the answer is empty")
        if not self._choices:
            raise _bad("the answer holds no choices")
        if not self._finish:
            raise ModelFailed("truncated", "the answer ended without a finish reason")
        finish = FINISH_REASONS.get(self._finish.lower(), self._finish)
        if finish == "error":
            raise ModelFailed("server", "the provider broke the answer off with an error")
        if finish == "abort":
            raise ModelFailed("truncated", "the provider aborted the answer")
        if any(not call.name for call in self._calls):
            raise _bad("a tool call of the answer has no name")
        calls = tuple(ToolCall(c.id, c.name, "".join(c.arguments)) for c in self._calls)
        text = "".join(self._text)
        return ModelReply(text, calls, finish, self._usage, self._model, profile)

    def _take(self, choice: dict[str, Any]) -> str:
        self._choices += 1
        said = choice.get("delta") or choice.get("message") or {}
        if not isinstance(said, dict):
            raise _bad("a piece of the answer is not an object")
        text = _text(said.get("content")) + _text(said.get("refusal"))
        if text:
            self._text.append(text)
            self._grow(len(text))
        calls = said.get("tool_calls") or []
        if not isinstance(calls, list):
            raise _bad("the tool calls of the answer are not a list")
        for piece in calls:
            self._take_call(piece)
        if isinstance(finish := choice.get("finish_reason"), str) and finish:
            self._finish = finish
        return text

    def _take_call(self, piece: object) -> None:
        function = piece.get("function") if isinstance(piece, dict) else None
        if not isinstance(piece, dict) or not isinstance(function, dict | None):
            raise _bad("a tool call of the answer is not an object")
        function = function or {}
        id_, name = _word(piece.get("id")), _word(function.get("name"))
        call = self._call_for(piece.get("index"), id_, name)
        call.id = call.id or id_
        # Some servers repeat the name with each piece, none splits it.
        call.name = call.name or name
        arguments = function.get("arguments")
        # Some servers send the object itself where its text is due.
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        if arguments is not None:
            call.arguments.append(text)
            self._grow(len(text))

    def _call_for(self, index: object, id_: str, name: str) -> _Call:
        """The call this piece belongs to.

        Pieces of one call share an index. Two habits of servers are caught: an index that stays 0
        while whole calls with ids of their own follow each other, and no index at all.
        """
        if isinstance(index, int):
            known = self._by_index.get(index)
            if known is not None and not (id_ and name and known.id and id_ != known.id):
                return known
        elif self._calls and not name:
            return self._calls[-1]
        if len(self._calls) == MAX_CALLS:
            raise _bad(f"the answer holds more than {MAX_CALLS} tool calls")
        call = _Call()
        self._calls.append(call)
        if isinstance(index, int):
            self._by_index[index] = call
        return call

    def _grow(self, chars: int) -> None:
        self._chars += chars
        if self._chars > MAX_OUTPUT_CHARS:
            raise _bad(f"the answer is longer than {MAX_OUTPUT_CHARS} characters")


def _first_choice(choices: object) -> dict[str, Any] | None:
    """The choice asked for; None in events that carry only usage or filter results."""
    if choices is None or choices == []:
        return None
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise _bad("the choices of the answer are not a list of objects")
    return choices[0]


def _text(content: object) -> str:
    """Text, or the text of a list of parts as Mistral sends it; reasoning parts are left out."""
    match content:
        case None:
            return ""
        case str():
            return content
        case list():
            texts = (part.get("text") for part in content if isinstance(part, dict))
            return "".join(text for text in texts if isinstance(text, str))
        case _:
            raise _bad(f"the text of the answer is a {type(content).__name__}")


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(usage: dict[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if isinstance(value, int) and value >= 0 else 0


def _bad(message: str) -> ModelFailed:
    return ModelFailed("bad_response", message)
