"""Durable runs of five steps on DBOS, for `benchmarks.postgres` to set its figures beside.

Run by an interpreter that has `dbos`, with a database and a number of clients; prints runs/s.
Nothing of ours is imported: that interpreter need not have it.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from typing import Any

STEPS = 5
CELL_S = 4.0
RESULT = {"text": "x" * 88}


async def measure(database: str, clients: int) -> float:
    """As many runs as so many clients can do one after the other."""
    DBOS: Any = importlib.import_module("dbos").DBOS
    DBOS(
        config={
            "name": "benchmark",
            "system_database_url": database,
            "run_admin_server": False,
            "log_level": "ERROR",
        }
    )

    @DBOS.step()  # type: ignore[untyped-decorator]
    async def step() -> dict[str, str]:
        return RESULT

    @DBOS.workflow()  # type: ignore[untyped-decorator]
    async def run() -> dict[str, str]:
        for _ in range(STEPS):
            await step()
        return RESULT

    DBOS.launch()
    done = 0
    await run()
    started = time.perf_counter()

    async def client() -> None:
        nonlocal done
        while time.perf_counter() - started < CELL_S:
            await run()
            done += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - started
    DBOS.destroy()
    return done / took


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(measure(sys.argv[1], int(sys.argv[2]))):.1f}\n")
