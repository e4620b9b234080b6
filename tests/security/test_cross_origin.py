"""A browser asks for a page of another origin: only those of the settings may call and read."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.http.listening import Listen
from tests.security.surface import Running, running
from tests.support.credentials import OPERATOR_TOKEN

OURS = "https://console.example"
ASKS = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "whoami"}
TOKEN = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, listen=Listen(port=0, allowed_origins=(OURS,))) as started:
        yield started


async def test_the_page_of_an_allowed_origin_asks_and_calls(http: httpx.AsyncClient) -> None:
    asked = await http.options("/rpc", headers={"Origin": OURS, **ASKS})
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["access-control-allow-origin"] == OURS
    assert asked.headers["access-control-allow-methods"] == "POST"
    assert asked.headers["access-control-allow-headers"] == "authorization, content-type"
    assert asked.headers["vary"] == "origin"
    called = await http.post("/rpc", headers={"Origin": OURS, **TOKEN}, json=CALL)
    assert called.status_code == 200
    assert called.headers["access-control-allow-origin"] == OURS
    assert called.headers["vary"] == "origin"


async def test_such_a_page_reads_refusals_too(http: httpx.AsyncClient) -> None:
    """Else it could not tell a wrong token from a network that is down."""
    refused = await http.post("/rpc", headers={"Origin": OURS}, json=CALL)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == OURS


async def test_nothing_is_answered_with_credentials_of_the_browser(http: httpx.AsyncClient) -> None:
    """No cookie counts, and a wildcard never stands where an origin belongs."""
    for answer in (
        await http.options("/rpc", headers={"Origin": OURS, **ASKS}),
        await http.post("/rpc", headers={"Origin": OURS, **TOKEN}, json=CALL),
    ):
        assert "access-control-allow-credentials" not in answer.headers
        assert "*" not in answer.headers["access-control-allow-origin"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "http://console.example",
        "https://console.example:8443",
        "https://console.example.evil.test",
        "https://sub.console.example",
        "https://CONSOLE.example",
        "null",
    ],
)
async def test_a_foreign_page_is_told_nothing(
    gateway: Running, http: httpx.AsyncClient, origin: str
) -> None:
    for answer in (
        await http.options("/rpc", headers={"Origin": origin, **ASKS}),
        await http.post("/rpc", headers={"Origin": origin, **TOKEN}, json=CALL),
    ):
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert not gateway.rpc.frames
    assert gateway.credentials.asked == 0


async def test_two_origins_are_no_allowed_one(gateway: Running, http: httpx.AsyncClient) -> None:
    asked = await http.options(
        "/rpc", headers=[("Origin", OURS), ("Origin", "https://evil.test"), *ASKS.items()]
    )
    assert asked.status_code == 403
    assert "access-control-allow-origin" not in asked.headers


@pytest.mark.parametrize("path", ["/ticket", "/metrics", "/", "/nowhere"])
async def test_only_calls_are_shared(http: httpx.AsyncClient, path: str) -> None:
    asked = await http.options(path, headers={"Origin": OURS, **ASKS})
    assert asked.status_code in (404, 405)
    assert "access-control-allow-origin" not in asked.headers


async def test_our_own_page_needs_no_leave(gateway: Running, http: httpx.AsyncClient) -> None:
    """A browser does not ask for it, so nothing is given away in its name."""
    called = await http.post("/rpc", headers={"Origin": gateway.url, **TOKEN}, json=CALL)
    assert called.status_code == 200
    assert "access-control-allow-origin" not in called.headers
