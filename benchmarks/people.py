"""What people notice of the surface: how soon their message is taken, how soon a turn is stopped.

Gateway, model server and this driver are processes of their own. Messages come in an open loop, as
people do: whether or not there are answers. What is stopped are turns of one client that has a
hundred under way on one socket, a quarter of them behind another one of their session, and follows
all of them; a turn is stopped when its own request is answered so. That client reads everything, so
a gateway that closes it is wrong.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.processes import TOKEN, gateway, started, until_ready
from benchmarks.tables import Aim, Progress

CONNECTIONS = 64
INPUTS_S = 200
ACCEPTING_S = 12.0
WARM_S = 2.0
"""At the beginning; does not count."""
IN_FLIGHT = 100
CANCELS = 240
CANCELS_S = 20
ALONE = IN_FLIGHT // 2
"""Turns without another one in their session; of those that run, only these are stopped: a waiting
turn that begins while a new message comes is answered together with it."""
TOKENS_S = 25
WORDS = "please go on " * 1000
"""Said and echoed: more than a turn streams before it is stopped."""
SEED = 7


def accepting(say: Progress) -> list[Aim]:
    """From sending `turns.start` to its answer, with turns running beside."""
    say(f"surface: {INPUTS_S} messages a second over {CONNECTIONS} connections, {ACCEPTING_S:g} s")
    with (
        tempfile.TemporaryDirectory() as folder,
        gateway(Path(folder), TURNGATE_MODEL="scripted") as (address, _),
    ):
        until_ready(address)
        took = uvloop.run(_accepting(address))
    where = f"accept → ack, {CONNECTIONS} connections, {INPUTS_S}/s"
    return [
        Aim(f"{where}, p50", _at(took, 0.5), 3, "ms"),
        Aim(f"{where}, p99", _at(took, 0.99), 15, "ms"),
    ]


def cancelling(say: Progress) -> list[Aim]:
    """From sending `turns.cancel` to the turn's end."""
    say(f"surface: {CANCELS} cancels with {IN_FLIGHT} turns in flight on one socket")
    with (
        tempfile.TemporaryDirectory() as folder,
        started(*("gateway", "simulate", "--port", "0", "--tokens-per-s", str(TOKENS_S))) as (
            model,
            _,
        ),
        gateway(Path(folder), LLM_BASE_URL=model, LLM_MODEL="slow", LLM_API_KEY="x") as found,
    ):
        address, pid = found
        until_ready(address)
        client = _Canceller()
        closed = uvloop.run(client.run(address))
        os.kill(pid, signal.SIGKILL)  # or it would let what still runs go on for its time
    rows = [
        Aim(f"cancel a {kind} turn of {IN_FLIGHT} in flight, {name}", _at(took, share), 100, "ms")
        for kind, took in (("running", client.running), ("waiting", client.waiting))
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]
    return [*rows, Aim("the client was closed", closed, 0, "times")]


def _at(took: list[float], share: float) -> float:
    """A percentile, in ms."""
    ordered = sorted(took)
    return round(ordered[int((len(ordered) - 1) * share)] * 1000, 2) if ordered else float("inf")


async def _open(address: str) -> ClientConnection:
    url = f"{address.replace('http', 'ws', 1)}/ws"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return await connect(url, additional_headers=headers, compression=None, proxy=None)


class _Client:
    """Requests of one socket, any number at once."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.told: list[dict[str, Any]] = []
        """Notifications, until somebody takes them away."""

    async def read(self) -> None:
        """Take in what comes, for ever; raises `ConnectionClosed`."""
        while True:
            message = json.loads(await self._socket.recv())
            if "method" in message:
                self.told.append(message)
            else:
                self._answers.pop(message["id"]).set_result(message)

    async def ask(self, method: str, **params: Any) -> Any:
        id = next(self._ids)
        answer = self._answers[id] = asyncio.get_running_loop().create_future()
        request = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        await self._socket.send(json.dumps(request))
        message = await answer
        if "result" not in message:
            raise SystemExit(f"{method} was refused: {message['error']}")
        return message["result"]


async def _accepting(address: str) -> list[float]:
    clients = [_Client(await _open(address)) for _ in range(CONNECTIONS)]
    readers = [asyncio.ensure_future(client.read()) for client in clients]
    took: list[float] = []
    chance = random.Random(SEED)
    begun = due = time.perf_counter()
    asked: set[asyncio.Future[None]] = set()

    async def say(number: int) -> None:
        sent = time.perf_counter()
        client = clients[number % CONNECTIONS]
        await client.ask("turns.start", text="good morning", peer_id=f"p{number % CONNECTIONS}")
        if sent - begun > WARM_S:
            took.append(time.perf_counter() - sent)

    for number in itertools.count():
        due += chance.expovariate(INPUTS_S)
        if due - begun > ACCEPTING_S:
            break
        await asyncio.sleep(max(0, due - time.perf_counter()))
        asked.add(asyncio.ensure_future(say(number)))
    await asyncio.gather(*asked)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return took


class _Canceller:
    """Keeps turns in flight and stops one now and then; what it found is in its lists."""

    def __init__(self) -> None:
        self.running: list[float] = []
        self.waiting: list[float] = []
        self._flight: dict[str, asyncio.Future[Any]] = {}
        self._peer: dict[str, str] = {}
        self._client: _Client

    async def run(self, address: str) -> int:
        """How often the client was closed."""
        self._client = _Client(await _open(address))
        reader = asyncio.ensure_future(self._client.read())
        working = asyncio.ensure_future(self._work())
        await asyncio.wait({reader, working}, return_when=asyncio.FIRST_COMPLETED)
        closed = reader.done() and isinstance(reader.exception(), ConnectionClosed)
        for task in (reader, working, *self._flight.values()):
            task.cancel()
        await asyncio.gather(reader, *self._flight.values(), return_exceptions=True)
        if not closed:
            await working
        return int(closed)

    async def _work(self) -> None:
        await self._client.ask("events.subscribe", previews=True)
        pairs = [f"pair{number}" for number in range((IN_FLIGHT - ALONE) // 2)]
        for peer in (*(f"alone{number}" for number in range(ALONE)), *pairs):
            await self._start(peer)
        while not self._begun().issuperset(self._flight):  # noqa: ASYNC110 - first the SDK is loaded
            await asyncio.sleep(1 / CANCELS_S)
        for peer in pairs:
            await self._start(peer)
        chance = random.Random(SEED)
        while (number := len(self.running) + len(self.waiting)) < CANCELS:
            await asyncio.sleep(1 / CANCELS_S)
            begun = self._begun()
            running = [turn for turn in self._flight if turn in begun and self._is_alone(turn)]
            waits = [t for t in self._flight if t not in begun and not self._is_alone(t)]
            await self._stop(chance.choice(running if number % 2 else waits), running)

    def _begun(self) -> set[str]:
        """Turns that have begun, by the events the client received."""
        return {
            message["params"]["result"]["turn_id"]
            for message in self._client.told
            if message["method"] == "events.event"
            and message["params"]["result"]["kind"] == "turn.started"
        }

    def _is_alone(self, turn: str) -> bool:
        return self._peer[turn].startswith("alone")

    async def _start(self, peer: str) -> None:
        started = await self._client.ask("turns.start", text=WORDS, peer_id=peer)
        self._peer[started["turn_id"]] = peer
        waiting = self._client.ask("turns.wait", turn_id=started["turn_id"], wait_ms=600_000)
        self._flight[started["turn_id"]] = asyncio.ensure_future(waiting)

    async def _stop(self, turn: str, running: list[str]) -> None:
        begun = time.perf_counter()
        await self._client.ask("turns.cancel", turn_id=turn)
        answer = await self._flight.pop(turn)
        took = time.perf_counter() - begun
        if answer["state"] != "cancelled":
            raise SystemExit(f"a cancelled turn ended as {answer}")
        (self.running if turn in running else self.waiting).append(took)
        await self._start(self._peer.pop(turn))
