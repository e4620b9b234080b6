"""What a turn asks the world for, and what it is told: the alphabet of the turn generator.

A turn is a generator: it yields effects and is sent their outcomes. Failures of models and tools
come back as values, so that they are recorded and replayed like successes; only `Cancelled` is
thrown in, after which the turn may only return.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, Protocol

from agents.base.agents import Agent
from agents.base.messages import Messages, ToolCall
from agents.base.models import ModelReply, ModelRequest, ToolSpec
from agents.base.tools import ToolResult
from gateway.core.errors import ModelAttempt, ModelCategory
from gateway.core.ids import AgentId


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a turn was prepared with; recorded once, so edits between crash and resume do not show.

    `revision` is the number of transcript entries the turn starts from; `now_ms` is wall time;
    `models` is the order in which models are tried. `window` is how many tokens the first of them
    takes, 0 where that is not known, `ratio` how many it counts where we guess one. Without
    `images` no model of these sees any.
    """

    agent: AgentId
    system: str
    tools: tuple[ToolSpec, ...]
    models: tuple[str, ...]
    max_tokens: int
    temperature: float | None
    max_rounds: int
    revision: int
    now_ms: int
    window: int = 0
    ratio: float = 1.0
    images: bool = True


@dataclass(frozen=True, slots=True)
class ModelFailure:
    """A model call that ended without an answer, as a value.

    `window` is how many tokens the model takes, where it said that this was too much; `tokens` is
    how many we think these are; `told` is what people are told, where the sentence of the category
    would be wrong.
    """

    category: ModelCategory
    message: str
    retry_after_ms: int | None = None
    window: int = 0
    attempts: tuple[ModelAttempt, ...] = ()
    tokens: int = 0
    told: str = ""
    kind: str = ""
    """The turn's kind where it is not the category."""


ModelOutcome = ModelReply | ModelFailure


Rung = Literal["cleared", "cut", "left_out"]


@dataclass(frozen=True, slots=True)
class Shortened:
    """What a conversation lost for one call without a summary, and its tokens before and after.

    Of `rungs` each is there once: old results of tools were `cleared`, long ones `cut`, the
    beginning was `left_out`.
    """

    rungs: tuple[Rung, ...]
    tokens: int
    left: int


@dataclass(frozen=True, slots=True)
class CallModel:
    """Ask a model; answered with a `ModelOutcome`. `round` counts the calls of this turn from 0."""

    request: ModelRequest
    round: int
    shortened: Shortened | None = None


@dataclass(frozen=True, slots=True)
class Compact:
    """Ask for a summary of `beginning`; answered with a `ModelOutcome`, shown to nobody.

    `tokens` is the size of the conversation before.
    """

    request: ModelRequest
    round: int
    beginning: Messages
    tokens: int


@dataclass(frozen=True, slots=True)
class CallTools:
    """Run these calls side by side; answered with results in the order of the calls."""

    calls: tuple[ToolCall, ...]
    round: int


Effects = CallModel | Compact | CallTools
Outcome = ModelOutcome | tuple[ToolResult, ...]


@dataclass(frozen=True, slots=True)
class FinishedTool:
    """A call of an interrupted round that had already ended."""

    call: ToolCall
    result: ToolResult


class Cancelled(Exception):
    """Thrown into a turn that was asked to stop; carries what had been reached."""

    def __init__(
        self, *, partial_text: str = "", finished_tools: tuple[FinishedTool, ...] = ()
    ) -> None:
        super().__init__("the turn was cancelled")
        self.partial_text = partial_text
        self.finished_tools = finished_tools


@dataclass(frozen=True, slots=True)
class TurnResult:
    """How a turn ended and what it adds to the transcript.

    `text` is what the person sees, for a failure one honest sentence. `kind` is the failure's
    stable word, empty otherwise.
    """

    state: Literal["answered", "failed", "cancelled"]
    text: str
    messages: Messages = ()
    kind: str = ""


Turn = Generator[Effects, Outcome, TurnResult]


class TurnProgram(Protocol):
    """How agents take turns: prepared once with the world, then run without it."""

    def prepare(self, agent: Agent, *, revision: int, now_ms: int) -> Snapshot: ...

    def run(self, snapshot: Snapshot, history: Messages) -> Turn: ...
