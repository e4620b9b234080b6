"""@open-rpc/client-js 2.1: waits five seconds for an answer, hands whole notifications on."""

from __future__ import annotations

import pytest

from tests.clients.running import HANGS_S, Gateway, script

pytestmark = pytest.mark.timeout(HANGS_S)  # a gateway and Node are started


def test_over_websocket(gateway: Gateway) -> None:
    """A turn is started and heard of: no request lasts, so its five seconds are enough."""
    seen = script("open_rpc_client.mjs", gateway.socket_url, gateway.token)
    assert isinstance(seen["sent"][-1], list), "the batch was no batch"
    assert seen["connected"]["principal"] == "operator"
    assert seen["answer"]["reply"] == "You said: good morning"
    assert seen["refused"]["code"] == -32004
    assert seen["refused"]["data"] == {"kind": "not_found", "retryable": False}
    assert seen["batch"] == [["fulfilled", True], ["rejected", -32601]]
    events = [n for n in seen["notifications"] if n["method"] == "events.event"]
    assert [event["params"]["result"]["kind"] for event in events][:3] == [
        "input.accepted",
        "turn.started",
        "turn.completed",
    ]
    assert {e["params"]["subscription"] for e in events} == {seen["subscribed"]["subscription"]}
    assert all(n["jsonrpc"] == "2.0" and "id" not in n for n in seen["notifications"])
    assert seen["errors"] == []


def test_ids_come_back_as_they_went(gateway: Gateway) -> None:
    """It writes them as text, and would not know its own request under a number."""
    seen = script("open_rpc_client.mjs", gateway.socket_url, gateway.token)
    answers = [one for frame in seen["received"] for one in _members(frame) if "id" in one]
    requests = [one for frame in seen["sent"] for one in _members(frame)]
    assert all(isinstance(one["id"], str) for one in requests)
    assert [one["id"] for one in answers] == [one["id"] for one in requests]


def test_over_http(gateway: Gateway) -> None:
    """Calls and errors arrive the same way."""
    seen = script("open_rpc_http.mjs", gateway.url, gateway.token)
    assert seen["answer"]["reply"] == "You said: good morning"
    assert seen["refused"] == {"code": -32602, "data": {"kind": "invalid", "retryable": False}}


def _members(frame: object) -> list[dict[str, object]]:
    return frame if isinstance(frame, list) else [frame]  # type: ignore[list-item]  # a message
