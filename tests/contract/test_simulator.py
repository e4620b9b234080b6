"""The fault catalogue and the OpenAI client hold each other to account, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile
from gateway.core.clock import ManualClock
from gateway.core.errors import ModelFailed
from gateway.core.parts import Text
from gateway.simulate.answers import JSON, SSE, Raw
from gateway.simulate.catalog import FAULTS
from gateway.simulate.fault import Fault
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Simulator
from tests.support.failover import NO_EVENT, profile_for
from tests.unit.agents.models.test_classify import SAID

pytestmark = pytest.mark.timeout(30)  # some bodies have 60 MB

KEY = "sk-live-0123456789abcdef"


SILENT = [fault for fault in FAULTS.values() if fault.leads_to == "timeout" and fault.waits]
LOUD = [fault for fault in FAULTS.values() if fault not in SILENT]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def simulator(clock: ManualClock) -> AsyncIterator[Simulator]:
    async with simulating(clock=clock) as simulator:
        yield simulator


@asynccontextmanager
async def opened(profile: Profile) -> AsyncIterator[OpenAIModel]:
    model = OpenAIModel(profile)
    try:
        yield model
    finally:
        await model.close()


@pytest.fixture
async def model(simulator: Simulator) -> AsyncIterator[OpenAIModel]:
    async with opened(Profile(simulator.base_url, KEY, "simulated")) as model:
        yield model


async def ask(model: OpenAIModel, clock: ManualClock, name: str = "") -> ModelReply:
    request = ModelRequest(name, "", (UserMessage((Text("hello"),)),))
    return await model.complete(request, ModelContext(clock, lambda text: None))


@pytest.mark.parametrize("fault", LOUD, ids=lambda fault: fault.name)
async def test_a_fault_leads_where_the_catalogue_says_and_the_client_stays_usable(
    simulator: Simulator, clock: ManualClock, fault: Fault
) -> None:
    async with opened(profile_for(fault, simulator, KEY, name="default")) as model:
        await _check(model, simulator, clock, fault)


async def _check(
    model: OpenAIModel, simulator: Simulator, clock: ManualClock, fault: Fault
) -> None:
    # The client's own clock stands still, or it would run out while bytes are under way.
    still = ManualClock(now_ms=clock.now_ms())
    asking = clock.drive(ask(model, still, f"fault:{fault.name}"))
    if fault.leads_to == "answer":
        await asking
    else:
        with pytest.raises(ModelFailed) as raised:
            await asking
        assert raised.value.category == fault.leads_to
        assert raised.value.retry_after_ms == fault.retry_after_ms
        assert KEY not in f"{raised.value} {raised.value!r}"
        # The SDK's own errors hold the request, key included: none may ride along into a log.
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None
    # A stream without an event is asked for once more, in one piece.
    assert simulator.counters()["answers"] == {fault.name: 2 if fault.name in NO_EVENT else 1}
    if fault.name != "deaf":
        assert (await ask(model, still)).text == "You said: hello"


async def test_a_bare_400_means_nothing_from_a_host_nobody_knows(
    model: OpenAIModel, clock: ManualClock
) -> None:
    """A proxy says it as well; only of some hosts it is known what they mean."""
    assert (await _failure(ask(model, clock, "fault:overflow-empty"))).category == "bad_request"


async def test_everything_providers_say_is_understood_over_the_wire(
    model: OpenAIModel, simulator: Simulator, clock: ManualClock
) -> None:
    """The examples of the table of refusals: with their status, or inside a good answer."""
    wrong: list[object] = []
    for status, body, category in SAID:
        said = json.dumps(body).encode()
        event = Raw((b"data: ", said, b"\n\n"), 200, SSE)
        simulator.script.append(event if status is None else Raw((said,), status, JSON))
        found = (await _failure(ask(model, clock))).category
        if found != category and body != {}:
            wrong.append((status, body, category, found))
    assert not wrong


@pytest.mark.parametrize("fault", SILENT, ids=lambda fault: fault.name)
async def test_silence_ends_at_the_bound_of_the_whole_call(
    model: OpenAIModel, simulator: Simulator, fault: Fault
) -> None:
    clock = ManualClock()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_failure(ask(model, clock, f"fault:{fault.name}")))
        asked = await simulator.wait_for(1)
        await clock.advance(599)
        assert not asking.done()
        await clock.advance(1)
        await asked.gone.wait()
    assert asking.result().category == "timeout"
    assert "600 s" in str(asking.result())
    assert (await ask(model, clock)).text == "You said: hello"


async def _failure(asking: Awaitable[ModelReply]) -> ModelFailed:
    with pytest.raises(ModelFailed) as raised:
        await asking
    return raised.value
