"""The parts of a running gateway that methods call; the root fills it in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agents.base.agents import Agents
from gateway.core.clock import Clock
from gateway.core.ids import Ids
from gateway.delivery.outbox import Outbox
from gateway.events.log import EventLog
from gateway.events.previews import Previews
from gateway.identity.credentials import Credential
from gateway.identity.principal import Principal, Scope
from gateway.intake.intake import Intake
from gateway.routing.added import AddedRules
from gateway.routing.router import Router
from gateway.runs.engine import Engine
from gateway.sessions.live import LiveSessions
from gateway.store.base.store import Store
from gateway.turns.lanes import Lanes
from gateway.turns.waiting import TurnWaiters


class Credentials(Protocol):
    """Who may come in."""

    async def authenticate(self, token: str, address: str) -> Principal:
        """Whose token it is; raises `Unauthenticated`, or `RateLimited` after wrong ones."""
        ...

    async def create(
        self, name: str, scopes: Iterable[Scope], *, by: Principal
    ) -> tuple[Credential, str]:
        """A new credential and its token; raises `Forbidden`, `InvalidInput` or `Conflict`."""
        ...

    async def revoke(self, name_or_id: str) -> Credential:
        """End a credential; raises `NotFound`."""
        ...

    async def list(self) -> list[Credential]:
        """All credentials, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class About:
    """What a gateway says of itself. `started` is on the monotonic clock."""

    version: str
    model: str
    workspace: Path
    started: float


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts of a running gateway that methods call."""

    about: About
    store: Store
    clock: Clock
    ids: Ids
    credentials: Credentials
    agents: Agents
    router: Router
    log: EventLog
    previews: Previews
    sessions: LiveSessions
    intake: Intake
    lanes: Lanes
    engine: Engine
    outbox: Outbox
    waiters: TurnWaiters
    added: AddedRules | None = None
    """What rules and agents are added to; None: they are fixed."""
