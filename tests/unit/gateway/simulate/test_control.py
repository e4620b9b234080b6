"""Steering a simulator from outside, and who may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.core.clock import ManualClock, settle
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Simulator


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def call(
    client: httpx.AsyncClient, simulator: Simulator, method: str, **params: Any
) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    found: dict[str, Any] = (await client.post(f"{simulator.url}/rpc", json=message)).json()
    assert (found.pop("jsonrpc"), found.pop("id")) == ("2.0", 1)
    return found


async def ask(client: httpx.AsyncClient, simulator: Simulator, key: str) -> int:
    body = {"model": "m", "messages": [{"role": "user", "content": f"my key is {key}"}]}
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{simulator.base_url}/chat/completions"
    return (await client.post(url, json=body, headers=headers)).status_code


async def test_faults_are_set_listed_and_cleared(client: httpx.AsyncClient) -> None:
    async with simulating() as simulator:
        done = await call(client, simulator, "faults.set", fault="quota", key="sim-1")
        assert (await ask(client, simulator, "sim-1"), await ask(client, simulator, "b")) == (
            429,
            200,
        )
        found = (await call(client, simulator, "faults.list"))["result"]
        assert found["faults"] == [
            {"id": done["result"]["id"], "fault": "quota", "reply": None, "when": {"key": "sim-1"}}
        ]
        cleared = await call(client, simulator, "faults.clear", id=done["result"]["id"])
        assert cleared == {"result": {"cleared": 1}}
        assert await ask(client, simulator, "sim-1") == 200


async def test_requests_and_counters_show_no_key_but_the_simulators_own(
    client: httpx.AsyncClient,
) -> None:
    real = "sk-proj-0123456789abcdefXYZW"
    async with simulating(keys=["simulated-key-1"]) as simulator:
        await ask(client, simulator, real)
        await ask(client, simulator, "simulated-key-1")
        requests = await call(client, simulator, "requests.list")
        counters = await call(client, simulator, "counters")
    assert real not in f"{requests}{counters}"
    assert [request["key"] for request in requests["result"]["requests"]] == [
        "…XYZW",
        "simulated-key-1",
    ]
    assert counters["result"]["keys"] == {"…XYZW": 1, "simulated-key-1": 1}


async def test_connections_are_refused_for_a_while(client: httpx.AsyncClient) -> None:
    clock = ManualClock()
    async with simulating(clock=clock) as simulator:
        await call(client, simulator, "listener.close", for_s=30)
        with pytest.raises(httpx.ConnectError):
            await ask(client, simulator, "k")
        await clock.advance(30)
        await settle()
        assert await ask(client, simulator, "k") == 200


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("faults.set", {"fault": "sever"}, "did you mean 'server"),
        ("faults.set", {"fault": "auth", "often": 1}, "often"),
        ("faults.clear", {"name": "r1"}, "no such parameter"),
        ("requests.list", {"limit": 0}, "limit: "),
        ("listener.close", {}, "for_s: missing"),
        ("counter", {}, "there is: faults.set"),
    ],
)
async def test_a_call_that_cannot_be_meant_is_a_typed_error(
    client: httpx.AsyncClient, method: str, params: dict[str, Any], says: str
) -> None:
    async with simulating() as simulator:
        found = await call(client, simulator, method, **params)
    assert says in found["error"]["message"]


async def test_pages_of_strangers_cannot_steer_it(client: httpx.AsyncClient) -> None:
    """A page may send a form's kind of body unasked, and may have a name that leads here."""
    message = b'{"jsonrpc":"2.0","id":1,"method":"counters"}'
    json, rebound = {"content-type": "application/json"}, {"host": "evil.example"}
    async with simulating() as simulator:
        url = f"{simulator.url}/rpc"
        for headers in ({"content-type": "text/plain"}, json | rebound):
            response = await client.post(url, content=message, headers=headers)
            assert response.status_code == 403
        assert (await client.post(url, content=message, headers=json)).status_code == 200


async def test_with_a_token_nothing_goes_without_it(client: httpx.AsyncClient) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "counters"}
    async with simulating(token="a-tökén") as simulator:
        url = f"{simulator.url}/rpc"
        for given, status in (("", 403), ("Bearer wrong", 403), ("Bearer a-tökén", 200)):
            headers = {b"Authorization": given.encode()}
            assert (await client.post(url, json=message, headers=headers)).status_code == status


async def test_a_call_without_id_is_done_and_not_answered(client: httpx.AsyncClient) -> None:
    async with simulating() as simulator:
        message = {"jsonrpc": "2.0", "method": "faults.set", "params": {"fault": "auth"}}
        response = await client.post(f"{simulator.url}/rpc", json=[message])
        assert (response.status_code, response.content) == (204, b"")
        assert await ask(client, simulator, "k") == 401
