"""A whole gateway, the command with its defaults, under more than it can do and with bad peers."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.core.clock import SystemClock
from tests.security.raw import Peer, frame, peer
from tests.unit.gateway.cli.shell import Shell

ROOT = Path(__file__).resolve().parents[2]
TEXT = 1
"""The opcode of a message of text."""
STOP_S = 30.0
"""What an orchestrator gives a process before it kills it."""


def call(method: str, id: int = 1, /, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode()


async def answer(client: Peer) -> dict[str, Any]:
    """The result of a call; pings are passed over."""
    while (found := await client.message())[0] != TEXT:
        pass
    result: dict[str, Any] = json.loads(found[1])["result"]
    return result


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_at_five_times_its_load_a_gateway_goes_on_working_and_says_no_to_the_rest() -> None:
    """Other processes share the machine, so the bounds are wide: the benchmark has the aims."""
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks", "overload", "--json"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    load, times, *_ = json.loads(told.stdout)["benchmarks"]["overload"]  # the aims come after
    figures = {row[0]: row[1] for row in load["rows"]}
    assert figures["goodput of peak"] > 0.5, figures
    assert figures["refused"] > figures["answered a second"], figures
    assert figures["refused without retry_after_ms"] == 0, figures
    p99 = {row[0]: row[2] for row in times["rows"]}
    assert p99["a refusal"] < 1000, p99
    assert p99["`status`"] < 1000, p99


@pytest.mark.slow
@pytest.mark.timeout(60)  # a process takes its time to import, and the bound is half a minute
async def test_a_stop_with_stalled_and_silent_peers_is_over_before_it_would_be_killed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Some have asked for megabytes and read nothing, some never said a word, one waits for the
    answer of a model that gives none; that one is told how far it is."""
    shell = Shell(tmp_path_factory.mktemp("whole"))
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        dumb = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        model = {"LLM_BASE_URL": f"http://127.0.0.1:{dumb.getsockname()[1]}/v1", "LLM_MODEL": "m"}
        process, url = stack.enter_context(shell.up(TURNGATE_MODEL="", **model))
        netloc = url.split("//", 1)[1]
        port = int(netloc.rsplit(":", 1)[1])
        token = (shell.home / "token").read_text("utf-8").strip()
        for _ in range(5):
            stalled = await stack.enter_async_context(peer(port, receive_buffer=4096))
            await stalled.opened(netloc, ("Authorization", f"Bearer {token}"))
            stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
            for _ in range(40):
                stalled.send(frame(call("rpc.discover")))
            silent = await stack.enter_async_context(peer(port))
            silent.send(b"GET /ws HTTP/1.1\r\n")
        healthy = await stack.enter_async_context(peer(port))
        await healthy.opened(netloc, ("Authorization", f"Bearer {token}"))
        healthy.send(frame(call("send", text="hello")))
        running = False
        while not running:
            healthy.send(frame(call("status", 2)))
            running = bool((await answer(healthy))["turns_running"])
        begun = clock.monotonic()
        process.send_signal(signal.SIGTERM)
        told = await answer(healthy)
        assert (told["state"], told["reply"]) == ("running", None)
        assert await healthy.close_code() == 1012
        healthy.abort()
        assert await asyncio.to_thread(process.wait, STOP_S) == 0
        assert clock.monotonic() - begun < STOP_S
