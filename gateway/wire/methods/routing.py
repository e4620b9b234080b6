"""Shapes of the methods about route rules and the decisions they lead to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.wire.methods.base import Name, Params, Result, Shape
from gateway.wire.methods.turns import Place

MatchKey = Literal["peer_id", "guild_id", "account_id", "channel", "default"]
Priority = Annotated[int, Field(ge=-(2**31) + 1, le=2**31 - 1)]


class MatchShape(Shape):
    """What a message must have; what is left out may be anything."""

    channel: Name | None = None
    account: Name | None = None
    guild: Name | None = None
    group: Name | None = None
    thread: Name | None = None
    peer: Name | None = None


class SetBinding(Params):
    """A rule: messages that match go to the agent.

    Either `match`, or one `match_key` with its `match_value` (a peer as `channel:peer`).
    """

    agent_id: Name
    tier: Annotated[int, Field(ge=1, le=5)] | None = Field(
        None, description="May be left out: it follows from the match."
    )
    match_key: MatchKey | None = None
    match_value: Name | None = None
    priority: Priority = 0
    match: MatchShape | None = None
    id: Name | None = Field(None, description="Replaces the added rule of this id.")


class BindingSet(Result):
    """The rule holds for the next message."""

    ok: bool = True
    id: str
    replaced: bool
    warnings: list[str] = Field(description="Where it will not do what it seems to.")


class RemoveBinding(Params):
    """Which rule: by its id, or by agent and match."""

    agent_id: Name | None = None
    match_key: MatchKey | None = None
    match_value: Name | None = None
    match: MatchShape | None = None
    id: Name | None = None


class BindingRemoved(Result):
    """Whether there was such a rule."""

    removed: bool
    ids: list[str]


class BindingInfo(Result):
    """A rule in its place."""

    id: str
    agent_id: str
    tier: int
    priority: int
    match: dict[str, str]
    source: Literal["declared", "added"]
    origin: str = Field(description="Where it is written.")


class BindingList(Result):
    """All rules in the order in which they are asked."""

    bindings: list[BindingInfo]
    default_agent: str | None
    file: str
    problems: list[str]


class Route(Params):
    """Where a message would come from."""

    channel: Name = "websocket"
    peer_id: Name = "ws-client"
    account_id: Place = ""
    guild_id: Place = ""
    group_id: Place = ""
    thread_id: Place = ""
    agent_id: Place = Field("", description="The agent the message asks for.")


class Resolved(Result):
    """Who would answer, in which conversation."""

    agent_id: str
    session_key: str
    why: Literal["override", "binding", "default"]
    binding_id: str | None


class DifferenceShape(Result):
    """Why a rule does not match, for one field."""

    field: str
    wanted: str
    came: str


class TrialShape(Result):
    """A rule that was asked."""

    id: str
    agent_id: str
    tier: int
    priority: int
    matched: bool
    differences: list[DifferenceShape]


class RouteExplained(Result):
    """The whole decision."""

    route: str
    tried: list[TrialShape]
    not_tried: int
    agent_id: str | None = Field(description="Null: no agent would answer, see `refused`.")
    session_key: str | None
    why: Literal["override", "binding", "default"]
    binding_id: str | None
    refused: str | None
    text: str = Field(description="The same for people.")


class AgentInfo(Result):
    """An agent. `model` empty: the gateway's own."""

    id: str
    name: str
    model: str
    dm_scope: str
    source: Literal["declared", "added"]


class AgentList(Result):
    """All agents, by id."""

    agents: list[AgentInfo]


class RegisterAgent(Params):
    """An agent that lives in the store. `id` and `name` are the only ones it needs."""

    id: Name
    name: Annotated[str, Field(min_length=1, max_length=200)]
    system_prompt: str = Field("", max_length=20_000)
    model: Place = ""
    dm_scope: Literal["main", "per-peer", "per-channel-peer", "per-account-channel-peer"] = (
        "per-channel-peer"
    )
    workspace_dir: Annotated[str, Field(max_length=4096)] = Field(
        "",
        description="A folder of its own within the workspace that its file tools may see; without "
        "one it has no file tools.",
    )


class AgentRegistered(Result):
    """The agent answers from the next message on. `id` is in its normal form."""

    ok: bool = True
    id: str
    replaced: bool


class OneAgent(Params):
    """Which agent."""

    id: Name


class AgentRemoved(Result):
    """It is gone; its conversations stay."""

    id: str
