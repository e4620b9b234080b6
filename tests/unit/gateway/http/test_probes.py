"""What a probe makes of a store that answers, refuses, or takes its time."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from starlette.responses import Response

from gateway.core.clock import ManualClock, settle
from gateway.core.errors import StoreUnavailable
from gateway.http.probes import FRESH_S, STORE_S, Probes
from gateway.telemetry.health import Health

REQUEST = cast(Any, None)  # not looked at


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


async def raises() -> bool:
    raise StoreUnavailable("the disk is full")


@pytest.mark.parametrize(("store", "status"), [(yes, 200), (no, 503), (raises, 503)])
async def test_health_is_that_of_the_store(
    store: Callable[[], Awaitable[bool]], status: int
) -> None:
    clock = ManualClock()
    answer = await Probes(Health(clock), store, clock).healthz(REQUEST)
    assert answer.status_code == status


async def test_a_store_that_takes_too_long_is_not_writable() -> None:
    clock = ManualClock()

    async def hangs() -> bool:
        await asyncio.Event().wait()
        return True

    probes = Probes(Health(clock), hangs, clock)
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(probes.healthz(REQUEST))
        await settle()
        await clock.advance(STORE_S)
    assert asked.result().status_code == 503


async def test_the_store_is_asked_again_when_the_answer_is_old() -> None:
    clock = ManualClock()
    answers = [True, False]

    async def store() -> bool:
        return answers.pop(0)

    probes = Probes(Health(clock), store, clock)
    assert (await probes.healthz(REQUEST)).status_code == 200
    assert (await probes.healthz(REQUEST)).status_code == 200
    await clock.advance(FRESH_S)
    assert (await probes.healthz(REQUEST)).status_code == 503
    assert answers == []


async def test_readiness_names_the_state() -> None:
    clock = ManualClock()
    health = Health(clock)
    probes = Probes(health, yes, clock)

    def said(answer: Response) -> tuple[int, str]:
        return answer.status_code, json.loads(bytes(answer.body))["status"]

    assert said(await probes.readyz(REQUEST)) == (503, "starting")
    health.ready()
    assert said(await probes.readyz(REQUEST)) == (200, "ready")
    for _ in range(10):
        health.observe("loop_lag", 1.0)
        await clock.advance(1)
    assert said(await probes.readyz(REQUEST)) == (503, "overloaded")
    health.drain()
    assert said(await probes.readyz(REQUEST)) == (503, "draining")
