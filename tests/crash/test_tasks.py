"""Durable tasks against SIGKILL: random programs, random moments, real processes, both stores."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.client import Client
from gateway.core.clock import SystemClock
from gateway.core.errors import Conflict, EventEmitRace
from tests.crash import odd_jobs
from tests.crash.fleet import Gate, fleet
from tests.crash.test_kills import SEED
from tests.support import database

RUNS = 5
"""New runs in each life."""
SQLITE = pytest.param("sqlite", marks=pytest.mark.crash)
POSTGRES = pytest.param("postgres", marks=[pytest.mark.crash, pytest.mark.postgres])

_STEPS = "SELECT run_id, path, result FROM steps WHERE status = 'completed'"
_CUT = (
    "SELECT run_id, path, attempts FROM steps WHERE status = 'completed' AND run_id IN "
    "(SELECT run_id FROM runs WHERE ended_at IS NULL)"
)


class House:
    """Gateways on one store, the runs they were given, and the book of what these did."""

    def __init__(self, folder: Path, url: str) -> None:
        self._book = folder / "book"
        self._book.touch()
        self._url = url
        self._chance = random.Random(SEED)
        self._lives = 0
        self.cut = 0
        """Steps on record of runs that a kill has interrupted: what must not be done again."""
        self.runs: dict[str, int] = {}
        self._recorded: list[tuple[int, set[tuple[str, str]]]] = []

    def book(self) -> list[tuple[str, ...]]:
        """Run, path and key of every execution, in the order in which they happened."""
        return [tuple(line.split()) for line in self._book.read_text().splitlines()]

    async def live(self, gate: Gate, *, doomed: bool) -> None:
        """Start runs, old ones again, answer questions; kill it at a random moment, or wait."""
        moment = self._chance.uniform(0.1, 1.0) if doomed else 40
        self._lives += 1
        newest = self._lives * RUNS
        try:
            async with asyncio.timeout(moment), gate.client() as client:
                for number in range(max(0, newest - 2 * RUNS), newest):
                    given = {"seed": SEED + number, "book": str(self._book)}
                    asked = {"task": "odd", "input": given, "key": f"k{number}"}
                    found = await client.call("runs.start", asked)
                    assert self.runs.setdefault(found["run_id"], SEED + number) == SEED + number
                while await self._unfinished(client):
                    await SystemClock().sleep(0.05)
        except TimeoutError:
            assert doomed, "not all runs came to their end"
        if doomed:
            gate.kill()
            await gate.process.wait()
            done = {(run, path) for run, path, _ in await self._rows(_STEPS)}
            self._recorded.append((len(self.book()), done))
            self.cut += len(await self._rows(_CUT))

    async def broken(self) -> Iterator[str]:
        """Broken promises, as sentences."""
        book, steps = self.book(), await self._rows(_STEPS)
        times = Counter((run, path) for run, path, _ in book)
        words = {run: dict(_words(odd_jobs.program(seed))) for run, seed in self.runs.items()}
        said = [] if self.cut else ["no run was ever interrupted"]
        for before, recorded in self._recorded:
            again = {(run, path) for run, path, _ in book[before:]} & recorded
            said += [f"{each} was on record and was done again" for each in again]
        for (run, path), count in times.items():
            if words[run][path] == "unsafe" and count > 1:
                said.append(f"unsafe {run} {path} was done {count} times")
        for run, path, key in book:
            if key != f"{run}:{path}":
                said.append(f"{run} {path} had the key {key}")
        for run, path, _ in steps:
            if words[run].get(path) in ("pure", "idempotent", "flaky") and not times[run, path]:
                said.append(f"{run} {path} is on record and was never done")
        return iter(said)

    async def _unfinished(self, client: Client) -> int:
        """How many have not ended; whoever asks what became of a step is told the truth."""
        done = {(run, path) for run, path, _ in self.book()}
        parked = (await client.call("runs.list", {"status": "suspended"}))["runs"]
        for row in parked:
            if row["reason"] == "decision":
                await self._decide(client, row["run_id"], done)
        return len(parked) + len((await client.call("runs.list", {"status": "running"}))["runs"])

    async def _decide(self, client: Client, run: str, done: set[tuple[str, str]]) -> None:
        for key in (await client.call("runs.get", {"run_id": run}))["waits"]:
            path = key.split(":")[1]
            ran = (run, path) in done
            decision = "ran" if ran else "did_not_run"
            said = {"run_id": run, "step": path, "decision": decision, "result": path}
            with suppress(EventEmitRace, Conflict):  # said before, and it has not woken yet
                await client.call("runs.decide", said)

    async def _rows(self, query: str) -> list[tuple[str, str, str]]:
        if self._url.startswith("postgresql"):
            return [tuple(row) for row in await database.run(self._url, query)]
        with closing(sqlite3.connect(self._url)) as connection:
            return connection.execute(query).fetchall()

    async def wrong_results(self, client: Client) -> list[str]:
        """Runs that came to something else than what is on record for their steps."""
        steps = {(run, path): result for run, path, result in await self._rows(_STEPS)}
        wrong: list[str] = []
        for run, seed in self.runs.items():
            shown = await client.call("runs.get", {"run_id": run})
            if shown["status"] != "completed":
                wrong.append(f"{run} is {shown['status']}: {shown['error']}")
                continue
            result = shown["result"]
            for path, word in _words(odd_jobs.program(seed)):
                value: Any = result
                for place in path.split("."):
                    value = value[int(place)]
                due = {"nap": "null", "now": str(value), "uuid": f'"{value}"'}
                if steps[run, path] != due.get(word, f'"{path}"') and word != "nap":
                    wrong.append(f"{run} {path} ({word}): {value!r}, {steps[run, path]}")
                elif word not in due and value != path:
                    wrong.append(f"{run} {path} ({word}) came to {value!r}")
        return wrong


def _words(program: odd_jobs.Program, scope: str = "") -> Iterator[tuple[str, str]]:
    """Every step with its path."""
    for position, word in enumerate(program):
        if isinstance(word, str):
            yield f"{scope}{position}", word
        else:
            for number, branch in enumerate(word):
                yield from _words(branch, f"{scope}{position}.{number}.")


async def kill(folder: Path, store: str, times: int) -> None:
    """That many lives that end at a random moment, then one that may finish everything.

    On PostgreSQL another process is always there, so that runs are taken over while it works.
    """
    workspace = folder / "workspace"
    workspace.mkdir()
    shutil.copy(odd_jobs.__file__, workspace / "odd_jobs.py")
    url = str(folder / "turngate.db") if store == "sqlite" else await database.fresh_url()
    house = House(folder, url)
    async with fleet(folder, url, "http://127.0.0.1:9/v1", TURNGATE_TASKS="odd_jobs.py:odd") as all:
        beside = await all.start() if store == "postgres" else None
        for _ in range(times):
            gate = beside or await all.start()
            beside = await all.start() if store == "postgres" else None
            await house.live(gate, doomed=True)
        last = beside or await all.start()
        await house.live(last, doomed=False)
        async with last.client() as client:
            broken = [*await house.broken(), *await house.wrong_results(client)]
    assert not broken, f"seed {SEED}:\n" + "\n".join(broken)


@pytest.fixture(autouse=True)
def server(request: pytest.FixtureRequest) -> None:
    """Start the database outside of any test's time."""
    if "postgres" in request.node.name:
        database.server()


@pytest.mark.timeout(90)
@pytest.mark.parametrize("store", [SQLITE, POSTGRES])
async def test_tasks_end_as_if_nobody_had_killed_them(tmp_path: Path, store: str) -> None:
    """Nothing on record is done again, nothing unsafe twice, and every run comes to its result."""
    await kill(tmp_path, store, 3)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", [SQLITE, POSTGRES])
async def test_tasks_end_all_the_same_after_many_kills(tmp_path: Path, store: str) -> None:
    """The same with forty lives, and so with runs that die many times."""
    await kill(tmp_path, store, 40)
