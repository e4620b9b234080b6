"""Shapes of the methods that start turns, wait for them and look at them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.wire.methods.base import (
    Key,
    Milliseconds,
    Name,
    Page,
    PageResult,
    Params,
    Result,
    Shape,
)

DEFAULT_WAIT_MS = 120_000
MAX_WAIT_MS = 600_000
State = Literal[
    "queued", "running", "waiting", "answered", "merged", "failed", "expired", "cancelled"
]
OPEN_STATES: frozenset[State] = frozenset({"queued", "running", "waiting"})
"""A turn that has not ended."""
Place = Annotated[str, Field(max_length=512)]
Url = Annotated[str, Field(pattern=r"^(https://|data:)", max_length=1 << 20)]
WaitMs = Annotated[
    int, Field(ge=0, le=MAX_WAIT_MS, description="How long to wait for the end of the turn.")
]


class TextPart(Shape):
    """Words."""

    type: Literal["text"]
    text: str


class ImagePart(Shape):
    """A picture by its address."""

    type: Literal["image"]
    url: Url
    media_type: str = Field("image/png", max_length=128)


class FilePart(Shape):
    """An attachment by its address."""

    type: Literal["file"]
    name: str = Field(max_length=512)
    url: Url
    media_type: str = Field("application/octet-stream", max_length=128)


PartShape = Annotated[TextPart | ImagePart | FilePart, Field(discriminator="type")]


Position = Annotated[
    int | None,
    Field(
        description="How many messages of its conversation wait before it; null: it does not wait."
    ),
]


class StartTurn(Params):
    """A message and its sender.

    Without the scope `operator` the channel is `websocket` and the peer belongs to the credential.
    """

    text: str | None = Field(None, description="What is said; this or `parts`.")
    parts: list[PartShape] | None = Field(None, min_length=1, max_length=32)
    channel: Name = "websocket"
    peer_id: Name = Field("ws-client", description="Which of the client's conversations this is.")
    account_id: Place = ""
    guild_id: Place = ""
    group_id: Place = Field("", description="A group the message is said in; for operators.")
    thread_id: Place = Field("", description="A thread of that group.")
    agent_id: Place = Field("", description="The agent that answers; overrides the routes.")
    idempotency_key: Place = Field(
        "", description="The same key with the same message is the same turn, for 24 h."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if (self.text is None) == (self.parts is None):
            raise ValueError("give either text or parts")
        return self


class Send(StartTurn):
    """A message and how long to wait for its answer."""

    wait_ms: WaitMs = DEFAULT_WAIT_MS


class Started(Result):
    """The message is durable and will be answered."""

    turn_id: str
    session_key: str
    agent_id: str
    position: int = Field(description="How many messages of the conversation are before it.")
    duplicate: bool = Field(description="It had been accepted before; this is the earlier turn.")


class Answer(Result):
    """A turn as far as it has come.

    `reply` is null while it has not ended. `kind` says why it failed. `answered_by` is another turn
    where the message was merged into it.
    """

    turn_id: str
    session_key: str
    agent_id: str
    state: State
    reply: str | None
    parts: list[PartShape] = Field(default=[])
    kind: str = ""
    delivery_key: str = ""
    answered_by: str
    position: Position = None


class OneTurn(Params):
    """Which turn."""

    turn_id: Name


class WaitTurn(OneTurn):
    """Which turn, and how long."""

    wait_ms: WaitMs = DEFAULT_WAIT_MS


class TurnSummary(Result):
    """A turn in a list."""

    turn_id: str
    session_key: str
    agent_id: str
    channel: str
    principal: str
    state: State
    kind: str = Field("", description="Why it failed, or what it waits for.")
    merged_into: str = ""
    accepted_at: Milliseconds
    ended_at: Milliseconds | None = None


class Turn(TurnSummary):
    """A turn with what was said and what was answered."""

    said: list[PartShape]
    reply: str | None
    delivery_key: str = ""
    position: Position = None


class ListTurns(Page):
    """Whose turns: a session's, or all one may see."""

    session_key: Key | None = None


class TurnPage(PageResult):
    """Turns, newest first."""

    turns: list[TurnSummary]


class Cancelled(Result):
    """The turn was asked to stop; its end is an event like any other."""

    turn_id: str


class Timing(Result):
    """When a turn came how far."""

    accepted_at: Milliseconds
    started_at: Milliseconds | None
    ended_at: Milliseconds | None


class ModelRequestSummary(Result):
    """One request to a model server."""

    profile: str
    model: str
    why: str = Field(
        description="`first` in order, `again` at the same one, `waited` for the end of a pause, "
        "`probe` to see if it is back, or who could not be asked before it and why."
    )
    category: str = Field(
        description="Why it failed; empty: it answered; `unfinished`: it is under way, or its "
        "process died."
    )
    waited_ms: int
    took_ms: int


class Compacted(Result):
    """A beginning that was summarised: how many messages of a conversation of how many tokens."""

    messages: int
    tokens: int


class Shortened(Result):
    """What a conversation lost for one call, and how many tokens it was before and after."""

    rungs: str = Field(
        description="Old results of tools `cleared`, long ones `cut`, the beginning `left_out`."
    )
    tokens: int
    left: int


class StepSummary(Result):
    """What a turn asked the world for, without the words of people."""

    path: str
    intent: str
    kind: str
    effect: str
    status: str
    attempts: int
    started_at: Milliseconds
    completed_at: Milliseconds | None
    model: str = ""
    profile: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    failed: str = Field("", description="Category of a model call that failed.")
    requests: list[ModelRequestSummary] = Field(
        [], description="What a model call tried, in order; the last one counts."
    )
    compacted: Compacted | None = None
    shortened: Shortened | None = None
    notice: str = Field("", description="The notice the person got about it.")
    error: str = ""


class DeliverySummary(Result):
    """Where the answer went."""

    delivery_id: str
    destination: str
    state: str
    attempts: int
    error: str


class RunSummary(Result):
    """How the turn was executed."""

    status: str
    epoch: int
    recoveries: int
    reason: str
    error: str


class Explanation(Result):
    """Why a turn went the way it did."""

    turn: TurnSummary
    route: str = Field(description="Which rule chose the agent.")
    timing: Timing
    merged: list[str] = Field(description="Messages answered by the same turn.")
    run: RunSummary | None
    steps: list[StepSummary]
    deliveries: list[DeliverySummary]
