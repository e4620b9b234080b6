"""The PostgreSQL store alone, and whole turns with one, two and four processes on one database.

The runs are those of `benchmarks.store`; *one at a time* is the same store that is given one unit
after the other, so that no two share a transaction. The server is from the development packages.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from pathlib import Path

from benchmarks.store import Cell, saturate
from benchmarks.tables import Progress, Table
from gateway.core.clock import SystemClock
from gateway.store.base.catalog import Op
from gateway.store.base.runs import BeginStep
from gateway.store.base.store import Durability, NewEvent, Unit
from gateway.store.postgres.store import PostgresStore, connect_store
from tests.crash.fleet import fleet
from tests.support import database
from tests.support.upstream import Upstream

CLIENTS = (1, 16, 64)
PROCESSES = (1, 2, 4)
PEERS = 16
TURNS_S = 4.0


class Grouped:
    """Our store, units of all clients together."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store

    async def begin(self, op: BeginStep) -> None:
        self.store.post(Unit((op,), durability=Durability.POSTED))

    async def write(self, op: Op, event: NewEvent | None = None) -> None:
        await self.store.commit(Unit((op,), (event,) if event else ()))

    async def close(self) -> None:
        await self.store.close()


class OneAtATime(Grouped):
    """The same without company: a transaction a write."""

    def __init__(self, store: PostgresStore) -> None:
        super().__init__(store)
        self._alone = asyncio.Lock()

    async def begin(self, op: BeginStep) -> None:
        await self.write(op)

    async def write(self, op: Op, event: NewEvent | None = None) -> None:
        async with self._alone:
            await super().write(op, event)


async def _cell(kind: type[Grouped], clients: int) -> Cell:
    store = await connect_store(await database.fresh_url(), clock=SystemClock(), callers_clock=True)
    contender = kind(store)
    try:
        cell = await saturate(contender, clients)
        cell.operations = store.operations_per_batch
        return cell
    finally:
        await contender.close()


async def _all_started(url: str, processes: int) -> None:
    """Wait until each process listens: the parent's port takes clients before that."""
    clock = SystemClock()
    listening = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    async with clock.timeout(30):
        while len(await database.run(url, listening)) < processes:
            await clock.sleep(0.1)
    await clock.sleep(1)  # from the store to the port


async def _turns(processes: int) -> float:
    """Turns a second that sixteen clients get answered, each on a connection of its own."""
    url = await database.fresh_url()
    done = 0
    with tempfile.TemporaryDirectory() as folder:
        async with Upstream() as upstream, fleet(Path(folder), url, upstream.base_url) as gates:
            gate = await gates.start(options=("--processes", f"{processes}"))
            await _all_started(url, processes)
            started = time.perf_counter()

            async def talk(peer: int) -> None:
                nonlocal done
                async with gate.client() as client:
                    for number in itertools.count():
                        if time.perf_counter() - started > TURNS_S:
                            return
                        await client.send(f"p{peer} {number}", peer_id=f"p{peer}")
                        done += 1

            await asyncio.gather(*map(talk, range(PEERS)))
            took = time.perf_counter() - started
            gate.stop()
            await gate.process.wait()
    return done / took


def measure(progress: Progress) -> list[Table]:
    """Two tables; about half a minute."""
    database.server()
    rows: list[tuple[str, float, float, float, float]] = []
    for clients in CLIENTS:
        progress(f"postgres: {clients} clients")
        grouped = asyncio.run(_cell(Grouped, clients))
        alone = asyncio.run(_cell(OneAtATime, clients))
        ratio = grouped.runs_s / alone.runs_s
        rows.append((f"{clients}", grouped.runs_s, alone.runs_s, ratio, grouped.operations or 0.0))
    turns: list[tuple[str, float]] = []
    for processes in PROCESSES:
        progress(f"postgres: whole turns, {processes} processes")
        turns.append((f"{processes}", asyncio.run(_turns(processes))))
    return [
        Table(
            "PostgreSQL: runs of five steps a second",
            ("clients", "grouped", "one at a time", "ratio", "operations a transaction"),
            rows,
            "The gate is the ratio in one run: at least 2 with 16 clients.",
        ),
        Table(
            "PostgreSQL: whole turns a second",
            ("processes", "turns/s"),
            turns,
            "Clients, model server, gateways and database share the machine.",
        ),
    ]
