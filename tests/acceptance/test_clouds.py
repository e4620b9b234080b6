"""Whole conversations with what cloud providers send, each through a gateway of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.models.openai import OpenAIModel
from agents.models.profile import Profile
from agents.resilience.policy import Endpoint
from agents.tools.current_time import CurrentTime
from gateway.simulate.clouds import CLOUDS, Cloud
from gateway.simulate.server import simulating
from tests.support.failover import PatientClock, Timed
from tests.support.house import House, inbound, open_house


@pytest.mark.parametrize("cloud", CLOUDS.values(), ids=lambda cloud: cloud.name)
async def test_a_conversation_goes_on_through_a_tool_and_a_refusal(
    cloud: Cloud, tmp_path: Path
) -> None:
    """Thoughts, comments and a provider's own members are in no answer; what it refuses for is
    understood, and the next message is answered."""
    clock, model = PatientClock(), f"cloud:{cloud.name}"
    async with simulating() as upstream:
        profile = Profile(upstream.base_url, "sk-test", model, name="test")
        policy = Timed([Endpoint(profile, OpenAIModel(profile))], clock=clock, models=(model,))
        house = House(tmp_path, model=policy, models=(model,), tools=[CurrentTime()])
        house.clock = clock.time

        async def say(text: str) -> str:
            await house.send(inbound(text))
            await clock.drive(house.idle())
            return house.channel.sent[-1].text

        async with open_house(house):
            assert await say("good morning") == "Good morning."
            assert await say("what time is it?") == "It is late."
            assert await say("and the time now?") == "It is late."
            refused = await say("please refuse this")
            assert refused not in ("Good morning.", "It is late.")
            [info] = policy.seen()
            [known] = info.models
            assert known.failures or cloud.refusal.leads_to == "filtered"
            policy.clear()
            assert await say("good morning again") == "Good morning."
