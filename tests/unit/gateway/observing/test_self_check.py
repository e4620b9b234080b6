"""What is missing in a running gateway becomes its state, and its state is told to who asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.models.profile import Profile
from agents.resilience.policy import Endpoint, Resilient
from gateway.core.errors import ModelFailed, StoreUnavailable
from gateway.observing.self_check import (
    EVERY_S,
    GONE_S,
    LEAST_BYTES,
    STUCK_S,
    Free,
    free_around,
    look,
    watch,
)
from gateway.running import Gateway
from gateway.store.base.store import Loss, Meter, Receipt, Unit
from gateway.telemetry.health import DISK, MISSING
from tests.support.cutting import CuttableStore
from tests.support.house import House, open_house

pytestmark = pytest.mark.timeout(20)

ROOM = free_around(None)


class Failing:
    """A model server that refuses its key."""

    async def open(self) -> None:
        """There is nothing to open."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        raise ModelFailed("auth", "no such key")

    async def close(self) -> None:
        """There is nothing to close."""


class Full(CuttableStore):
    """A store that took nothing last time, and takes it again when it is asked."""

    refuses = True
    pending = 0
    stuck_s = 0.0
    lost: Loss | None = None

    def measure(self, meter: Meter) -> None:
        """Nobody counts here."""

    async def commit(self, unit: Unit) -> Receipt:
        if self.full:
            raise StoreUnavailable("the disk is full")
        self.refuses = False
        return await super().commit(unit)

    full = True


@asynccontextmanager
async def watched(house: House, gateway: Gateway, free: Free = ROOM) -> AsyncIterator[None]:
    gateway.health.ready()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch(gateway, free))
        yield
        watching.cancel()


async def pass_(house: House, seconds: float) -> None:
    for _ in range(int(seconds / EVERY_S)):
        await house.clock.advance(EVERY_S)


async def test_a_gateway_whose_every_key_rests_says_so(tmp_path: Path) -> None:
    house = House(tmp_path, models=("big",))
    server = Profile("http://localhost", "k", "big", name="k1", models=("big",))
    house.model = Resilient([Endpoint(server, Failing())], clock=house.clock)
    async with open_house(house), watched(house, house.gateway):
        await pass_(house, 20)
        assert house.gateway.health.state == "ready"
        await house.ask("hello")
        with capture_logs() as lines:
            await pass_(house, MISSING.hold_s + 2)
        assert house.gateway.health.reasons == ("no_model_ready",)
        assert {"event": "health.changed", "log_level": "warning"}.items() <= lines[-1].items()
        assert lines[-1]["reasons"] == ["no_model_ready"]
        house.gateway.profiles.clear()
        await pass_(house, MISSING.hold_s + 2)
        assert house.gateway.health.state == "ready"


async def test_a_store_that_refused_is_asked_until_it_takes_writes_again(tmp_path: Path) -> None:
    """Nobody else may write for hours, and then a gateway would look ill for hours."""
    house = House(tmp_path)
    async with open_house(house):
        full = Full(house.store)
        async with watched(house, replace(house.gateway, store=full)):
            await pass_(house, MISSING.hold_s + 2)
            assert house.gateway.health.reasons == ("store_refuses",)
            full.full = False
            await pass_(house, MISSING.hold_s + 2)
            assert house.gateway.health.state == "ready"


async def test_a_store_that_hangs_is_told_and_nobody_is_sent_to_it(tmp_path: Path) -> None:
    """It takes writes and answers none: nothing is refused, and nothing is kept either."""
    house = House(tmp_path)
    async with open_house(house):
        hanging = Full(house.store)
        hanging.refuses = False
        async with watched(house, replace(house.gateway, store=hanging)):
            hanging.stuck_s = STUCK_S
            await pass_(house, MISSING.hold_s + 2)
            assert house.gateway.health.reasons == ("store_stuck",)
            assert not house.gateway.health.invites
            hanging.stuck_s = 0.0
            await pass_(house, MISSING.hold_s + 2)
            assert house.gateway.health.state == "ready"


async def test_a_lost_store_is_told_at_once_and_until_it_is_back(tmp_path: Path) -> None:
    """It is asked for a write each time, because writing is what finds, saves and mends."""
    house = House(tmp_path)
    async with open_house(house):
        losing = Full(house.store)
        losing.refuses = False
        losing.lost = Loss("the database was deleted")
        async with watched(house, replace(house.gateway, store=losing)):
            await pass_(house, 2)
            assert house.gateway.health.reasons == ("store_lost",)
            assert not house.gateway.health.invites
            await pass_(house, MISSING.hold_s + 2)
            assert house.gateway.health.reasons == ("store_lost",)
            losing.lost, losing.full = None, False
            await pass_(house, 2)
            assert house.gateway.health.state == "ready"


async def test_a_store_that_is_lost_for_good_ends_the_watch(tmp_path: Path) -> None:
    """Unless it is back within a few seconds."""
    house = House(tmp_path)
    async with open_house(house):
        losing = Full(house.store)
        losing.full = False
        gone = Loss("its folder was deleted", final=True)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch(replace(house.gateway, store=losing), ROOM))
            for loss, seconds in ((gone, GONE_S - 1), (None, 2), (gone, GONE_S)):
                losing.lost = loss
                await pass_(house, seconds)
                assert not watching.done()
            await pass_(house, 1)
            assert await watching == gone


async def test_a_model_that_could_not_be_opened_is_a_reason(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with open_house(house):
        gateway = house.gateway
        gateway.health.ready()
        gateway.opening.failed("no weights")
        for _ in range(7):
            look(gateway)
            await house.clock.advance(1)
        assert gateway.health.reasons == ("model_not_open",)
        gateway.opening.succeeded()
        for _ in range(7):
            look(gateway)
            await house.clock.advance(1)
        assert gateway.health.state == "ready"


async def test_a_disk_that_runs_full_is_overload_until_there_is_twice_the_room(
    tmp_path: Path,
) -> None:
    house = House(tmp_path)
    free = [float(LEAST_BYTES)]
    async with open_house(house), watched(house, house.gateway, lambda: free[0]):
        await pass_(house, DISK.hold_s + 2)
        assert house.gateway.health.state == "overloaded"
        assert house.gateway.health.reasons == ("disk_low",)
        free[0] *= 1.9
        await pass_(house, DISK.hold_s + 2)
        assert house.gateway.health.reasons == ("disk_low",)
        free[0] = 2 * LEAST_BYTES
        await pass_(house, DISK.hold_s + 2)
        assert house.gateway.health.state == "ready"


def test_room_is_that_of_the_folder_and_unknown_without_one(tmp_path: Path) -> None:
    """A database elsewhere has a disk of its own."""
    assert free_around(None)() == float("inf")
    assert 0 < free_around(tmp_path / "turngate.db")() < float("inf")
    assert free_around(tmp_path / "gone" / "turngate.db")() == float("inf")
