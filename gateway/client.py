"""A client of a running gateway that mends its connection: what the command line is built on.

Calls that cannot do harm twice are sent again after a reconnect; others fail as lost, and their
idempotency key tells whether they happened. A subscription goes on by number, so it sees each event
once. Errors of the gateway arrive as the classes it raised.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, TypeVar

from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import (
    Busy,
    GatewayUnreachable,
)
from gateway.core.ids import Chance, SystemIds, system_chance
from gateway.core.tasks import BoundedQueue, QueueClosed, QueueFull
from gateway.link import ConnectionLost, Link
from gateway.wire.methods.base import Result
from gateway.wire.methods.status import Status
from gateway.wire.methods.turns import DEFAULT_WAIT_MS, OPEN_STATES, Answer, Started

PATIENCE_S = 30.0
"""How long a call waits for a gateway that went away: a restart takes a second or two."""
STOPPING_S = 0.25
"""How soon a gateway that stops is asked again how far a turn is."""
TRIES = 20
"""How often in a row a call may lose its connection; then it is the call that breaks it."""
PENDING_EVENTS = 1000
"""Notifications a slow consumer may leave waiting; past it the subscription resumes by number."""

Said = str | Sequence[Mapping[str, str]]
"""What a message says: a text, or parts in their wire form."""
R = TypeVar("R", bound=Result)


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


class Client(Link):
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
        greeting = {"token": token, "client": {"name": name, "version": version("turngate")}}
        super().__init__(
            url, greeting, clock=clock or SystemClock(), chance=chance or system_chance()
        )
        self._keys = SystemIds(self._clock)
        self._patience_s = patience_s
        self._streams: list[_Stream] = []

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
        """The state of the gateway."""
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

    def _notified(self, method: str, params: dict[str, Any]) -> None:
        if not method.startswith("events."):
            return
        for stream in self._streams:
            if stream.id and stream.id == params.get("subscription"):
                stream.notified(params)

    def _cut(self) -> None:
        for stream in self._streams:
            stream.broken()


def _as(shape: type[R], result: Any) -> R:
    """A result as its class; what a newer gateway adds to it is passed over."""
    return shape.model_validate(result, extra="ignore")
