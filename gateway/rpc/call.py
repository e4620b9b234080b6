"""What a handler holds: who asks, over what, and the parts of the gateway it may use.

Handlers are the same over WebSocket and HTTP; a method that needs a lasting connection says so in
its record and is refused over HTTP with a hint, so its handler always finds one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from gateway.conversations.conversations import Conversations
from gateway.core.errors import Bug
from gateway.core.tasks import TaskOwner
from gateway.identity.principal import Principal
from gateway.rpc.entries import Entries
from gateway.running import Gateway
from gateway.runs.gate import Use
from gateway.telemetry.tasks import task_failed_unasked
from gateway.turns.waiting import Ended
from gateway.wire.jsonrpc import Id
from gateway.wire.methods.status import ClientPresence

T = TypeVar("T")


class Connection(Protocol):
    """A client that stays: what a method may do with it besides answering."""

    @property
    def principal(self) -> Principal: ...

    def become(self, principal: Principal) -> None:
        """From now on the client is this principal: `connect` has authenticated or narrowed it."""
        ...

    async def respond(self, frame: bytes, *, last: bool = False) -> None:
        """Send an encoded response; waits while the client is slow, like `notify`.

        With `last` nothing else is being worked on for this client: there is nothing to wait for
        that could leave together with it.
        """
        ...

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification that must arrive; waits while the client is slow.

        A client too slow for its bound is disconnected, and this raises `asyncio.CancelledError`
        through the task that owns it.
        """
        ...

    def preview(self, key: str, method: str, params: dict[str, Any]) -> None:
        """Send a notification that may be dropped or joined with a later one of the same key."""
        ...


class Working(Protocol):
    """The request's place among those a connection works on at once."""

    def resting(self) -> AbstractAsyncContextManager[None]:
        """Give the place up for the block: what only waits must not keep others from working."""
        ...

    def cancel(self, id: Id) -> bool:
        """End another request of the same client; whether there was one."""
        ...


class Subscriptions(Protocol):
    """The streams one connection has asked for; they end with it."""

    def add(self, pump: Callable[[str], Coroutine[Any, Any, None]], *, id: str = "") -> str:
        """A subscription's id, a fresh one unless given; `pump` gets it. Raises `Busy`."""
        ...

    def start(self, id: str) -> None:
        """Begin the stream: the client knows its id by now."""
        ...

    def end(self, id: str) -> bool:
        """End a stream; whether there was one."""
        ...


@dataclass(frozen=True, slots=True)
class Client:
    """The lasting side of a call: the connection and what belongs to it."""

    connection: Connection
    subscriptions: Subscriptions
    introduce: Callable[[str], None]
    """Keep what the client calls itself, for whoever asks who is connected."""


class Discovery(Protocol):
    """What can be called."""

    @property
    def names(self) -> list[str]: ...

    @property
    def document(self) -> dict[str, Any]: ...


@dataclass(slots=True, eq=False)
class Presence:
    """A connected client as `status` shows it."""

    principal: str = ""
    client: str = ""
    _shown: ClientPresence | None = None

    def shown(self) -> ClientPresence:
        """Itself as a result, made when something has changed: `status` is asked often."""
        shown = self._shown
        if shown is None or (shown.principal, shown.client) != (self.principal, self.client):
            shown = ClientPresence(principal=self.principal, client=self.client)
            self._shown = shown
        return shown


class Shared:
    """What the requests of all clients share; one a dispatcher."""

    def __init__(
        self,
        discovery: Discovery,
        *,
        max_result_bytes: int,
        max_frame_bytes: int,
    ) -> None:
        self.discovery = discovery
        self.max_result_bytes = max_result_bytes
        self.max_frame_bytes = max_frame_bytes
        self.network: Callable[[], Sequence[Use]] = tuple
        """How far the bounds of the network surface are used, where there is one."""
        self.entries = Entries()
        self.streams: Counter[str] = Counter()
        """Subscriptions by credential."""
        self.present: dict[Presence, None] = {}  # a set that keeps its order
        self._owner = TaskOwner("rpc", task_failed_unasked)

    async def run_to_completion(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which goes on to its end even when the caller is cancelled."""
        return await self._owner.run_to_completion(name, work)

    async def close(self) -> None:
        """Wait for what was begun."""
        await self._owner.close()


@dataclass(frozen=True, slots=True)
class Call:
    """One request being answered.

    `written` holds what is to be done once the answer has been handed to the client. `address` is
    where it came from, for budgets and logs.
    """

    gateway: Gateway
    shared: Shared
    principal: Principal
    working: Working
    address: str
    client: Client | None = None
    in_batch: bool = False
    written: list[Callable[[], None]] = field(default_factory=list)

    @property
    def conversations(self) -> Conversations:
        """The use cases that most methods are about."""
        return self.gateway.conversations

    def shows(self, ended: Ended | None) -> None:
        """The answer of a turn is sent once this request's is; nothing where there is none."""
        if ended is not None and ended.delivery_key:
            key, fetched = ended.delivery_key, self.gateway.fetched
            self.written.append(lambda: fetched.mark_sent(key))

    @property
    def lasting(self) -> Client:
        """The client of a method that is refused without one."""
        if self.client is None:
            raise Bug("a method that needs a lasting connection was called without one")
        return self.client
