"""Writes and reads of the agents added at run time (declared ones live in the workspace)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gateway.store.base.query import Query


class PutAgent(NamedTuple):
    """Add or replace an agent (JSON text) by its id."""

    agent_id: str
    body: str
    at: int


class RemoveAgent(NamedTuple):
    """Take an agent away; refused `NotFound` when there is none by that id."""

    agent_id: str


class AgentRow(NamedTuple):
    agent_id: str
    body: str
    added_at: int


@dataclass(frozen=True, slots=True)
class ListAgents(Query[AgentRow]):
    """All of them by id."""
