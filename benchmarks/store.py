"""The store alone: durable runs a second, beside what one would write without it.

A run is what a turn leaves behind: opened with an event, five steps begun and completed, ended with
an event. All contenders write the same rows by the same SQL into the same schema:

- `grouped`: our store; a begun step is posted, everything else awaited;
- `a transaction a write`: `sqlite3` in a thread, BEGIN and COMMIT around each write;
- `aiosqlite`: its public API, a statement at a time.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiosqlite

from benchmarks.tables import Aim, Found, Progress, Table
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import TouchSession
from gateway.store.base.events import EventRow
from gateway.store.base.runs import EndRun, OpenRun
from gateway.store.base.steps import BeginStep, CompleteStep
from gateway.store.base.store import Durability, NewEvent, Unit
from gateway.store.sqlite import statements
from gateway.store.sqlite.database import Database
from gateway.store.sqlite.store import SqliteStore, open_sqlite

CELL_S = 1.3
"""How long one cell of the table runs; with all of them about 45 s."""
PACED_S = 5.0
PACED_RUNS = 20
"""Runs a second when the machine is not saturated: what a busy gateway would offer."""
STEPS = 5
CLIENTS = (1, 16, 64)
RESULT = '{"text":"' + "x" * 88 + '"}'


class Contender(Protocol):
    """Something that takes the writes of a run."""

    async def begin(self, op: BeginStep) -> None:
        """A step's work is about to start."""
        ...

    async def write(self, op: Op, event: NewEvent | None = None) -> None:
        """Returns when it holds."""
        ...

    async def close(self) -> None:
        """Let go of the file."""
        ...


class Grouped:
    """Our store."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store

    async def begin(self, op: BeginStep) -> None:
        self.store.post(Unit((op,), durability=Durability.POSTED))

    async def write(self, op: Op, event: NewEvent | None = None) -> None:
        await self.store.commit(Unit((op,), (event,) if event else ()))

    async def close(self) -> None:
        await self.store.close()


def _event_row(seq: int, event: NewEvent) -> tuple[object, ...]:
    return (seq, *event)


class TransactionAWrite:
    """`sqlite3` in a thread, one transaction for each write."""

    def __init__(self, path: Path, *, full: bool) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._connection = _plain_connection(path, full=full)
        self._writes = statements.writes()
        self._raise_head = statements.bound("raise_head", ("count",))
        self._append = statements.bound("append_event", EventRow._fields[:-1])

    async def begin(self, op: BeginStep) -> None:
        await self.write(op)

    async def write(self, op: Op, event: NewEvent | None = None) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, op, event)

    def _write(self, op: Op, event: NewEvent | None) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute(self._writes[type(op)], op).fetchall()
        if event is not None:
            ((seq,),) = execute(self._raise_head, (1,)).fetchall()
            execute(self._append, _event_row(seq, event))
        execute("COMMIT")

    async def close(self) -> None:
        self._thread.shutdown()
        self._connection.close()


class StatementAtATime:
    """aiosqlite in autocommit mode, shared by all clients."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._writes = statements.writes()
        self._raise_head = statements.bound("raise_head", ("count",))
        self._append = statements.bound("append_event", EventRow._fields[:-1])

    @classmethod
    async def open(cls, path: Path, *, full: bool) -> StatementAtATime:
        _plain_connection(path, full=full).close()
        connection = await aiosqlite.connect(path, isolation_level=None)
        await connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
        return cls(connection)

    async def begin(self, op: BeginStep) -> None:
        await self.write(op)

    async def write(self, op: Op, event: NewEvent | None = None) -> None:
        await self._connection.execute_fetchall(self._writes[type(op)], op)
        if event is not None:
            found = list(await self._connection.execute_fetchall(self._raise_head, (1,)))
            await self._connection.execute_fetchall(self._append, _event_row(found[0][0], event))

    async def close(self) -> None:
        await self._connection.close()


def _plain_connection(path: Path, *, full: bool) -> sqlite3.Connection:
    connection = Database(path).connect_writer()
    connection.execute("PRAGMA wal_autocheckpoint = 1000")  # as everybody has it by default
    connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
    return connection


@dataclass
class Cell:
    """What one contender did with so many clients."""

    runs_s: float
    cpu_ms: float
    steps_ms: list[float] = field(repr=False)
    runs_ms: list[float] = field(repr=False)
    operations: float | None = None

    def step(self, percent: int) -> float:
        return percentile(self.steps_ms, percent)


def percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


_run_ids = itertools.count(1)


async def one_run(contender: Contender, steps_ms: list[float]) -> None:
    run = f"t_{next(_run_ids):028x}"
    at = 1_700_000_000_000
    await contender.write(
        OpenRun(run, "turn", "hash", "agent:main:main", "{}", "w1", at + 30_000, at),
        NewEvent(at, "turn.started", "agent:main:main", "main", run),
    )
    for place in range(STEPS):
        begun = time.perf_counter()
        await contender.begin(BeginStep(run, 1, f"{place}", "call_model", "llm", "pure", "", at))
        await contender.write(CompleteStep(run, 1, f"{place}", RESULT, at))
        steps_ms.append((time.perf_counter() - begun) * 1000)
    await contender.write(
        EndRun(run, 1, "completed", RESULT, "", at),
        NewEvent(at, "turn.completed", "agent:main:main", "main", run),
    )


async def saturate(contender: Contender, clients: int) -> Cell:
    """As many runs as so many clients can do one after the other."""
    steps_ms: list[float] = []
    runs_ms: list[float] = []
    cpu, started = time.process_time(), time.perf_counter()

    async def client() -> None:
        while time.perf_counter() - started < CELL_S:
            begun = time.perf_counter()
            await one_run(contender, steps_ms)
            runs_ms.append((time.perf_counter() - begun) * 1000)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    took = time.perf_counter() - started
    spent = (time.process_time() - cpu) * 1000
    return Cell(len(runs_ms) / took, spent / len(runs_ms), steps_ms, runs_ms)


async def pace(contender: Contender) -> tuple[Cell, float]:
    """So many runs a second at fixed moments, and the share of a core they took."""
    steps_ms: list[float] = []
    runs_ms: list[float] = []
    cpu, started = time.process_time(), time.perf_counter()

    async def client(due: float) -> None:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        begun = time.perf_counter()
        await one_run(contender, steps_ms)
        runs_ms.append((time.perf_counter() - begun) * 1000)

    async with asyncio.TaskGroup() as group:
        for n in range(int(PACED_S * PACED_RUNS)):
            group.create_task(client(started + n / PACED_RUNS))
    took = time.perf_counter() - started
    spent = time.process_time() - cpu
    cell = Cell(len(runs_ms) / took, spent * 1000 / len(runs_ms), steps_ms, runs_ms)
    return cell, spent / took * 100


Opener = Callable[[Path, bool], Awaitable[Contender]]


async def _grouped(path: Path, full: bool) -> Contender:
    return Grouped(await open_sqlite(path, strict=full))


async def _transaction(path: Path, full: bool) -> Contender:
    return TransactionAWrite(path, full=full)


async def _statement(path: Path, full: bool) -> Contender:
    return await StatementAtATime.open(path, full=full)


CONTENDERS: dict[str, Opener] = {
    "grouped": _grouped,
    "a transaction a write": _transaction,
    "aiosqlite": _statement,
}
DURABILITY = {"NORMAL": False, "FULL": True}


@contextmanager
def _fresh() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="turngate-bench-") as folder:
        yield Path(folder) / "turngate.db"


async def _cell(name: str, durability: str, clients: int) -> Cell:
    with _fresh() as path:
        contender = await CONTENDERS[name](path, DURABILITY[durability])
        try:
            cell = await saturate(contender, clients)
            if isinstance(contender, Grouped):
                cell.operations = contender.store.operations_per_batch
        finally:
            await contender.close()
        return cell


async def _paced(durability: str) -> tuple[Cell, float]:
    with _fresh() as path:
        contender = await _grouped(path, DURABILITY[durability])
        try:
            return await pace(contender)
        finally:
            await contender.close()


async def _opening(*, memory: bool) -> list[float]:
    found = []
    for _ in range(15):
        with _fresh() as path:
            begun = time.perf_counter()
            store = await open_sqlite(None if memory else path)
            await store.close()
            found.append((time.perf_counter() - begun) * 1000)
    return found


async def _enqueue_to_seen() -> list[float]:
    """From handing over an accepted input to a listener hearing of it; nothing else is going on."""
    found = []
    with _fresh() as path:
        store = await open_sqlite(path)
        seen: list[float] = []
        store.listen(lambda committed: seen.append(time.perf_counter()))
        for n in range(300):
            begun = time.perf_counter()
            await store.commit(
                Unit(
                    (TouchSession(f"s{n}", "main", "ann", n),),
                    (NewEvent(n, "input.accepted"),),
                    Durability.CRITICAL,
                )
            )
            found.append((seen[-1] - begun) * 1000)
            await asyncio.sleep(0.001)
        await store.close()
    return found


def _sync_ms() -> float:
    """What the disk takes for one small durable write: explains every figure with FULL."""
    with _fresh() as path:
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        took = []
        for _ in range(50):
            os.write(fd, b"x" * 4096)
            begun = time.perf_counter()
            os.fsync(fd)
            took.append((time.perf_counter() - begun) * 1000)
        os.close(fd)
    return statistics.median(took)


Key = tuple[str, str, int]


def measure(progress: Progress) -> Found:
    """About a minute."""
    cells: dict[Key, Cell] = {}
    # The contenders of one row right after each other: what the machine does meanwhile hits all.
    for durability, clients in itertools.product(DURABILITY, CLIENTS):
        for name in CONTENDERS:
            progress(f"store: {name}, {durability}, {clients} at once ...")
            cells[name, durability, clients] = asyncio.run(_cell(name, durability, clients))
    paced = {}
    for durability in DURABILITY:
        progress(f"store: {PACED_RUNS} runs a second, {durability} ...")
        paced[durability] = asyncio.run(_paced(durability))
    progress("store: opening, and from enqueue to seen ...")
    single = {
        "open and close, file": asyncio.run(_opening(memory=False)),
        "open and close, memory": asyncio.run(_opening(memory=True)),
        "enqueue to seen, critical": asyncio.run(_enqueue_to_seen()),
        "fsync of this disk": [_sync_ms()],
    }
    return [
        _throughput(cells),
        _paces(paced),
        _singles(single),
        *_aims(cells, paced, single),
    ]


def _throughput(cells: dict[Key, Cell]) -> Table:
    rows: list[tuple[str | int | float | None, ...]] = []
    for (name, durability, clients), cell in cells.items():
        ours = cells["grouped", durability, clients]
        rows.append(
            (
                name,
                durability,
                clients,
                cell.runs_s,
                None if cell is ours else ours.runs_s / cell.runs_s,
                cell.step(50),
                cell.step(99),
                cell.cpu_ms,
                cell.operations,
            )
        )
    return Table(
        f"durable runs (open, {STEPS} steps, end, 2 events)",
        (
            "store",
            "commit",
            "clients",
            "runs/s",
            "grouped is",
            "step p50 ms",
            "step p99 ms",
            "CPU ms/run",
            "writes/tx",
        ),
        rows,
        "`grouped is` so many times faster than this one, same commit mode and number of clients.",
    )


def _paces(paced: dict[str, tuple[Cell, float]]) -> Table:
    return Table(
        f"{PACED_RUNS} runs a second offered",
        ("commit", "step p50 ms", "step p99 ms", "run p99 ms", "CPU % of a core"),
        [
            (name, cell.step(50), cell.step(99), percentile(cell.runs_ms, 99), share)
            for name, (cell, share) in paced.items()
        ],
    )


def _singles(single: dict[str, list[float]]) -> Table:
    return Table(
        "one at a time",
        ("what", "p50 ms", "max ms"),
        [(name, percentile(values, 50), max(values)) for name, values in single.items()],
    )


def _aims(
    cells: dict[Key, Cell], paced: dict[str, tuple[Cell, float]], single: dict[str, list[float]]
) -> list[Aim]:
    """Ratios are of one run; times are the disk's as much as the store's: see its fsync."""

    def ratio(durability: str, clients: int, bound: float) -> Aim:
        ours = cells["grouped", durability, clients].runs_s
        other = cells["a transaction a write", durability, clients].runs_s
        what = f"store, {clients} at once, {durability}: grouped ÷ a transaction a write"
        return Aim(what, ours / other, bound, "times", False)

    sixteen, sixty_four = (cells["grouped", "NORMAL", clients] for clients in (16, 64))
    relaxed, share = paced["NORMAL"]
    at = f"store, {PACED_RUNS} runs/s"
    return [
        ratio("NORMAL", 1, 0.85),
        ratio("FULL", 1, 0.85),
        ratio("NORMAL", 16, 2.0),
        ratio("FULL", 16, 3.5),
        ratio("NORMAL", 64, 2.8),
        ratio("FULL", 64, 6.0),
        Aim("store, 16 at once: writes a transaction", sixteen.operations or 0, 8, "", False),
        Aim("store, 64 at once: writes a transaction", sixty_four.operations or 0, 30, "", False),
        Aim("store, 16 at once: a step, p99", sixteen.step(99), 3.0, "ms"),
        Aim("store, 16 at once: CPU a run", sixteen.cpu_ms, 0.6, "ms"),
        Aim(f"{at}: a step, p50", relaxed.step(50), 0.3, "ms"),
        Aim(f"{at}: a step, p99", relaxed.step(99), 1.0, "ms"),
        Aim(f"{at}: a run, p99", percentile(relaxed.runs_ms, 99), 5.0, "ms"),
        Aim(f"{at}: CPU", share, 8.0, "%"),
        Aim(
            "store: from enqueue to seen, p50",
            percentile(single["enqueue to seen, critical"], 50),
            2.0,
            "ms",
        ),
        Aim("store: open and close, p50", percentile(single["open and close, file"], 50), 20, "ms"),
    ]
