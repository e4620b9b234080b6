"""Shapes of the methods about conversations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.wire.methods.base import (
    Key,
    Milliseconds,
    Page,
    PageResult,
    Params,
    Result,
)
from gateway.wire.methods.turns import DEFAULT_WAIT_MS, PartShape, Place, State, WaitMs

Label = Annotated[str, Field(max_length=200)]


class OneSession(Params):
    """Which conversation."""

    session_key: Key


class ListSessions(Page):
    """Whose conversations: one's own, or for operators those of all."""

    agent_id: Place = Field("", description="Only this agent's.")


class SessionInfo(Result):
    """A conversation in a list."""

    session_key: str
    agent_id: str
    label: str
    owner: str
    created_at: Milliseconds
    last_active_at: Milliseconds


class SessionPage(PageResult):
    """Conversations, most recently active first."""

    sessions: list[SessionInfo]


class SessionDetail(SessionInfo):
    """A conversation with how long it has become."""

    entries: int = Field(description="Messages in the transcript, tool results included.")
    open_turns: int = Field(description="Turns that have not ended, at most 100 are counted.")


class History(Page, OneSession):
    """Which conversation, and from where."""


class CallShape(Result):
    """A tool call as the model wrote it."""

    id: str
    name: str
    arguments: str


class Entry(Result):
    """One message of a transcript. A `deleted` one has lost its words."""

    position: int
    turn_id: str
    at: Milliseconds
    role: Literal["user", "assistant", "tool", "summary", "deleted"]
    text: str = ""
    parts: list[PartShape] = Field(default=[])
    tool_calls: list[CallShape] = Field(default=[])
    call_id: str = ""
    name: str = Field("", description="The tool whose result this is.")
    is_error: bool = False
    partial: bool = Field(False, description="The answer was stopped before its end.")


class HistoryPage(PageResult):
    """Messages, newest first."""

    entries: list[Entry]


class Export(Result):
    """A whole conversation, oldest message first."""

    session: SessionInfo
    entries: list[Entry]


class NewSession(Params):
    """A fresh conversation with an agent."""

    agent_id: Place = Field("", description="The agent; empty: the one the routes choose.")
    label: Label = ""


class NewSessionResult(Result):
    """Where it is: say this `peer_id` (and `agent_id`) to speak in it."""

    session_key: str
    agent_id: str
    peer_id: str


class LabelSession(OneSession):
    """What to call a conversation; empty: nothing."""

    label: Label


class Labelled(Result):
    """What it is called now."""

    session_key: str
    label: str


class SessionReset(Result):
    """The conversation begins anew; its events stay in the log until they are too old."""

    session_key: str
    cleared: int = Field(description="Messages the agent no longer sees.")


class CompactSession(OneSession):
    """Which conversation to summarise, and how long to wait for that."""

    wait_ms: WaitMs = DEFAULT_WAIT_MS


class SessionCompacted(Result):
    """What was summarised; models see the summary, all other readers get what it stands for.

    The summary is a turn of its own. While it has not ended `messages` is 0; it goes on, also when
    no client waits.
    """

    session_key: str
    turn_id: str
    state: State
    messages: int = Field(
        description="Messages the summary stands for; 0: there was too little to gain, or nothing "
        "was said since the last one."
    )
    tokens: int = Field(description="Size of the conversation before, by estimate.")
    left: int = Field(description="Its size now.")


class RewindSession(OneSession):
    """Which conversation, and how many of its last turns to take back."""

    count: Annotated[int, Field(ge=1, le=1000)] = 1


class SessionRewound(Result):
    """The agent no longer sees these; their events stay in the log until they are too old."""

    session_key: str
    turns: int = Field(description="Turns that were taken back.")
    removed: int = Field(description="Messages the agent no longer sees.")
    remaining: int


class ForkSession(OneSession):
    """Which conversation to copy, and up to where."""

    turn_id: Place = Field("", description="The last turn that is taken along; empty: all.")
    label: Label = ""


class SessionForked(Result):
    """The copy: say this `peer_id` and `agent_id` to go on in it."""

    session_key: str
    agent_id: str
    peer_id: str
    entries: int


class SessionDeleted(Result):
    """Its words are gone everywhere."""

    session_key: str
    blanked: int = Field(description="Texts that were turned into tombstones.")


class ContextUse(Result):
    """How much of the model's window a conversation takes, by estimate."""

    session_key: str
    agent_id: str
    messages: int
    characters: int
    used: int = Field(description="Estimated tokens of what models see of it.")
    total: int | None = Field(description="The window in tokens; null where it is not known.")
