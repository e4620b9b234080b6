"""Methods behind their gates: what is admitted, refused and counted."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from gateway.core.clock import ManualClock, settle
from gateway.core.errors import Busy, InvalidInput, RateLimited
from gateway.http.admission import Admission, Rates
from gateway.http.gated import gated
from gateway.identity.budget import Rate
from gateway.identity.principal import Principal
from gateway.rpc.call import Call
from gateway.rpc.catalog import METHODS
from gateway.telemetry.health import Health
from gateway.telemetry.metrics import Metrics
from gateway.wire.jsonrpc import Id

ANN = Principal("ann", frozenset(), "k_ann")


class Place:
    """A request's place; counts how often it was given up."""

    def __init__(self) -> None:
        self.rested = 0

    def resting(self) -> AbstractAsyncContextManager[None]:
        self.rested += 1
        return nullcontext()

    def cancel(self, id: Id) -> bool:
        return id == 7


@dataclass
class World:
    """One admission, one set of numbers, and methods whose handlers a test writes."""

    clock: ManualClock = field(default_factory=ManualClock)
    metrics: Metrics = field(default_factory=Metrics)
    place: Place = field(default_factory=Place)

    def __post_init__(self) -> None:
        self.health = Health(self.clock)
        self.health.ready()
        self.admission = Admission(
            self.health,
            self.clock,
            self.metrics.shed,
            rates=Rates(Rate(burst=1, per_s=1)),
            in_flight=1,
        )

    async def call(self, name: str, handler: Any) -> Any:
        method = next(method for method in METHODS if method.name == name)
        [wrapped] = gated(
            [replace(method, handler=handler)], self.admission, self.metrics, self.clock
        )
        # What a handler holds besides is not looked at here.
        call = Call(cast(Any, None), cast(Any, None), ANN, self.place, "10.0.0.1")
        return await wrapped.handler(call, cast(Any, "params"))

    def count(self, outcome: str) -> float:
        line = f'outcome="{outcome}"}} '
        page = self.metrics.page().decode().splitlines()
        return sum(
            float(text.rsplit(" ", 1)[1])
            for text in page
            if line in text and text.startswith("turngate_rpc_requests_total")
        )


@pytest.fixture
def world() -> World:
    return World()


async def handle(call: Call, params: Any) -> Any:
    return params


def test_what_makes_something_run_adds_work() -> None:
    assert {method.name for method in METHODS if method.adds_work} == {
        "send",
        "sessions.compact",
        "turns.start",
        "runs.start",
        "runs.resume",
        "runs.retry",
        "runs.fork",
        "deliveries.retry",
    }


def test_nothing_else_about_a_method_changes() -> None:
    world = World()
    wrapped = gated(METHODS, world.admission, world.metrics, world.clock)
    assert [replace(method, handler=handle, ready=print) for method in wrapped] == [
        replace(method, handler=handle, ready=print) for method in METHODS
    ]


async def test_an_admitted_call_reaches_its_handler(world: World) -> None:
    assert await world.call("send", handle) == "params"
    assert world.count("ok") == 1


async def test_work_is_rated_and_reading_is_not(world: World) -> None:
    await world.call("turns.start", handle)
    with pytest.raises(RateLimited):
        await world.call("send", handle)
    assert await world.call("turns.list", handle) == "params"
    assert world.count("rate_limited") == 1


async def test_no_work_while_it_drains_but_everything_else(world: World) -> None:
    world.health.drain()
    with pytest.raises(Busy):
        await world.call("send", handle)
    assert await world.call("turns.get", handle) == "params"
    assert await world.call("status", handle) == "params"


async def test_what_steers_passes_when_everything_is_busy(world: World) -> None:
    async with asyncio.TaskGroup() as group:
        gate = asyncio.Event()

        async def works(call: Call, params: Any) -> Any:
            await gate.wait()
            return params

        working = group.create_task(world.call("turns.list", works))
        await settle()
        with pytest.raises(Busy):
            await world.call("turns.list", handle)
        assert await world.call("status", handle) == "params"
        assert await world.call("turns.cancel", handle) == "params"
        gate.set()
    assert working.result() == "params"


def test_what_cannot_be_worked_on_is_refused_before_it_costs_anything(world: World) -> None:
    """And counted all the same."""
    wrapped = gated(METHODS, world.admission, world.metrics, world.clock)
    ready = {method.name: method.ready for method in wrapped}
    world.health.drain()
    with pytest.raises(Busy):
        ready["send"]()
    for name in ("turns.get", "status", "connect"):
        ready[name]()
    assert world.count("busy") == 1
    with world.admission.working():
        with pytest.raises(Busy):
            ready["turns.get"]()
        ready["turns.cancel"]()


async def test_who_waits_for_a_turn_holds_no_place(world: World) -> None:
    gate = asyncio.Event()

    async def waits(call: Call, params: Any) -> Any:
        async with call.working.resting():
            await gate.wait()
        assert call.working.cancel(7)
        return params

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(world.call("turns.wait", waits))
        await settle()
        assert await world.call("turns.list", handle) == "params"
        gate.set()
    assert waiting.result() == "params"
    assert world.place.rested == 1
    assert await world.call("turns.list", handle) == "params"


async def test_outcomes_are_counted_by_their_kind(world: World) -> None:
    async def refuses(call: Call, params: Any) -> Any:
        raise InvalidInput("no")

    async def breaks(call: Call, params: Any) -> Any:
        raise KeyError("x")

    async def waits(call: Call, params: Any) -> Any:
        await asyncio.Event().wait()

    with pytest.raises(InvalidInput):
        await world.call("turns.get", refuses)
    with pytest.raises(KeyError):
        await world.call("turns.get", breaks)
    task = asyncio.get_running_loop().create_task(world.call("turns.get", waits))
    await settle()
    task.cancel()
    await settle()
    assert [world.count(kind) for kind in ("invalid", "internal", "cancelled")] == [1, 1, 1]
    assert await world.call("turns.get", handle) == "params"
