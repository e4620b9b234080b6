"""More than it can do: what is refused is told so at once, and what steers gets through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.models.scripted import Rule
from gateway.http.admission import Admission, Rates
from gateway.http.gated import gated
from gateway.identity.budget import Rate
from gateway.rpc.catalog import METHODS
from gateway.rpc.dispatch import Dispatcher
from gateway.rpc.rpc import Rpc
from gateway.store.base.inputs import OpenInputs
from gateway.telemetry.health import Health, State
from gateway.telemetry.metrics import Metrics
from tests.unit.gateway.rpc.talk import Refusal, World, open_world

BACKLOG = 8
RUNNING = 12
TAKEN = RUNNING + BACKLOG


class Loaded:
    """A gateway whose model takes a minute, behind its gates."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.health = Health(world.clock)
        self.health.ready()
        metrics = Metrics()
        self.admission = Admission(
            self.health,
            world.clock,
            metrics.shed,
            rates=Rates(Rate(burst=1000, per_s=1000)),
            waiting=lambda: world.gateway.lanes.waiting,
            backlog=BACKLOG,
        )
        methods = gated(METHODS, self.admission, metrics, world.clock)
        world.dispatcher = Dispatcher(world.gateway, methods)
        world.rpc = Rpc(world.dispatcher)

    async def fill(self) -> list[str]:
        """As many turns as are taken, each in a conversation of its own."""
        talk, turns = self.world.talk(), []
        for number in range(TAKEN):
            started = await talk.call("turns.start", text="slow", peer_id=f"p{number}")
            turns.append(started["turn_id"])
        await self.world.settled()
        return turns


@pytest.fixture
async def loaded(tmp_path: Path) -> AsyncIterator[Loaded]:
    async with open_world(
        tmp_path, rules=[Rule("^slow", "at last", latency_s=60)], turns=RUNNING
    ) as world:
        yield Loaded(world)


async def test_five_times_what_it_takes_is_refused_with_a_time_and_leaves_nothing(
    loaded: Loaded,
) -> None:
    """Over both transports, and what had been taken goes on."""
    await loaded.fill()
    talk = loaded.world.talk()
    asked = [
        await talk.request("send", {"text": "slow", "peer_id": f"q{number}"})
        for number in range(4 * TAKEN)
    ]
    for id in asked:
        error = (await talk.answer(id))["error"]
        assert (error["code"], error["data"]["kind"]) == (-32029, "busy")
        assert error["data"]["retry_after_ms"] > 0
    with pytest.raises(Refusal, match="turns wait already"):
        await loaded.world.post("turns.start", {"text": "slow", "peer_id": "http"})
    assert len(await loaded.world.gateway.store.read(OpenInputs(0, 1000))) == TAKEN


async def test_status_and_what_stops_are_answered_and_make_room(loaded: Loaded) -> None:
    turns = await loaded.fill()
    talk = loaded.world.talk()
    status = await talk.call("status")
    assert (status["turns_running"], status["turns_waiting"]) == (RUNNING, BACKLOG)
    for waits_or_runs in (turns[-1], turns[0]):
        with pytest.raises(Refusal):
            await talk.call("turns.start", text="slow", peer_id=f"late-{waits_or_runs}")
        await talk.call("turns.cancel", turn_id=waits_or_runs)
        await loaded.world.settled()
        started = await talk.call("turns.start", text="slow", peer_id=f"late-{waits_or_runs}")
        assert started["position"] == 0
        await loaded.world.settled()


async def test_the_gateway_says_that_it_is_overloaded_until_it_is_not(loaded: Loaded) -> None:
    """By the same number that refuses, so that new work is sent elsewhere."""
    turns = await loaded.fill()

    async def look() -> State:
        for _ in range(5):
            loaded.health.observe("in_flight", loaded.admission.load())
            await loaded.world.clock.advance(0.5)
        return loaded.health.state

    assert await look() is State.OVERLOADED
    talk = loaded.world.talk()
    for turn_id in reversed(turns):
        await talk.call("turns.cancel", turn_id=turn_id)
    await loaded.world.settled()
    assert await look() is State.READY
