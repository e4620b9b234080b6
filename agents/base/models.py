"""The seam to language models: one request in, one whole reply or one typed failure out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agents.base.messages import Messages, ToolCall
from gateway.core.clock import Clock


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """How a tool is shown to a model; `parameters` is a JSON Schema as JSON text."""

    name: str
    description: str
    parameters: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Everything a model needs for one answer. `max_tokens` bounds the output, in tokens."""

    model: str
    system: str
    messages: Messages
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 4096
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as counted by the provider; zero where it did not say."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A complete answer. `model` is what the provider says answered, `profile` whose key paid."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    usage: Usage = Usage()
    model: str = ""
    profile: str = ""


class Emit(Protocol):
    """Takes pieces of text as they arrive; never blocks, never fails, may drop."""

    def __call__(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ModelContext:
    """What a model may use of the world besides its own connection."""

    clock: Clock
    emit: Emit


class Model(Protocol):
    """Something that answers.

    `open` makes ready what takes time (importing a client, loading weights); turns are admitted
    after it. `complete` returns only whole answers and raises only `ModelFailed`; cancelling it
    closes the upstream request and leaves nothing behind.
    """

    async def open(self) -> None: ...

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply: ...

    async def close(self) -> None: ...
