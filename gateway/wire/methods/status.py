"""Shapes of `status`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.wire.methods.base import Result


class ClientPresence(Result):
    """A connected client."""

    principal: str
    client: str


class BoundUse(Result):
    """How far one bound on work is used."""

    name: Literal[
        "turns",
        "memory",
        "working",
        "tools",
        "backlog",
        "mailboxes",
        "accepting",
        "tasks",
        "connections",
        "slow_clients",
        "requests",
    ]
    profile: str = Field("", description="Whose `requests` these are.")
    used: int
    total: int
    waiting: int = Field(description="How many wait for it.")
    reached: bool = Field(description="Whether the next one has to wait, or is refused.")


class Status(Result):
    """The state of the gateway.

    `agents`, `bindings` and `sessions` are counts; `agent_count`, `binding_count` and `uptime_secs`
    say the same under names that older clients know.
    """

    running: bool
    version: str
    state: Literal["starting", "ready", "degraded", "overloaded", "draining", "stopped"]
    reasons: list[str] = Field(
        default=[],
        description="Why it is degraded (`no_agent`, `model_not_open`, `no_model_ready`, "
        "`store_lost`, `store_refuses`, `store_stuck`) or overloaded (`loop_lag`, `in_flight`, "
        "`disk_low`).",
    )
    model: str
    model_note: str = Field("", description="What to know of it; empty for a model server.")
    model_state: Literal["loading", "downloading", "ready", "failed"] = Field(
        "ready", description="How far it is with opening; messages are taken in any state."
    )
    model_problem: str = Field(
        "", description="How much is downloaded, or why it could not be opened."
    )
    uptime_seconds: float
    uptime_secs: int
    connected_clients: int
    agents: int
    agent_count: int
    bindings: int
    binding_count: int
    sessions: int = Field(description="Conversations in memory.")
    turns_running: int
    turns_waiting: int = Field(
        description="Messages whose turn has not begun, and turns that were cut and do not run yet."
    )
    bounds: list[BoundUse] = Field(
        default=[],
        description="What bounds work, `memory`, `mailboxes` and `slow_clients` in bytes; for "
        "operators.",
    )
    destinations_waiting: int = Field(description="Places with an answer on its way.")
    seq: int = Field(description="Number of the newest event.")
    clients: list[ClientPresence] = Field(
        default=[], description="Who is connected; for operators, at most 100."
    )
