"""A client of a running gateway that mends its connection: what the command line is built on.

Calls that cannot do harm twice are sent again after a reconnect; others fail as lost, and their
idempotency key tells whether they happened. A subscription goes on by number, so it sees each event
once. Errors of the gateway arrive as the classes it raised.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Self, TypeVar

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import (
    Bug,
    Busy,
    GatewayUnreachable,
    InvalidInput,
    ModelFailed,
    RunError,
    RunParked,
    TurngateError,
    by_kind,
    describe,
)
from gateway.core.ids import Chance, SystemIds, system_chance
from gateway.core.tasks import BoundedQueue, Ending, QueueClosed, QueueFull, TaskOwner
from gateway.wire.jsonrpc import MAX_FRAME_BYTES
from gateway.wire.methods.base import Result
from gateway.wire.methods.status import Status
from gateway.wire.methods.turns import DEFAULT_WAIT_MS, OPEN_STATES, Answer, Started

FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 3.0
"""Pauses before attempts to reconnect: doubled from the first, at most the second, and up to a half
shorter by chance, so that the clients of a gateway that restarts do not come all at once."""
SETTLED_S = 1.0
"""A connection that lasted so long was a good one: the next pause is the first again."""
OPEN_S = 10.0
"""Longest one attempt may take, the greeting included."""
CLOSE_S = 2.0
"""How long a gateway may take to say goodbye."""
PATIENCE_S = 30.0
"""How long a call waits for a gateway that went away: a restart takes a second or two."""
STOPPING_S = 0.25
"""How soon a gateway that stops is asked again how far a turn is."""
TRIES = 20
"""How often in a row a call may lose its connection; then it is the call that breaks it."""
PENDING_EVENTS = 1000
"""Notifications a slow consumer may leave waiting; past it the subscription resumes by number."""
MAX_FRAME = 64 << 20
"""Longest frame taken in: the longest answer of a model, four million characters, each of them
escaped, as text and once more as a part."""

Said = str | Sequence[Mapping[str, str]]
"""What a message says: a text, or parts in their wire form."""
R = TypeVar("R", bound=Result)

_HINT = "start one with: turngate up"


class ConnectionLost(GatewayUnreachable):
    """The connection ended before the answer came; whether the call happened is not known."""


@dataclass(slots=True, eq=False)
class _Pending:
    """A call without its answer. `heard` is told of the answer before another frame is read."""

    future: asyncio.Future[Any]
    heard: Callable[[Any], None] | None = None


@dataclass(slots=True, eq=False)
class _Stream:
    """One stream of events: where its consumer stands, and what waits for him."""

    wanted: Mapping[str, Any]
    after: int | None
    queue: BoundedQueue[dict[str, Any]] = field(
        default_factory=lambda: BoundedQueue(PENDING_EVENTS)
    )
    id: str = ""

    def begun(self, answer: Mapping[str, Any]) -> None:
        self.id = answer["subscription"]
        self.after = answer["seq"]

    def notified(self, params: dict[str, Any]) -> None:
        with suppress(QueueClosed):
            try:
                self.queue.put_nowait(params)
            except QueueFull:  # the consumer takes what is here, then asks for the rest
                self.queue.close()

    def broken(self) -> None:
        if self.id:
            self.id = ""
            self.queue.close()

    async def next(self) -> dict[str, Any]:
        """The oldest notification; raises `QueueClosed` when the gateway must be asked again."""
        item = await self.queue.get()
        self.after = item["seq"]
        return item


class _Straight(connect):
    """A redirect would carry the token to an address nobody has named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Client:
    """A conversation with one gateway.

    `url` is `ws://host:port/ws` or the `http://host:port` a gateway prints. Entering connects;
    raises `GatewayUnreachable` or `Unauthenticated`. Leaving ends every call and subscription.
    `name` is what the gateway shows to its operator.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        name: str = "turngate-client",
        clock: Clock | None = None,
        chance: Chance | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._url = _socket_url(url)
        self._greeting = {
            "token": token,
            "client": {"name": name, "version": version("turngate")},
        }
        self._clock = clock or SystemClock()
        self._chance = chance or system_chance()
        self._keys = SystemIds(self._clock)
        self._patience_s = patience_s
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._streams: list[_Stream] = []
        self._socket: ClientConnection | None = None
        self._connected = asyncio.Event()
        self._offline = asyncio.Event()
        self._ended: TurngateError | None = None
        self._frame_bytes = MAX_FRAME_BYTES
        self._owner = TaskOwner("client", self._failed)
        self.seq = 0
        """Number of the newest event when the connection was made."""

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

    # --- calls -----------------------------------------------------------------------------------

    async def send(
        self, said: Said, *, wait_ms: int = DEFAULT_WAIT_MS, idempotency_key: str = "", **where: Any
    ) -> Answer:
        """Say something and wait for its answer, over any reconnect.

        `where` are further parameters of the method `send`, as `peer_id`. Without a key one is made
        up, so that the message is accepted once however often it has to be sent.
        """
        params = {**self._message(said, idempotency_key), **where}
        return await self._answer("send", params, wait_ms)

    async def start(self, said: Said, *, idempotency_key: str = "", **where: Any) -> Started:
        """Say something; returns once it is durable. See `send`."""
        params = {**self._message(said, idempotency_key), **where}
        return _as(Started, await self.call("turns.start", params))

    def _message(self, said: Said, key: str) -> dict[str, Any]:
        what = {"text": said} if isinstance(said, str) else {"parts": list(said)}
        return {**what, "idempotency_key": key or self._keys.new("key")}

    async def wait(self, turn_id: str, *, wait_ms: int = DEFAULT_WAIT_MS) -> Answer:
        """Wait for the end of a turn, over any reconnect."""
        return await self._answer("turns.wait", {"turn_id": turn_id}, wait_ms)

    async def _answer(self, method: str, params: Mapping[str, Any], wait_ms: int) -> Answer:
        until = self._clock.monotonic() + wait_ms / 1000
        answer = _as(Answer, await self.call(method, {**params, "wait_ms": wait_ms}))
        while answer.state in OPEN_STATES:
            left_ms = round((until - self._clock.monotonic()) * 1000)
            if left_ms <= 0:
                break
            # A gateway that stops says how far it is; its next start goes on with the turn.
            await self._clock.sleep(min(STOPPING_S, left_ms / 1000))
            again = {"turn_id": answer.turn_id, "wait_ms": max(0, left_ms)}
            try:
                answer = _as(Answer, await self.call("turns.wait", again))
            except GatewayUnreachable:
                break
        return answer

    async def status(self) -> Status:
        """How the gateway is."""
        return _as(Status, await self.call("status"))

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, again: bool = True
    ) -> Any:
        """The result of a method.

        `again`: harmless to repeat, so it is sent again when the connection breaks, and for a while
        when the gateway is busy and says when to come back, as it does while it starts. Otherwise
        that is a `ConnectionLost`, or `Busy`. Raises what the gateway answered, as its class, and
        `GatewayUnreachable` when it went away and stays away. Cancelled: the gateway is asked to
        drop the request.
        """
        return await self._call(method, params or {}, again=again, patience_s=self._patience_s)

    async def _call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        again: bool,
        patience_s: float | None,
        heard: Callable[[Any], None] | None = None,
    ) -> Any:
        losses, put_off_s = 0, 0.0
        while True:
            await self._online(patience_s)
            try:
                return await self._ask(method, params, heard)
            except ConnectionLost:
                losses, put_off_s = losses + 1, 0.0
                if not again or losses == TRIES:
                    raise
            except Busy as error:
                pause = (error.retry_after_ms or 0) / 1000 * self._chance.uniform(1, 1.5)
                losses, put_off_s = 0, put_off_s + pause
                if not again or not pause or put_off_s > self._patience_s:
                    raise
                await self._clock.sleep(pause)

    async def _ask(
        self, method: str, params: Mapping[str, Any], heard: Callable[[Any], None] | None
    ) -> Any:
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

    async def _tell(self, method: str, params: Mapping[str, Any]) -> None:
        """A notification; where it cannot be sent at once, the end of the connection says it."""
        with suppress(ConnectionLost, TimeoutError):
            async with self._clock.timeout(CLOSE_S):
                await self._write({"method": method, "params": dict(params)})

    async def offline(self) -> None:
        """Wait until the gateway cannot be reached; at once while it cannot."""
        await self._offline.wait()

    # --- events ----------------------------------------------------------------------------------

    async def events(
        self, *, after_seq: int | None = None, **wanted: Any
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Events after a number (default: from now on), each once, over any reconnect.

        `wanted` is the filter: `session_key`, `agent_id`, `turn_id`, `kinds`. An item has `seq`,
        `result`, and `prev_seq`, the number of the item before it; or instead of a `result` a
        `gap`, how many events behind the last one are gone by age. Closing it ends it.
        """
        stream = _Stream(wanted, after_seq)
        self._streams.append(stream)
        told: int | None = None
        try:
            while True:
                await self._follow(stream)
                told = stream.after if told is None else told
                with suppress(QueueClosed):
                    while True:
                        item = await stream.next()
                        if "result" in item or "gap" in item:
                            yield {**item, "prev_seq": told}
                            told = item["seq"]
                await self._leave(stream)
        finally:
            self._streams.remove(stream)
            await self._leave(stream)

    async def _follow(self, stream: _Stream) -> None:
        params: dict[str, Any] = {"filter": dict(stream.wanted)}
        if stream.after is not None:
            params["after_seq"] = stream.after
        stream.queue = BoundedQueue(PENDING_EVENTS)
        # The first notifications may be in the same packet as the answer: the id must be known
        # before they are looked at.
        await self._call(
            "events.subscribe", params, again=True, patience_s=None, heard=stream.begun
        )

    async def _leave(self, stream: _Stream) -> None:
        id, stream.id = stream.id, ""
        if id:
            await self._tell("events.unsubscribe", {"subscription": id})

    # --- the connection --------------------------------------------------------------------------

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

    def _notified(self, method: str, params: dict[str, Any]) -> None:
        if not method.startswith("events."):
            return
        for stream in self._streams:
            if stream.id and stream.id == params.get("subscription"):
                stream.notified(params)

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
        for stream in self._streams:
            stream.broken()


def _as(shape: type[R], result: Any) -> R:
    """A result as its class; what a newer gateway adds to it is passed over."""
    return shape.model_validate(result, extra="ignore")


def _socket_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    if not separator or scheme not in ("ws", "wss"):
        raise InvalidInput(f"{url!r} is no address of a gateway; expected http://host:port")
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
