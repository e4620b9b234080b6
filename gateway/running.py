"""The parts of a running gateway, listed once: the root fills them in, families above call them.

No behaviour of its own; what a part does is said where it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agents.base.agents import Agents
from agents.base.profiles import Profiles
from gateway.conversations.conversations import Conversations
from gateway.core.clock import Clock
from gateway.core.ids import Ids
from gateway.delivery.fetched import FetchedAnswers
from gateway.delivery.operating import Deliveries
from gateway.delivery.outbox import Outbox
from gateway.events.log import EventLog
from gateway.events.previews import Previews
from gateway.hosting.host import ChannelHost
from gateway.identity.credentials import Credentials
from gateway.intake.intake import Intake
from gateway.routing.added import AddedRules
from gateway.routing.folders import AgentFolders
from gateway.routing.router import Router
from gateway.runs.copying import Copies
from gateway.runs.engine import Engine
from gateway.runs.operating import Operations
from gateway.runs.queue import RunQueue
from gateway.sessions.live import LiveSessions
from gateway.store.base.store import Store
from gateway.telemetry.health import Health
from gateway.turns.lanes import Lanes
from gateway.turns.opening import Opening


@dataclass(frozen=True, slots=True)
class About:
    """What a gateway says of itself. `started` is on the monotonic clock, `note` of the model."""

    version: str
    model: str
    workspace: Path
    started: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway, as surfaces and tests see it. Who listens opens `credentials`."""

    about: About
    health: Health
    clock: Clock
    ids: Ids
    store: Store
    credentials: Credentials
    agents: Agents
    folders: AgentFolders
    router: Router
    added: AddedRules
    log: EventLog
    previews: Previews
    sessions: LiveSessions
    intake: Intake
    lanes: Lanes
    engine: Engine
    tasks: RunQueue
    operations: Operations
    copies: Copies
    outbox: Outbox
    channels: ChannelHost
    deliveries: Deliveries
    fetched: FetchedAnswers
    conversations: Conversations
    profiles: Profiles
    opening: Opening

    async def idle(self) -> None:
        """Wait until every turn and task that can end has ended and every answer has left."""
        await self.lanes.drained()
        await self.tasks.drained()
        await self.outbox.drained()
