"""The endpoint of sockets, where a session ends in a way no client can bring about at will."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.clock import ManualClock
from gateway.http.bounds import Bounds
from gateway.http.clients import Clients
from gateway.http.connection import ClientConnection
from gateway.http.socket_endpoint import SocketEndpoint
from gateway.identity.principal import Principal
from gateway.rpc.call import Connection
from gateway.telemetry.health import Health
from tests.support.credentials import MemoryCredentials
from tests.unit.gateway.http.test_connection import FakeSocket


class OneMessage(FakeSocket):
    async def next_message(self) -> bytes | None:
        return b"{}"


class Session:
    """Closes its connection while a frame is refused, or is cut off in the middle of one."""

    def __init__(self, connection: Connection, *, closes: bool) -> None:
        self._connection = connection
        self._closes = closes
        self.closed = False

    async def receive(self, frame: bytes | str) -> None:
        if self._closes:
            assert isinstance(self._connection, ClientConnection)
            self._connection.close(1013, "too slow")
        raise asyncio.CancelledError

    async def close(self) -> None:
        self.closed = True


class Sessions:
    def __init__(self, *, closes: bool) -> None:
        self._closes = closes
        self.opened: list[Session] = []

    def open_session(self, connection: Connection, address: str) -> Session:
        self.opened.append(Session(connection, closes=self._closes))
        return self.opened[-1]

    async def handle(self, frame: bytes, principal: Principal, address: str) -> bytes | None:
        raise AssertionError("frames of a socket go to its session")


async def serve(sessions: Sessions) -> None:
    endpoint = SocketEndpoint(
        sessions,
        MemoryCredentials(),
        Bounds(),
        Clients(1),
        Health(ManualClock()),
        lambda reason: None,
    )
    scope = {"headers": [], "state": {"socket": OneMessage(), "address": "10.0.0.1"}}

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        pass

    await endpoint(scope, receive, send)


async def test_a_client_that_is_closed_while_it_is_refused_is_no_error() -> None:
    """Anybody may read too slowly, so it must not fill the log with errors."""
    sessions = Sessions(closes=True)
    await serve(sessions)
    assert sessions.opened[0].closed


async def test_a_stop_ends_a_session() -> None:
    sessions = Sessions(closes=False)
    with pytest.raises(asyncio.CancelledError):
        await serve(sessions)
    assert sessions.opened[0].closed
