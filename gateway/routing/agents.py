"""Every agent there is: those the workspace declares, and those added while the gateway runs.

Added ones live in the store and survive a restart; declared ones are changed by editing their file
alone. An id is one or the other, never both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import orjson

from agents.base.agents import Agent, Agents
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, Conflict, NotFound
from gateway.core.ids import AgentId
from gateway.core.keys import SessionScope, normalise_agent_id
from gateway.routing.bindings import Source
from gateway.store.base.agents import ListAgents, PutAgent, RemoveAgent
from gateway.store.base.store import Durability, Store, Unit


@dataclass(frozen=True, slots=True)
class AddedAgent:
    """An agent as it was added; `directory` is what its file tools may see, None for no file
    tools.
    """

    id: AgentId
    name: str
    identity: str
    model: str
    dm_scope: SessionScope
    directory: Path | None

    def to_json(self) -> str:
        """The stored form."""
        value = {
            "name": self.name,
            "identity": self.identity,
            "model": self.model,
            "dm_scope": self.dm_scope.value,
            "directory": str(self.directory or ""),
        }
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

    def agent(self) -> Agent:
        """The agent as turns use it."""
        return Agent(
            self.id,
            self.name,
            self.identity,
            self.directory,
            model=self.model,
            dm_scope=self.dm_scope,
            revision=hashlib.sha256(self.to_json().encode()).hexdigest()[:16],
        )


def _from_json(agent_id: str, body: str, workspace: Path) -> AddedAgent:
    value = orjson.loads(body)
    # Earlier versions gave an agent without a folder the workspace, where secrets may be.
    has_folder = value["directory"] not in ("", str(workspace))
    return AddedAgent(
        AgentId(agent_id),
        value["name"],
        value["identity"],
        value["model"],
        SessionScope(value["dm_scope"]),
        Path(value["directory"]) if has_folder else None,
    )


class KnownAgents:
    """`agents.base.agents.Agents` over both; `open` before anything is routed.

    `workspace` is the resolved folder in which the declared ones were found.
    """

    def __init__(self, declared: Agents, workspace: Path) -> None:
        self._declared = declared
        self._workspace = workspace
        self._added: dict[AgentId, Agent] = {}
        self._store: Store
        self._clock: Clock

    async def open(self, store: Store, clock: Clock) -> None:
        """Learn what was added; raises `ConfigError` for an id that is declared as well."""
        self._store, self._clock = store, clock
        added: dict[AgentId, Agent] = {}
        for row in await store.read(ListAgents()):
            agent = _from_json(row.agent_id, row.body, self._workspace).agent()
            declared = self._declared.get(agent.id)
            if declared is not None:
                raise ConfigError(
                    f"the agent {agent.id!r} was added while the gateway ran and is declared in "
                    f"{declared.directory} as well; rename the folder, or take it away, start, and "
                    f"call agents.remove for the added one"
                )
            added[agent.id] = agent
        self._added = added

    def get(self, agent_id: AgentId) -> Agent | None:
        """The agent of that id, spelt as people spell it."""
        found = self._declared.get(agent_id)
        return found or self._added.get(agent_id) or self._added.get(normalise_agent_id(agent_id))

    def ids(self) -> tuple[AgentId, ...]:
        """Every agent, in order."""
        return tuple(sorted((*self._declared.ids(), *self._added)))

    def source(self, agent_id: AgentId) -> Source:
        """Where an agent lives, and so who may change it."""
        return Source.ADDED if agent_id in self._added else Source.DECLARED

    async def add(self, added: AddedAgent) -> bool:
        """Add an agent or replace an added one; whether there was one to replace.

        Raises `Conflict` for one that is declared.
        """
        self._refuse_declared(added.id, "changed")
        op = PutAgent(added.id, added.to_json(), self._clock.now_ms())
        await self._store.commit(Unit((op,), durability=Durability.CRITICAL))
        replaced = added.id in self._added
        self._added[added.id] = added.agent()
        return replaced

    async def remove(self, agent_id: AgentId) -> None:
        """Take an added agent away; raises `NotFound`, or `Conflict` for one that is declared."""
        self._refuse_declared(agent_id, "removed")
        if agent_id not in self._added:
            raise NotFound(f"there is no agent {agent_id!r}")
        await self._store.commit(Unit((RemoveAgent(agent_id),), durability=Durability.CRITICAL))
        self._added.pop(agent_id, None)

    def _refuse_declared(self, agent_id: AgentId, done: str) -> None:
        declared = self._declared.get(agent_id)
        if declared is not None:
            raise Conflict(
                f"the agent {agent_id!r} is declared in {declared.directory}; nothing was {done},"
                " edit the file there"
            )
