"""A gateway's network surface as a process of its own: `python -m tests.security.process HOME HOW`.

HOW is `quick`, or what goes wrong while it stops: `endless` drains for ever, `blocked` blocks the
loop. Deadlines are short.
"""

import asyncio
import sys
import threading
from pathlib import Path

from gateway.core.clock import SystemClock
from gateway.core.ids import SystemIds
from gateway.http.listening import Listen
from gateway.http.ports import Surface
from gateway.http.server import Stopping, serve
from gateway.telemetry import logs
from gateway.telemetry.health import Health
from gateway.telemetry.metrics import Metrics
from tests.security.surface import EchoRpc, StoreSwitch
from tests.support.credentials import MemoryCredentials


async def main(home: Path, how: str) -> None:
    logs.configure()
    clock = SystemClock()
    credentials = MemoryCredentials()
    health = Health(clock)
    surface = Surface(
        EchoRpc(credentials),
        credentials,
        health,
        Metrics(),
        StoreSwitch(),
        clock,
        SystemIds(clock),
    )

    async def drain() -> None:
        sys.stderr.write("draining\n")
        sys.stderr.flush()
        if how == "endless":
            await clock.sleep(60)
        if how == "blocked":
            threading.Event().wait(60)

    steps = Stopping(drain=drain, watchdog_s=10.0 if how == "quick" else 1.0)
    async with serve(surface, Listen(port=0), home=home, stopping=steps) as server:
        health.ready()
        await server.asked_to_stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
