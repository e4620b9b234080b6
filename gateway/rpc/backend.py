"""The parts of a running gateway that methods call; the root fills it in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agents.base.agents import Agents
from gateway.core.clock import Clock
from gateway.core.ids import Ids
from gateway.delivery.outbox import Outbox
from gateway.events.log import EventLog
from gateway.events.previews import Previews
from gateway.intake.intake import Intake
from gateway.routing.added import AddedRules
from gateway.routing.router import Router
from gateway.rpc.credentials import Credentials
from gateway.runs.engine import Engine
from gateway.sessions.live import LiveSessions
from gateway.store.base.store import Store
from gateway.turns.lanes import Lanes
from gateway.turns.waiting import TurnWaiters


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
    added: AddedRules
