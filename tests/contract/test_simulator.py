"""The fault catalogue and the OpenAI client hold each other to account, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile
from gateway.core.clock import ManualClock
from gateway.core.errors import ModelFailed
from gateway.core.parts import Text
from gateway.simulate.catalog import FAULTS
from gateway.simulate.fault import Fault
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Simulator

pytestmark = pytest.mark.timeout(30)  # some bodies have 60 MB

KEY = "sk-live-0123456789abcdef"


SILENT = [fault for fault in FAULTS.values() if fault.leads_to == "timeout" and fault.waits]
KNOWN_GAPS = {
    "overflow-empty": "a 400 that says nothing at all is taken for a bad request, as from a proxy"
}
LOUD = [
    pytest.param(
        fault,
        id=name,
        marks=pytest.mark.xfail(reason=KNOWN_GAPS[name]) if name in KNOWN_GAPS else (),
    )
    for name, fault in FAULTS.items()
    if fault not in SILENT
]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def simulator(clock: ManualClock) -> AsyncIterator[Simulator]:
    async with simulating(clock=clock) as simulator:
        yield simulator


@pytest.fixture
async def model(simulator: Simulator) -> AsyncIterator[OpenAIModel]:
    model = OpenAIModel(Profile(simulator.base_url, KEY, "simulated"))
    yield model
    await model.close()


async def ask(model: OpenAIModel, clock: ManualClock, name: str = "") -> ModelReply:
    request = ModelRequest(name, "", (UserMessage((Text("hello"),)),))
    return await model.complete(request, ModelContext(clock, lambda text: None))


@pytest.mark.parametrize("fault", LOUD)
async def test_a_fault_leads_where_the_catalogue_says_and_the_client_stays_usable(
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
    assert simulator.counters()["answers"] == {fault.name: 1}
    if fault.name != "deaf":
        assert (await ask(model, still)).text == "You said: hello"


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
    assert (await ask(model, clock)).text == "You said: hello"


async def _failure(asking: Awaitable[ModelReply]) -> ModelFailed:
    with pytest.raises(ModelFailed) as raised:
        await asking
    return raised.value
