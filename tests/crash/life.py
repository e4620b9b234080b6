"""One life of a gateway: a real child process on real files, ended by SIGKILL or by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from gateway.core.clock import SystemClock

READY_S = 60.0
"""Longest a test waits for a sign of life; how soon it came is measured, not assumed."""

Heard = Callable[[dict[str, Any]], None]


class Life:
    """A child that speaks NDJSON on its stdio; every line it writes reaches `heard`."""

    def __init__(self, home: Path, base_url: str, heard: Heard, *, crashpoint: str = "") -> None:
        self._home = home
        self._base_url = base_url
        self._heard = heard
        self._crashpoint = crashpoint
        self._process: asyncio.subprocess.Process
        self._readers: list[asyncio.Task[None]] = []
        self.errors: list[str] = []

    async def start(self) -> None:
        """Start the process; it may be killed from here on."""
        environment = {
            "PATH": os.environ["PATH"],
            "LLM_BASE_URL": self._base_url,
            "LLM_MODEL": "test",
            "LLM_API_KEY": "sk-crash-test-key",
            "TURNGATE_HOME": str(self._home),
            "TURNGATE_MODEL": "scripted",
            "WORKSPACE_DIR": str(self._home / "workspace"),
        }
        if self._crashpoint:
            environment["TURNGATE_CRASHPOINT"] = self._crashpoint
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway",
            "chat",
            "--json",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            limit=1 << 22,
        )
        loop = asyncio.get_running_loop()
        self._readers = [
            loop.create_task(self._read(), name="life.stdout"),
            loop.create_task(self._read_errors(), name="life.stderr"),
        ]

    def say(self, line: dict[str, Any]) -> None:
        """Write a line; a dead process does not get it, and nobody was promised anything."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(orjson.dumps(line) + b"\n")

    def kill(self) -> None:
        """SIGKILL, as the kernel's memory killer does."""
        if self._process.returncode is None:
            self._process.kill()

    def pause(self, *, stopped: bool) -> None:
        """SIGSTOP or SIGCONT."""
        self._process.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    async def ended(self) -> int:
        """Wait for the end; everything it had written has been heard then."""
        await self._process.wait()
        await asyncio.gather(*self._readers)
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.returncode or 0

    async def finish(self) -> int:
        """Close its stdin and let it answer everything."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with SystemClock().timeout(60):
            return await self.ended()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.endswith(b"\n"):  # a torn last line was never a line
                self._heard(orjson.loads(line))

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.errors.append(line.decode(errors="replace").rstrip())
