"""What the simulator answers with: good replies, and raw bytes for bad ones. Pure data.

A `Raw` is what goes over the wire, piece by piece, with waits in between and the way the connection
ends. A `Reply` is a good answer that is rendered to one, streamed or whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html; charset=utf-8"}
DONE = b"data: [DONE]\n\n"

MODEL = "simulated"
"""Name of the model in answers that were written ahead of the request."""

CHARS_PER_TOKEN = 4
"""How usage is counted; near what tokenisers make of English."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is sent for this long. None: until the simulator is told to release, or the client
    goes away."""

    seconds: float | None = None


class Ending(StrEnum):
    """What becomes of the connection after the last piece."""

    COMPLETE = "complete"
    """The answer is whole, the connection stays open."""
    CUT = "cut"
    """The connection is closed in the middle of the answer."""
    RESET = "reset"
    """The connection is reset: the client's socket gets an error instead of an end."""
    STALE = "stale"
    """The answer is whole; the connection promised to stay open and is closed behind it."""
    DEAF = "deaf"
    """The answer is whole; whatever is asked on this connection afterwards is never read."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes as they go over the wire.

    Status and headers leave with the first piece of bytes, an empty one included, or with a
    complete ending; without either the client gets nothing at all.
    """

    pieces: tuple[bytes | Wait, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: SSE)
    ending: Ending = Ending.COMPLETE


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer. `tool_calls` are pairs of name and arguments as JSON text."""

    text: str = ""
    tool_calls: tuple[tuple[str, str], ...] = ()
    finish_reason: str | None = None
    usage: tuple[int, int] | None = None
    """Tokens of prompt and completion; None counts characters."""
    deltas: int = 3
    """Pieces the text is streamed in; a token rate makes it one a token."""
    delay_s: float = 0.0
    """Until the first byte."""
    tokens_per_s: float = 0.0
    """0: no delay."""
    hold: bool = False
    """Wait for the release before the first byte."""

    def render(self, number: int, model: str, *, stream: bool, prompt_chars: int = 0) -> Raw:
        """The bytes of the answer to the `number`-th request."""
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
        wait: list[bytes | Wait] = [Wait(self.delay_s)] if self.delay_s else []
        if self.hold:
            wait.append(Wait())
        said = {"id": f"chatcmpl-{number}", "created": 0, "model": model}
        usage = _usage(self.usage or _counted(prompt_chars, self.text))
        if not stream:
            message: dict[str, Any] = {"role": "assistant", "content": self.text}
            if calls:
                message["tool_calls"] = calls
            choice = {"index": 0, "message": message, "finish_reason": finish}
            body = said | {"object": "chat.completion", "choices": [choice], "usage": usage}
            if self.tokens_per_s:
                wait.append(Wait(usage["completion_tokens"] / self.tokens_per_s))
            return Raw((*wait, json.dumps(body).encode()), headers=JSON)
        size = CHARS_PER_TOKEN if self.tokens_per_s else max(1, -(-len(self.text) // self.deltas))
        texts = [self.text[start : start + size] for start in range(0, len(self.text), size)]
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": text} for text in texts]
        deltas += [{"tool_calls": [call]} for call in calls]
        pieces = wait
        for place, delta in enumerate(deltas):
            if place and self.tokens_per_s:
                pieces.append(Wait(1 / self.tokens_per_s))
            pieces.append(chunk(delta, said=said))
        pieces.append(chunk({}, finish, said=said))
        last = said | {"object": "chat.completion.chunk", "choices": [], "usage": usage}
        return Raw((*pieces, event(last), DONE))


def event(value: object) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(
    delta: Mapping[str, Any] | None,
    finish_reason: str | None = None,
    *,
    said: Mapping[str, Any] | None = None,
) -> bytes:
    """One event of a streamed completion; `said` is what each of them repeats."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    head = said or {"model": MODEL}
    return event({**head, "object": "chat.completion.chunk", "choices": [choice]})


def document(value: object, *, status: int = 200) -> Raw:
    """A JSON body."""
    return Raw((json.dumps(value).encode(),), status, JSON)


def refusal(status: int, error: object, **headers: str) -> Raw:
    """An error in the shape of OpenAI; header names are written with `_` for `-`."""
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    return Raw((json.dumps({"error": error}).encode(),), status, JSON | extra)


def _counted(prompt_chars: int, text: str) -> tuple[int, int]:
    return -(-prompt_chars // CHARS_PER_TOKEN), -(-len(text) // CHARS_PER_TOKEN)


def _usage(counts: tuple[int, int]) -> dict[str, int]:
    prompt, completion = counts
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
