"""A whole durable turn through a real gateway process, beside the bare `openai` client.

A turn comes in over a WebSocket, becomes durable, is answered by a streamed model call, and goes
out with the same socket. Gateway, upstream, bare client and this driver are processes of their own;
CPU is what the kernel counts for the gateway's process alone. Bare and gateway take turns, so that
a noisy machine is noisy for both, and the medians are compared. Then: how soon a gateway with a
long past listens, and what it holds in memory while nothing happens.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from websockets.asyncio.client import connect

from agents.tools.catalog import TOOLS
from benchmarks import turns
from benchmarks.processes import TOKEN, cpu_s, gateway, resident_mib, started, until_ready
from benchmarks.tables import Aim, Found, Progress, Table

SESSIONS = 64
TURNS = 12
"""Turns of each session, after one that does not count."""
ROUNDS = 3
STARTS = 5
PAST = 10_000
"""Runs stored before a start."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One measurement under load."""

    per_s: float
    cpu_ms: float


def measure(say: Progress) -> Found:
    """Both, in turns; then starts."""
    bare: list[Rate] = []
    ours: list[Rate] = []
    with upstream() as url, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for number in range(ROUNDS):
            say(f"whole: round {number + 1} of {ROUNDS}, {SESSIONS} sessions, {TURNS} turns each")
            bare.append(_bare(url))
            with _gateway(home / f"load-{number}", url) as (address, pid):
                ours.append(uvloop.run(_load(address, pid)))
        say(f"whole: {PAST} runs into a store, then {STARTS} starts on it")
        listening, idle = _starts(home / "past", url)
    cpu = [statistics.median(rate.cpu_ms for rate in found) for found in (bare, ours)]
    rate = [statistics.median(rate.per_s for rate in found) for found in (bare, ours)]
    load = Table(
        "Whole turns over WebSocket, one streamed model call each",
        ("", "a second", "CPU ms"),
        [
            ("bare openai client, a call", round(rate[0]), round(cpu[0], 3)),
            ("gateway, a durable turn", round(rate[1]), round(cpu[1], 3)),
        ],
        f"{SESSIONS} sessions at once, 12 turns run; medians of {ROUNDS} rounds, taken in turns.",
    )
    return [
        load,
        Aim("CPU of a turn ÷ bare client's call", cpu[1] / cpu[0], 2.0, "times"),
        Aim("whole turns/s ÷ bare client's calls/s", rate[1] / rate[0], 0.45, "times", False),
        Aim("start to listening, 10 000 stored runs", listening, 0.6, "s"),
        Aim("memory idle", idle, 90, "MiB"),
    ]


@contextmanager
def upstream() -> Iterator[str]:
    """The address of a model server that answers at once."""
    with started("benchmarks.whole_parts", "upstream") as (url, _):
        yield url


def _bare(url: str) -> Rate:
    specs = [
        {
            "type": "function",
            "function": {
                "name": tool.spec.name,
                "description": tool.spec.description,
                "parameters": json.loads(tool.spec.parameters),
            },
        }
        for tool in TOOLS
    ]
    words = ("bare", url, str(SESSIONS), str(TURNS), json.dumps(specs))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.whole_parts", *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Rate(**json.loads(done.stdout))


def _gateway(home: Path, url: str) -> AbstractContextManager[tuple[str, int]]:
    return gateway(home, LLM_BASE_URL=url, LLM_MODEL="bench", LLM_API_KEY="bench")


async def _load(address: str, pid: int) -> Rate:
    url = f"{address.replace('http', 'ws', 1)}/ws"
    until_ready(address)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    sockets = [
        await connect(url, additional_headers=headers, compression=None) for _ in range(SESSIONS)
    ]

    async def converse(number: int, count: int) -> None:
        for turn in range(count):
            params = {"text": f"question {turn}", "peer_id": f"p{number}"}
            message = {"jsonrpc": "2.0", "id": turn, "method": "send", "params": params}
            await sockets[number].send(json.dumps(message))
            answer: dict[str, Any] = json.loads(await sockets[number].recv())
            if answer.get("result", {}).get("state") != "answered":
                raise SystemExit(f"a turn was not answered: {answer}")

    await asyncio.gather(*(converse(number, 1) for number in range(SESSIONS)))
    began, cpu = time.perf_counter(), cpu_s(pid)
    await asyncio.gather(*(converse(number, TURNS) for number in range(SESSIONS)))
    wall, used = time.perf_counter() - began, cpu_s(pid) - cpu
    for socket in sockets:
        await socket.close()
    count = SESSIONS * TURNS
    return Rate(count / wall, used / count * 1000)


def _starts(home: Path, url: str) -> tuple[float, float]:
    """Seconds until it listens, the median; MiB once it is ready and has nothing to do."""
    asyncio.run(turns.fill(home / "home", home / "workspace", PAST))
    seconds: list[float] = []
    idle = 0.0
    for number in range(STARTS):
        began = time.perf_counter()
        with _gateway(home, url) as (address, pid):
            seconds.append(time.perf_counter() - began)
            if number == 0:
                until_ready(address)
                time.sleep(2)
                idle = resident_mib(pid)
    return statistics.median(seconds), idle
