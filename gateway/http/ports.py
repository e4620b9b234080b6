"""What the network surface needs of others, in the shape in which it asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from starlette.routing import BaseRoute

from gateway.core.clock import Clock
from gateway.core.ids import Ids
from gateway.http.pace import Pace
from gateway.identity.principal import Principal
from gateway.rpc.call import Connection
from gateway.telemetry.health import Health
from gateway.telemetry.metrics import Metrics


class Credentials(Protocol):
    """Who may come in."""

    async def authenticate(self, token: str, address: str) -> Principal:
        """Whose token it is; raises `Unauthenticated` or `RateLimited`."""
        ...

    def issue_ticket(self, principal: Principal, origin: str) -> str:
        """A one-time stand-in for a token, good for one page; raises `RateLimited`."""
        ...

    def redeem_ticket(self, ticket: str, origin: str) -> Principal:
        """Whose ticket it is, once; raises `Unauthenticated`."""
        ...

    def on_revoked(self, callback: Callable[[str], None]) -> None:
        """Call with the id of each credential that is revoked from now on."""
        ...


class Session(Protocol):
    """What answers the messages of one WebSocket."""

    async def receive(self, frame: bytes) -> None:
        """Take a message; returns without waiting for its answer."""
        ...

    async def close(self) -> None:
        """The client is gone: end what it waited for."""
        ...


class Rpc(Protocol):
    """What answers messages, on a socket or one at a time."""

    def open_session(self, connection: Connection, address: str) -> Session:
        """Begin to answer the messages of a WebSocket."""
        ...

    async def handle(self, frame: bytes, principal: Principal, address: str) -> bytes | None:
        """Answer one message; None when there is nothing to answer."""
        ...


class Socket(Protocol):
    """A WebSocket as the connection on top of it uses it."""

    on_writable: Callable[[], None] | None

    @property
    def is_writable(self) -> bool: ...

    def recognise(self, principal: Principal) -> None: ...

    async def next_message(self) -> bytes | None: ...

    def write(self, messages: list[bytes]) -> None: ...

    def close(self, code: int, reason: str) -> None: ...

    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Surface:
    """What stands behind the routes; the composition root fills it in."""

    rpc: Rpc
    credentials: Credentials
    health: Health
    metrics: Metrics
    store_writable: Callable[[], Awaitable[bool]]
    clock: Clock
    ids: Ids
    pace: Pace = field(default_factory=Pace)
    pages: Sequence[BaseRoute] = ()
    """Routes of others, behind the same guard."""
