"""A TCP proxy before a server that cuts connections in the middle of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Cutter:
    """Passes bytes on, and cuts the next `cuts` answers behind the first mention of `after`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.after = b""
        self.cuts = 0
        self.url = ""
        self.serving: set[asyncio.Task[None]] = set()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)
        server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        asking = asyncio.create_task(_pass(client, to_server))  # noqa: TID251 - ended below
        try:
            with suppress(OSError):
                while data := await server.read(65536):
                    place = data.find(self.after) if self.cuts else -1
                    if place >= 0:
                        self.cuts -= 1
                        to_client.write(data[: place + len(self.after)])
                        await to_client.drain()
                        return
                    to_client.write(data)
                    await to_client.drain()
        finally:
            asking.cancel()
            to_server.close()
            to_client.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def cutter(port: int) -> AsyncIterator[Cutter]:
    """The proxy at its `url`, for the server at this port."""
    made = Cutter(port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield made
    finally:
        server.close()
        for task in made.serving:
            task.cancel()
        await asyncio.gather(*made.serving, return_exceptions=True)
