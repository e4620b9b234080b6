"""The longest messages there are, on a real port: what is accepted is read back.

The WebSocket client keeps the bound it ships with, 1 MiB a frame, as other people's clients do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from gateway.composition.root import Chosen
from gateway.composition.serving import serving
from gateway.intake.limits import MAX_MESSAGE_BYTES
from gateway.settings.network import TOKEN_FILE
from gateway.settings.settings import Settings
from tests.acceptance.manifest import shows

pytestmark = pytest.mark.timeout(60)  # megabytes, in the loop's debug mode

EMPTY = len(orjson.dumps([[{"type": "text", "text": ""}], ""]))
FIRST_LINE = 200
"""Bytes of a picture's message besides its address: enough for the names around it."""

Call = Callable[..., Awaitable[Any]]


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """Address and token of a gateway that repeats what was said."""
    settings = Settings(
        workspace_dir=tmp_path / "workspace",
        turngate_home=tmp_path / "home",
        turngate_port=0,
        turngate_model="scripted",
    )
    async with serving(settings, own_process=False, chosen=Chosen()) as served:
        token = (tmp_path / "home" / TOKEN_FILE).read_text("utf-8").strip()
        yield served.server.url, token


def longest(char: str) -> str:
    """The longest text of this character that is accepted."""
    return char * ((MAX_MESSAGE_BYTES - EMPTY) // (2 * (len(orjson.dumps(char)) - 2)))


def over_socket(socket: ClientConnection) -> Call:
    async def call(method: str, **params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": method, "method": method, "params": params}
        await socket.send(orjson.dumps(request).decode())
        while (answer := orjson.loads(await socket.recv())).get("id") != method:
            pass
        return answer

    return call


def over_http(client: httpx.AsyncClient) -> Call:
    async def call(method: str, **params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"Content-Type": "application/json"}
        answer = await client.post("/rpc", content=orjson.dumps(request), headers=headers)
        return answer.json()

    return call


async def read_back(call: Call, message: dict[str, Any], text: str) -> None:
    """Say it, then find it wherever it is shown."""
    started = (await call("turns.start", **message))["result"]
    turn = started["turn_id"]
    answer = (await call("turns.wait", turn_id=turn))["result"]
    assert answer["state"] == "answered"
    assert answer["reply"].endswith(text)
    said = message.get("parts") or [{"type": "text", "text": text}]
    got = (await call("turns.get", turn_id=turn))["result"]
    assert (got["said"], got["reply"]) == (said, answer["reply"])
    cursor: str | None = ""
    entries: list[Any] = []
    while cursor is not None:
        key = started["session_key"]
        page = (await call("sessions.history", session_key=key, cursor=cursor))["result"]
        entries += page["entries"]
        cursor = page["next_cursor"]
    assert entries[1]["parts"] == said
    assert entries[0]["text"] == answer["reply"]
    seq = 0
    told: list[Any] = []
    while page := (await call("events.list", after_seq=seq, limit=1))["result"]["events"]:
        seq = page[-1]["seq"]
        told += [event for event in page if event["turn_id"] == turn and event["parts"]]
    assert [event["kind"] for event in told] == ["input.accepted", "turn.completed"]
    assert told[0]["parts"] == said


@shows("accepted.read_back")
@pytest.mark.parametrize("char", ["a", '"', "\x01", "é", "👩"])
async def test_the_longest_text_is_read_back(port: tuple[str, str], char: str) -> None:
    """Whatever it takes in JSON; one more character is refused with the reason."""
    url, token = port
    headers = {"Authorization": f"Bearer {token}"}
    text = longest(char)
    async with (
        connect(f"{url.replace('http', 'ws', 1)}/ws", additional_headers=headers) as socket,
        httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=60) as client,
    ):
        for call, peer in ((over_socket(socket), "ws"), (over_http(client), "http")):
            await read_back(call, {"text": text, "peer_id": peer}, text)
            refused = (await call("turns.start", text=text + char, peer_id=peer))["error"]
            assert refused["data"]["kind"] == "invalid"
            assert str(MAX_MESSAGE_BYTES) in refused["message"]


@shows("accepted.read_back")
async def test_the_largest_picture_is_read_back(port: tuple[str, str]) -> None:
    """Its address is shown once, so it may be nearly a frame; streams show it, too."""
    url, token = port
    headers = {"Authorization": f"Bearer {token}"}
    picture = "data:image/png;base64," + "A" * (MAX_MESSAGE_BYTES - FIRST_LINE)
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image", "url": picture, "media_type": "image/png"},
    ]
    async with connect(f"{url.replace('http', 'ws', 1)}/ws", additional_headers=headers) as socket:
        await read_back(over_socket(socket), {"parts": parts}, "look\n[image]")
        await over_socket(socket)("events.subscribe", after_seq=0)
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["kind"] != "turn.completed":
            note = orjson.loads(await socket.recv())
            if note["method"] == "events.event":
                seen.append(note["params"]["result"])
        assert seen[0]["parts"] == parts
