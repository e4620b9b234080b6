"""The simulated server as any OpenAI client sees it, here with an independent HTTP client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError
from gateway.simulate.answers import Reply
from gateway.simulate.rules import Rule, When
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Simulator


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def post(
    client: httpx.AsyncClient, simulator: Simulator, text: str = "hello", **more: Any
) -> httpx.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    headers = {"Authorization": "Bearer sim-1"}
    return await client.post(f"{simulator.base_url}/chat/completions", json=body, headers=headers)


async def test_it_echoes_with_usage(client: httpx.AsyncClient) -> None:
    async with simulating() as simulator:
        found = (await post(client, simulator)).json()
    assert found["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "You said: hello"},
            "finish_reason": "stop",
        }
    ]
    assert found["usage"] == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}


async def test_a_streamed_answer_says_the_same_in_pieces(client: httpx.AsyncClient) -> None:
    async with simulating() as simulator:
        shown = (await post(client, simulator, stream=True)).text
    *events, done, rest = shown.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == "You said: hello"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["total_tokens"] == 6
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-1"}


async def test_a_rule_may_ask_for_a_tool(client: httpx.AsyncClient) -> None:
    rule = Rule(When(text="time"), reply=Reply("It is {results}", (("clock", "{}"),)))
    async with simulating(rules=(rule,)) as simulator:
        [choice] = (await post(client, simulator, "what time?")).json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "clock", "arguments": "{}"}


async def test_faults_are_switched_while_it_runs(client: httpx.AsyncClient) -> None:
    async with simulating() as simulator:
        name = simulator.set("overloaded", key="sim-1")
        assert (await post(client, simulator)).status_code == 529
        simulator.clear(name)
        assert (await post(client, simulator)).status_code == 200
        assert simulator.counters() == {
            "requests": 2,
            "connections": 1,
            "answers": {"overloaded": 1, "answer": 1},
            "models": {"m": 2},
            "keys": {"sim-1": 2},
        }


async def test_an_answer_takes_the_time_it_was_given_on_the_clock_handed_in(
    client: httpx.AsyncClient,
) -> None:
    clock = ManualClock()
    slow = Rule(reply=Reply("four and more", delay_s=60, tokens_per_s=2))
    async with simulating(rules=(slow,), clock=clock) as simulator:
        began = clock.monotonic()
        await clock.drive(post(client, simulator, stream=True))
        # 13 characters are 4 tokens, half a second before each.
        assert clock.monotonic() - began == pytest.approx(62)


async def test_a_client_that_leaves_is_noticed(client: httpx.AsyncClient) -> None:
    async with simulating(rules=(Rule(reply=Reply("late", hold=True)),)) as simulator:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(post(client, simulator))
            asked = await simulator.wait_for(1)
            waiting.cancel()
            await asked.gone.wait()
        assert not asked.answered


async def test_what_is_no_request_is_refused_in_the_shape_of_openai(
    client: httpx.AsyncClient,
) -> None:
    async with simulating() as simulator:
        for body in (b"{", b"[]", b'{"messages": 1}'):
            url = f"{simulator.base_url}/chat/completions"
            response = await client.post(url, content=body)
            assert (response.status_code, list(response.json())) == (400, ["error"])
        assert simulator.count == 0


async def test_an_unknown_fault_is_an_unknown_model(client: httpx.AsyncClient) -> None:
    async with simulating() as simulator:
        response = await post(client, simulator, model="fault:sever")
    assert response.status_code == 404
    assert "did you mean 'server" in response.json()["error"]["message"]


async def test_every_fault_is_listed_as_a_model(client: httpx.AsyncClient) -> None:
    async with simulating() as simulator:
        found = (await client.get(f"{simulator.base_url}/models")).json()["data"]
    assert {"simulated", "fault:rate-limit"} <= {model["id"] for model in found}


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    async with simulating() as simulator:
        port = int(simulator.url.rpartition(":")[2])
        with pytest.raises(ConfigError, match=f"port {port}"):
            async with simulating(address=("127.0.0.1", port)):
                pass
