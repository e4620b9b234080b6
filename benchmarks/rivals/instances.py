"""A gateway that runs: from its start to its kill, and what the kernel says of it. Linux only."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from benchmarks.rivals.base import Client, Gateway, Place

READY_S = 180.0
"""OpenClaw takes up to 14 s on a quiet machine, and took 49 on a busy one."""
LOOK_S = 0.02
"""Between two looks whether it is ready; counted in what is reported."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One that is ready, with a client."""

    pid: int
    client: Client
    ready_s: float
    """From its start until the client was let in."""

    def cpu_s(self) -> float:
        """Of all its processes, ended ones included once their parent has noticed."""
        ticks = sum(sum(map(int, fields[11:15])) for _, fields in _session(self.pid))
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """What its processes hold; a page that several share counts once."""
        kib = 0
        for pid, _ in _session(self.pid):
            with suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
                kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kib / 1024

    def kill(self) -> None:
        """All of its processes, at this moment."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


@asynccontextmanager
async def running(gateway: Gateway, place: Place) -> AsyncIterator[Instance]:
    """Started in its home, and killed when the block ends. Raises `SystemExit` with what it wrote
    when it does not become ready."""
    begun = time.perf_counter()
    process = _spawn(gateway, place)
    client: Client | None = None
    try:
        client = await _ready(gateway, place, process)
        yield Instance(process.pid, client, time.perf_counter() - begun)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if client is not None:
            await client.close()


def _spawn(gateway: Gateway, place: Place) -> subprocess.Popen[bytes]:
    """In a session of its own, by which its processes are found."""
    place.home.mkdir(parents=True, exist_ok=True)
    launch = gateway.launch(place)
    with (place.home / "log").open("ab") as output:
        return subprocess.Popen(
            launch.words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=place.home,
            start_new_session=True,
            env={"PATH": f"{Path(launch.words[0]).parent}:/usr/bin:/bin", **launch.environment},
        )


async def _ready(gateway: Gateway, place: Place, process: subprocess.Popen[bytes]) -> Client:
    until = time.perf_counter() + READY_S
    while time.perf_counter() < until and process.poll() is None:
        try:
            return await gateway.connect(place)
        except (OSError, ConnectionClosed):
            await asyncio.sleep(LOOK_S)
    text = (place.home / "log").read_text("utf-8", "replace")[-2000:]
    raise SystemExit(
        f"{gateway.name} {gateway.version} did not become ready in {READY_S:g} s:\n{text}"
    )


def free_port() -> int:
    """One that is free with the next one, at this moment."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            with suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port


def _session(leader: int) -> Iterator[tuple[int, list[str]]]:
    """The processes of a session, with the fields of `/proc/<pid>/stat` behind the name."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
            if int(fields[3]) == leader:
                yield int(path.parent.name), fields
