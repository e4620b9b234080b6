"""`/ws`: a socket becomes a connection, and the connection a session of JSON-RPC."""

from __future__ import annotations

import asyncio

import structlog
from starlette.types import Receive, Scope, Send

from gateway.core.errors import Busy, TurngateError, describe
from gateway.http.access import authenticated, bearer_token, origin_of
from gateway.http.bounds import Bounds
from gateway.http.clients import Clients
from gateway.http.connection import ClientConnection
from gateway.http.ports import Credentials, Rpc
from gateway.http.problems import refusal
from gateway.http.socket_protocol import SocketProtocol
from gateway.http.sockets import Shed
from gateway.identity.principal import Principal
from gateway.telemetry.health import Health

log = structlog.get_logger(__name__)


class SocketEndpoint:
    """An ASGI application for WebSockets."""

    def __init__(
        self,
        rpc: Rpc,
        credentials: Credentials,
        bounds: Bounds,
        clients: Clients,
        health: Health,
        shed: Shed,
    ) -> None:
        self._rpc = rpc
        self._credentials = credentials
        self._bounds = bounds
        self._clients = clients
        self._health = health
        self._shed = shed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket: SocketProtocol = scope["state"]["socket"]
        address: str = scope["state"]["address"]
        connection = ClientConnection(socket, address, self._bounds, self._clients, self._shed)
        try:
            try:
                principal = await self._principal(scope)
                if principal is not None:
                    connection.become(principal)
            except TurngateError as error:
                scope["state"]["refused"] = describe(error).kind
                await refusal(error)(scope, receive, send)
                return
            await receive()  # the handshake
            await send({"type": "websocket.accept", "headers": []})
            await self._serve(socket, connection, address)
        finally:
            connection.gone()

    async def _principal(self, scope: Scope) -> Principal | None:
        """Who opens the socket; None for somebody who will call `connect`."""
        if self._health.ends:
            raise Busy("the gateway is stopping; reconnect in a moment", retry_after_ms=2000)
        ticket = scope["state"].pop("ticket", "")
        if ticket:
            return self._credentials.redeem_ticket(ticket, origin_of(scope))
        if bearer_token(scope) is None:
            return None
        return await authenticated(scope, self._credentials)

    async def _serve(
        self, socket: SocketProtocol, connection: ClientConnection, address: str
    ) -> None:
        log.info("socket.opened", address=address)
        session = self._rpc.open_session(connection, address)
        try:
            while (message := await socket.next_message()) is not None:
                await session.receive(message)
        except asyncio.CancelledError:
            if not connection.closed:
                raise
            # It was closed as too slow, while it was being refused something.
        except Exception as error:  # one client's bug must not reach the others
            log.error("socket.failed", address=address, exc_info=error)
            connection.close(1011, "internal error")
        finally:
            await session.close()
            log.info("socket.closed", address=address, principal=connection.principal.name)
