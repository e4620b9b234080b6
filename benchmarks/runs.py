"""Durable runs through the engine, beside the same writes handed to the store by hand.

A run is opened, takes five pure steps that return at once, and ends. The difference of the two is
what the engine costs: fingerprints, records, switches, tasks of its own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables import Found, Progress, Table
from gateway.core.clock import SystemClock
from gateway.core.errors import TurngateError
from gateway.core.ids import RunId, SystemIds
from gateway.runs.attempts import Attempt
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.runs.engine import Engine
from gateway.runs.task import Finish, Manifest, Pause
from gateway.store.base.runs import EndRun, OpenRun, RunRow
from gateway.store.base.steps import BeginStep, CompleteStep
from gateway.store.base.store import Durability, Store, Unit
from gateway.store.sqlite.store import open_sqlite

CELL_S = 2.0
"""How long one cell of the table runs; all of them about 15 s."""
STEPS = 5
CLIENTS = (1, 16, 64)
RESULT = {"text": "x" * 88}
RESULT_TEXT = '{"text":"' + "x" * 88 + '"}'

OneRun = Callable[[RunId], Awaitable[None]]


class FiveSteps:
    """The task: what its steps do costs nothing."""

    name = "five"

    async def run(self, context: RunContext) -> Finish:
        for number in range(STEPS):
            await context.step("call_model", self._work, kind="llm", input={"round": number})
        return Finish("completed", RESULT)

    async def _work(self, attempt: Attempt) -> Json:
        return RESULT

    async def abandon(self, run_id: RunId, error: TurngateError) -> Finish:
        raise error

    async def pause(self, run_id: RunId, reason: str) -> Pause:
        return Pause()

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        """Nothing is interrupted here."""


def by_engine(store: Store) -> OneRun:
    """A run as a lane takes it: opened in a unit, executed at once."""
    clock = SystemClock()
    engine = Engine(store=store, clock=clock, ids=SystemIds(clock), tasks=(FiveSteps(),))
    manifest = Manifest(FiveSteps.name, {"inputs": ["t_1"]})

    async def one_run(run_id: RunId) -> None:
        await store.commit(Unit((engine.opening(run_id, manifest),)))
        outcome = await engine.execute(run_id, fresh=FiveSteps.name)
        assert outcome == "ended"

    return one_run


def by_hand(store: Store) -> OneRun:
    """The writes alone."""

    async def one_run(run_id: RunId) -> None:
        at = 1_700_000_000_000
        opening = OpenRun(run_id, "five", "hash", "", "{}", "w1", at + 30_000, at)
        await store.commit(Unit((opening,)))
        for number in range(STEPS):
            begin = BeginStep(run_id, 1, f"{number}", "call_model", "llm", "pure", "hash", at)
            store.post(Unit((begin,), durability=Durability.POSTED))
            done = CompleteStep(run_id, 1, f"{number}", RESULT_TEXT, at)
            await store.commit(Unit((done,)))
        end = EndRun(run_id, 1, "completed", RESULT_TEXT, "", at)
        await store.commit(Unit((end,), durability=Durability.CRITICAL))

    return one_run


@dataclass(frozen=True)
class Measured:
    """What so many clients did."""

    runs_s: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float


async def saturate(path: Path, make: Callable[[Store], OneRun], clients: int) -> Measured:
    """As many runs as so many clients can do one after the other."""
    store = await open_sqlite(path)
    one_run = make(store)
    took_ms: list[float] = []
    cpu, started = time.process_time(), time.perf_counter()

    async def client(name: int) -> None:
        count = 0
        while time.perf_counter() - started < CELL_S:
            begun = time.perf_counter()
            await one_run(RunId(f"t_{name:014x}{count:014x}"))
            took_ms.append((time.perf_counter() - begun) * 1000)
            count += 1

    async with asyncio.TaskGroup() as group:
        for name in range(clients):
            group.create_task(client(name))
    took = time.perf_counter() - started
    spent = (time.process_time() - cpu) * 1000
    await store.close()
    ordered = sorted(took_ms)
    return Measured(
        len(ordered) / took,
        spent / len(ordered),
        ordered[len(ordered) // 2],
        ordered[len(ordered) * 99 // 100],
    )


WAYS: dict[str, Callable[[Store], OneRun]] = {"engine": by_engine, "store by hand": by_hand}


def measure(progress: Progress) -> Found:
    """One table."""
    rows: list[tuple[str | int | float | None, ...]] = []
    for clients in CLIENTS:
        found: dict[str, Measured] = {}
        for name, make in WAYS.items():
            progress(f"runs: {name}, {clients} at once ...")
            with tempfile.TemporaryDirectory(prefix="turngate-bench-") as folder:
                path = Path(folder) / "turngate.db"
                found[name] = asyncio.run(saturate(path, make, clients))
        hand = found["store by hand"]
        for name, cell in found.items():
            ratio = None if cell is hand else cell.runs_s / hand.runs_s
            more = None if cell is hand else cell.cpu_ms - hand.cpu_ms
            rows.append(
                (name, clients, cell.runs_s, ratio, cell.p50_ms, cell.p99_ms, cell.cpu_ms, more)
            )
    return [
        Table(
            f"durable runs of {STEPS} steps",
            ("by", "clients", "runs/s", "of by hand", "p50 ms", "p99 ms", "CPU ms/run", "more"),
            rows,
            "`more` is the CPU a run costs beyond its writes, in milliseconds.",
        )
    ]
