"""The network surface: a `status` round trip beside a bare echo, what an idle socket costs, and how
soon a message is taken and a turn is stopped (`benchmarks.people`).

The echo is `websockets` alone: a JSON object in, the same object out. Both servers run as processes
of their own on the same loop, one after the other; the client is the same raw socket that sends
frames it has prepared and counts what comes back, so it is as cheap as a client can be. CPU is the
server's, a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_bare
from websockets.exceptions import ConnectionClosed

from benchmarks.people import accepting, cancelling
from benchmarks.processes import PROBES, TOKEN, cpu_s, pace, resident_mib, started
from benchmarks.tables import Aim, Cell, Found, Progress, Table
from gateway.composition.root import open_gateway
from gateway.core.clock import SystemClock
from gateway.core.ids import SystemIds
from gateway.http.admission import Admission
from gateway.http.bounds import Bounds, Limits
from gateway.http.gated import gated
from gateway.http.listening import Listen
from gateway.http.ports import Surface
from gateway.http.server import Stopping, serve
from gateway.identity.token_file import TokenFile
from gateway.rpc.catalog import METHODS
from gateway.rpc.dispatch import Dispatcher
from gateway.rpc.rpc import Rpc
from gateway.settings.settings import Settings
from gateway.telemetry import logs
from gateway.telemetry.health import Health
from gateway.telemetry.metrics import Metrics

SEQUENTIAL = 5_000
"""Round trips one after the other, after a tenth as many that do not count."""
SATURATED_S = 4.0
CONNECTIONS = 16
DEPTH = 8
"""Requests a connection keeps on their way; half the places a client has."""
IDLE = 800
FRAMES = 1_000
"""Prepared requests: as many ids before one comes again."""
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
KIB = 1024


def measure(say: Progress) -> Found:
    """Both servers, the same questions."""
    found = {}
    for name in ("bare", "turngate"):
        say(f"surface: {name}, {SEQUENTIAL} round trips, then {SATURATED_S:g} s of load")
        found[name] = _measured(name)
    bare, ours = found["bare"], found["turngate"]
    columns = ("", "websockets echo", "turngate status", "ratio")
    trips = Table(
        "round trips over WebSocket",
        columns,
        [
            ("sequential p50, µs", bare.p50_us, ours.p50_us, bare.p50_us / ours.p50_us),
            ("sequential p99, µs", bare.p99_us, ours.p99_us, bare.p99_us / ours.p99_us),
            ("saturated, a second", bare.per_s, ours.per_s, ours.per_s / bare.per_s),
            ("CPU a request, µs", bare.cpu_us, ours.cpu_us, bare.cpu_us / ours.cpu_us),
        ],
        f"{CONNECTIONS} connections with {DEPTH} requests each under load; ratios above 1 are ours",
    )
    memory = Table(
        "memory of idle sockets",
        columns,
        [
            ("before, MiB", bare.before_mib, ours.before_mib, None),
            (f"a socket of {IDLE}, KiB", bare.socket_kib, ours.socket_kib, None),
        ],
    )
    return [
        trips,
        memory,
        _pace(),
        Aim(
            "`status` sequential, p50: the echo's ÷ ours",
            bare.p50_us / ours.p50_us,
            0.5,
            "times",
            False,
        ),
        Aim(
            "`status` saturated, a second: ours ÷ the echo's",
            ours.per_s / bare.per_s,
            0.2,
            "times",
            False,
        ),
        Aim("an idle socket", ours.socket_kib, 40, "KiB"),
        *accepting(say),
        *cancelling(say),
    ]


def _pace() -> Table:
    rows: list[tuple[Cell, ...]] = [
        (what, took[PROBES // 2] * 1000, took[int(PROBES * 0.99)] * 1000)
        for what, took in zip(("a flush to disk", "a timer is late"), pace(), strict=True)
    ]
    note = "no message is acknowledged before a flush, and nobody asks before a timer"
    return Table("what the machine takes by itself", ("ms", "p50", "p99"), rows, note)


@dataclass(frozen=True, slots=True)
class Figures:
    """One server."""

    p50_us: float
    p99_us: float
    per_s: float
    cpu_us: float
    before_mib: float
    socket_kib: float


def _measured(name: str) -> Figures:
    with started("benchmarks.surface", name) as (address, pid):
        port = int(address.rsplit(":", 1)[1])
        before = resident_mib(pid)
        with _sockets(port, IDLE):
            time.sleep(0.5)
            grown = resident_mib(pid) - before
        trips = _sequential(port)
        cpu = cpu_s(pid)
        answered = _saturated(port)
        used = cpu_s(pid) - cpu
    return Figures(
        p50_us=trips[len(trips) // 2] * 1e6,
        p99_us=trips[int(len(trips) * 0.99)] * 1e6,
        per_s=answered / SATURATED_S,
        cpu_us=used / answered * 1e6,
        before_mib=before,
        socket_kib=grown / IDLE * KIB,
    )


# --- the client ----------------------------------------------------------------------------------


def _open(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(4096)
    if b" 101 " not in head:
        raise SystemExit(f"no handshake: {head!r}")
    return sock


@contextmanager
def _sockets(port: int, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_open(port)) for _ in range(count)]


def _frames() -> list[bytes]:
    """Requests of different ids: the same id twice at once is refused."""
    requests = (b'{"jsonrpc":"2.0","id":%d,"method":"status"}' % number for number in range(FRAMES))
    return [b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text for text in requests]


class Answers:
    """Counts frames of a stream."""

    def __init__(self) -> None:
        self._left = bytearray()

    def feed(self, data: bytes) -> int:
        """How many frames have come to their end with this."""
        self._left += data
        count = at = 0
        while len(self._left) - at >= 4:
            length, head = self._left[at + 1], 2
            if length == 126:
                (length,) = struct.unpack_from("!H", self._left, at + 2)
                head = 4
            if len(self._left) - at < head + length:
                break
            at += head + length
            count += 1
        del self._left[:at]
        return count


def _sequential(port: int) -> list[float]:
    frames, took = itertools.cycle(_frames()), []
    with _open(port) as sock:
        for number in range(SEQUENTIAL + SEQUENTIAL // 10):
            answers = Answers()
            begun = time.perf_counter()
            sock.sendall(next(frames))
            while not answers.feed(sock.recv(65536)):
                pass
            if number >= SEQUENTIAL // 10:
                took.append(time.perf_counter() - begun)
    return sorted(took)


def _saturated(port: int) -> int:
    return uvloop.run(_load(port))


async def _load(port: int) -> int:
    loop = asyncio.get_running_loop()
    protocols = []
    for _ in range(CONNECTIONS):
        sock = _open(port)
        sock.setblocking(False)
        _, protocol = await loop.create_connection(_Client, sock=sock)
        protocols.append(protocol)
    await asyncio.sleep(SATURATED_S)
    answered = sum(protocol.answered for protocol in protocols)
    for protocol in protocols:
        protocol.transport.abort()
    return answered


class _Client(asyncio.Protocol):
    """Sends a request for each answer."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.answered = 0
        self._answers = Answers()
        self._frames = itertools.cycle(_frames())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._ask(DEPTH)

    def data_received(self, data: bytes) -> None:
        count = self._answers.feed(data)
        self.answered += count
        if count:
            self._ask(count)

    def _ask(self, count: int) -> None:
        self.transport.write(b"".join(itertools.islice(self._frames, count)))


# --- the servers ---------------------------------------------------------------------------------


async def _bare() -> None:
    async def echo(client: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in client:
                await client.send(json.dumps(json.loads(message)))

    async with serve_bare(echo, "127.0.0.1", 0, compression=None) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()


@asynccontextmanager
async def _rpc(home: Path) -> AsyncIterator[Surface]:
    """A whole gateway, and its methods behind their gates."""
    clock = SystemClock()
    ids = SystemIds(clock)
    settings = Settings(
        turngate_home=home, workspace_dir=home / "workspace", turngate_model="scripted"
    )
    async with open_gateway(settings, channels=[]) as gateway:
        await gateway.credentials.open(TokenFile(home / "token"), preset=TOKEN)
        health, metrics = Health(clock), Metrics()
        admission = Admission(health, clock, metrics.shed)
        rpc = Rpc(Dispatcher(gateway, gated(METHODS, admission, metrics, clock)))
        yield Surface(rpc, gateway.credentials, health, metrics, _writable, clock, ids)
        await rpc.close()


async def _writable() -> bool:
    return True


async def _turngate() -> None:
    logs.configure(level="warning")
    with tempfile.TemporaryDirectory() as folder:
        async with _rpc(Path(folder)) as surface:
            bounds = Bounds(limits=Limits(per_principal=2 * IDLE, per_address=2 * IDLE))
            stopping = Stopping(drain_s=0.1)
            async with serve(
                surface, Listen(port=0), home=Path(folder), bounds=bounds, stopping=stopping
            ) as server:
                surface.health.ready()
                await server.asked_to_stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run({"bare": _bare, "turngate": _turngate}[sys.argv[1]]())
