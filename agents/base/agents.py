"""What an agent is: the record a workspace file declares, and where to look it up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gateway.core.ids import AgentId
from gateway.core.keys import SessionScope


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent as declared in its folder.

    `model` empty means the gateway's default. `revision` changes whenever anything the prompt is
    built from changes. `directory` is what its file tools may see; an agent without one has no file
    tools.
    """

    id: AgentId
    name: str
    identity: str
    directory: Path | None
    guidance: str = ""
    model: str = ""
    fallback_models: tuple[str, ...] = ()
    dm_scope: SessionScope = SessionScope.PER_CHANNEL_PEER
    denied_tools: frozenset[str] = field(default_factory=frozenset)
    max_tokens: int = 4096
    temperature: float | None = None
    revision: str = ""


class Agents(Protocol):
    """Where agents are looked up; reading never waits."""

    def get(self, agent_id: AgentId) -> Agent | None: ...

    def ids(self) -> tuple[AgentId, ...]: ...
