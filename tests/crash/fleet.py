"""Several gateways as real processes on one store, and clients of each."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.client import Client
from gateway.core.clock import SystemClock
from tests.support.patience import PATIENCE_S

TOKEN = "fleet-Zq7-Token-Kd93-mPx2-Wv5t"
LEASE_S = 2.0


class Fleet:
    """Starts gateways; whatever still runs at the end is killed."""

    def __init__(self, home: Path, database: str, base_url: str, **settings: str) -> None:
        self._home = home
        self._database = database
        self._base_url = base_url
        self._settings = settings
        self._processes: list[asyncio.subprocess.Process] = []
        self.said: list[str] = []

    async def start(
        self, *, crashpoint: str = "", options: tuple[str, ...] = (), **settings: str
    ) -> Gate:
        """One more gateway, with a home of its own unless `settings` name one."""
        number = len(self._processes)
        home = self._home / f"home{number}"
        environment = {
            "PATH": os.environ["PATH"],
            "LLM_BASE_URL": self._base_url,
            "LLM_MODEL": "test",
            "LLM_API_KEY": "sk-fleet-test-key",
            "TURNGATE_HOME": str(home),
            **({"TURNGATE_STORE": self._database} if self._database else {}),
            "TURNGATE_LEASE": str(LEASE_S),
            "TURNGATE_TOKEN": TOKEN,
            "TURNGATE_PORT": "0",
            "WORKSPACE_DIR": str(self._home / "workspace"),
            **self._settings,
            **({"TURNGATE_CRASHPOINT": crashpoint} if crashpoint else {}),
            **settings,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway",
            "up",
            *options,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        self._processes.append(process)
        assert process.stdout is not None
        async with SystemClock().timeout(PATIENCE_S):
            line = (await process.stdout.readline()).decode().strip()
        if not line:
            assert process.stderr is not None
            raise AssertionError((await process.stderr.read()).decode())
        return Gate(process, line)

    async def close(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            _, said = await process.communicate()
            self.said.append(said.decode(errors="replace"))


class Gate:
    """One gateway of the fleet."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    def client(self) -> Client:
        """A client of this one; enter it."""
        return Client(self.url, TOKEN)

    def kill(self) -> None:
        """SIGKILL, as the kernel's memory killer does."""
        self.process.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as a rolling restart does."""
        self.process.send_signal(signal.SIGTERM)


@asynccontextmanager
async def fleet(home: Path, database: str, base_url: str, **settings: str) -> AsyncIterator[Fleet]:
    """A fleet for the length of the block."""
    started = Fleet(home, database, base_url, **settings)
    try:
        yield started
    finally:
        await started.close()
