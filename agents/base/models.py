"""The seam to language models: one request in, one whole reply or one typed failure out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from agents.base import size
from agents.base.messages import Messages, Opaque, ToolCall
from gateway.core.clock import Clock
from gateway.core.errors import ModelAttempt


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """How a tool is shown to a model; `parameters` is a JSON Schema as JSON text."""

    name: str
    description: str
    parameters: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server wants a request written. `limit_name` is what it calls the output limit: empty
    for what its host usually calls it, `none` to leave it out. `stream_options` is whether it takes
    those, and so counts tokens in a stream."""

    limit_name: str = ""
    stream_options: bool = True


USUAL = Dialect()


@dataclass(frozen=True)
class ModelRequest:
    """Everything a model needs for one answer. `max_tokens` bounds the output, in tokens.

    `fallbacks` are models to ask when `model` cannot answer, in order; a single client ignores
    them.
    """

    model: str
    system: str
    messages: Messages
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 4096
    temperature: float | None = None
    fallbacks: tuple[str, ...] = ()
    dialect: Dialect = USUAL

    @cached_property
    def guess(self) -> int:
        """How many tokens the prompt is by our guess; worked out once, when it is first asked."""
        fixed = size.of_text(self.system) + self.tool_guess
        return fixed + sum(map(size.of_message, self.messages))

    def words(self) -> int:
        """How many words the prompt has but for its tools: it is no fewer tokens."""
        return len(self.system.split()) + sum(map(size.words_of, self.messages))

    @cached_property
    def tool_guess(self) -> int:
        """How many of them are about tools."""
        words = (
            word for tool in self.tools for word in (tool.name, tool.description, tool.parameters)
        )
        return sum(map(size.of_text, words)) + size.MESSAGE_TOKENS * len(self.tools)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as counted by the provider; zero where it did not say."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total(self) -> int:
        """Of prompt and answer."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Left:
    """What a provider says is left of its limits, of how much, and when all of it is there again
    (wall milliseconds); None where it did not say."""

    requests: int | None
    requests_of: int | None
    requests_at_ms: int
    tokens: int | None
    tokens_of: int | None
    tokens_at_ms: int


WINDOW_FULL = "window"
"""Finish reason of an answer cut because prompt and answer fill the window of the model, which is
the sum of the tokens used."""
REPETITION = "repetition"
"""Finish reason of an answer that was ended where it began to repeat itself."""


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A complete answer. `model` is what the provider says answered, `profile` whose key paid.

    `attempts` is what it took to get it; `notice` what a person should know of that, mostly empty.
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    usage: Usage = Usage()
    model: str = ""
    profile: str = ""
    attempts: tuple[ModelAttempt, ...] = ()
    notice: str = ""
    opaque: Opaque | None = None
    left: Left | None = None
    """Not recorded: it is news for a moment."""

    @property
    def window(self) -> int:
        """How many tokens the model takes, where that ended the answer; 0 otherwise."""
        return self.usage.total if self.finish_reason == WINDOW_FULL else 0


class Emit(Protocol):
    """Takes pieces of text as they arrive; never blocks, never fails, may drop."""

    def __call__(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What is known of a model: how many tokens it takes, 0 where nobody said, and how many it
    counts where we guess one; `images`: it or one that may be asked in its place sees pictures."""

    window: int = 0
    ratio: float = 1.0
    images: bool = True


PATIENCE_S = 15.0
"""How long a person waits for a model to come back rather than be told to try again."""


def _nothing_shown() -> None:
    """No listener."""


def _no_line(place: int) -> None:
    """A place in the line is told to no one."""


def _nothing_kept(tried: tuple[ModelAttempt, ...]) -> None:
    """Nobody writes it down."""


@dataclass(frozen=True, slots=True)
class ModelContext:
    """What a model may use of the world besides its own connection.

    `restarted` says that what was emitted so far belongs to an answer that will not come. `tried`
    is told of all requests so far, before there is one more or a wait. `queued` gets each place in
    the line of a server that has enough to do, 0 when the wait is over. `session` names the
    conversation, so that it can stay where its beginning is cached, unless the call is `aside` and
    shares none of it; `agent` and `root`, the turn that set it all off, say whose budget this is,
    `calls` and `tokens` what this turn has used so far. `principal` is the one whose message is
    answered: scarce places are shared by it, then by agent. `patience_s` bounds waiting between
    requests, `within_s` everything.
    """

    clock: Clock
    emit: Emit
    restarted: Callable[[], None] = _nothing_shown
    tried: Callable[[tuple[ModelAttempt, ...]], None] = _nothing_kept
    queued: Callable[[int], None] = _no_line
    session: str = ""
    aside: bool = False
    root: str = ""
    agent: str = ""
    principal: str = ""
    calls: int = 0
    tokens: int = 0
    patience_s: float = PATIENCE_S
    within_s: float | None = None


class Model(Protocol):
    """Something that answers.

    `open` makes ready what takes time (importing a client, loading weights); turns are admitted
    after it. `complete` returns only whole answers and raises only `ModelFailed`; cancelling it
    closes the upstream request and leaves nothing behind.
    """

    async def open(self) -> None: ...

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply: ...

    async def close(self) -> None: ...
