"""A process that is killed while another key writes the answer: what was tried is still told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.client import Client
from gateway.core.clock import SystemClock
from gateway.simulate.asked import Asked
from gateway.simulate.catalog import find
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Answer
from tests.crash.fleet import fleet
from tests.support.patience import PATIENCE_S

pytestmark = [pytest.mark.crash, pytest.mark.timeout(60)]

REQUESTS = [("default", "auth"), ("key-1", "unfinished")]


async def requests(client: Client, turn_id: str) -> list[tuple[str, str]]:
    """Profile and end of everything that was tried for the answer."""
    explained: dict[str, Any] = await client.call("turns.explain", {"turn_id": turn_id})
    (step,) = [step for step in explained["steps"] if step["kind"] == "llm"] or [{"requests": []}]
    return [(one["profile"], one["category"]) for one in step["requests"]]


async def test_what_was_tried_before_a_kill_is_explained_with_what_came_after(
    tmp_path: Path,
) -> None:
    slow = True

    def reply(call: Asked) -> Answer:
        if call.key == "k1":
            return find("auth")
        return find("silent-after-text") if slow else "fine"

    home = str(tmp_path / "home")
    keys = {"LLM_API_KEY": "k1", "LLM_API_KEY_1": "k2", "TURNGATE_HOME": home}
    async with (
        simulating(answer=reply) as upstream,
        fleet(tmp_path, "", upstream.base_url, **keys) as gates,
    ):
        gate = await gates.start()
        async with gate.client() as client, SystemClock().timeout(PATIENCE_S):
            turn_id = (await client.start("hi")).turn_id
            while await requests(client, turn_id) != REQUESTS:
                await SystemClock().sleep(0.01)
            await upstream.wait_for(2)
        gate.kill()
        await gate.process.wait()
        slow = False
        async with (await gates.start()).client() as client:
            assert (await client.wait(turn_id)).reply == "fine"
            assert await requests(client, turn_id) == [*REQUESTS, ("key-1", "")]
            listed = await client.call("events.list", {"filter": {"kinds": ["turn.failed_over"]}})
        asked = [call.key for call in upstream.asked]
    (event,) = listed["events"]
    assert (event["turn_id"], asked) == (turn_id, ["k1", "k2", "k2"])
    told = {"requests": 3, "category": "auth", "profile": "key-1", "model": "test"}
    assert event["data"] == told
