"""HTTP on a socket: uvicorn's protocol with a deadline for heads and a bound on sockets.

As shipped it waits without bound for the rest of a request head, for a peer that takes no bytes,
and for a body that is not read. It reaches into uvicorn, which is therefore pinned exactly.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.core.errors import Busy, InvalidInput
from gateway.http.pace import HTTP_COST
from gateway.http.problems import whole_response
from gateway.http.progress import WatchedTransport
from gateway.http.sockets import Sockets
from gateway.identity.principal import Principal, Scope

_FULL = whole_response(
    Busy("too many connections are open; try again soon", retry_after_ms=5000),
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_SLOW = whole_response(
    InvalidInput("the request took too long to arrive"), HTTPStatus.REQUEST_TIMEOUT
)


_log = logging.getLogger("turngate.http")
# A line for each scanner that comes by would only hide what matters; refusals are counted.
_log.setLevel(logging.ERROR)


class HttpProtocol(H11Protocol):
    """One HTTP connection, until it ends or becomes a WebSocket."""

    transport: WatchedTransport

    def __init__(
        self,
        config: Config,
        server_state: Sockets,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "socket": self}, _loop)
        self._sockets = server_state
        self._app_state = app_state
        self._deadline: asyncio.TimerHandle | None = None
        self._owner = ""
        self._passes_by = False
        self._kept = bytearray()
        self.logger = _log
        self.access_log = False  # the guard logs requests, without their query strings

    # --- the socket ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        watched: WatchedTransport = self._sockets.watch(transport, self.loop)
        super().connection_made(watched)
        if self._sockets.enter(watched):
            self._expect_head()
        else:
            watched.write(_FULL)
            watched.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._sockets.leave(self.transport)

    def recognise(self, principal: Principal) -> None:
        """A request on this connection was authenticated; see `Sockets.recognise`."""
        self._sockets.recognise(self.transport, principal)
        self._owner = principal.credential_id
        self._passes_by = principal.has(Scope.OPERATOR)

    def shutdown(self) -> None:
        """End now, or after the answer that is being given."""
        if self.conn.our_state in (h11.SEND_RESPONSE, h11.SEND_BODY):
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    # --- requests --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # what comes after our goodbye is not for us
            return
        pace = self._sockets.pace
        if not self._kept and (self._passes_by or pace.now(self._owner, HTTP_COST)):
            super().data_received(data)
            return
        if not self._kept:
            self.flow.pause_reading()
            pace.later(self._owner, self._look_on, HTTP_COST)
        self._kept += data

    def _look_on(self) -> None:
        data = bytes(self._kept)
        self._kept.clear()
        if not self.transport.is_closing():
            self.flow.resume_reading()
            super().data_received(data)

    def handle_events(self) -> None:
        super().handle_events()
        if self.transport.get_protocol() is not self:
            return
        # Nothing is owed by us and no timer of uvicorn runs: the peer is in the middle of a head,
        # or of a body that nobody wants any more.
        if (
            self.conn.our_state in (h11.IDLE, h11.DONE)
            and self.timeout_keep_alive_task is None
            and not self.transport.is_closing()
        ):
            self._expect_head()
        else:
            self._head_is_here()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the socket over; frames sent before the handshake is answered are refused."""
        self._head_is_here()
        if self.conn.trailing_data[0]:
            self.send_400_response("Nothing may follow a handshake before its answer.")
            return
        self.app_state = self._app_state
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, and say why in a sentence of ours."""
        self._sockets.shed("bad_request")
        # As shipped its body is bare text; nothing more is sent on this connection.
        self.transport.write(whole_response(InvalidInput(msg), HTTPStatus.BAD_REQUEST))
        self.transport.close()

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(
                self._sockets.bounds.deadlines.head_s, self._head_is_late
            )

    def _head_is_here(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _head_is_late(self) -> None:
        self._deadline = None
        self._sockets.shed("slow_head")
        if self.conn.our_state is h11.IDLE:
            self.transport.write(_SLOW)
        self.transport.close()
