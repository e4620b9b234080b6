"""HTTP/1.1 transport for `httpx2` with a parser in C: connects, keeps what is idle, bounds both.

It exists for its CPU: the transport of `httpx2` takes several times as much for a streamed answer.
It speaks to the server itself; through a proxy the other transport is used. Cancelling a request,
or closing its response before the end, closes the connection. Part of the OpenAI client.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from itertools import chain
from typing import NamedTuple

import httpx2
from aiohappyeyeballs import start_connection

from agents.models.upstream_connection import UpstreamConnection

NEXT_ADDRESS_S = 0.25
"""After this the next address of a host is tried beside the first, as RFC 8305 proposes."""

_UNSAFE = re.compile(rb"[\r\n\0]")


class Origin(NamedTuple):
    """Where a connection leads."""

    host: str
    port: int
    secure: bool


class UpstreamTransport(httpx2.AsyncBaseTransport):
    """At most `max_connections` at once; `max_idle` of an origin wait for its next request.

    `context` verifies certificates. Raises `httpx2.TransportError` only.
    """

    def __init__(self, context: ssl.SSLContext, *, max_connections: int, max_idle: int) -> None:
        self._context = context
        self._max_idle = max_idle
        self._places = asyncio.Semaphore(max_connections)
        self._idle: dict[Origin, list[UpstreamConnection]] = {}
        self._open: set[UpstreamConnection] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        timeouts = request.extensions.get("timeout", {})
        data = _serialized(request, await request.aread())
        origin = _origin(request.url)
        await self._take_place(timeouts.get("pool"))
        try:
            connection = self._reusable(origin)
            if connection is None:
                connection = await self._connect(origin, timeouts.get("connect"))
            response = await connection.ask(data, timeouts.get("read"))
        except BaseException:
            self._places.release()
            raise
        return httpx2.Response(
            response.status, headers=response.headers, stream=_Body(self, origin, connection)
        )

    async def aclose(self) -> None:
        """Close every connection; requests under way fail."""
        for connection in list(self._open):
            connection.close()

    def finish(self, origin: Origin, connection: UpstreamConnection) -> None:
        """An exchange is over: the connection is kept if it is provably idle, else closed."""
        self._places.release()
        if not connection.release():
            return
        idle = self._idle.setdefault(origin, [])
        idle.append(connection)
        if len(idle) > self._max_idle:
            idle[0].close()

    def _reusable(self, origin: Origin) -> UpstreamConnection | None:
        """The connection used last, so that those of a busy hour close one after the other."""
        idle = self._idle.get(origin, [])
        while idle:
            connection = idle.pop()
            if connection.quiet():
                return connection
            connection.close()
        return None

    def _lost(self, connection: UpstreamConnection) -> None:
        self._open.discard(connection)
        for idle in self._idle.values():
            if connection in idle:
                idle.remove(connection)

    async def _take_place(self, timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._places.acquire()
        except TimeoutError:
            raise httpx2.PoolTimeout("every connection stayed in use") from None

    async def _connect(self, origin: Origin, timeout_s: float | None) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
                end = await start_connection(found, happy_eyeballs_delay=NEXT_ADDRESS_S)
                try:
                    _, connection = await loop.create_connection(
                        lambda: UpstreamConnection(self._lost),
                        sock=end,
                        ssl=self._context if origin.secure else None,
                        server_hostname=origin.host if origin.secure else None,
                    )
                except BaseException:
                    end.close()
                    raise
        except TimeoutError as error:
            raise httpx2.ConnectTimeout("no connection in time") from error
        except OSError as error:  # refused, no such host, or a certificate that does not hold
            raise httpx2.ConnectError(str(error)) from error
        self._open.add(connection)
        return connection


class _Body(httpx2.AsyncByteStream):
    """The body of one response; closing it ends the exchange."""

    def __init__(
        self, transport: UpstreamTransport, origin: Origin, connection: UpstreamConnection
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._connection: UpstreamConnection | None = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._connection is not None and (piece := await self._connection.more()):
            yield piece

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.finish(self._origin, connection)


def _origin(url: httpx2.URL) -> Origin:
    secure = url.scheme == "https"
    return Origin(url.host, url.port or (443 if secure else 80), secure)


def _serialized(request: httpx2.Request, content: bytes) -> bytes:
    """Head and body in one piece, so that they leave in one write and mostly in one packet."""
    target, fields = request.url.raw_path, request.headers.raw
    if _UNSAFE.search(b"".join(chain((target,), *fields))):
        raise httpx2.LocalProtocolError("a header of the request holds a line break")
    lines = [b"%s: %s\r\n" % (name, value) for name, value in fields]
    method = request.method.encode("ascii")
    return b"".join((method, b" ", target, b" HTTP/1.1\r\n", *lines, b"\r\n", content))
