"""A crowd of one credential keeps no operator out: tried from outside, on a whole gateway.

The bound is that of the promise, 250 ms for each call at any load of the test. A machine that other
programs use is slow for an operator alone too, and there ten times that is the bound.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gateway.core.clock import SystemClock
from tests.security.test_whole_gateway import Caller, gateway
from tests.unit.gateway.cli.shell import Shell

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.timeout(120),
]  # crowds take a while

CLOCK = SystemClock()
WITHIN_S = 0.25
SLOWER = 10
SOCKETS = 500
AMONG_THE_FIRST = 3
"""Turns that may begin before one that was just accepted: the place may have gone to another before
the gateway heard of the commit, and one more is ahead where that has just been given back."""


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("crowd"))


def raw(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def post(url: str, token: str, method: str, params: dict[str, Any]) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    host = url.removeprefix("http://")
    head = (
        f"POST /rpc HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def handshake(url: str, token: str) -> bytes:
    return (
        f"GET /ws HTTP/1.1\r\nHost: {url.removeprefix('http://')}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


def token_of(operator: Caller, name: str, *scopes: str) -> str:
    made = operator.call("tokens.create", name=name, scopes=list(scopes))
    return str(made["token"])


def operates(operator: Caller, victim: str, *, rounds: int = 5) -> float:
    """The slowest of what an operator calls, each over a connection of its own."""
    slowest = 0.0
    turn = operator.call("turns.start", text="wait", peer_id=f"p{CLOCK.monotonic()}")["turn_id"]
    calls: list[tuple[str, dict[str, Any]]] = [("status", {})] * rounds
    calls += [("turns.cancel", {"turn_id": turn}), ("tokens.revoke", {"name": victim})]
    for method, params in calls:
        fresh = Caller(operator.url, operator.token)
        begun = CLOCK.monotonic()
        answer = fresh.post(method, params)
        slowest = max(slowest, CLOCK.monotonic() - begun)
        fresh.close()
        # The turn may have been answered before: the gateway has said so, and in time.
        assert "result" in answer or answer["error"]["data"]["kind"] == "conflict", answer
    return slowest


def bound(operator: Caller) -> float:
    """What each call of an operator may take beside a crowd."""
    token_of(operator, "nobody", "read")
    return max(WITHIN_S, SLOWER * operates(operator, "nobody"))


@contextmanager
def unanswered(shell: Shell) -> Iterator[Caller]:
    """A gateway whose model says nothing: its turns do not end."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        model = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with gateway(
            shell, TURNGATE_MODEL="", LLM_BASE_URL=model, LLM_MODEL="silent", LLM_API_KEY="none"
        ) as operator:
            yield operator


@contextmanager
def flooded(url: str, token: str, method: str, sockets: int) -> Iterator[None]:
    """A process beside the block that asks as fast as it goes, and reads what it is answered."""
    words = [sys.executable, "-m", "tests.security.crowd", url, token, method, str(sockets)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"floods\n"
        try:
            yield
        finally:
            process.kill()


def test_waits_over_http_hold_no_operator_out(shell: Shell) -> None:
    """As many as an address may have, each in `turns.wait` for a turn that does not end."""
    with unanswered(shell) as operator, ExitStack() as stack:
        within = bound(operator)
        token = token_of(operator, "crowd", "chat", "read")
        caller = Caller(operator.url, token)
        turn = caller.call("turns.start", text="hello")["turn_id"]
        for _ in range(SOCKETS + 100):
            with suppress(OSError):
                waiting = stack.enter_context(raw(operator.url))
                waiting.sendall(
                    post(operator.url, token, "turns.wait", {"turn_id": turn, "wait_ms": 90_000})
                )
        refused = 'turngate_shed_total{reason="connections"} '
        while refused not in operator.metrics():
            pass  # the crowd has gathered when the first of it is refused
        assert operates(operator, "crowd") < within
        caller.close()


def test_five_hundred_sockets_hold_no_operator_out(shell: Shell) -> None:
    """Half of them are refused with a reason, and those that are open are not in anybody's way."""
    with gateway(shell) as operator, ExitStack() as stack:
        within = bound(operator)
        token = token_of(operator, "crowd", "chat", "read")
        answers = []
        for _ in range(SOCKETS):
            each = stack.enter_context(raw(operator.url))
            each.sendall(handshake(operator.url, token))
            answers.append(each.recv(12))
        assert answers.count(b"HTTP/1.1 101") == 256
        assert answers.count(b"HTTP/1.1 503") == SOCKETS - 256
        assert operates(operator, "crowd") < within


@pytest.mark.parametrize("method", ["status", "no.such.method", "events.list"])
@pytest.mark.parametrize("sockets", [4, 128])
def test_a_flood_of_cheap_requests_starves_no_operator(
    shell: Shell, method: str, sockets: int
) -> None:
    """Reads and refusals, as fast as they go."""
    with gateway(shell) as operator:
        within = bound(operator)
        token = token_of(operator, "crowd", "chat", "read")
        with flooded(operator.url, token, method, sockets):
            slowest = operates(operator, "crowd")
        assert slowest < within


def test_a_message_begins_among_the_first_of_one_that_floods(shell: Shell) -> None:
    """One turn runs at a time and a hundred of the other credential wait: it is the next."""
    with gateway(shell, TURNGATE_TURNS="1") as operator:
        flooding = token_of(operator, "crowd", "chat", "read")
        bob = Caller(operator.url, token_of(operator, "bob", "chat", "read"))
        with flooded(operator.url, flooding, "turns.start", 4):
            while operator.call("status")["turns_waiting"] < 100:
                pass
            turn = bob.call("send", text="hello", wait_ms=60_000)["turn_id"]
        assert begun_before(operator, turn) <= AMONG_THE_FIRST
        bob.close()


def begun_before(operator: Caller, turn: str) -> int:
    """How many turns began between the acceptance of this one and its own beginning."""
    wanted = {"kinds": ["input.accepted", "turn.started"]}
    count, after, accepted = 0, 0, False
    while True:
        page = operator.call("events.list", after_seq=after, filter=wanted)
        after = page["next_after_seq"]
        for event in page["events"]:
            if event["turn_id"] == turn and event["kind"] == "turn.started":
                return count
            accepted = accepted or event["turn_id"] == turn
            count += accepted and event["kind"] == "turn.started"
        assert after < page["head"], "it has not begun"


def test_readers_that_read_nothing_take_little_memory(shell: Shell) -> None:
    """Sixty sockets of a `read` token that follow everything and never read."""
    with shell.up() as (process, url):
        operator = Caller(url, (shell.home / "token").read_text("utf-8").strip())
        while not operator.ready():
            pass
        token = token_of(operator, "reader", "read", "operator")
        said = "x" * 60_000
        for number in range(60):
            operator.call("turns.start", text=said, peer_id=f"p{number}")
        before = _memory(process.pid)
        ask = json.dumps(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "events.subscribe",
                "params": {"after_seq": 0},
            }
        )
        with ExitStack() as stack:
            for _ in range(60):
                each = stack.enter_context(_socket(url, token, max_queue=1))
                with suppress(ConnectionClosed):
                    for _ in range(4):
                        each.send(ask)
            threading.Event().wait(3)
            grown = _memory(process.pid) - before
        operator.close()
    assert grown < 220 << 20


def _socket(url: str, token: str, max_queue: int = 16) -> ClientConnection:
    return connect(
        url.replace("http", "ws", 1) + "/ws",
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        max_queue=max_queue,
        open_timeout=10,
        close_timeout=0.1,
    )


def _memory(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
