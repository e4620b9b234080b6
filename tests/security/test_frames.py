"""Frames that no client sends: giant, endless, deep, broken. Each ends in a proper close code."""

import asyncio
import json
import os
import random  # noqa: TID251  # seeded: the same noise in every run
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.http.bounds import MIB, Bounds, Deadlines, Sizes
from tests.security.raw import BINARY, CLOSE, CONT, KEY, PING, TEXT, Peer, frame, peer
from tests.security.surface import Running, running, until
from tests.support.credentials import OPERATOR_TOKEN

AUTH = ("Authorization", f"Bearer {OPERATOR_TOKEN}")
BOUNDS = Bounds(
    Deadlines(head_s=0.3, auth_s=2.0, close_s=0.2, linger_s=0.2),
    Sizes(stranger_frame=1024, frame=16 * 1024, fragments=32, stranger_frames=8),
)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, bounds=BOUNDS) as started:
        yield started
        # Whatever was sent: a good client is served.
        async with peer(started.port) as good:
            await good.opened(started.netloc, AUTH)
            assert await echoed(good) == {"a": 1}


async def echoed(client: Peer) -> object:
    call = {"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"a": 1}}
    client.send(frame(json.dumps(call).encode()))
    opcode, payload = await client.message()
    assert opcode == TEXT, payload
    return json.loads(payload)["result"]


def text_of(size: int) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": "echo", "params": ["x" * size]}).encode()


# --- too large -----------------------------------------------------------------------------------


async def test_a_stranger_sends_little(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc)
        client.send(frame(text_of(1024)))
        assert await client.close_code() == 1009
    assert not gateway.rpc.frames


async def test_a_client_sends_more_once_it_is_known(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc)
        connect = {"jsonrpc": "2.0", "id": 1, "method": "connect"}
        connect |= {"params": {"token": OPERATOR_TOKEN}}
        client.send(frame(json.dumps(connect).encode()))
        await client.message()
        client.send(frame(text_of(15_000)))
        assert await echoed(client) == {"a": 1}
        client.send(frame(text_of(17_000)))
        assert await client.close_code() == 1009


async def test_a_giant_length_is_refused_before_its_bytes_come(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        client.send(b"\x81\xff" + (2**62).to_bytes(8, "big"))
        assert await client.close_code() == 1009


async def test_a_giant_message_in_pieces_is_refused_at_the_bound(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        client.send(frame(b"x" * 9000, fin=False) + frame(b"x" * 9000, opcode=CONT, fin=False))
        assert await client.close_code() == 1009


async def test_a_peer_that_goes_on_sending_learns_why_it_was_refused(gateway: Running) -> None:
    """Closing a socket with unread bytes resets it, and the reason is lost on the way."""
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        client.send(frame(b"x" * 2 * MIB))
        assert await client.close_code() == 1009


@pytest.mark.parametrize("size", [0, 1])
async def test_endless_pieces_are_refused_by_their_number(gateway: Running, size: int) -> None:
    """Empty ones add nothing to the size, and would go on for ever."""
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        client.send(frame(fin=False) + frame(b"x" * size, opcode=CONT, fin=False) * 100_000)
        assert await client.close_code() == 1009


async def test_a_stranger_sends_few_frames_of_any_kind(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc)
        client.send(frame(opcode=PING) * 1000)
        assert await client.close_code() == 1008


async def test_a_flood_of_pings_from_who_reads_nothing_takes_no_memory(gateway: Running) -> None:
    async with peer(gateway.port, receive_buffer=4096) as client:
        await client.opened(gateway.netloc, AUTH)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(20):
                client.send(frame(b"p" * 125, opcode=PING) * 1000)
                await client.writer.drain()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert after - before < MIB  # two and a half of pongs were asked for


async def test_a_body_is_refused_by_its_declared_size_before_anything_else(
    gateway: Running,
) -> None:
    async with peer(gateway.port) as client:
        kind = ("Content-Type", "application/json")
        client.request(
            "POST /rpc",
            [("Host", gateway.netloc), kind, ("Content-Length", str(10**12)), AUTH],
        )
        assert (await client.answer()).status == 413
    assert gateway.credentials.asked == 0


async def test_a_body_of_unknown_size_is_refused_at_the_bound(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        kind = ("Content-Type", "application/json")
        client.request(
            "POST /rpc", [("Host", gateway.netloc), kind, ("Transfer-Encoding", "chunked"), AUTH]
        )
        client.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        client.send((b"1000\r\n" + b"x" * 0x1000 + b"\r\n") * 200)
        assert (await client.answer()).status == 413
    assert not gateway.rpc.frames


async def test_a_stranger_has_no_body_read(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        kind = ("Content-Type", "application/json")
        client.request(
            "POST /rpc", [("Host", gateway.netloc), kind, ("Content-Length", "9000")], b"x" * 10
        )
        assert (await client.answer()).status == 401
        await client.gone()


# --- broken --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b"x", rsv=4), 1002),
        (frame(b"x", rsv=1), 1002),
        (frame(b"x", mask=False), 1002),
        (frame(b"x", opcode=3), 1002),
        (frame(b"x", opcode=11), 1002),
        (frame(b"x", opcode=CONT), 1002),
        (frame(b"x", fin=False) + frame(b"x"), 1002),
        (frame(b"p" * 126, opcode=PING), 1002),
        (frame(b"p", opcode=PING, fin=False), 1002),
        (frame(b"\x03", opcode=CLOSE), 1002),
        (frame((1005).to_bytes(2, "big"), opcode=CLOSE), 1002),
        (frame(b"\xff\xfe"), 1007),
        (frame(b"\xff\xfe", opcode=BINARY), 1007),
        (frame(b"\xed\xa0\x80"), 1007),
        (frame(b"\xc3", fin=False) + frame(b"(", opcode=CONT), 1007),
        (frame(b"\x03\xe8\xff", opcode=CLOSE), 1007),
    ],
)
async def test_a_broken_frame_is_answered_by_its_close_code(
    gateway: Running, data: bytes, code: int
) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        client.send(data)
        assert await client.close_code() == code
    assert not gateway.rpc.frames


async def test_a_letter_cut_between_two_pieces_is_no_mistake(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc, AUTH)
        call = '{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":"ü"}}'.encode()
        cut = call.index(b"\xc3") + 1
        client.send(frame(call[:cut], fin=False) + frame(call[cut:], opcode=CONT))
        assert b"\xc3\xbc" in (await client.message())[1]


@pytest.mark.parametrize(
    "text",
    [b"[" * 900, b'{"a":' * 150, b"9" * 900, b'"\\ud800"', b"", b"\xef\xbb\xbf{}", b"NaN", b"\x00"],
)
async def test_what_is_no_request_costs_an_error_not_the_connection(
    gateway: Running, text: bytes
) -> None:
    async with peer(gateway.port) as client:
        await client.opened(gateway.netloc)
        client.send(frame(text))
        opcode, payload = await client.message()
        assert opcode == TEXT
        assert "error" in json.loads(payload)


# --- no HTTP -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 60_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: x\r\n" * 5000 + b"\r\n",
        b"GET /" + b"x" * 60_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x, chunked\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused_and_the_connection_ends(
    gateway: Running, data: bytes
) -> None:
    async with peer(gateway.port) as client:
        client.send(data)
        answer = await client.answer()
        assert answer.status == 0 or 400 <= answer.status < 502
        await client.gone()
    assert not gateway.rpc.frames


@pytest.mark.parametrize("smuggled", [b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b""])
@pytest.mark.parametrize("lengths", ["Content-Length first", "Transfer-Encoding first"])
async def test_a_body_with_two_lengths_is_refused_and_the_connection_ends(
    gateway: Running, lengths: str, smuggled: bytes
) -> None:
    """RFC 9112, 6.1: a proxy before us may go by the other one, and what we take for the next
    request is then what somebody hid in a body."""
    body = b"0\r\n\r\n" + smuggled
    headers = [("Content-Length", str(len(body))), ("Transfer-Encoding", "chunked")]
    if lengths.startswith("Transfer"):
        headers.reverse()
    known = [
        ("Host", gateway.netloc),
        AUTH,
        ("Content-Type", "application/json"),
    ]
    async with peer(gateway.port) as client:
        client.request("POST /rpc", [*known, *headers], body)
        answer = await client.answer()
        assert answer.status == 400
        await client.gone()
    assert not gateway.rpc.frames
    assert gateway.count("turngate_shed_total", reason="two_lengths") == 1


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([("Sec-WebSocket-Version", "12")], KEY),
        ([], "short"),
        ([], ""),
        ([("Sec-WebSocket-Key", KEY)], KEY),
        ([("Transfer-Encoding", "chunked")], KEY),
        ([("Content-Length", "5")], KEY),
        ([(f"X-{n}", "x") for n in range(200)], KEY),
        ([("X-Long", "x" * 9000)], KEY),
    ],
)
async def test_a_broken_handshake_opens_nothing(
    gateway: Running, headers: list[tuple[str, str]], key: str
) -> None:
    async with peer(gateway.port) as client:
        client.open_socket(gateway.netloc, AUTH, *headers, key=key)
        answer = await client.answer()
        assert answer.status == 0 or 400 <= answer.status < 500
        await client.gone()
    assert not gateway.rpc.connections


async def test_frames_before_the_handshake_is_answered_are_refused(gateway: Running) -> None:
    async with peer(gateway.port) as client:
        client.open_socket(gateway.netloc, AUTH)
        client.send(frame(text_of(10)))
        answer = await client.answer()
        assert answer.status in (0, 400)
        await client.gone()
    assert not gateway.rpc.frames


@pytest.mark.timeout(30)  # a thousand connections
async def test_noise_brings_nothing_down(gateway: Running) -> None:
    """Random bytes as a request, after a handshake, and in frames of their own."""
    noise = random.Random(7)

    async def attack(number: int) -> None:
        async with peer(gateway.port) as client:
            junk = noise.randbytes(noise.randrange(1, 2000))
            if number % 3:
                await client.opened(gateway.netloc, AUTH)
            client.send(frame(junk) if number % 3 == 1 else junk)
            client.writer.write_eof()
            await client.gone()

    for first in range(0, 300, 20):
        await asyncio.gather(*(attack(first + n) for n in range(20)))
    await until(lambda: gateway.server.clients == 0)


async def test_open_files_do_not_grow(gateway: Running) -> None:
    before = open_files()
    for _ in range(30):
        async with peer(gateway.port) as client:
            await client.opened(gateway.netloc, AUTH)
            client.send(frame(b"x", mask=False))
            await client.gone()
    await until(lambda: gateway.server.clients == 0)
    await until(lambda: open_files() <= before)


def open_files() -> int:
    """How many this process has; 0 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
