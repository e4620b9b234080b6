"""Every fault of the simulator at the first of two keys: who is asked, how often, what is shown.

One key fails in a thousand ways, the other answers: whatever the fault, there is one answer or one
typed failure, nobody waits, and no text is shown twice.
"""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelRequest
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile, Timeouts
from agents.resilience.policy import Endpoint, Resilient
from agents.resilience.search import HOPELESS
from gateway.core.errors import ModelFailed
from gateway.core.parts import Text
from gateway.simulate.catalog import GROUPS
from gateway.simulate.fault import Fault
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Simulator
from tests.support.failover import PatientClock, Shown

ENDLESS = {"keep-alive-only": "ends at the bound of the whole call, which stands still here"}
HELLO = UserMessage((Text("hello"),))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("group", GROUPS)
async def test_whatever_the_first_key_does_there_is_one_answer_or_one_failure(group: str) -> None:
    clock = PatientClock()
    wrong: list[str] = []
    async with simulating(clock=clock) as bad, simulating(clock=clock) as good:
        # Silence is real here, and short.
        timeouts = Timeouts(idle_s=0.3)
        endpoints = [
            Endpoint(profile, OpenAIModel(profile, timeouts=timeouts))
            for profile in (
                Profile(bad.base_url, "k1", "big", name="bad"),
                Profile(good.base_url, "k2", "big", name="good"),
            )
        ]
        policy = Resilient(endpoints, clock=clock)
        for fault in GROUPS[group]:
            if fault.name not in ENDLESS:
                policy.clear()
                policy.scale("big").counts = 0
                wrong += await complaints(policy, bad, good, clock, fault)
        await policy.close()
    assert not wrong, "\n".join(wrong)


async def complaints(
    policy: Resilient, bad: Simulator, good: Simulator, clock: PatientClock, fault: Fault
) -> list[str]:
    """What this fault leads to and should not."""
    bad.clear()
    bad.set(fault.name)
    before = bad.count, good.count
    shown = Shown()
    request = ModelRequest("big", "", (HELLO,))
    context = ModelContext(
        clock, shown.emit, restarted=shown.restarted, session=fault.name, patience_s=0
    )
    with capture_logs() as logs:
        try:
            reply = await clock.drive(policy.complete(request, context))
            ended, text = "answer", reply.text
        except ModelFailed as error:
            ended, text = error.category, ""
    asked = bad.count - before[0], good.count - before[1]
    if fault.leads_to == "answer":
        expected: tuple[str, int, int, list[str]] = ("answer", 1, 0, [])
    elif fault.leads_to in HOPELESS:
        expected = (fault.leads_to, 1, 0, [])
    else:
        expected = ("answer", 1, 1, [fault.leads_to])
    found = (ended, *asked, [line["category"] for line in logs])
    if fault.name == "overflow-empty" and ended == "bad_request":
        return []  # a bare 400 is known to be a long prompt by its host alone
    said = [] if found == expected else [f"{fault.name}: {found}, expected {expected}"]
    if ended == "answer" and shown.text not in (text, ""):
        said.append(f"{fault.name}: shown {shown.text!r}, answered {text!r}")
    return said
