"""JSON over one WebSocket, and who waits for what on it."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

Message = dict[str, Any]


class Socket:
    """Passes every message to `read`, which calls `settle` with the answers a caller may await."""

    def __init__(self, socket: ClientConnection, read: Callable[[Message], None]) -> None:
        self._socket = socket
        self._read = read
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._reader = asyncio.ensure_future(self._listen())

    async def send(self, message: Mapping[str, Any]) -> None:
        """Raises `ConnectionClosed`."""
        await self._socket.send(json.dumps(message))

    async def wait(self, name: str) -> Any:
        """What `settle` is called with under that name, before or after; `ConnectionClosed`."""
        self._raise_if_closed()
        try:
            return await self._future(name)
        finally:
            self._waiting.pop(name, None)

    def settle(self, name: str, value: object) -> None:
        """An exception is raised in who waits."""
        future = self._future(name)
        if future.done():
            return
        if isinstance(value, Exception):
            future.set_exception(value)
        else:
            future.set_result(value)

    async def close(self) -> None:
        await self._socket.close()
        await asyncio.wait([self._reader])

    def _future(self, name: str) -> asyncio.Future[Any]:
        if name not in self._waiting:
            self._waiting[name] = asyncio.get_running_loop().create_future()
        return self._waiting[name]

    def _raise_if_closed(self) -> None:
        if self._reader.done():
            raise ConnectionResetError("the gateway has closed the connection")

    async def _listen(self) -> None:
        try:
            while True:
                self._read(json.loads(await self._socket.recv()))
        except ConnectionClosed as error:
            for name in list(self._waiting):
                self.settle(name, error)


async def open_socket(url: str, **headers: str) -> ClientConnection:
    """Raises `OSError` when it is not there or not ready to."""
    try:
        return await connect(
            url, additional_headers=headers, compression=None, proxy=None, max_size=None
        )
    except InvalidHandshake as error:
        raise ConnectionRefusedError(str(error)) from error


async def probe(url: str) -> None:
    """Raises `OSError` unless the answer to a GET is a good one."""
    await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).close())
