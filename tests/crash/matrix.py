"""Everything that can go wrong at once, on either store: turns and durable runs under faults.

One gateway on SQLite, or two on PostgreSQL behind a door that cuts connections. Clients only know
what they were told; what runs did is in a journal of their own; both are held against the store.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
import socket
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from gateway.client import Client
from gateway.core.clock import SystemClock
from gateway.core.errors import Busy, StoreUnavailable
from gateway.link import ConnectionLost
from gateway.simulate.asked import Asked
from gateway.simulate.server import simulating
from tests.crash.fleet import LEASE_S, TOKEN, Gate, fleet
from tests.crash.journey import STEPS
from tests.support import database
from tests.support.doors import Door, door
from tests.support.standins import Brisk

TALKERS = 4
TRAVELLERS = 4
AHEAD = 3
"""Messages a talker sends before it waits for the last one's answer."""
LIFE_S = (0.05, 3.0)
"""How long a gateway lives from the moment it listens, or from a trouble on."""
STOPPED_S = LEASE_S + 1.5
THAW_S = 2.0
"""What a process that slept over its lease had begun before may leave it so long after."""
END_S = 60.0
STARTS = 5
"""How often a gateway is started again by whoever looks after it."""

_KEY = re.compile(r"\[(k\d+)\]")


@dataclass(slots=True)
class Report:
    """What a test looks at, as counts and as sentences."""

    faults: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    executed: int = 0
    """Steps and model calls that were made."""
    asked: int = 0
    """Unsafe steps that were cut, so that a person was asked."""
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    unsafe: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    """What each gateway wrote to its log."""

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {what}" for what, count in self.faults.items())
        return (
            f"{faults}: {self.acknowledged} acknowledged, {len(self.lost)} lost; "
            f"{self.executed} steps, {len(self.repeated)} repeated when on record; {self.asked} "
            f"unsafe ones cut, {len(self.unsafe)} repeated; {len(self.stuck)} stuck; "
            f"{len(self.wrong)} otherwise wrong"
        )

    @property
    def broken(self) -> list[str]:
        """Every broken promise."""
        return [*self.lost, *self.repeated, *self.unsafe, *self.stuck, *self.wrong]


class Matrix:
    """Gateways, clients and a demon around one store; `url` is empty for SQLite."""

    def __init__(self, home: Path, *, url: str, seed: int) -> None:
        self._home = home
        self._url = url
        self._chance = random.Random(seed)
        self._journal = home / "journal"
        self._ports = [_quiet_port(self._chance) for _ in range(2 if url else 1)]
        self._gates: list[Gate] = []
        self._start: Callable[[int], Coroutine[Any, Any, Gate]]
        self._door: Door | None = None
        self._keys = 0
        self._over = False
        self._acknowledged: dict[str, str] = {}
        """Run → what was acknowledged. The id of a turn is that of its run."""
        self._asked: list[tuple[str, ...]] = []
        self._recorded: dict[str, tuple[int, int, int]] = {}
        """Completed step → attempts, and the places of journal and calls when that was seen."""
        self._slept: set[int] = set()
        self._thawed = -THAW_S
        self.report = Report()

    async def run(self, kills: int) -> Report:
        """As many kills, and in between the other faults this store has; then the accounts."""
        async with (
            simulating(answer=self._reply) as upstream,
            self._doorway() as url,
            fleet(self._home, url, upstream.base_url) as gates,
        ):

            async def start(number: int) -> Gate:
                for _ in range(STARTS):
                    with suppress(AssertionError):  # what starts while the database is away ends
                        return await gates.start(
                            TURNGATE_HOME=str(self._home / f"home{number}"),
                            TURNGATE_PORT=str(self._ports[number]),
                            TURNGATE_TASKS="tests.crash.journey:journey",
                            TURNGATE_LOG_LEVEL="error",
                        )
                raise AssertionError("it does not start")

            self._start = start
            self._gates = [await start(number) for number in range(len(self._ports))]
            deciding = asyncio.get_running_loop().create_task(self._decide())
            clients = [
                asyncio.get_running_loop().create_task(work(number))
                for work, count in ((self._talk, TALKERS), (self._travel, TRAVELLERS))
                for number in range(count)
            ]
            shares = [kills // len(self._gates)] * len(self._gates)
            await asyncio.gather(*(self._haunt(*share) for share in enumerate(shares)))
            self._over = True
            _, late = await asyncio.wait(clients, timeout=END_S)
            for task in (*late, deciding):
                task.cancel()
            ended = await asyncio.gather(*clients, deciding, return_exceptions=True)
            self.report.log = gates.said
            self.report.stuck += ["a client waits for its answer"] * len(late)
            self.report.wrong += [repr(error) for error in ended if isinstance(error, Exception)]
        await self._account()
        return self.report

    @asynccontextmanager
    async def _doorway(self) -> AsyncIterator[str]:
        if not self._url:
            yield ""
            return
        async with door(self._url) as (self._door, through):
            yield through

    # --- faults ----------------------------------------------------------------------------------

    async def _haunt(self, number: int, kills: int) -> None:
        """End one gateway's life again and again; on PostgreSQL it has other troubles besides."""
        for life in range(kills):
            await asyncio.sleep(self._chance.uniform(*LIFE_S))
            if self._door is not None:
                await self._trouble(number, life)
            self._gates[number].kill()
            await self._gates[number].process.wait()
            self.report.faults["kills"] += 1
            await self._record()
            self._gates[number] = await self._start(number)

    async def _trouble(self, number: int, life: int) -> None:
        assert self._door is not None
        match life % 10:
            case 1 | 4 | 6 | 9:
                self._door.cut_at, self._door.pass_on = b"COMMIT", life % 2 == 0
                self.report.faults["connections cut during COMMIT"] += 1
                await asyncio.sleep(self._chance.uniform(*LIFE_S))
            case 3:
                process = self._gates[number].process
                self._slept.add(process.pid)
                process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(STOPPED_S)
                process.send_signal(signal.SIGCONT)
                self._thawed = SystemClock().monotonic()
                self.report.faults["sleeps longer than the lease"] += 1
                await asyncio.sleep(self._chance.uniform(*LIFE_S))
            case 8 if number == 0:
                await asyncio.to_thread(database.restart)
                self.report.faults["database restarts"] += 1
                await asyncio.sleep(self._chance.uniform(*LIFE_S))

    # --- clients ---------------------------------------------------------------------------------

    def _client(self, number: int) -> Client:
        port = self._ports[number % len(self._ports)]
        return Client(f"http://127.0.0.1:{port}", TOKEN, clock=Brisk(), patience_s=6000)

    def _key(self) -> str:
        self._keys += 1
        return f"k{self._keys}"

    async def _talk(self, number: int) -> None:
        """Two talkers are one peer, and send ahead, so that messages come while a turn runs."""
        async with self._client(number) as client:
            while not self._over:
                sent = [await self._say(client, f"p{number // 2}") for _ in range(AHEAD)]
                key, turn_id = sent[-1]
                while True:
                    answer = await _persist(
                        client, "turns.wait", {"turn_id": turn_id, "wait_ms": 1000}
                    )
                    if answer["state"] == "answered":
                        break
                if key not in (answer["reply"] or ""):
                    self.report.wrong.append(f"{key} was answered with {answer['reply']!r}")

    async def _say(self, client: Client, peer: str) -> tuple[str, str]:
        """Say something that is then acknowledged: its key and its turn."""
        key = self._key()
        message = {"text": f"say [{key}]", "idempotency_key": key, "peer_id": peer}
        turn_id = (await _persist(client, "turns.start", message))["turn_id"]
        self._acknowledged[turn_id] = key
        return key, turn_id

    async def _travel(self, number: int) -> None:
        async with self._client(number) as client:
            while not self._over:
                key = self._key()
                wanted = {"task": "journey", "input": str(self._journal), "key": key}
                started = await _persist(client, "runs.start", wanted)
                self._acknowledged[started["run_id"]] = key
                while True:
                    run = await _persist(client, "runs.get", started)
                    if run["status"] == "completed":
                        break
                    await asyncio.sleep(0.05)

    async def _decide(self) -> None:
        """A person who says of every unsafe step that was cut that it had happened."""
        async with self._client(0) as client:
            while True:
                await asyncio.sleep(0.2)
                for run in (await _persist(client, "runs.list", {"status": "suspended"}))["runs"]:
                    if run["reason"] == "decision":
                        said = {"run_id": run["run_id"], "decision": "ran", "result": "2"}
                        with suppress(Exception):  # it was said already
                            await client.call("runs.decide", said)
                            self.report.asked += 1

    def _reply(self, call: Asked) -> str:
        keys = tuple(_KEY.findall(call.user_text))
        thawing = SystemClock().monotonic() < self._thawed + THAW_S
        self._asked.append(() if thawing else keys)
        return f"answer to {' '.join(keys)}"

    # --- accounts --------------------------------------------------------------------------------

    async def _rows(self, query: str) -> list[tuple[Any, ...]]:
        while self._url:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                return [tuple(row) for row in await database.run(self._url, query)]
            await asyncio.sleep(0.1)  # it is being started again
        with closing(sqlite3.connect(self._home / "home0" / "turngate.db", timeout=10)) as store:
            return store.execute(query).fetchall()

    async def _record(self) -> None:
        """Note what is on record; whatever comes after this is a repetition."""
        steps = await self._rows(
            "SELECT run_id, path, attempts FROM steps WHERE status='completed'"
        )
        lines, calls = len(self._lines()), len(self._asked)
        for run_id, path, attempts in steps:
            self._recorded.setdefault(f"{run_id}:{path}", (attempts, lines, calls))

    def _lines(self) -> list[str]:
        return self._journal.read_text("utf-8").splitlines() if self._journal.exists() else []

    async def _account(self) -> None:
        report, lines = self.report, self._lines()
        inputs = await self._rows("SELECT turn_id, state, merged_into FROM inputs")
        runs = await self._rows("SELECT run_id, task, status, result FROM runs")
        known = {row[0] for row in (*inputs, *runs)}
        report.acknowledged = len(self._acknowledged)
        report.lost = [f"{key} ({id})" for id, key in self._acknowledged.items() if id not in known]
        report.stuck += [
            f"turn {id}: {s}" for id, s, _ in inputs if s not in ("answered", "merged")
        ]
        report.stuck += [
            f"run {id}: {status}" for id, _, status, _ in runs if status != "completed"
        ]
        paths = [f"{place}" for place in range(len(STEPS))]
        for run_id, task, _, result in runs:
            if task == "journey" and result and orjson.loads(result) != paths:
                report.wrong.append(f"run {run_id} came to {result}")
        report.executed = len(lines) + len(self._asked)
        unsafe: Counter[str] = Counter()
        for place, line in enumerate(lines):
            key, number, pid = line.split()
            unsafe[key] += STEPS[int(key.rpartition(":")[2])] == "pay"
            attempts, seen, _ = self._recorded.get(key, (0, len(lines), 0))
            # What slept over its lease may finish what it had begun, but begin nothing.
            if place >= seen and (int(number) > attempts or int(pid) not in self._slept):
                report.repeated.append(f"{line}, on record with {attempts} attempts")
        report.unsafe = [f"{key}: {count} times" for key, count in unsafe.items() if count > 1]
        leaders = {self._acknowledged.get(id, id): into or id for id, _, into in inputs}
        models = dict(await self._rows("SELECT run_id, path FROM steps WHERE intent = 'model:0'"))
        for place, keys in enumerate(self._asked):
            for key in keys:
                turn = leaders.get(key, "")
                _, _, seen = self._recorded.get(f"{turn}:{models.get(turn)}", (0, 0, 1 << 62))
                if place >= seen:
                    report.repeated.append(f"the model was asked again for {key} ({turn})")
        for query, wrong in (
            (
                "SELECT max(seq), count(*) FROM events HAVING max(seq) <> count(*)",
                "gaps in the log",
            ),
            (
                "SELECT turn_id, count(*) FROM events WHERE kind IN ('turn.completed', "
                "'turn.failed', 'input.merged', 'run.ended') GROUP BY turn_id HAVING count(*) > 1",
                "ended twice",
            ),
        ):
            report.wrong += [f"{wrong}: {row}" for row in await self._rows(query)]


async def _persist(client: Client, method: str, params: dict[str, Any]) -> Any:
    """Call until it is answered: every refusal on the way is one that may be repeated."""
    while True:
        try:
            return await client.call(method, params)
        except (Busy, StoreUnavailable, ConnectionLost):
            await asyncio.sleep(0.05)


def _quiet_port(chance: random.Random) -> int:
    """A free port below those the kernel gives to clients."""
    while True:
        port = chance.randint(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
