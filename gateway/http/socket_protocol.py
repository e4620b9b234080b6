"""WebSocket on a socket: uvicorn's sans-I/O protocol, bounded and always receiving.

As shipped it stops reading while a message waits for the application, so pongs starve and a busy
client is given up; it takes pieces without end, answers every ping of a peer that reads nothing,
and counts a peer as dead whose pong waits behind megabytes it is still reading. It reaches into
uvicorn, which is therefore pinned exactly.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, assert_never

import structlog
from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Origin

from gateway.core.errors import InvalidInput
from gateway.http.problems import body_of
from gateway.http.progress import WatchedTransport
from gateway.http.sockets import Sockets, address_of
from gateway.identity.principal import Principal, Scope

_SLICE = 16 * 1024
"""Bytes parsed before others have their turn."""
_BITE = 1024
"""Parsed in one go of these."""
_SLICE_FRAMES = 8
"""Frames after which a slice ends early: 16 KiB hold 2 700 empty ones, which take 15 ms, and a pass
of the loop looks at several slices."""

REASON_CHARS = 200
"""Of what the library says of a handshake; it may quote the peer."""

log = structlog.get_logger(__name__)

_wire_log = logging.getLogger("turngate.wire")
# At debug level the library logs frames, and the first one holds a token.
_wire_log.setLevel(logging.WARNING)


class _Wire(ServerProtocol):
    """The library's protocol without its opinion on origins, which the guard has, and with our
    problems as the bodies of its refusals."""

    def reject(self, status: int, text: str) -> Response:
        refused = super().reject(status, text)
        body = body_of(InvalidInput(" ".join(text.split())[:REASON_CHARS]))
        del refused.headers["Content-Type"], refused.headers["Content-Length"]
        refused.headers["Content-Type"] = "application/json"
        refused.headers["Content-Length"] = str(len(body))
        return replace(refused, body=body)

    def process_origin(self, headers: Headers) -> Origin | None:
        return None


class SocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket. Whoever holds it reads with `next_message` and writes with `write`."""

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
        self._sizes = server_state.bounds.sizes
        self.conn = _Wire(max_size=self._sizes.stranger_frame, logger=_wire_log)
        self.logger = _wire_log
        self.close_timeout = server_state.bounds.deadlines.close_s
        self.on_writable: Callable[[], None] | None = None
        self._trusted = False
        self._owner = ""
        self._passes_by = False
        self._frames_seen = 0
        self._pieces = bytearray()
        self._piece_count = 0
        self._unparsed = bytearray()
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._gone = False
        self._heard_at = 0.0
        self._pong = b""
        self._deadline: asyncio.TimerHandle | None = None

    # --- what the holder uses --------------------------------------------------------------------

    @property
    def is_writable(self) -> bool:
        """Whether the peer keeps up; `on_writable` is called when it does again."""
        return self.writable.is_set()

    def recognise(self, principal: Principal) -> None:
        """The peer is authenticated: it may send whole frames. See `Sockets.recognise`."""
        self._sockets.recognise(self.transport, principal)
        self._trusted = True
        self._owner = principal.credential_id
        self._passes_by = principal.has(Scope.OPERATOR)
        self.conn.max_message_size = self._sizes.frame

    def give_way(self) -> None:
        """The place is needed for another credential."""
        self.close(1013, "too many connections of this credential: reconnect later")

    async def next_message(self) -> bytes | None:
        """The next message, valid UTF-8 of at most the bound; None once no more will come.

        It comes when it is the turn of whoever sent it, see `gateway.http.pace`. One reader at a
        time. Cancelling it takes nothing.
        """
        turn = self._passes_by
        while not (self._inbox and turn):
            if self._inbox:
                await self._sockets.pace.turn(self._owner)
                turn = True
                continue
            if self._gone:
                return None
            self._reader = self.loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        message = self._inbox.popleft()
        self._inbox_bytes -= len(message)
        if self.read_paused and not self._inbox:
            self._read_on()
        return message

    def write(self, messages: Iterable[bytes]) -> None:
        """Send text messages in one go; nothing is sent once a close was."""
        if self.close_sent or self.disconnected:
            return
        try:
            for message in messages:
                self.conn.send_text(message)
        except InvalidState:  # the peer has closed, and the reader will learn it
            self.conn.data_to_send()
            return
        self.transport.write(b"".join(self.conn.data_to_send()))

    def close(self, code: int, reason: str) -> None:
        """Say goodbye, wait `close_s` for the peer's half, then end the socket.

        Messages read and not yet taken are dropped: they were not answered either.
        """
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        self._inbox.clear()
        self._end_of_messages()
        self._read_on()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    def abort(self) -> None:
        """End the socket now."""
        self.transport.abort()

    # --- the socket ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called with the watched transport of the HTTP connection that was upgraded."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(
            self._sockets.bounds.deadlines.head_s, self._handshake_is_late
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)
        self._sockets.leave(self.transport)
        self._end_of_messages()

    def _handshake_is_late(self) -> None:
        if not self.handshake_complete:
            self._sockets.shed("slow_handshake")
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._heard_at = self.loop.time()
        self._unparsed += data
        if len(self._unparsed) != len(data):
            return  # a slice of it waits already
        if self._passes_by or self._sockets.pace.now(self._owner):
            self._parse()
        else:
            self._rest()
            self._sockets.pace.later(self._owner, self._parse)

    def _parse(self) -> None:
        if self.transport.is_closing():  # what comes after our goodbye is not for us
            self._unparsed.clear()
            return
        self._take_slice()
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # The library has written its refusal and nobody else will send it.
            self._refused_by_library()
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
        if self._unparsed:
            self._rest()
            if self._passes_by:
                self.loop.call_soon(self._parse)
            else:
                self._sockets.pace.later(self._owner, self._parse)
        elif not self._is_full():
            self._read_on()

    def _take_slice(self) -> None:
        enough = self._frames_seen + _SLICE_FRAMES
        for _ in range(_SLICE // _BITE):
            if not self._unparsed or self._frames_seen >= enough or self.transport.is_closing():
                return
            bite = bytes(self._unparsed[:_BITE])
            del self._unparsed[:_BITE]
            super().data_received(bite)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._refused_by_library()

    def _refused_by_library(self) -> None:
        """Say why; what came is no handshake, so nobody else has seen it."""
        self._sockets.shed("bad_handshake")
        log.info(
            "socket.refused",
            reason=str(self.conn.handshake_exc)[:REASON_CHARS],
            address=address_of(self.transport),
        )

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            # Not said as shipped, which then takes a refusal for a handshake nobody answered.
            self.handshake_complete = True

    def _is_full(self) -> bool:
        return (
            len(self._inbox) > self._sizes.inbox_frames or self._inbox_bytes > 2 * self._sizes.frame
        )

    def _rest(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _read_on(self) -> None:
        if self.read_paused and not self._unparsed:
            self.read_paused = False
            self.transport.resume_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._pong:
            self.transport.write(self._pong)
            self._pong = b""
        if self.on_writable is not None:
            self.on_writable()

    def shutdown(self) -> None:
        """End a handshake that nobody will answer any more; open sockets are closed by whoever
        holds them."""
        if not self.handshake_complete:
            self.transport.abort()

    # --- frames ----------------------------------------------------------------------------------

    def handle_events(self) -> None:
        for event in self.conn.events_received():
            if isinstance(event, Request):
                self.handle_connect(event)
            elif isinstance(event, Frame):
                self._frames_seen += 1
                self._handle_frame(event)
            if self.transport.is_closing():
                return

    def _handle_frame(self, frame: Frame) -> None:
        if not self.handshake_complete:
            self.transport.abort()  # a client waits for the answer to its handshake
            return
        if not self._trusted and self._frames_seen > self._sizes.stranger_frames:
            self._fail(1008, "too many frames before authentication")
            return
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                self._take(frame)
            case Opcode.PING:
                self.handle_ping()
            case Opcode.PONG:
                self.handle_pong(frame)
            case Opcode.CLOSE:
                self.handle_close(frame)
                self._end_of_messages()
            case _:
                assert_never(frame.opcode)

    def _take(self, frame: Frame) -> None:
        if frame.fin and not self._piece_count:
            self._deliver(bytes(frame.data))
            return
        self._piece_count += 1
        self._pieces += frame.data
        if frame.fin:
            message, self._pieces, self._piece_count = bytes(self._pieces), bytearray(), 0
            self._deliver(message)
        elif self._piece_count >= self._sizes.fragments:
            self._fail(1009, f"a message has at most {self._sizes.fragments} pieces")

    def _deliver(self, message: bytes) -> None:
        if self.close_sent:
            return
        if not message.isascii():
            try:
                message.decode()
            except UnicodeDecodeError:
                self._fail(1007, "a message is text in UTF-8")
                return
        self._inbox.append(message)
        self._inbox_bytes += len(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
        if self._is_full():
            self._rest()

    def handle_ping(self) -> None:
        """Answer, unless the peer reads nothing: then only the latest, once it reads again."""
        pongs = self.conn.data_to_send()
        if self.is_writable:
            self.transport.write(b"".join(pongs))
        elif pongs:
            self._pong = pongs[-1]

    def keepalive_timeout(self) -> None:
        """Give a silent peer up; one that still sends or takes bytes is not silent."""
        if max(self._heard_at, self.transport.moved_at) <= self.ping_sent_at:
            super().keepalive_timeout()
            return
        self.pong_timer = None
        self.pending_ping_payload = None
        self.schedule_ping()

    # --- the end ---------------------------------------------------------------------------------

    def _fail(self, code: int, reason: str) -> None:
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        if self.conn.close_sent is None:  # broken before the handshake was answered
            self.transport.abort()
            return
        super().handle_parser_exception()
        self.stop_keepalive()
        self._sockets.shed("bad_frame")
        self._inbox.clear()
        self._end_of_messages()

    def _end_of_messages(self) -> None:
        self._gone = True
        self._pieces = bytearray()
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
