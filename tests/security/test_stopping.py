"""A stop ends in time, whatever the peers do, and says goodbye to those who listen."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.core.clock import SystemClock
from gateway.http.bounds import KIB
from gateway.http.server import Stopping
from tests.security.raw import TEXT, frame, peer
from tests.security.surface import running, until
from tests.support.credentials import OPERATOR_TOKEN
from tests.support.patience import PATIENCE_S

AUTH = ("Authorization", f"Bearer {OPERATOR_TOKEN}")
ROOT = Path(__file__).resolve().parents[2]


def call(method: str, id: int = 1, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode()


# --- in this process -----------------------------------------------------------------------------


async def test_a_stop_is_bounded_with_peers_of_every_kind(tmp_path: Path) -> None:
    """Stalled, half open, silent, waiting for an answer that never comes."""
    steps = Stopping(drain_s=0.1, answer_s=0.1, flush_s=0.1, goodbye_s=0.3)
    server = AsyncExitStack()
    gateway = await server.enter_async_context(running(tmp_path, stopping=steps))
    async with (
        server,
        peer(gateway.port, receive_buffer=4096) as stalled,
        peer(gateway.port) as half_open,
        peer(gateway.port) as silent,
        peer(gateway.port) as waiting,
        peer(gateway.port) as posting,
    ):
        await stalled.opened(gateway.netloc, AUTH)
        stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(20):
            stalled.send(frame(call("blob", number, size=200 * KIB)))
        half_open.send(b"GET /ws HTTP/1.1\r\n")
        await silent.opened(gateway.netloc, AUTH)
        await waiting.opened(gateway.netloc, AUTH)
        waiting.send(frame(call("wait")))
        posting.request(
            "POST /rpc",
            [
                ("Host", gateway.netloc),
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(call("wait")))),
                AUTH,
            ],
            call("wait"),
        )
        await until(lambda: len(gateway.rpc.frames) == 22)
        async with asyncio.timeout(PATIENCE_S):
            await server.aclose()
        assert await waiting.close_code() == 1012
        assert await silent.close_code() == 1012
        await half_open.gone()
        await posting.gone()
    assert gateway.health.state == "stopped"
    assert gateway.server.clients == 0


async def test_what_waits_is_answered_before_the_goodbye(tmp_path: Path) -> None:
    """New work is refused from the beginning; what runs is let go on, then waiters are told."""
    order: list[str] = []
    server = AsyncExitStack()

    async def drain() -> None:
        order.append(f"drain while {gateway.health.state}")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", gateway.port)
        order.append("closed to newcomers")

    async def answer_waiters() -> None:
        order.append("answer")
        gateway.rpc.release.set()
        await SystemClock().sleep(0.05)

    steps = Stopping(drain=drain, answer_waiters=answer_waiters)
    gateway = await server.enter_async_context(running(tmp_path, stopping=steps))
    async with server, peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        client.send(frame(call("wait")))
        await until(lambda: gateway.rpc.frames)
        stopping = asyncio.TaskGroup()
        async with stopping:
            stopping.create_task(server.aclose())
            assert (await client.message())[0] == TEXT
            assert await client.close_code() == 1012
            client.abort()
    assert order == ["drain while draining", "closed to newcomers", "answer"]


async def test_a_step_that_fails_or_hangs_does_not_stop_the_stop(tmp_path: Path) -> None:
    async def fails() -> None:
        raise RuntimeError("no")

    async def hangs() -> None:
        await asyncio.Event().wait()

    steps = Stopping(drain=fails, answer_waiters=hangs, answer_s=0.05, goodbye_s=0.3)
    async with running(tmp_path, stopping=steps) as gateway:
        socket = await connect(gateway.ws_url, additional_headers=dict([AUTH]))
    with pytest.raises(ConnectionClosed) as closed:
        await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


async def test_a_socket_that_comes_while_draining_is_told_to_come_back(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway, peer(gateway.port) as client:
        gateway.health.drain()
        client.open_socket(gateway.netloc, AUTH)
        answer = await client.answer()
        assert answer.status == 503
        assert json.loads(answer.body)["error"]["data"]["retryable"] is True


# --- a process -----------------------------------------------------------------------------------


class Process:
    """A gateway that was started, and has printed where it listens."""

    def __init__(self, child: asyncio.subprocess.Process, url: str) -> None:
        self.child = child
        self.url = url
        self.port = int(url.rsplit(":", 1)[1])
        self.netloc = url.split("//", 1)[1]

    async def ended(self, *, within_s: float) -> tuple[int, str]:
        """Exit code and what it said on stderr."""
        assert self.child.stderr is not None
        async with asyncio.timeout(within_s):
            said = (await self.child.stderr.read()).decode()
            return await self.child.wait(), said

    async def draining(self) -> None:
        assert self.child.stderr is not None
        async for line in self.child.stderr:
            if b"draining" in line:
                return


@asynccontextmanager
async def process(home: Path, how: str) -> AsyncIterator[Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.security.process",
        str(home),
        how,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            line = (await child.stdout.readline()).decode()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", line)
        yield Process(child, line.strip())
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


@pytest.mark.timeout(30)  # a process takes its time to import
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_with_zero(tmp_path: Path, number: signal.Signals) -> None:
    async with process(tmp_path, "quick") as gateway, peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        gateway.child.send_signal(number)
        assert await client.close_code() == 1012
        client.abort()
        code, _ = await gateway.ended(within_s=PATIENCE_S)
    assert code == 0
    assert "gateway.json" not in os.listdir(tmp_path)


@pytest.mark.timeout(30)  # a process takes its time to import
async def test_a_signal_ends_the_process_with_zero_when_a_peer_stalls(tmp_path: Path) -> None:
    async with (
        process(tmp_path, "quick") as gateway,
        peer(gateway.port, receive_buffer=4096) as stalled,
    ):
        await stalled.opened(gateway.netloc, AUTH)
        stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(20):
            stalled.send(frame(call("blob", number, size=200 * KIB)))
        await stalled.writer.drain()
        gateway.child.send_signal(signal.SIGTERM)
        code, _ = await gateway.ended(within_s=PATIENCE_S)
    assert code == 0


@pytest.mark.timeout(30)  # a process takes its time to import
async def test_a_signal_that_comes_again_at_once_asks_for_nothing_more(tmp_path: Path) -> None:
    """As `timeout` sends it, to the process and to its group."""
    async with process(tmp_path, "quick") as gateway, peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        gateway.child.send_signal(signal.SIGTERM)
        gateway.child.send_signal(signal.SIGTERM)
        assert await client.close_code() == 1012
        client.abort()
        code, _ = await gateway.ended(within_s=PATIENCE_S)
    assert code == 0


async def test_asked_again_it_stops_sooner_and_still_in_order(tmp_path: Path) -> None:
    """What drains is hurried; goodbyes are said."""
    hurried = asyncio.Event()
    server = AsyncExitStack()
    steps = Stopping(drain=lambda: SystemClock().sleep(60), hurry=hurried.set, goodbye_s=0.3)
    gateway = await server.enter_async_context(running(tmp_path, stopping=steps))
    async with server, peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        async with asyncio.TaskGroup() as stopping:
            stopping.create_task(server.aclose())
            await until(lambda: gateway.health.ends)
            gateway.server.hurry()
            assert await client.close_code() == 1012
            client.abort()
    assert hurried.is_set()


@pytest.mark.timeout(30)  # a process takes its time to import
@pytest.mark.parametrize("how", ["endless", "blocked"])
async def test_a_stop_that_hangs_says_where_and_ends(tmp_path: Path, how: str) -> None:
    """The watchdog is a thread: a blocked loop cannot stop it."""
    async with process(tmp_path, how) as gateway:
        gateway.child.send_signal(signal.SIGTERM)
        code, said = await gateway.ended(within_s=PATIENCE_S)
    assert code == 1
    assert "what hangs" in said
    assert re.search(r" in \S*drain$", said, re.MULTILINE)
    assert "gateway.json" not in os.listdir(tmp_path)
