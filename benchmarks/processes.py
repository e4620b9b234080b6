"""Processes beside a benchmark, and the machine they are on.

Starting them; what the kernel says of their CPU and memory, from outside; what a flush to disk and
a timer take by themselves, which nothing that waits for them can beat. Linux only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOKEN = "benchmark-token-0123456789abcdef"
PROBES = 300
PROBE_S = 0.005
"""Between two probes: the pace of a gateway that is half busy."""


def cpu_s(pid: int) -> float:
    """Seconds of CPU it has used, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Memory it holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def pace() -> tuple[list[float], list[float]]:
    """Seconds that flushing a page to disk takes, and that a sleep lasts too long, in order."""
    flushes, late = [], []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(PROBES):
            begun = time.perf_counter()
            time.sleep(PROBE_S)
            late.append(time.perf_counter() - begun - PROBE_S)
            os.write(file.fileno(), bytes(4096))
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            flushes.append(time.perf_counter() - begun)
    return sorted(flushes), sorted(late)


@contextmanager
def started(*words: str, **settings: str) -> Iterator[tuple[str, int]]:
    """`python -m` these words, with these settings and nothing else of the environment.

    Yields the first line it prints and its process id; told to end when the block does.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": "/usr/bin:/bin", **settings},
    )
    assert child.stdout is not None
    try:
        yield child.stdout.readline().strip(), child.pid
    finally:
        child.terminate()
        child.communicate(timeout=40)


@contextmanager
def gateway(home: Path, **settings: str) -> Iterator[tuple[str, int]]:
    """The address and process id of one that lives in a folder and knows `TOKEN`."""
    with started(
        *("gateway", "up", "--port", "0", "--log-level", "error"),
        TURNGATE_HOME=str(home / "home"),
        WORKSPACE_DIR=str(home / "workspace"),
        TURNGATE_TOKEN=TOKEN,
        **settings,
    ) as found:
        yield found


def until_ready(address: str) -> None:
    """Wait for a gateway that listens already."""
    while True:
        try:
            with urllib.request.urlopen(f"{address}/readyz"):
                return
        except OSError:
            time.sleep(0.1)
