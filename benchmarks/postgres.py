"""The PostgreSQL store alone, and whole turns with one process and two on one database.

The runs are those of `benchmarks.store`; *one at a time* is the same store that is given one unit
after the other, so that no two share a transaction. The server is from the development packages.
With `DBOS_PYTHON`, an interpreter that has `dbos`, its runs of five steps are measured beside ours.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.processes import cpu_s
from benchmarks.store import Cell, saturate
from benchmarks.tables import Aim, Found, Progress, Table
from gateway.core.clock import SystemClock
from gateway.simulate.server import simulating
from gateway.store.base.catalog import Op
from gateway.store.base.steps import BeginStep
from gateway.store.base.store import Durability, NewEvent, Unit
from gateway.store.postgres.store import PostgresStore, connect_store
from tests.crash.fleet import fleet
from tests.support import database
from tests.support.machine import children_of

CLIENTS = (1, 16, 64)
PROCESSES = (1, 2, 4)
PEERS = 16
WARM_S = 5.0
"""Until each process has loaded what its first turn needs: half a second of CPU."""
TURNS_S = 6.0
CONNECTED = "SELECT pid FROM pg_stat_activity WHERE application_name = 'turngate'"
CONNECTIONS = 3
"""Of a process that has started: one writes, one listens, one reads."""


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


async def _dbos(python: str, clients: int) -> float:
    """Runs a second of DBOS on the same server, in a database of its own."""
    await database.run(str(database.server().get_uri()), f"CREATE DATABASE dbos_{clients}")
    url = str(database.server().get_uri()).replace("/postgres?", f"/dbos_{clients}?")
    script = Path(__file__).with_name("dbos_runs.py")
    done = await asyncio.to_thread(
        subprocess.run,
        [python, str(script), url, f"{clients}"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


async def _all_started(url: str, processes: int) -> None:
    """Wait until each process listens: the parent's port takes clients before that."""
    clock = SystemClock()
    async with clock.timeout(60):
        while len(await database.run(url, CONNECTED)) < CONNECTIONS * processes:
            await clock.sleep(0.1)
    await clock.sleep(1)  # from the store to the port


async def _turns(processes: int) -> tuple[float, ...]:
    """Turns a second that sixteen clients get answered, each on a connection of its own.

    And the milliseconds of CPU a turn takes: of the gateways, of the database's sessions, and of
    this process, which is clients and model server.
    """
    url = await database.fresh_url()
    done = 0
    with tempfile.TemporaryDirectory() as folder:
        async with simulating() as upstream, fleet(Path(folder), url, upstream.base_url) as gates:
            gate = await gates.start(options=("--processes", f"{processes}"))
            await _all_started(url, processes)
            parts = (
                children_of(gate.process.pid) or [gate.process.pid],
                [row[0] for row in await database.run(url, CONNECTED)],
                [os.getpid()],
            )
            over = False

            async def talk(peer: int) -> None:
                nonlocal done
                async with gate.client() as client:
                    for number in itertools.count():
                        if over:
                            return
                        await client.send(f"p{peer} {number}", peer_id=f"p{peer}")
                        done += 1

            async def watch() -> tuple[float, ...]:
                nonlocal over
                await SystemClock().sleep(WARM_S)
                first, before = done, [sum(map(cpu_s, part)) for part in parts]
                started = time.perf_counter()
                await SystemClock().sleep(TURNS_S)
                turns, took = done - first, time.perf_counter() - started
                spent = [sum(map(cpu_s, part)) for part in parts]
                over = True
                return turns / took, *(
                    (now - then) * 1000 / turns for now, then in zip(spent, before, strict=True)
                )

            watching = asyncio.get_running_loop().create_task(watch())
            await asyncio.gather(*map(talk, range(PEERS)))
            found = await watching
            gate.stop()
            await gate.process.wait()
    return found


def measure(progress: Progress) -> Found:
    """About half a minute."""
    database.server()
    rows: list[tuple[str | float, ...]] = []
    python = os.environ.get("DBOS_PYTHON")
    for clients in CLIENTS:
        progress(f"postgres: {clients} clients")
        grouped = asyncio.run(_cell(Grouped, clients))
        alone = asyncio.run(_cell(OneAtATime, clients))
        ratio = grouped.runs_s / alone.runs_s
        dbos = asyncio.run(_dbos(python, clients)) if python else "not asked for"
        rows.append(
            (f"{clients}", grouped.runs_s, alone.runs_s, ratio, grouped.operations or 0.0, dbos)
        )
    turns: list[tuple[str | float, ...]] = []
    for processes in PROCESSES:
        progress(f"postgres: whole turns, {processes} processes")
        turns.append((f"{processes}", *asyncio.run(_turns(processes))))
    return [
        Table(
            "PostgreSQL: runs of five steps a second",
            ("clients", "grouped", "one at a time", "ratio", "operations a transaction", "DBOS"),
            rows,
        ),
        Aim("PostgreSQL, 16 at once: grouped", float(rows[1][1]), 700, "runs/s", False),
        Aim("PostgreSQL, 16 at once: ÷ one at a time", float(rows[1][3]), 2, "times", False),
        Table(
            "PostgreSQL: whole turns a second",
            ("processes", "turns/s", "gateways, CPU ms a turn", "database", "clients and model"),
            turns,
            "Clients, model server, gateways and database share the machine.",
        ),
    ]
