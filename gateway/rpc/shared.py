"""What the requests of all clients share: who is connected, who owns what, what must not be cut.

One a dispatcher. A handler may be cancelled at each of its awaits; what has to run to its end once
begun is started here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from gateway.core.clock import Clock
from gateway.core.tasks import Ending, TaskOwner
from gateway.rpc.ownership import Ownership
from gateway.rpc.pulled import Pulled
from gateway.store.base.store import Store
from gateway.telemetry.tasks import task_failed_unasked
from gateway.wire.methods.status import ClientPresence

T = TypeVar("T")


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
    """See the module."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        discovery: Discovery,
        *,
        max_result_bytes: int,
        max_frame_bytes: int,
    ) -> None:
        self.discovery = discovery
        self.max_result_bytes = max_result_bytes
        self.max_frame_bytes = max_frame_bytes
        self.ownership = Ownership(store)
        self.pulled = Pulled(store.post, clock)
        self.streams: Counter[str] = Counter()
        """Subscriptions by credential."""
        self.present: dict[Presence, None] = {}  # a set that keeps its order
        self._owner = TaskOwner("rpc", task_failed_unasked)

    async def whole(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which goes on to its end even when the caller is cancelled."""
        return await asyncio.shield(self._owner.start(name, work, ending=Ending.FINISHABLE))

    async def close(self) -> None:
        """Wait for what was begun."""
        await self._owner.close()
