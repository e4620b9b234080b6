"""What a handler holds: who asks, over what, and the parts of the gateway it may use.

Handlers are the same over WebSocket and HTTP; where a method needs a lasting connection
(subscriptions), `connection` is None over HTTP and the method refuses with a hint.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from agents.base.agents import Agents
from gateway.core.clock import Clock
from gateway.core.ids import Ids
from gateway.delivery.outbox import Outbox
from gateway.events.log import EventLog
from gateway.events.previews import Previews
from gateway.identity.principal import Principal
from gateway.intake.intake import Intake
from gateway.routing.router import Router
from gateway.runs.engine import Engine
from gateway.sessions.live import LiveSessions
from gateway.store.base.store import Store
from gateway.turns.lanes import Lanes


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts of a running gateway that methods call."""

    store: Store
    clock: Clock
    ids: Ids
    agents: Agents
    router: Router
    log: EventLog
    previews: Previews
    sessions: LiveSessions
    intake: Intake
    lanes: Lanes
    engine: Engine
    outbox: Outbox


class Connection(Protocol):
    """A client that stays: what a method may do with it besides answering."""

    @property
    def principal(self) -> Principal: ...

    def become(self, principal: Principal) -> None:
        """From now on the client is this principal: `connect` has authenticated or narrowed it."""
        ...

    async def respond(self, frame: bytes) -> None:
        """Send an encoded response; waits while the client is slow, like `notify`."""
        ...

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification that must arrive; waits while the client is slow.

        A client too slow for its bound is disconnected, and this raises `asyncio.CancelledError`
        through the task that owns it.
        """
        ...

    def preview(self, key: str, method: str, params: dict[str, Any]) -> None:
        """Send a notification that may be dropped or joined with a later one of the same key."""
        ...

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> Callable[[], None]:
        """Run something for as long as the client stays; the result ends it earlier."""
        ...


class Working(Protocol):
    """The request's place among those a connection works on at once."""

    def resting(self) -> AbstractAsyncContextManager[None]:
        """Give the place up for the block: what only waits must not keep others from working."""
        ...

    def cancel(self, id: str | int) -> bool:
        """End another request of the same client; whether there was one."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request being answered."""

    backend: Backend
    principal: Principal
    connection: Connection | None
    working: Working
    address: str
    """Where it came from, for budgets and logs."""
