"""Peers that take their time: half a request, half a handshake, half an answer read.

They lose their place in bounded time and cost nobody else anything.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from gateway.core.clock import SystemClock
from gateway.http.bounds import KIB, MIB, Bounds, Deadlines, Limits, Sizes
from gateway.http.listening import Listen
from tests.security.raw import CLOSE, Peer, frame, peer
from tests.security.surface import Running, running, until
from tests.support.certificates import self_signed
from tests.support.credentials import CHAT_TOKEN, OPERATOR_TOKEN
from tests.support.machine import needs
from tests.support.patience import PATIENCE_S

AUTH = ("Authorization", f"Bearer {OPERATOR_TOKEN}")
HEADERS = dict([AUTH])
QUICK = Deadlines(
    head_s=0.2,
    body_s=0.2,
    keep_alive_s=0.2,
    auth_s=0.2,
    progress_s=0.3,
    ping_s=0.2,
    close_s=0.2,
    linger_s=0.1,
)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, bounds=Bounds(QUICK)) as started:
        yield started


def call(method: str, id: int = 1, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode()


async def serves(gateway: Running, *, within_s: float = PATIENCE_S) -> None:
    """A good client connects, asks and is answered: within a second, and the loop's debug mode
    makes everything take twice as long."""
    async with (
        asyncio.timeout(within_s),
        connect(gateway.ws_url, additional_headers=HEADERS) as socket,
    ):
        await socket.send(call("whoami"))
        assert json.loads(await socket.recv())["result"]["principal"] == "operator"


# --- half a request ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n",
        b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
    ],
)
async def test_half_a_head_has_a_deadline(gateway: Running, beginning: bytes) -> None:
    async with peer(gateway.port) as client:
        client.send(beginning)
        assert (await client.answer()).status == 408
        await client.gone()


async def test_a_head_that_drips_has_the_same_deadline(gateway: Running) -> None:
    """Each byte is a sign of life and none is a reason to wait longer."""
    clock = SystemClock()
    async with peer(gateway.port) as client:
        client.send(b"GET / HTTP/1.1\r\n")

        async def drip() -> None:
            while True:
                client.send(b"X-A: b\r\n")
                await clock.sleep(0.02)

        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            dripping = group.create_task(drip())
            assert (await client.answer()).status == 408
            dripping.cancel()


async def test_the_second_request_of_a_connection_has_a_deadline_too(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        client.request("GET /healthz", [("Host", gateway.netloc)])
        assert (await client.answer()).status == 200
        client.send(b"GET / HTTP/1.1\r\nHost:")
        assert (await client.answer()).status == 408


async def test_an_idle_connection_is_ended(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        client.request("GET /healthz", [("Host", gateway.netloc)])
        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 0


async def test_half_a_body_has_a_deadline(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        client.request(
            "POST /rpc",
            [
                ("Host", gateway.netloc),
                ("Content-Type", "application/json"),
                ("Content-Length", "100"),
                AUTH,
            ],
            b"{",
        )
        assert (await client.answer()).status == 408
        await client.gone()


async def test_a_body_that_nobody_wants_has_a_deadline(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        client.request("GET /healthz", [("Host", gateway.netloc), ("Content-Length", "100")])
        assert (await client.answer()).status == 200
        client.send(b"x")
        await client.gone()


async def test_a_socket_that_does_not_authenticate_is_closed(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc)
        assert await client.close_code() == 1008
    assert gateway.count("turngate_shed_total", reason="unauthenticated") == 1


async def test_a_close_without_an_echo_has_a_deadline(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc, ("Authorization", f"Bearer {CHAT_TOKEN}"))
        await until(lambda: gateway.rpc.connections)
        gateway.credentials.revoke(CHAT_TOKEN)
        assert (await client.message())[0] == CLOSE
        await client.gone()


# --- many ----------------------------------------------------------------------------------------


@pytest.mark.timeout(20)  # five hundred connections in the loop's debug mode
async def test_five_hundred_half_open_peers_keep_nobody_out(tmp_path: Path) -> None:
    """With the deadlines and counts of a real gateway; all come from the same address."""
    async with running(tmp_path) as gateway, AsyncExitStack() as stack:
        for number in range(500):
            client = await stack.enter_async_context(peer(gateway.port))
            match number % 4:
                case 0:
                    client.send(b"GET /ws HTTP/1.1\r\nHost: " + gateway.netloc.encode())
                case 1:
                    client.open_socket(gateway.netloc)  # and never a word
                case 2:
                    client.send(b"\x16\x03\x01")
        await serves(gateway)
        assert gateway.count("turngate_shed_total", reason="strangers") > 0
        await serves(gateway)


async def test_who_is_known_is_not_sent_away_for_strangers(tmp_path: Path) -> None:
    bounds = Bounds(limits=Limits(connections=30, strangers=5))
    async with running(tmp_path, bounds=bounds) as gateway, AsyncExitStack() as stack:
        known = await stack.enter_async_context(peer(gateway.port))
        await known.opened(gateway.netloc, AUTH)
        for _ in range(50):
            await stack.enter_async_context(peer(gateway.port))
        known.send(frame(call("whoami")))
        assert b"operator" in (await known.message())[1]


async def test_a_full_house_says_so(tmp_path: Path) -> None:
    bounds = Bounds(limits=Limits(connections=3, kept=0))
    async with running(tmp_path, bounds=bounds) as gateway, AsyncExitStack() as stack:
        for _ in range(3):
            client = await stack.enter_async_context(peer(gateway.port))
            await client.opened(gateway.netloc, AUTH)
        late = await stack.enter_async_context(peer(gateway.port))
        answer = await late.answer()
        assert answer.status == 503
        assert "retry-after" in answer.head
        assert gateway.count("turngate_shed_total", reason="connections") == 1


async def test_one_credential_has_its_own_bound(tmp_path: Path) -> None:
    bounds = Bounds(limits=Limits(per_principal=2))
    async with running(tmp_path, bounds=bounds) as gateway, AsyncExitStack() as stack:
        for _ in range(2):
            client = await stack.enter_async_context(peer(gateway.port))
            await client.opened(gateway.netloc, AUTH)
        third = await stack.enter_async_context(peer(gateway.port))
        third.open_socket(gateway.netloc, AUTH)
        answer = await third.answer()
        assert answer.status == 503
        assert json.loads(answer.body)["error"]["data"]["kind"] == "busy"
        other = await stack.enter_async_context(peer(gateway.port))
        await other.opened(gateway.netloc, ("Authorization", f"Bearer {CHAT_TOKEN}"))


# --- half an answer read -------------------------------------------------------------------------


async def stall(client: Peer, gateway: Running, *, size: int = 200 * KIB, count: int = 20) -> None:
    """Ask for megabytes and read none of them."""
    await client.opened(gateway.netloc, AUTH)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for number in range(count):
        client.send(frame(call("blob", number, size=size)))


async def test_a_stalled_reader_is_gone_within_the_deadline(gateway: Running) -> None:
    clock = SystemClock()
    async with peer(gateway.port, receive_buffer=4096) as client:
        await stall(client, gateway)
        begun = clock.monotonic()
        await until(lambda: gateway.server.clients == 0)
        assert clock.monotonic() - begun > QUICK.progress_s / 2
    assert gateway.count("turngate_shed_total", reason="stalled") == 1


@needs("openssl")
async def test_a_stalled_reader_behind_tls_is_gone_too(tmp_path: Path) -> None:
    """Its bytes wait in two places, and neither side says a proper goodbye."""
    cert, key = await asyncio.to_thread(self_signed, tmp_path)
    listen = Listen(port=0, tls_cert=cert, tls_key=key)
    trust = ssl.create_default_context(cafile=cert)
    async with (
        running(tmp_path, bounds=Bounds(QUICK), listen=listen) as gateway,
        peer(gateway.port, receive_buffer=4096, trust=trust) as client,
    ):
        await stall(client, gateway)
        await until(lambda: gateway.server.clients == 0)
        assert gateway.count("turngate_shed_total", reason="stalled") == 1


async def test_pings_do_not_keep_a_stalled_reader_alive(gateway: Running) -> None:
    """What it sends is no progress: it takes nothing."""
    clock = SystemClock()
    async with peer(gateway.port, receive_buffer=4096) as client:
        await stall(client, gateway)

        async def talk() -> None:
            while True:
                client.send(frame(b"x", opcode=9))
                await clock.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            talking = group.create_task(talk())
            await until(lambda: gateway.server.clients == 0)
            talking.cancel()


async def test_a_slow_reader_that_moves_is_kept(tmp_path: Path) -> None:
    """For longer than the deadline of a silent one, and past pings it answers late.

    More is under way than the kernel takes at once: else nobody sees that it moves.
    """
    clock = SystemClock()
    deadlines = Deadlines(progress_s=0.6, ping_s=0.1)
    async with (
        running(tmp_path, bounds=Bounds(deadlines)) as gateway,
        peer(gateway.port, receive_buffer=4096) as client,
    ):
        await client.opened(gateway.netloc, AUTH)
        client.send(frame(call("blob", size=8 * MIB)))
        begun = clock.monotonic()
        while clock.monotonic() - begun < 3 * deadlines.progress_s:
            await client.reader.read(4096)
            await clock.sleep(0.02)
        assert gateway.server.clients == 1
        assert gateway.count("turngate_shed_total", reason="stalled") == 0


async def test_a_silent_peer_is_given_up_after_its_ping(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        assert (await client.message())[0] == 9
        assert await client.close_code() == 1011


async def test_others_are_served_while_readers_stall(gateway: Running) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(10):
            client = await stack.enter_async_context(peer(gateway.port, receive_buffer=4096))
            await stall(client, gateway, count=5)
        for _ in range(5):
            await serves(gateway)


async def test_what_waits_for_a_stalled_reader_is_bounded(tmp_path: Path) -> None:
    """Answers wait for room; when too many wait, the client is closed and may resume."""
    sizes = Sizes(queue_frames=8, queue_bytes=64 * KIB)
    bounds = Bounds(Deadlines(progress_s=0.5, close_s=0.2, linger_s=0.1), sizes)
    async with (
        running(tmp_path, bounds=bounds) as gateway,
        peer(gateway.port, receive_buffer=4096) as client,
    ):
        await stall(client, gateway, size=20 * KIB, count=200)
        await until(lambda: gateway.count("turngate_shed_total", reason="slow_client") > 0)
        await until(lambda: gateway.rpc.closed == 1)
        await until(lambda: gateway.server.clients == 0)


async def test_a_stalled_http_reader_is_gone_within_the_deadline(gateway: Running) -> None:
    body = call("blob", size=8 * MIB)
    async with peer(gateway.port, receive_buffer=4096) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.request(
            "POST /rpc",
            [
                ("Host", gateway.netloc),
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                AUTH,
            ],
            body,
        )
        await until(lambda: gateway.count("turngate_shed_total", reason="stalled") == 1)


async def test_pipelined_requests_wait_their_turn(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        for _ in range(50):
            client.request("GET /healthz", [("Host", gateway.netloc)])
        for _ in range(50):
            assert (await client.answer()).status == 200
