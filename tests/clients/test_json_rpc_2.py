"""json-rpc-2.0: only messages; the user brings `fetch` or a socket."""

from __future__ import annotations

import pytest

from tests.clients.running import HANGS_S, Gateway, script

pytestmark = pytest.mark.timeout(HANGS_S)  # a gateway and Node are started


def test_over_http_and_over_a_socket(gateway: Gateway) -> None:
    """Calls, errors, a batch, notifications, and a message sent twice under one key."""
    seen = script("json_rpc_2.mjs", gateway.url, gateway.socket_url, gateway.token)
    assert seen["http"]["reply"] == "You said: over http"
    not_found = {"kind": "not_found", "retryable": False}
    assert seen["error"] == {"code": -32004, "data": not_found}
    status, refused = seen["batch"]
    assert status["id"] == "a"
    assert status["result"]["running"] is True
    assert refused["id"] == "b"
    assert refused["error"]["data"]["kind"] == "invalid"  # `send` lasts: not in a batch
    assert seen["started"]["duplicate"] is False
    assert seen["again"] == {**seen["started"], "position": 0, "duplicate": True}
    assert seen["event"]["turn_id"] == seen["started"]["turn_id"]
    assert seen["event"]["text"] == "You said: over a socket"
    assert seen["other"]["code"] == -32009
