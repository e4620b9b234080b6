"""The fault catalogue and the OpenAI client hold each other to account, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

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
from gateway.simulate.server import Simulator, simulating

KEY = "sk-live-0123456789abcdef"


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
    """The client's own clock stands still, or it would run out while bytes are under way."""
    request = ModelRequest(name, "", (UserMessage((Text("hello"),)),))
    context = ModelContext(ManualClock(now_ms=clock.now_ms()), lambda text: None)
    return await clock.drive(model.complete(request, context))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_leads_where_the_catalogue_says_and_the_client_stays_usable(
    model: OpenAIModel, simulator: Simulator, clock: ManualClock, fault: Fault
) -> None:
    if fault.leads_to == "answer":
        await ask(model, clock, f"fault:{fault.name}")
    else:
        with pytest.raises(ModelFailed) as raised:
            await ask(model, clock, f"fault:{fault.name}")
        assert raised.value.category == fault.leads_to
        assert raised.value.retry_after_ms == fault.retry_after_ms
        assert KEY not in f"{raised.value} {raised.value!r}"
        # The SDK's own errors hold the request, key included: none may ride along into a log.
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None
    assert (await ask(model, clock)).text == "You said: hello"
    assert simulator.counters()["answers"] == {fault.name: 1, "answer": 1}
