"""What the upstream double answers with: good replies, and raw bytes for bad ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes as they go over the wire.

    Without `complete` the connection is closed after the last piece. With `hold_before` nothing is
    sent from that piece on (0: not even the headers) until the server is released.
    """

    pieces: tuple[bytes, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: SSE)
    complete: bool = True
    hold_before: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer. `tool_calls` are pairs of name and arguments; `deltas` pieces of the text."""

    text: str = ""
    tool_calls: tuple[tuple[str, str], ...] = ()
    finish_reason: str | None = None
    deltas: int = 3
    usage: tuple[int, int] = (7, 3)
    hold_before: int | None = None

    def render(self, number: int, model: str, stream: bool) -> Raw:
        """The bytes of the `number`-th answer."""
        finish = self.finish_reason or ("tool_calls" if self.tool_calls else "stop")
        calls = [
            {
                "index": index,
                "id": f"call_{number}_{index}",
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for index, (name, arguments) in enumerate(self.tool_calls)
        ]
        usage = dict(zip(("prompt_tokens", "completion_tokens"), self.usage, strict=True))
        if not stream:
            message = {"role": "assistant", "content": self.text, "tool_calls": calls}
            choice = {"index": 0, "message": message, "finish_reason": finish}
            body = {"object": "chat.completion", "model": model, "usage": usage}
            return document(body | {"choices": [choice]}, hold_before=self.hold_before)
        size = max(1, -(-len(self.text) // self.deltas))
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": self.text[i : i + size]} for i in range(0, len(self.text), size)]
        deltas += [{"tool_calls": [call]} for call in calls]
        events = [chunk(delta, model=model) for delta in deltas]
        events.append(chunk({}, finish, model=model))
        events.append(event({"model": model, "choices": [], "usage": usage}))
        return Raw((*events, DONE), hold_before=self.hold_before)


def event(value: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(
    delta: Mapping[str, Any] | None, finish_reason: str | None = None, *, model: str = "test"
) -> bytes:
    """One event of a streamed completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return event({"object": "chat.completion.chunk", "model": model, "choices": [choice]})


def document(value: object, *, status: int = 200, hold_before: int | None = None) -> Raw:
    """A JSON body."""
    return Raw((json.dumps(value).encode(),), status, JSON, hold_before=hold_before)


def refusal(status: int, error: object, **headers: str) -> Raw:
    """An error response in the shape of OpenAI; header names are written with `_` for `-`."""
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    return Raw((json.dumps({"error": error}).encode(),), status, JSON | extra)
