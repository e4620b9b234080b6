"""Every WebSocket there is: who holds how many, and how all of one credential are closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from gateway.core.errors import Busy
from gateway.http.bounds import Sizes
from gateway.http.holdings import Holdings
from gateway.http.sockets import RETRY_MS


class Client(Protocol):
    """What is done to a connection from outside."""

    def close(self, code: int, reason: str) -> None: ...

    def abort(self) -> None: ...

    async def flushed(self) -> None: ...


class Clients:
    """Connections, and their principals once they have one."""

    def __init__(self, per_principal: int, sizes: Sizes | None = None) -> None:
        self._per_principal = per_principal
        sizes = sizes or Sizes()
        self.holdings: Holdings[Client] = Holdings(sizes.waiting_per_principal, sizes.waiting)
        self._all: dict[Client, str] = {}
        self._counts: dict[str, set[Client]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._all))

    def enter(self, client: Client) -> None:
        """Note a connection nobody has authenticated yet."""
        self._all[client] = ""

    def become(self, client: Client, credential_id: str) -> None:
        """It belongs to this credential now. Raises `Busy` when that has too many."""
        mine = self._counts.setdefault(credential_id, set())
        if client not in mine and len(mine) >= self._per_principal:
            raise Busy(
                f"this credential has {len(mine)} connections, which is the most it may have; "
                "close some",
                retry_after_ms=RETRY_MS,
            )
        self._strike(client)
        self._all[client] = credential_id
        self._counts.setdefault(credential_id, set()).add(client)

    def leave(self, client: Client) -> None:
        """It is gone; leaving twice changes nothing."""
        if client in self._all:
            self._strike(client)
            del self._all[client]

    def revoked(self, credential_id: str) -> None:
        """Close all connections of a credential, now: what waited for them is not sent."""
        for client in tuple(self._counts.get(credential_id, ())):
            client.close(1008, "the credential was revoked")

    def _strike(self, client: Client) -> None:
        credential_id = self._all[client]
        mine = self._counts.get(credential_id)
        if mine is not None:
            mine.discard(client)
            if not mine:
                del self._counts[credential_id]
