"""Many people at once and a slow model: what a gateway adds to waiting, and whom a flood delays.

Gateway, model server, bare client and this driver are processes of their own. The bare client holds
as many calls of the `openai` package in the same run. What counts is the share of the bound that is
reached: the time the model takes by itself over the time from a message to its answer, and turns a
second over the calls a second that this many waiting clients could make.
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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.processes import TOKEN, cpu_s, gateway, resident_mib, started, until_ready
from benchmarks.tables import Aim, Found, Progress, Table

CONNECTIONS = 32
"""Sockets, each with a credential of its own: what one credential may send is bounded too."""
FOLLOWERS = 4
LOOK_S = 0.1
"""Between two questions for `status`."""
FLOOD = 1000
OTHERS = 10
OTHER_S = 8.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many chats, each with so many turns; the model takes so long, in so many pieces."""

    chats: int
    seconds: float
    turns: int
    pieces: int = 8
    followers: int = 0


CROWDS = (Crowd(64, 0.5, 8), Crowd(200, 2.0, 3), Crowd(1000, 5.0, 2, 100, FOLLOWERS))


@dataclass(slots=True)
class Seen:
    """What one crowd found, in seconds; `cpu` and `mib` are the gateway's."""

    took: list[float]
    wall: float
    status: list[float]
    cpu: float
    mib: float


def measure(say: Progress) -> Found:
    """Each crowd beside the bare client, then one that floods."""
    rows, aims = [], []
    for crowd in CROWDS:
        say(f"crowd: {crowd.chats} chats, a model of {crowd.seconds:g} s, {crowd.turns} turns each")
        bare, ours = _crowd(crowd)
        row, found = _judged(crowd, bare, ours)
        rows.append(row)
        aims += found
    table = Table(
        "Many chats with a slow model, streamed, beside a client that holds as many calls",
        (
            "",
            "bound, turns/s",
            "bare, of the bound",
            "gateway, of it",
            "bare p50 s",
            "p50 s",
            "p99 s",
            "status p99 ms",
            "CPU ms/turn",
            "KiB/turn",
        ),
        rows,
        f"the largest crowd has {FOLLOWERS} followers of everything, previews included",
    )
    say(f"crowd: {OTHERS} chats alone, then beside one that sends {FLOOD} messages")
    alone, beside = _flooded()
    flood = Table(
        f"{OTHERS} chats of {OTHERS} credentials while another one sends {FLOOD} messages",
        ("s", "p50", "p99"),
        [("alone", *_spread(alone)), ("beside the flood", *_spread(beside))],
    )
    ratio = _spread(beside)[1] / _spread(alone)[1]
    aims.append(Aim("p99 beside a flood ÷ alone", ratio, 1.3, "times"))
    return [table, flood, *aims]


def _judged(crowd: Crowd, bare: list[float], ours: Seen) -> tuple[tuple[Any, ...], list[Aim]]:
    bound = crowd.chats / crowd.seconds
    *calls, wall = bare
    count = crowd.chats * crowd.turns
    share, bare_share = (count / each / bound for each in (ours.wall, wall))
    (p50, p99), (bare_p50, _), (_, status_p99) = map(_spread, (ours.took, calls, ours.status))
    name = f"{crowd.chats} chats x {crowd.seconds:g} s"
    row = (
        name,
        round(bound),
        bare_share,
        share,
        bare_p50,
        p50,
        p99,
        status_p99 * 1000,
        ours.cpu / count * 1000,
        ours.mib * 1024 / crowd.chats,
    )
    aims = [
        Aim(f"{name}: turns/s ÷ the bound", share, 0.9, "times", at_most=False),
        Aim(f"{name}: added to the bare client's p50", (p50 - bare_p50) * 1000, 60, "ms"),
    ]
    if crowd.followers:
        aims.append(Aim(f"{name}: `status` meanwhile, p99", status_p99 * 1000, 50, "ms"))
        aims.append(Aim(f"{name}: a running turn", ours.mib * 1024 / crowd.chats, 120, "KiB"))
    return row, aims


@contextmanager
def _upstream(crowd: Crowd) -> Iterator[str]:
    words = ("upstream", str(crowd.seconds), str(crowd.pieces))
    with started("benchmarks.crowd_parts", *words) as (url, _):
        yield url


@contextmanager
def _gateway(url: str) -> Iterator[tuple[str, int]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        gateway(Path(folder), LLM_BASE_URL=url, LLM_MODEL="bench", LLM_API_KEY="bench") as (
            address,
            pid,
        ),
    ):
        until_ready(address)
        yield f"{address.replace('http', 'ws', 1)}/ws", pid


def _crowd(crowd: Crowd) -> tuple[list[float], Seen]:
    with _upstream(crowd) as url:
        words = ("bare", url, str(crowd.chats), str(crowd.turns))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.crowd_parts", *words],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        with _gateway(url) as (address, pid):
            return json.loads(done.stdout), uvloop.run(_talk(crowd, address, pid))


async def _talk(crowd: Crowd, address: str, pid: int) -> Seen:
    operator = await Client.open(address, TOKEN)
    clients = await _clients(operator, address, CONNECTIONS)
    followers = [await Client.open(address, TOKEN) for _ in range(crowd.followers)]
    for follower in followers:
        await follower.ask("events.subscribe", previews=True)
    took: list[float] = []

    async def converse(number: int, turns: int) -> None:
        client = clients[number % CONNECTIONS]
        took.extend([await client.send(f"p{number}") for _ in range(turns)])

    await asyncio.gather(*(converse(number, 1) for number in range(crowd.chats)))
    took.clear()
    looked: list[float] = []
    looking = asyncio.ensure_future(_look(operator, looked))
    # What the first turn of each left: caches, the SDK, transcripts. The rest is of running turns.
    before, peak = resident_mib(pid), 0.0
    began, cpu = time.perf_counter(), cpu_s(pid)
    talking = asyncio.gather(*(converse(number, crowd.turns) for number in range(crowd.chats)))
    while not talking.done():
        await asyncio.wait([talking], timeout=0.25)
        peak = max(peak, resident_mib(pid))
    await talking
    wall, used = time.perf_counter() - began, cpu_s(pid) - cpu
    looking.cancel()
    for client in (operator, *clients, *followers):
        await client.close()
    return Seen(took, wall, looked, used, max(peak - before, 0.0))


def _flooded() -> tuple[list[float], list[float]]:
    crowd = Crowd(OTHERS, 0.5, 1)
    with _upstream(crowd) as url, _gateway(url) as (address, _):
        return uvloop.run(_flood(address))


async def _flood(address: str) -> tuple[list[float], list[float]]:
    operator = await Client.open(address, TOKEN)
    others = await _clients(operator, address, OTHERS)
    made = await operator.ask("tokens.create", name="flood", scopes=["read", "chat"])

    async def talk() -> list[float]:
        took: list[float] = []

        async def converse(client: Client) -> None:
            until = time.perf_counter() + OTHER_S
            await client.send("warm")
            while time.perf_counter() < until:
                took.append(await client.send("p"))

        await asyncio.gather(*map(converse, others))
        return took

    alone = await talk()
    with started("benchmarks.crowd_parts", "flood", address, made["result"]["token"], str(FLOOD)):
        beside = await talk()
    for client in (operator, *others):
        await client.close()
    return alone, beside


async def _look(operator: Client, took: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await operator.ask("status")
        took.append(time.perf_counter() - began)
        await asyncio.sleep(LOOK_S)


class Client:
    """A connection with many requests under way; notifications are read and dropped."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._count = 0
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def open(cls, address: str, token: str) -> Client:
        headers = {"Authorization": f"Bearer {token}"}
        return cls(
            await connect(
                address,
                additional_headers=headers,
                compression=None,
                proxy=None,
                max_queue=None,
                max_size=1 << 22,
            )
        )

    async def ask(self, method: str, **params: Any) -> Any:
        """The answer of a method, its error among them."""
        self._count += 1
        id, future = self._count, asyncio.get_running_loop().create_future()
        self._asked[id] = future
        request = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        await self._socket.send(json.dumps(request))
        return await future

    async def send(self, peer: str) -> float:
        """Seconds from a message to its answer; what is refused as busy is sent again."""
        began = time.perf_counter()
        while True:
            answer = await self.ask("send", text="good morning", peer_id=peer)
            if answer.get("result", {}).get("state") == "answered":
                return time.perf_counter() - began
            data = answer.get("error", {}).get("data", {})
            if data.get("kind") not in ("busy", "rate_limited"):
                raise SystemExit(f"a turn was not answered: {answer}")
            await asyncio.sleep(data["retry_after_ms"] / 1000)

    async def close(self) -> None:
        await self._socket.close()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        async for frame in self._socket:
            if "method" in str(frame[:60]):  # a notification: parsing it would take our core
                continue
            answer = json.loads(frame)
            future = self._asked.pop(answer.get("id"), None)
            if future is not None and not future.done():  # else it was given up
                future.set_result(answer)


async def _clients(operator: Client, address: str, count: int) -> list[Client]:
    tokens = []
    for number in range(count):
        made = await operator.ask("tokens.create", name=f"c{number}", scopes=["read", "chat"])
        tokens.append(made["result"]["token"])
    return [await Client.open(address, token) for token in tokens]


def _spread(took: list[float]) -> tuple[float, float]:
    ordered = sorted(took) or [0.0]
    return statistics.median(ordered), ordered[int((len(ordered) - 1) * 0.99)]
