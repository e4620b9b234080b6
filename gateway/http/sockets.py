"""What all protocol instances of one server share: bounds, the ledger of sockets, counters."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import structlog
from uvicorn.server import ServerState

from gateway.core.errors import Busy
from gateway.http.bounds import Bounds
from gateway.http.ledger import Full, Ledger
from gateway.http.pace import Pace
from gateway.http.progress import WatchedTransport
from gateway.identity.principal import Principal, Scope
from gateway.runs.gate import Use

log = structlog.get_logger(__name__)

RETRY_MS = 5000
"""When to try again after a count was full: sockets come and go with people, not with requests."""


@runtime_checkable
class GivesWay(Protocol):
    """A protocol that says goodbye before its socket ends."""

    def give_way(self) -> None: ...


Uses = Callable[[], Sequence[Use]]
"""How far bounds are used."""

Shed = Callable[[str], None]
"""Called with the reason whenever somebody is refused or sent away."""


class Sockets(ServerState):
    """Handed to uvicorn's protocols as their shared state."""

    def __init__(
        self,
        bounds: Bounds,
        *,
        is_proxy: Callable[[str], bool],
        shed: Shed,
        pace: Pace | None = None,
    ) -> None:
        super().__init__()
        self.bounds = bounds
        self.pace = pace or Pace()
        self.shed = shed
        self._ledger: Ledger[WatchedTransport] = Ledger(bounds.limits, is_proxy)
        self._empty = asyncio.Event()

    def watch(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> WatchedTransport:
        """The transport to use instead: one that gives a stalled peer up."""

        def stalled() -> None:
            self.shed("stalled")
            log.info("socket.stalled", address=address_of(transport))

        return WatchedTransport(transport, self.bounds.deadlines, loop, stalled)

    def enter(self, transport: WatchedTransport) -> bool:
        """Count a new socket, sending an older stranger away if need be; False: no room."""
        try:
            victim = self._ledger.enter(transport, address_of(transport))
        except Full:
            self.shed("connections")
            return False
        if victim is not None:
            self.shed("strangers")
            victim.abort()
        return True

    def recognise(self, transport: WatchedTransport, principal: Principal) -> None:
        """A principal has authenticated on this socket, which counts toward it from now on.

        Raises `Busy` where the credential, or everybody together, holds as many as they may. One of
        the credential that holds most may be sent away for it.
        """
        operator = principal.has(Scope.OPERATOR)
        try:
            victim = self._ledger.recognise(transport, principal.credential_id, operator=operator)
        except Full:
            self.shed("connections")
            raise Busy(
                "this credential has as many connections as it may have now; close some",
                retry_after_ms=RETRY_MS,
            ) from None
        if victim is not None:
            self.shed("largest_holder")
            give_way(victim)

    def leave(self, transport: WatchedTransport) -> None:
        """The socket is gone."""
        transport.lost()
        self._ledger.leave(transport)
        if not self._ledger:
            self._empty.set()

    async def emptied(self) -> None:
        """Wait until no socket is left; cancelling it has no other effect."""
        while self._ledger:
            self._empty.clear()
            await self._empty.wait()

    def abort_all(self) -> None:
        """End every socket now."""
        for transport in tuple(self._ledger):
            transport.abort()

    def __len__(self) -> int:
        return len(self._ledger)

    def uses(self, waiting: int) -> Sequence[Use]:
        """How far the bounds on connections, and on bytes that wait for slow ones, are used."""
        return (
            Use("connections", len(self), self.bounds.limits.connections, 0),
            Use("slow_clients", waiting, self.bounds.sizes.waiting, 0),
        )


def give_way(transport: WatchedTransport) -> None:
    """End a socket for which there is no room any more; its protocol may say so first."""
    protocol = transport.get_protocol()
    if isinstance(protocol, GivesWay):
        protocol.give_way()
    else:
        transport.abort()


def address_of(transport: asyncio.BaseTransport) -> str:
    """The peer's address without its port; empty when the socket does not tell."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


SPARE_FILES = 128
"""Open files besides sockets: database, logs, upstream connections."""


def raise_file_limit(sockets: int) -> None:
    """Let the process open as many files as it may need; warn when the system does not allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sockets + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("http.few_files", limit=allowed, wanted=wanted, hint="raise ulimit -n")
