"""Channels, seen and steered by methods."""

from __future__ import annotations

import pytest

from tests.unit.gateway.rpc.talk import OPERATOR, Refusal, World


async def test_a_channel_is_stopped_and_started_while_the_gateway_runs(world: World) -> None:
    talk = world.talk(OPERATOR)
    assert (await talk.call("channels.start", channel="memory"))["state"] == "running"
    assert (await talk.call("channels.stop", channel="memory"))["state"] == "stopped"
    states = {
        each["channel"]: each["state"] for each in (await talk.call("channels.list"))["channels"]
    }
    assert states == {"websocket": "running", "memory": "stopped"}
    assert (await talk.call("channels.start", channel="memory"))["state"] == "running"
    assert (await talk.call("channels.status", channel="memory"))["restarts"] == 0


async def test_the_channel_one_speaks_over_cannot_be_stopped(world: World) -> None:
    with pytest.raises(Refusal, match="stops with the gateway"):
        await world.talk(OPERATOR).call("channels.stop", channel="websocket")


@pytest.mark.parametrize("method", ["status", "start", "stop"])
async def test_a_channel_that_is_not_there_is_answered_with_those_that_are(
    world: World, method: str
) -> None:
    with pytest.raises(Refusal, match="there are: websocket/default, memory/default"):
        await world.talk(OPERATOR).call(f"channels.{method}", channel="telegraph")
