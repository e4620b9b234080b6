"""A model server that writes bytes as a test says, well formed or not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress


class Connection:
    """The server's side of one connection; `asked` counts its requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.asked = 0
        self.closed = asyncio.Event()

    async def request(self) -> str:
        """The body of the next request."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        length = re.search(rb"content-length: (\d+)", head.lower())
        return (await self._reader.readexactly(int(length[1]) if length else 0)).decode()

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def hang_up(self) -> None:
        self._writer.close()

    async def gone(self) -> None:
        """Until the client closes."""
        with suppress(ConnectionError):
            while await self._reader.read(65536):
                pass
        self.closed.set()


Script = Callable[[Connection], Awaitable[None]]


class RawUpstream:
    """Runs `script` on each connection and keeps them all."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections: list[Connection] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self.connections.append(connection)
        try:
            await self._script(connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has seen enough
        finally:
            connection.closed.set()
            writer.close()


@asynccontextmanager
async def raw_upstream(script: Script) -> AsyncIterator[RawUpstream]:
    upstream = RawUpstream(script)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield upstream
    finally:
        server.close()


def events(text: str) -> bytes:
    """A streamed answer."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop"}
    return f"data: {json.dumps({'model': 'm', 'choices': [choice]})}\n\ndata: [DONE]\n\n".encode()


def chunked(body: bytes) -> bytes:
    """A whole response around a body, in one chunk."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked"
    return b"%b\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (head, len(body), body)


def counted(body: bytes, length: int | None = None, *, status: str = "200 OK") -> bytes:
    """A whole response with a length, right or not."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\ncontent-type: text/event-stream\r\ncontent-length: {size}\r\n\r\n"
    return head.encode() + body
