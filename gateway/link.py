"""A connection to a gateway that mends itself: below the client, which decides what is sent again.

Nothing here repeats a request: one that was under way when the connection broke fails as lost. What
comes unasked is handed on. Errors of the gateway arrive as the classes it raised.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from gateway.core.addresses import url_problem
from gateway.core.clock import Clock
from gateway.core.errors import (
    Bug,
    GatewayUnreachable,
    InvalidInput,
    ModelFailed,
    RunError,
    RunParked,
    TurngateError,
    by_kind,
    describe,
)
from gateway.core.ids import Chance
from gateway.core.tasks import Ending, TaskOwner
from gateway.wire.jsonrpc import MAX_FRAME_BYTES

FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 3.0
"""Pauses before attempts to reconnect: doubled from the first, at most the second, and up to a half
shorter by chance, so that the clients of a gateway that restarts do not all reconnect together."""
SETTLED_S = 1.0
"""A connection that lasted so long was a good one: the next pause is the first again."""
OPEN_S = 10.0
"""Longest one attempt may take, the greeting included."""
CLOSE_S = 2.0
"""How long a gateway may take to say goodbye."""
MAX_FRAME = 64 << 20
"""Longest frame taken in: the longest answer of a model, four million characters, each of them
escaped, as text and once more as a part."""

_HINT = "start one with: turngate up"


class ConnectionLost(GatewayUnreachable):
    """The connection ended before the answer came; whether the call happened is not known."""


@dataclass(slots=True, eq=False)
class _Pending:
    """A call without its answer. `heard` is told of the answer before another frame is read."""

    future: asyncio.Future[Any]
    heard: Callable[[Any], None] | None = None


class _Straight(connect):
    """A redirect would carry the token to an address the user has not named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Link(ABC):
    """See the module. `url` is `ws://host:port/ws` or the `http://host:port` a gateway prints.

    Entering connects; raises `GatewayUnreachable` or `Unauthenticated`. Leaving ends every request.
    """

    def __init__(
        self, url: str, greeting: Mapping[str, Any], *, clock: Clock, chance: Chance
    ) -> None:
        self._url = _socket_url(url)
        self._greeting = greeting
        self._clock = clock
        self._chance = chance
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._socket: ClientConnection | None = None
        self._connected = asyncio.Event()
        self._offline = asyncio.Event()
        self._ended: TurngateError | None = None
        self._frame_bytes = MAX_FRAME_BYTES
        self._owner = TaskOwner("client", self._failed)
        self.seq = 0
        """Number of the newest event when the connection was made."""

    @abstractmethod
    def _notified(self, method: str, params: dict[str, Any]) -> None:
        """Something came unasked."""

    @abstractmethod
    def _cut(self) -> None:
        """Nothing more will come on this connection."""

    async def __aenter__(self) -> Self:
        socket = await self._open()
        self._owner.start("serve", self._serve(socket), ending=Ending.CANCELLABLE)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        socket = self._socket
        await self._owner.close()
        self._end(ConnectionLost("the client was closed"))
        if socket is not None:
            await socket.close()

    async def _ask(
        self,
        method: str,
        params: Mapping[str, Any],
        heard: Callable[[Any], None] | None = None,
    ) -> Any:
        """The result of a request, sent once; raises `ConnectionLost` when no answer came.

        `heard` is told of it before another frame is read. Cancelled: the gateway is asked to drop
        the request.
        """
        id = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[id] = _Pending(future, heard)
        try:
            await self._write({"id": id, "method": method, "params": dict(params)})
            return await future
        except asyncio.CancelledError:
            await self._tell("$/cancelRequest", {"id": id})
            raise
        finally:
            del self._pending[id]
            if future.done() and not future.cancelled():
                future.exception()  # looked at, also when the writing failed before

    async def _online(self, patience_s: float | None) -> None:
        """Wait for a connection; raises `GatewayUnreachable` when that takes too long."""
        if not self._connected.is_set():
            try:
                async with self._clock.timeout(patience_s):
                    await self._connected.wait()
            except TimeoutError:
                raise GatewayUnreachable(
                    f"the gateway at {self._url} went away and was not back within "
                    f"{patience_s:g} s; {_HINT}"
                ) from None
        if self._ended is not None:
            raise self._ended

    async def _tell(self, method: str, params: Mapping[str, Any]) -> None:
        """A notification; where it cannot be sent at once, the end of the connection says it."""
        with suppress(ConnectionLost, TimeoutError):
            async with self._clock.timeout(CLOSE_S):
                await self._write({"method": method, "params": dict(params)})

    async def offline(self) -> None:
        """Wait until the gateway cannot be reached; at once while it cannot."""
        await self._offline.wait()

    async def _write(self, message: dict[str, Any]) -> None:
        frame = orjson.dumps({"jsonrpc": "2.0", **message})
        if len(frame) > self._frame_bytes:
            raise InvalidInput(
                f"the request has {len(frame)} bytes; the gateway takes {self._frame_bytes}"
            )
        socket = self._socket
        try:
            if socket is None:
                raise ConnectionLost("there is no connection")
            await socket.send(frame.decode())
        except ConnectionClosed as error:
            if self._socket is socket:  # whoever tries again waits for the next one
                self._lost()
            raise ConnectionLost("the connection broke while sending") from error

    async def _serve(self, socket: ClientConnection) -> None:
        """Read until closed, and connect again whenever the connection breaks."""
        pause = FIRST_PAUSE_S
        while True:
            since = self._clock.monotonic()
            with suppress(ConnectionClosed):
                await self._read(socket)
            self._lost()
            if self._clock.monotonic() - since >= SETTLED_S:
                pause = FIRST_PAUSE_S
            while True:
                await self._clock.sleep(pause * self._chance.uniform(0.5, 1))
                pause = min(MAX_PAUSE_S, pause * 2)
                try:
                    socket = await self._open()
                    break
                except TurngateError as error:
                    if not describe(error).retryable:
                        self._end(error)
                        return
                    pause = max(pause, min(MAX_PAUSE_S, (error.retry_after_ms or 0) / 1000))

    async def _open(self) -> ClientConnection:
        """A connection that knows who we are."""
        try:
            async with self._clock.timeout(OPEN_S):
                # No proxy: variables of the environment must not send a local token elsewhere.
                socket = await _Straight(
                    self._url,
                    max_size=MAX_FRAME,
                    open_timeout=None,
                    close_timeout=CLOSE_S,
                    compression=None,
                    proxy=None,
                )
                try:
                    await self._greet(socket)
                except BaseException:
                    socket.transport.abort()
                    raise
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            number = error.errno if isinstance(error, OSError) else None
            why = (os.strerror(number) if number else str(error)) or "no answer"
            raise GatewayUnreachable(f"no gateway answers at {self._url} ({why}); {_HINT}") from (
                error
            )
        self._socket = socket
        self._offline.clear()
        self._connected.set()
        return socket

    async def _greet(self, socket: ClientConnection) -> None:
        greeting = {"jsonrpc": "2.0", "id": 0, "method": "connect", "params": self._greeting}
        await socket.send(orjson.dumps(greeting).decode())
        try:
            answer = orjson.loads(await socket.recv())
            if "error" not in answer:
                result = answer["result"]
                self.seq = int(result["seq"])
                # a gateway of an earlier version does not say; then the usual bound holds
                limits = result.get("limits", {})
                self._frame_bytes = int(limits.get("frame_bytes", MAX_FRAME_BYTES))
                return
        except (AttributeError, ValueError, KeyError, TypeError) as error:
            raise GatewayUnreachable(f"what answers at {self._url} is no gateway") from error
        raise error_in(answer["error"])

    async def _read(self, socket: ClientConnection) -> None:
        async for frame in socket:
            message = orjson.loads(frame)
            if "method" in message:
                self._notified(message["method"], message.get("params", {}))
            else:
                self._answered(message)

    def _answered(self, message: Mapping[str, Any]) -> None:
        pending = self._pending.get(message.get("id") or 0)
        if pending is None or pending.future.done():
            return
        if "error" in message:
            pending.future.set_exception(error_in(message["error"]))
            return
        if pending.heard is not None:
            pending.heard(message["result"])
        pending.future.set_result(message["result"])

    def _lost(self) -> None:
        """The connection is gone: nothing that was asked on it will be answered."""
        self._socket = None
        self._connected.clear()
        self._offline.set()
        self._fail_all(ConnectionLost("the connection broke before the answer came"))

    def _end(self, error: TurngateError) -> None:
        """There will be no other connection."""
        self._socket = None
        self._ended = error
        self._connected.set()
        self._fail_all(error)

    def _failed(self, name: str, error: BaseException) -> None:
        self._end(Bug(f"the connection to the gateway ended by {error!r}"))

    def _fail_all(self, error: TurngateError) -> None:
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(error)
        self._cut()


def _socket_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    if not separator or scheme not in ("ws", "wss"):
        raise InvalidInput(f"{url!r} is no address of a gateway; expected http://host:port")
    if problem := url_problem(url):
        raise InvalidInput(f"{url!r} is no address of a gateway: {problem}")
    path = "" if "/" in rest.rstrip("/") else "/ws"
    return f"{scheme}://{rest.rstrip('/')}{path}"


def error_in(value: Mapping[str, Any]) -> TurngateError:
    """What the other side raised, as far as its class can be known here."""
    data = value.get("data") or {}
    cls = by_kind(data.get("kind", ""))
    message = str(value.get("message", ""))
    if cls is Bug:
        return Bug(message, error_id=str(data.get("error_id", "")))
    if cls is ModelFailed:
        return ModelFailed("server", message, retry_after_ms=data.get("retry_after_ms"))
    if cls is RunParked:  # its parts stay where the run is
        return RunError(message)
    return cls(message, retry_after_ms=data.get("retry_after_ms"))
