"""Putting an answer on the wire: pieces, waits, and the ways a connection can end."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.core.clock import Clock
from gateway.simulate.answers import Ending, Raw, Wait
from gateway.simulate.asked import Asked

CONNECTION = "turngate.connection"
"""Where the application finds the protocol of its connection, in `scope["state"]`."""

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, nothing lingers: closing sends a reset."""


class Connection(H11Protocol):
    """uvicorn's protocol, for an application that wants to do worse than close."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let the application find this connection."""
        super().connection_made(transport)
        self.app_state[CONNECTION] = self

    def reset(self) -> None:
        """End with an error on the other side."""
        sock: socket.socket | None = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()


class Sending:
    """Writes one answer, as an ASGI response."""

    def __init__(self, asked: Asked, raw: Raw, released: asyncio.Event, clock: Clock) -> None:
        self._asked = asked
        self._raw = raw
        self._released = released
        self._clock = clock
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for piece in self._raw.pieces:
            if isinstance(piece, Wait):
                if not await self._waited(piece, receive):
                    return
                continue
            await self._begin(send)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._end(scope["state"][CONNECTION], receive, send)

    async def _begin(self, send: Send) -> None:
        if self._begun:
            return
        self._begun = True
        headers = [(name.encode(), value.encode()) for name, value in self._raw.headers.items()]
        start = {"type": "http.response.start", "status": self._raw.status, "headers": headers}
        await send(start)

    async def _end(self, connection: Connection, receive: Receive, send: Send) -> None:
        ending = self._raw.ending
        if ending is Ending.RESET:
            connection.reset()
            await _disconnected(receive)
            return
        if ending is Ending.CUT:
            connection.transport.close()
            await _disconnected(receive)
            return
        await self._begin(send)
        await send({"type": "http.response.body", "body": b""})
        self._asked.answered = True
        if ending is Ending.STALE:
            connection.transport.close()
        if ending is Ending.DEAF:
            connection.transport.pause_reading()

    async def _waited(self, wait: Wait, receive: Receive) -> bool:
        """False when the client went away instead."""
        async with asyncio.TaskGroup() as group:
            gone = group.create_task(_disconnected(receive), name="simulate.gone")
            over = group.create_task(self._over(wait), name="simulate.wait")
            await asyncio.wait({gone, over}, return_when=asyncio.FIRST_COMPLETED)
            left = gone.done()
            gone.cancel()
            over.cancel()
        if left:
            self._asked.gone.set()
        return not left

    async def _over(self, wait: Wait) -> Any:
        if wait.seconds is None:
            await self._released.wait()
        else:
            await self._clock.sleep(wait.seconds)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
