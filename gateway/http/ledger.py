"""Who holds a socket: counts in all, by address, by credential, and of unauthenticated ones.

Pure bookkeeping; the caller closes what it is told to. Strangers are the cheap ones to lose: when
room is needed the oldest of them goes, first among those of the same address, so a flood of
half-open connections drowns itself and not the client that comes after. Among the authenticated
the credential that holds most gives way. Some places past the bounds are kept: a newcomer stands in
one until it has authenticated, and an operator stays there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from gateway.core.addresses import counted_as
from gateway.http.bounds import Limits

K = TypeVar("K")


class Full(Exception):
    """There is no room and nobody to send away."""


class Ledger(Generic[K]):
    """Sockets by key."""

    def __init__(self, limits: Limits, is_proxy: Callable[[str], bool]) -> None:
        """Addresses of proxies, behind which many clients stand, have no bound of their own."""
        self._limits = limits
        self._is_proxy = is_proxy
        self._addresses: dict[K, str] = {}
        self._counts: dict[str, int] = {}
        self._strangers: dict[str, OrderedDict[K, None]] = {}
        self._stranger_count = 0
        self._owners: dict[K, str] = {}
        self._held: dict[str, OrderedDict[K, None]] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def __iter__(self) -> Iterator[K]:
        return iter(self._addresses)

    @property
    def strangers(self) -> int:
        """How many are not authenticated."""
        return self._stranger_count

    def enter(self, key: K, address: str) -> K | None:
        """Note a new socket; returns the one that must go for it, already struck off.

        Raises `Full` when it cannot stay; then it is not noted.
        """
        is_proxy, address = self._is_proxy(address), counted_as(address)
        victim = self._victim(address, is_proxy=is_proxy)
        if victim is not None:
            self.leave(victim)
        self._addresses[key] = address
        self._counts[address] = self._counts.get(address, 0) + 1
        self._strangers.setdefault(address, OrderedDict())[key] = None
        self._stranger_count += 1
        return victim

    def recognise(self, key: K, owner: str, *, operator: bool = False) -> K | None:
        """The socket belongs to this credential from now on, and counts toward it.

        Returns the socket that must go for it, already struck off: the oldest of the credential
        that holds most. Raises `Full` where that is the newcomer's own, or where the credential has
        as many as it may; then the socket stays what it was. Neither happens to an operator.
        """
        address = self._addresses.get(key)
        if address is None or self._owners.get(key) == owner:
            return None
        victim = None if operator else self._way_for(key, owner, address)
        self._strike(key, address)
        self._disown(key)
        self._owners[key] = owner
        # What operators hold is not looked at when somebody has to go.
        if not operator:
            self._held.setdefault(owner, OrderedDict())[key] = None
        if victim is not None:
            self.leave(victim)
        return victim

    def _way_for(self, key: K, owner: str, address: str) -> K | None:
        limits, own = self._limits, len(self._held.get(owner, ()))
        if own >= limits.per_principal:
            raise Full
        over = len(self) > limits.connections or (
            self._counts[address] > limits.per_address and not self._is_proxy(address)
        )
        if not over:
            return None
        largest = max(self._held.values(), key=len, default=None)
        if largest is None or len(largest) <= own + 1:
            raise Full
        return next(iter(largest))

    def _disown(self, key: K) -> None:
        owner = self._owners.pop(key, "")
        held = self._held.get(owner)
        if held is not None:
            held.pop(key, None)
            if not held:
                del self._held[owner]

    def leave(self, key: K) -> None:
        """The socket is gone; leaving twice changes nothing."""
        address = self._addresses.pop(key, None)
        if address is None:
            return
        self._strike(key, address)
        self._disown(key)
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]

    def _strike(self, key: K, address: str) -> None:
        waiting = self._strangers.get(address)
        if waiting is None or key not in waiting:
            return
        del waiting[key]
        self._stranger_count -= 1
        if not waiting:
            del self._strangers[address]

    def _victim(self, address: str, *, is_proxy: bool) -> K | None:
        limits = self._limits
        crowded = self._counts.get(address, 0) >= limits.per_address + limits.kept
        if crowded and not is_proxy:
            return self._oldest(self._strangers.get(address))
        if (
            self._stranger_count >= limits.strangers
            or len(self) >= limits.connections + limits.kept
        ):
            return self._oldest(max(self._strangers.values(), key=len, default=None))
        return None

    def _oldest(self, waiting: OrderedDict[K, None] | None) -> K:
        if not waiting:
            raise Full
        return next(iter(waiting))
