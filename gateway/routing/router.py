"""Routing as intake uses it: the table, the agents and the conversation key in one answer.

The parts are swapped together when files change; a message is routed by one consistent state.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.base.agents import Agent, Agents
from gateway.core.errors import UnknownAgent
from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey, SessionKey
from gateway.routing.identities import Identities
from gateway.routing.scopes import session_key
from gateway.routing.table import Table


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a message goes; `explanation` is kept with it, one line for people."""

    agent: Agent
    session: SessionKey
    explanation: str


class Router:
    """Routes by a table over the agents it was built for."""

    def __init__(self, table: Table, agents: Agents, identities: Identities) -> None:
        self._table = table
        self._agents = agents
        self._identities = identities

    @property
    def table(self) -> Table:
        """The rules as they are now."""
        return self._table

    @property
    def agents(self) -> Agents:
        """Who may be chosen."""
        return self._agents

    @property
    def identities(self) -> Identities:
        """Who is the same person."""
        return self._identities

    def swap(self, table: Table) -> None:
        """Decide by other rules from the next message on."""
        self._table = table

    def route(self, route: RouteKey, override: AgentId | None) -> Routed:
        """The agent and the conversation; raises `UnknownAgent` before anything is written."""
        resolution = self._table.resolve(route, override)
        agent = self._agents.get(resolution.agent)
        if agent is None:
            raise UnknownAgent(f"the agent {resolution.agent!r} is gone from the workspace")
        binding = resolution.binding
        why = f"{resolution.why} {binding.id}" if binding is not None else f"{resolution.why}"
        return Routed(agent, session_key(agent, route, self._identities), why)
