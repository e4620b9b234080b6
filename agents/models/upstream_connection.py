"""One connection to a model server: a request written in one go, its response parsed as it arrives.

A connection serves one request at a time and is reusable only while it is provably idle: the
response was a success and complete, the request had left before it began, nothing followed, and
nothing has arrived since. Anything else closes it, so no answer can reach the wrong conversation.
Part of the transport below the SDK.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable
from typing import cast

import httpx2

from agents.models.upstream_response import MalformedResponse, UpstreamResponse

MAX_BUFFERED = 256 * 1024
"""Received bytes that wait for their reader; past this the connection is not read."""
IDLE_S = 5.0
"""How long an unused connection is kept: less than servers and firewalls keep it."""


class UpstreamConnection(asyncio.Protocol):
    """A transport's other end. `lost` is called once, when the connection has closed."""

    def __init__(self, lost: Callable[[UpstreamConnection], None]) -> None:
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._response: UpstreamResponse | None = None
        self._failure: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timeout_s: float | None = None
        self._active_at = 0.0
        self._unsent = 0
        self._buffered = 0
        self._early = False
        self._reading = True

    # --- one exchange; used by the transport ---

    async def ask(self, request: bytes, timeout_s: float | None) -> UpstreamResponse:
        """Send a request and return its response once the head is there.

        `timeout_s` bounds every wait for the server to take or send another byte. Raises
        `httpx2.TransportError`. If it raises or is cancelled, the connection is closed.
        """
        assert self._transport is not None  # connected before anyone gets it
        self._response, self._early, self._failure = UpstreamResponse(), False, None
        response = self._response
        self._stop_timer()
        self._timeout_s = timeout_s
        self._active_at = self._loop.time()
        if timeout_s is not None:
            self._timer = self._loop.call_later(timeout_s, self._look_at_the_time)
        try:
            if self._transport.is_closing():  # a server that accepts and hangs up
                raise httpx2.RemoteProtocolError("the server closed the connection")
            self._transport.write(request)
            self._unsent = self._transport.get_write_buffer_size()
            while not response.begun:
                await self._arrival()
        except BaseException:
            self.close()
            raise
        return response

    async def more(self) -> bytes:
        """The next piece of the body, empty at its end; raises `httpx2.TransportError`."""
        response = self._response
        assert response is not None  # between `ask` and `release`
        while not response.pending:
            if response.whole:
                return b""
            await self._arrival()
        if not self._reading:
            self._reading = True
            self._transport_open().resume_reading()
        self._buffered = 0
        return response.take()

    def release(self) -> bool:
        """End the exchange; True if the connection may serve another, else it is closed."""
        response, self._response = self._response, None
        self._stop_timer()
        reusable = (
            response is not None
            and response.reusable
            and 200 <= response.status < 300  # a refusal may come before the request was read
            and not self._early
            and self._reading
            and self.quiet()
        )
        if reusable:
            self._timer = self._loop.call_later(IDLE_S, self.close)
        else:
            self.close()
        return reusable

    def quiet(self) -> bool:
        """Whether the connection is open and nothing has arrived on it, not even unread."""
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size():
            return False
        # What waits in the system's buffer has not been seen by the event loop yet.
        return not _readable(transport.get_extra_info("socket"))

    def close(self) -> None:
        """Close at once, without sending what is left; never fails, twice is once."""
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:
            self.close()  # nothing was asked
            return
        self._active_at = self._loop.time()
        if not response.begun and self._transport_open().get_write_buffer_size():
            self._early = True
        try:
            response.feed(data)
        except MalformedResponse as error:
            self._fail(httpx2.RemoteProtocolError(str(error)))
            self.close()
            return
        self._buffered += len(data)
        if self._buffered > MAX_BUFFERED and self._reading and not response.whole:
            self._reading = False
            self._transport_open().pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        response = self._response
        if response is not None and not response.whole:
            if error is None:
                response.feed_eof()
            if not response.whole:
                said = "broke off inside the response" if response.begun else "sent no response"
                self._fail(httpx2.RemoteProtocolError(f"the server {said}"))
        self._wake()
        self._lost(self)

    # --- inside ---

    def _transport_open(self) -> asyncio.Transport:
        assert self._transport is not None  # `connection_made` comes before anything else
        return self._transport

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _arrival(self) -> None:
        """Wait for the next thing to happen; raises what ended the connection."""
        if self._failure is None:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        # What was received before the end is read first.
        if self._failure is not None and not (self._response and self._response.pending):
            raise self._failure

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        self._wake()

    def _look_at_the_time(self) -> None:
        """Nothing may have moved for as long as allowed: fail, or look again when that may be."""
        assert self._timeout_s is not None  # only then there is a timer
        unsent = self._transport_open().get_write_buffer_size()
        if unsent < self._unsent or self._waiter is None:
            # Sending goes on, or our own side is slow to read; neither is the server's silence.
            self._active_at = self._loop.time()
        self._unsent = unsent
        left_s = self._active_at + self._timeout_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look_at_the_time)
            return
        self._timer = None
        late = httpx2.WriteTimeout if unsent else httpx2.ReadTimeout
        self._fail(late("nothing moved in time"))
        self.close()


def _readable(end: socket.socket) -> bool:
    poll = select.poll()
    poll.register(end.fileno(), select.POLLIN)
    return bool(poll.poll(0))
