"""wscat 6: a line in, a line out; the token in a header."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.clients.running import HANGS_S, Gateway, environment
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.timeout(HANGS_S)  # a gateway and Node are started

SAY = '{"jsonrpc":"2.0","id":1,"method":"send","params":{"text":"good morning"}}'


def wscat(*options: str) -> tuple[list[str], str]:
    """What it prints, and what it says on stderr.

    It leaves when its input ends, so the input stays open until it leaves by itself.
    """
    with subprocess.Popen(
        ["wscat", *options],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            process.wait(PATIENCE_S)
            assert process.stdout is not None
            assert process.stderr is not None
            return process.stdout.readlines(), process.stderr.read()
        finally:
            process.kill()


def test_a_command_is_answered(gateway: Gateway) -> None:
    """`-x` sends when connected, and leaves after `-w` seconds."""
    options = ("-H", f"Authorization: Bearer {gateway.token}", "-x", SAY, "-w", "0.5")
    printed, problems = wscat("-c", gateway.socket_url, *options)
    assert problems == ""
    [answer] = map(json.loads, printed)
    assert answer["result"]["reply"] == "You said: good morning"


def test_several_commands_are_answered_on_one_socket(gateway: Gateway) -> None:
    """Without a header the first line says who it is."""
    connect = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "connect", "params": {"token": gateway.token}}
    )
    follow = '{"jsonrpc":"2.0","id":2,"method":"events.subscribe","params":{"after_seq":0}}'
    printed, _ = wscat("-c", gateway.socket_url, "-x", connect, "-x", follow, "-w", "0.5")
    connected, subscribed, *events = map(json.loads, printed)
    assert connected["result"]["principal"] == "operator"
    assert subscribed["result"]["seq"] == 0
    assert {event["method"] for event in events} <= {"events.event", "events.caught_up"}
    assert events[-1]["method"] == "events.caught_up"


def test_it_is_refused_with_a_wrong_token(own_gateway: Gateway) -> None:
    """In the handshake, so it never looks connected."""
    options = ("-H", "Authorization: Bearer wrong", "-x", SAY)
    printed, problems = wscat("-c", own_gateway.socket_url, *options)
    assert (printed, problems) == ([], "error: Unexpected server response: 401\n")
