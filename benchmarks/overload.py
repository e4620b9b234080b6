"""Five times what the gateway can do: what still gets done, what is refused, and is it still there?

The gateway is the command in a process of its own, with a file on disk. First as many clients as it
takes ask one thing after the other: that is its peak. Then requests come at five times that rate
whether or not there are answers (an open loop), each from a peer of its own. Goodput is what is
answered; the rest must be refused with a type and a time to come back. Somebody asks for `status`
all the while.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.processes import TOKEN, gateway
from benchmarks.tables import Aim, Found, Progress, Table

CLIENTS = 32
"""Connections, each with a credential of its own: what one credential may send is bounded too."""
PEAK_S = 4.0
OVERLOAD_S = 8.0
TIMES = 5
SETTLE_S = 2.0
"""At the beginning of the overload that does not count: queues fill."""
LOOK_S = 0.05
"""Between two questions for `status`."""
TICK_S = 0.005


@dataclass(slots=True)
class Load:
    """One load."""

    sent: int = 0
    good: int = 0
    took: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    untold: int = 0
    """Refusals that do not say when to come back."""
    refused_took: list[float] = field(default_factory=list)
    status_took: list[float] = field(default_factory=list)


def measure(say: Progress) -> Found:
    """Peak, then five times that."""
    with (
        tempfile.TemporaryDirectory() as folder,
        gateway(Path(folder), TURNGATE_MODEL="scripted") as (url, _),
    ):
        peak_s, over_s, found = uvloop.run(_measured(url, say))
    load = Table(
        f"{TIMES} times capacity, `send` with the scripted model",
        ("", "figure"),
        [
            ("peak, answered a second", round(peak_s)),
            (f"sent a second at {TIMES} times", round(found.sent / OVERLOAD_S)),
            ("answered a second", round(over_s)),
            ("goodput of peak", over_s / peak_s),
            ("refused", sum(found.refused.values())),
            ("refused without retry_after_ms", found.untold),
        ],
        "refused as " + ", ".join(f"{kind}: {n}" for kind, n in found.refused.most_common()),
    )
    times = Table(
        "how long it took",
        ("ms", "p50", "p99", "most"),
        [
            ("an answer", *_spread(found.took)),
            ("a refusal", *_spread(found.refused_took)),
            ("`status`", *_spread(found.status_took)),
        ],
    )
    _, status_p99, _ = _spread(found.status_took)
    return [
        load,
        times,
        Aim(f"goodput at {TIMES} times the load ÷ peak", over_s / peak_s, 0.8, "times", False),
        Aim("`status` meanwhile, p99", status_p99, 100, "ms"),
    ]


def _spread(took: list[float]) -> list[float]:
    ordered = sorted(took) or [0.0]
    last = len(ordered) - 1
    return [round(ordered[int(last * share)] * 1000, 1) for share in (0.5, 0.99, 1.0)]


async def _measured(url: str, say: Progress) -> tuple[float, float, Load]:
    url = url.replace("http", "ws", 1) + "/ws"
    operator = await _open(url, TOKEN)
    tokens = [await _token(operator, f"load-{number}") for number in range(CLIENTS)]
    clients = [Client(await _open(url, each), str(n)) for n, each in enumerate(tokens)]
    say(f"overload: the peak, {PEAK_S:g} s")
    peak = Load()
    begun = time.perf_counter()
    await asyncio.gather(*(client.ask_on(peak, begun + PEAK_S) for client in clients))
    peak_s = peak.good / (time.perf_counter() - begun)
    say(f"overload: {peak_s:.0f} a second; now {TIMES} times that, {OVERLOAD_S:g} s")
    found = Load()
    over_s = await _flooded(clients, operator, peak_s * TIMES, found)
    return peak_s, over_s, found


async def _flooded(
    clients: list[Client], operator: ClientConnection, rate: float, found: Load
) -> float:
    """Answers a second once the queues are full."""
    begun = time.perf_counter()
    readers = [asyncio.ensure_future(client.count(found)) for client in clients]
    looking = asyncio.ensure_future(_look(operator, found))
    turn = itertools.cycle(clients)
    settled: tuple[float, int] | None = None
    while (now := time.perf_counter() - begun) < OVERLOAD_S:
        if settled is None and now > SETTLE_S:
            settled = (now, found.good)
        while found.sent < rate * now:
            found.sent += 1
            await next(turn).send()
        await asyncio.sleep(TICK_S)
    assert settled is not None
    per_s = (found.good - settled[1]) / (now - settled[0])
    for task in (*readers, looking):
        task.cancel()
    await asyncio.gather(*readers, looking, return_exceptions=True)
    return per_s


async def _look(operator: ClientConnection, found: Load) -> None:
    while True:
        begun = time.perf_counter()
        await _ask(operator, "status")
        found.status_took.append(time.perf_counter() - begun)
        await asyncio.sleep(LOOK_S)


class Client:
    """A connection that says something, each time as another peer."""

    def __init__(self, socket: ClientConnection, name: str) -> None:
        self._socket = socket
        self._name = name
        self._ids = itertools.count()
        self._sent: dict[int, float] = {}

    async def send(self) -> None:
        """Ask without waiting for the answer."""
        id = next(self._ids)
        self._sent[id] = time.perf_counter()
        params = {"text": "good morning", "peer_id": f"{self._name}-{id}"}
        await self._socket.send(
            json.dumps({"jsonrpc": "2.0", "id": id, "method": "send", "params": params})
        )

    async def ask_on(self, found: Load, until: float) -> None:
        """One question after the other: two at a time, so that the gateway never waits for us."""
        await self.send()
        await self.send()
        async for frame in self._socket:
            self._heard(frame, found)
            if time.perf_counter() < until:
                await self.send()
            elif not self._sent:
                return

    async def count(self, found: Load) -> None:
        """Take answers in for ever."""
        async for frame in self._socket:
            self._heard(frame, found)

    def _heard(self, frame: str | bytes, found: Load) -> None:
        answer = json.loads(frame)
        took = time.perf_counter() - self._sent.pop(answer["id"])
        if "result" in answer:
            assert answer["result"]["state"] == "answered", answer
            found.good += 1
            found.took.append(took)
            return
        data = answer["error"]["data"]
        found.refused[data["kind"]] += 1
        found.untold += "retry_after_ms" not in data
        found.refused_took.append(took)


async def _open(url: str, token: str) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token}"}
    return await connect(url, additional_headers=headers, compression=None, proxy=None)


async def _ask(socket: ClientConnection, method: str, **params: Any) -> Any:
    request = {"jsonrpc": "2.0", "id": "asked", "method": method, "params": params}
    await socket.send(json.dumps(request))
    answer = json.loads(await socket.recv())
    return answer["result"]


async def _token(operator: ClientConnection, name: str) -> str:
    made = await _ask(operator, "tokens.create", name=name, scopes=["read", "chat"])
    token: str = made["token"]
    return token
