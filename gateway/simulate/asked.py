"""One request to the simulated model, as it came in and as it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Asked:
    """`body` and `headers` are as sent, key included: for tests that run it in-process."""

    number: int
    """From 1, over the life of the simulator."""
    at_ms: int
    body: dict[str, Any]
    headers: Mapping[str, str]
    fault: str = ""
    """The fault it was answered with; empty for a good answer."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closed the connection before its answer was complete."""
    answered: bool = False
    """Whether the whole of the answer was handed to the connection."""

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.body.get("model", ""))

    @property
    def key(self) -> str:
        """The key it was asked with; empty without one."""
        return self.headers.get("authorization", "").removeprefix("Bearer ").strip()

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return bool(self.body.get("stream"))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation; what is no object is left out."""
        found = self.body.get("messages")
        return [m for m in found if isinstance(m, dict)] if isinstance(found, list) else []

    @property
    def user_text(self) -> str:
        """The last user message; parts other than text are left out."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return _text(message.get("content"))
        return ""

    @property
    def results(self) -> list[str]:
        """Tool results behind the last user message."""
        found: list[str] = []
        for message in reversed(self.messages):
            if message.get("role") == "user":
                break
            if message.get("role") == "tool":
                found.append(_text(message.get("content")))
        return found[::-1]

    @property
    def prompt_chars(self) -> int:
        """How long the conversation is."""
        return sum(len(_text(message.get("content"))) for message in self.messages)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))
