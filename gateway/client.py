"""A client of a running gateway that mends its connection: what the command line is built on.

Calls that cannot do harm twice are sent again after a reconnect; others fail as lost, and their
idempotency key tells whether they happened. A subscription goes on by number, so it sees each event
once. Errors of the gateway arrive as the classes it raised.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import (
    Bug,
    GatewayUnreachable,
    ModelFailed,
    TurngateError,
    Unauthenticated,
    by_kind,
)
from gateway.core.tasks import BoundedQueue, Ending, QueueClosed, QueueFull, TaskOwner

FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 5.0
"""Pauses between attempts to reconnect: doubled from the first, at most the second."""
OPEN_S = 10.0
"""Longest one attempt may take."""
PENDING_EVENTS = 1000
"""Notifications a slow consumer may leave waiting; past it the subscription resumes by number."""
MAX_FRAME = 4 << 20

_HINT = "start one with: turngate up"


class ConnectionLost(GatewayUnreachable):
    """The connection ended before the answer came; whether the call happened is not known."""


@dataclass(slots=True, eq=False)
class _Subscription:
    """One stream of events: where it stands, and what waits for its consumer."""

    params: Mapping[str, Any]
    after: int | None
    queue: BoundedQueue[dict[str, Any]] = field(
        default_factory=lambda: BoundedQueue(PENDING_EVENTS)
    )
    id: str = ""


class Client:
    """A conversation with one gateway.

    `url` is `ws://host:port/ws` or the `http://host:port` a gateway prints. Entering connects;
    raises `GatewayUnreachable` or `Unauthenticated`. Leaving ends every call and subscription.
    """

    def __init__(self, url: str, token: str, *, clock: Clock | None = None) -> None:
        self._url = _socket_url(url)
        self._token = token
        self._clock = clock or SystemClock()
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._subscriptions: list[_Subscription] = []
        self._socket: ClientConnection | None = None
        self._connected = asyncio.Event()
        self._owner = TaskOwner("client", lambda name, error: None)
        self._ended: TurngateError | None = None

    async def __aenter__(self) -> Self:
        socket = await self._open()
        self._owner.start("serve", self._serve(socket), ending=Ending.CANCELLABLE)
        await self._connected.wait()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._owner.close()
        self._fail_all(ConnectionLost("the client was closed"))
        if self._socket is not None:
            await self._socket.close()

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, again: bool = True
    ) -> Any:
        """The result of a method.

        `again`: harmless to repeat, so it is sent again when the connection breaks; otherwise that
        is a `ConnectionLost`. Raises what the gateway answered, as its class. Cancelled: the
        gateway is asked to drop the request.
        """
        while True:
            await self._online()
            id = next(self._ids)
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._waiting[id] = future
            try:
                await self._write({"id": id, "method": method, "params": dict(params or {})})
                return await future
            except ConnectionLost:
                if not again:
                    raise
            except asyncio.CancelledError:
                await self._write({"method": "$/cancelRequest", "params": {"id": id}}, quietly=True)
                raise
            finally:
                self._waiting.pop(id, None)

    async def events(
        self, *, after_seq: int | None = None, **wanted: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Notifications of events after a number (default: from now on), over any reconnect.

        Each item has `seq`, `prev_seq` and `result`, or tells of a gap. Closing ends it.
        """
        subscription = _Subscription(wanted, after_seq)
        self._subscriptions.append(subscription)
        try:
            await self._subscribe(subscription)
            while True:
                try:
                    item = await subscription.queue.get()
                except QueueClosed:  # it fell behind: go on from the last number it took
                    subscription.queue = BoundedQueue(PENDING_EVENTS)
                    await self._subscribe(subscription)
                    continue
                subscription.after = item["seq"]
                if "result" in item or "gap" in item:
                    yield item
        finally:
            self._subscriptions.remove(subscription)

    async def _online(self) -> None:
        await self._connected.wait()
        if self._ended is not None:
            raise self._ended

    async def _open(self) -> ClientConnection:
        try:
            # No proxy: variables of the environment must not send a local token elsewhere.
            return await connect(
                self._url, max_size=MAX_FRAME, open_timeout=OPEN_S, compression=None, proxy=None
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            raise GatewayUnreachable(f"no gateway answers at {self._url} ({error}); {_HINT}") from (
                error
            )

    async def _serve(self, socket: ClientConnection) -> None:
        """Read until closed, reconnecting whenever the connection breaks."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                await self._greet(socket)
                pause = FIRST_PAUSE_S
                await self._read(socket)
            except Unauthenticated as error:
                self._ended = error
                self._fail_all(error)
                self._connected.set()
                return
            except ConnectionClosed:
                pass
            self._connected.clear()
            self._fail_all(ConnectionLost("the connection broke before the answer came"))
            while True:
                await self._clock.sleep(pause)
                pause = min(MAX_PAUSE_S, pause * 2)
                try:
                    socket = await self._open()
                    break
                except GatewayUnreachable:
                    continue

    async def _greet(self, socket: ClientConnection) -> None:
        """Say who we are, then take up the subscriptions of the connection before."""
        await socket.send(
            orjson.dumps(
                {"jsonrpc": "2.0", "id": 0, "method": "connect", "params": {"token": self._token}}
            ).decode()
        )
        answer = orjson.loads(await socket.recv())
        if "error" in answer:
            raise _error(answer["error"])
        self._socket = socket
        self._connected.set()
        for subscription in self._subscriptions:
            if subscription.id:
                subscription.queue.close()

    async def _read(self, socket: ClientConnection) -> None:
        async for frame in socket:
            message = orjson.loads(frame)
            if "method" in message:
                self._notified(message["method"], message.get("params", {}))
                continue
            future = self._waiting.get(message.get("id"))
            if future is None or future.done():
                continue
            if "error" in message:
                future.set_exception(_error(message["error"]))
            else:
                future.set_result(message["result"])

    def _notified(self, method: str, params: dict[str, Any]) -> None:
        if not method.startswith("events."):
            return
        for subscription in self._subscriptions:
            if subscription.id == params.get("subscription"):
                try:
                    subscription.queue.put_nowait(params)
                except (QueueFull, QueueClosed):
                    subscription.queue.close()

    async def _subscribe(self, subscription: _Subscription) -> None:
        params: dict[str, Any] = {"filter": dict(subscription.params)}
        if subscription.after is not None:
            params["after_seq"] = subscription.after
        answer = await self.call("events.subscribe", params)
        subscription.id = answer["subscription"]
        if subscription.after is None:
            subscription.after = answer["seq"]

    async def _write(self, message: dict[str, Any], *, quietly: bool = False) -> None:
        try:
            if self._socket is None:
                raise ConnectionLost("there is no connection")
            await self._socket.send(orjson.dumps({"jsonrpc": "2.0", **message}).decode())
        except (ConnectionClosed, ConnectionLost) as error:
            if not quietly:
                raise ConnectionLost("the connection broke while sending") from error

    def _fail_all(self, error: TurngateError) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)


def _socket_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise GatewayUnreachable(f"{url!r} is no address; expected http://host:port")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    path = "" if "/" in rest.rstrip("/") else "/ws"
    return f"{scheme}://{rest.rstrip('/')}{path}"


def _error(value: Mapping[str, Any]) -> TurngateError:
    """What the gateway raised, as far as its class can be known here."""
    data = value.get("data") or {}
    cls = by_kind(data.get("kind", ""))
    message = str(value.get("message", ""))
    if cls is Bug:
        return Bug(message, error_id=str(data.get("error_id", "")))
    if cls is ModelFailed:
        return ModelFailed("server", message, retry_after_ms=data.get("retry_after_ms"))
    return cls(message, retry_after_ms=data.get("retry_after_ms"))
