"""Whole conversations with what cloud providers send, each through a gateway of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agents.models.openai import OpenAIModel
from agents.models.profile import Profile
from agents.resilience.policy import Endpoint
from agents.tools.current_time import CurrentTime
from gateway.simulate.asked import Asked
from gateway.simulate.clouds import CLOUDS, Cloud
from gateway.simulate.server import simulating
from tests.support.failover import PatientClock, Timed
from tests.support.house import House, inbound, open_house

WANTED_BACK = {
    "deepseek": ("reasoning_content", "The clock knows."),
    "moonshot": ("reasoning_content", "I ask the clock."),
    "gemini": ("extra_content", "EjQKMgEMOdbHO0Gd+eDxV2jqk8Tn"),
    "openrouter": ("reasoning_details", "gAAAAABn"),
}
"""What these sent beside a call, and refuse or forget a conversation without."""


def assert_accepted(name: str, asked: Asked) -> None:
    """The provider would take this request."""
    calling = [said for said in asked.messages if said.get("tool_calls")]
    ids = [call["id"] for said in calling for call in said["tool_calls"]]
    assert len(ids) == len(set(ids)) == len([m for m in asked.messages if m["role"] == "tool"])
    for id in ids:
        assert re.fullmatch(r"[a-zA-Z0-9]{9}", id) or name != "mistral"
    if name in WANTED_BACK:
        member, value = WANTED_BACK[name]
        for said in calling:
            told = json.dumps(said)
            assert member in told
            assert value in told


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
            for asked in upstream.asked:
                assert_accepted(cloud.name, asked)
            refused = await say("please refuse this")
            assert refused not in ("Good morning.", "It is late.")
            [info] = policy.seen()
            [known] = info.models
            assert known.failures or cloud.refusal.leads_to == "filtered"
            policy.clear()
            assert await say("good morning again") == "Good morning."
