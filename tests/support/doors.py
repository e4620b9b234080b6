"""A door in front of PostgreSQL that a test can slam at a chosen moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

from gateway.core.clock import settle
from tests.support import database


class Door:
    """Passes bytes on, until it sees what it was told to cut at."""

    def __init__(self) -> None:
        self.cut_at: bytes | None = None
        """Cut the connection that sends this, once."""
        self.pass_on = True
        """Whether what is cut at reaches the server first."""
        self.cuts = 0
        self.closed = False
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    def slam(self) -> None:
        """Cut everybody; nobody comes in until `closed` is False again."""
        self.closed = True
        for writer in list(self._open):
            writer.transport.abort()

    async def _come_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        parts = urlsplit(str(database.server().get_uri()))
        host = parse_qs(parts.query).get("host", [""])[0]
        socket = f"{host}/.s.PGSQL.{parts.port or 5432}"
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(socket)
        except OSError:  # it is being started again
            writer.transport.abort()
            return
        self._open |= {writer, server_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(server_reader, writer))
                group.create_task(self._pump(reader, server_writer, client=writer))
        finally:
            self._open -= {writer, server_writer}

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        client: asyncio.StreamWriter | None = None,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if client is not None and self.cut_at is not None and self.cut_at in data:
                    self.cut_at = None
                    self.cuts += 1
                    client.transport.abort()
                    if not self.pass_on:
                        writer.transport.abort()
                        return
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def door(url: str) -> AsyncIterator[tuple[Door, str]]:
    """The door and the address that leads through it."""
    opened = Door()
    server = await asyncio.start_server(opened._come_in, "127.0.0.1", 0)  # noqa: SLF001  # its own
    port = server.sockets[0].getsockname()[1]
    schema = parse_qs(urlsplit(url).query)["search_path"][0]
    where = f"127.0.0.1:{port}/postgres?sslmode=disable&search_path={schema}"
    try:
        yield opened, f"postgresql://postgres@{where}"
    finally:
        opened.slam()
        server.close()
        await settle()
