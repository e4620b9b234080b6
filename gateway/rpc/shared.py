"""What the requests of all clients share: who is connected, and what must not be cut.

One a dispatcher. A handler may be cancelled at each of its awaits; what has to run to its end once
begun is started here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from gateway.core.tasks import TaskOwner
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
        discovery: Discovery,
        *,
        max_result_bytes: int,
        max_frame_bytes: int,
    ) -> None:
        self.discovery = discovery
        self.max_result_bytes = max_result_bytes
        self.max_frame_bytes = max_frame_bytes
        self.streams: Counter[str] = Counter()
        """Subscriptions by credential."""
        self.present: dict[Presence, None] = {}  # a set that keeps its order
        self._owner = TaskOwner("rpc", task_failed_unasked)

    async def whole(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which goes on to its end even when the caller is cancelled."""
        return await self._owner.run_to_completion(name, work)

    async def close(self) -> None:
        """Wait for what was begun."""
        await self._owner.close()
