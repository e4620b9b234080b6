"""rpc-websockets 10: its own words for logging in and for events, and its reconnecting."""

from __future__ import annotations

import json
import signal

import pytest

from tests.clients.running import HANGS_S, Gateway, read_line, running_script, script

pytestmark = pytest.mark.timeout(HANGS_S)  # a gateway and Node are started


def test_login_calls_and_events(gateway: Gateway) -> None:
    """Every method of its client class finds what it expects."""
    seen = script("rpc_websockets.mjs", gateway.socket_url, gateway.token)
    assert seen["refused"]["code"] == -32010
    assert seen["refused"]["data"] == {"kind": "unauthenticated", "retryable": False}
    assert seen["login"] is True
    assert {"send", "rpc.login", "rpc.on", "rpc.off", "events.subscribe"} <= set(seen["methods"])
    assert seen["subscribed"].keys() == {"turn.completed", "turn.lost"}
    assert seen["subscribed"]["turn.completed"] == "ok"
    assert seen["subscribed"]["turn.lost"].startswith("there is no such event")
    assert seen["answer"]["reply"] == "You said: good morning"
    assert seen["told"]["result"]["turn_id"] == seen["answer"]["turn_id"]
    assert seen["told"]["result"]["text"] == "You said: good morning"
    assert seen["unsubscribed"] == {"turn.completed": "ok"}
    assert seen["again"] == {"turn.completed": "not subscribed"}
    assert seen["unknown"]["code"] == -32601
    assert seen["positional"]["said"] == [{"type": "text", "text": "good morning"}]
    assert seen["code"] == 1000


def test_a_wrong_token_rejects_the_login(gateway: Gateway) -> None:
    """The promise of `login` fails with the error of the gateway."""
    seen = script("rpc_websockets_refused.mjs", gateway.socket_url, "not-a-token")
    assert seen["code"] == -32010
    assert seen["data"]["kind"] == "unauthenticated"


@pytest.mark.parametrize(
    ("how", "close_code"), [(signal.SIGTERM, 1012), (signal.SIGKILL, 1006)], ids=["stop", "kill"]
)
def test_it_comes_back_and_misses_nothing(
    own_gateway: Gateway, how: signal.Signals, close_code: int
) -> None:
    """It reconnects after any code but 1000; by number it gets what happened without it, once."""
    arguments = (own_gateway.socket_url, own_gateway.token, "3")
    with running_script("rpc_websockets_resume.mjs", *arguments) as client:
        assert read_line(client) == "ready 0"
        own_gateway.call("send", text="one")
        assert read_line(client) == "seen 3"
        own_gateway.stop(how)
        own_gateway.start()
        own_gateway.call("send", text="two")  # it may not be back yet
        own_gateway.call("send", text="three")
        seen = json.loads(read_line(client))
    assert [event["seq"] for event in seen["notifications"]] == list(range(1, 10))
    assert [event["prev_seq"] for event in seen["notifications"]] == list(range(9))
    assert seen["closes"] == [close_code]
