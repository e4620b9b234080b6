"""One WebSocket client, as the methods it calls see it.

There is one writer, which hands the socket what waits, as much as the client takes; an idle
connection costs no task. What is sent in one round of the loop leaves in one write. What must
arrive waits for room in the order in which it came; a client for which too much waits is closed
1013 and resumes by sequence number. A client that
takes nothing at all is cut off by the transport, see `progress`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NoReturn

from gateway.core.errors import Busy
from gateway.http.bounds import Bounds
from gateway.http.clients import Client, Clients
from gateway.http.outbound import Outbound
from gateway.http.ports import Socket
from gateway.http.sockets import Shed
from gateway.identity.principal import Principal
from gateway.wire.jsonrpc import notification

FLUSH_BYTES = 64 * 1024
"""Handed to the socket in one go: past this its buffer is full and it says so."""

STEP_BYTES = 64 * 1024
"""What waits is counted for the credential in steps of this; less counts as nothing."""

TOO_SLOW = "too slow: reconnect and resume by sequence number"

ANONYMOUS = Principal("", frozenset(), "")
"""Who a client is before it has authenticated: somebody who may do nothing."""


class ClientConnection:
    """Implements `gateway.rpc.call.Connection` on a socket."""

    def __init__(
        self, socket: Socket, address: str, bounds: Bounds, clients: Clients, shed: Shed
    ) -> None:
        self._socket = socket
        self.address = address
        self._bounds = bounds
        self._clients = clients
        self._shed = shed
        self._principal = ANONYMOUS
        self._queue = Outbound(bounds.sizes.queue_frames, bounds.sizes.queue_bytes)
        self._waiting: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._waiting_bytes = 0
        self._noted = 0
        self._loop = asyncio.get_running_loop()
        self._flushing = False
        self._closed = False
        self._flushed: asyncio.Event | None = None
        self._auth_timer: asyncio.TimerHandle | None = self._loop.call_later(
            bounds.deadlines.auth_s, self._auth_is_late
        )
        socket.on_writable = self._flush_soon
        clients.enter(self)

    # --- who -------------------------------------------------------------------------------------

    @property
    def principal(self) -> Principal:
        """`ANONYMOUS` until somebody has authenticated."""
        return self._principal

    def become(self, principal: Principal) -> None:
        """From now on the client is this principal.

        Raises `Busy` when the credential has too many connections; the client stays who it was.
        """
        if self._closed:
            raise Busy("the connection is closing")
        self._clients.become(self, principal.credential_id)
        self._socket.recognise(principal)
        self._note(0)  # what waits counts toward the new owner from the next message on
        self._principal = principal
        if self._auth_timer is not None:
            self._auth_timer.cancel()
            self._auth_timer = None

    def _auth_is_late(self) -> None:
        self._auth_timer = None
        self._shed("unauthenticated")
        self.close(1008, "authenticate first: call connect with a token")

    @property
    def closed(self) -> bool:
        """Whether nothing is sent any more."""
        return self._closed

    # --- sending ---------------------------------------------------------------------------------

    async def respond(self, frame: bytes, *, last: bool = False) -> None:
        """Send an encoded response; see `notify`."""
        await self._send(frame, now=last)

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification that must arrive; returns once there is room for it.

        Cancelled while it waits, the message is not sent. When the connection closes, or is closed
        because too much waits, it raises `asyncio.CancelledError`.
        """
        await self._send(notification(method, params))

    def preview(self, key: str, method: str, params: dict[str, Any]) -> None:
        """Send a notification that may be joined with a later one of its key, or dropped."""
        if self._closed:
            return
        if self._queue.preview(key, method, params):
            self._flush_soon()
            if self._crowds():
                self.close(1013, TOO_SLOW)
        else:
            self._shed("preview")

    async def _send(self, frame: bytes, *, now: bool = False) -> None:
        if self._closed:
            raise asyncio.CancelledError
        if (
            self._principal is ANONYMOUS
            and self._queue.size + len(frame) > self._bounds.sizes.stranger_queue
        ):
            self._too_slow()
        if not self._waiting and self._push(frame):
            if self._crowds():
                self._too_slow()
            if now:
                self._write()
            else:
                self._flush_soon()
            return
        sizes = self._bounds.sizes
        # As in the queue, one message that is larger than the bound may wait when it is alone.
        if self._waiting and (
            len(self._waiting) >= sizes.queue_frames
            or self._waiting_bytes + len(frame) > sizes.queue_bytes
        ):
            self._too_slow()
        await self._wait_for_room(frame)

    def _too_slow(self) -> NoReturn:
        self._shed("slow_client")
        self.close(1013, TOO_SLOW)
        raise asyncio.CancelledError

    def _push(self, frame: bytes) -> bool:
        if self._queue.push(frame):
            return True
        # A burst of answers within one round of the loop is not yet a slow client.
        self._flush()
        return self._queue.push(frame)

    async def _wait_for_room(self, frame: bytes) -> None:
        room = self._loop.create_future()
        item = (frame, room)
        self._waiting.append(item)
        self._waiting_bytes += len(frame)
        if self._crowds():
            self._too_slow()
        try:
            await room
        except asyncio.CancelledError:
            if item in self._waiting:
                self._waiting.remove(item)
                self._waiting_bytes -= len(frame)
            raise

    def _flush_soon(self) -> None:
        """Everything sent in one round of the loop leaves in one write."""
        if not self._flushing and not self._closed:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self._write()

    def _write(self) -> None:
        while not self._closed and self._socket.is_writable:
            batch = self._queue.take(FLUSH_BYTES)
            if not batch:
                break
            self._socket.write(batch)
            self._let_in()
        self._note(self._queue.size + self._waiting_bytes)
        if not self._queue and self._flushed is not None:
            self._flushed.set()

    def _crowds(self) -> bool:
        """Whether this client has to give way, because too much waits for clients together.

        Another one that holds more is closed in its place.
        """
        largest = self._note(self._queue.size + self._waiting_bytes)
        if largest is None or largest is self:
            return largest is self
        self._shed("slow_client")
        largest.close(1013, TOO_SLOW)
        return False

    def _note(self, size: int) -> Client | None:
        # In steps, because nearly every message finds an empty queue and leaves one.
        if size // STEP_BYTES == self._noted:
            return None
        self._noted = size // STEP_BYTES
        owner = self._principal.credential_id
        return self._clients.holdings.set(owner, self, self._noted * STEP_BYTES)

    def _let_in(self) -> None:
        while self._waiting:
            frame, room = self._waiting[0]
            if not room.done() and not self._queue.push(frame):
                return
            self._waiting.popleft()
            self._waiting_bytes -= len(frame)
            if not room.done():
                room.set_result(None)

    async def flushed(self) -> None:
        """Wait until the socket was handed everything; cancelling it has no other effect."""
        while self._queue and not self._closed:
            self._flushed = asyncio.Event()
            await self._flushed.wait()

    # --- the end ---------------------------------------------------------------------------------

    def close(self, code: int, reason: str) -> None:
        """Say why and end the connection; what still waits is not sent."""
        self._end()
        self._socket.close(code, reason)

    def abort(self) -> None:
        """End the connection without a word."""
        self._end()
        self._socket.abort()

    def gone(self) -> None:
        """The client has left."""
        self._end()
        self._clients.leave(self)

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._auth_timer is not None:
            self._auth_timer.cancel()
            self._auth_timer = None
        self._socket.on_writable = None
        self._queue.clear()
        for _, room in self._waiting:
            room.cancel()
        self._waiting.clear()
        self._waiting_bytes = 0
        self._note(0)
        if self._flushed is not None:
            self._flushed.set()
