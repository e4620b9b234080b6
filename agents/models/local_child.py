"""The local model's process as its owner sees it: started with a fresh key, alive, stopped.

The key goes through a pipe, never into arguments or environment where other users could read it,
and the environment is cut down to what a Python needs: no key of anybody reaches the process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from gateway.core.clock import Clock

SERVER = Path(__file__).with_name("local_server.py")
START_S = 60.0
"""Longest a start may take; half a second on a warm machine, ten on a cold slow disk."""
STOP_S = 2.0
"""It ends at once when its stdin does; past this it is killed."""
ENVIRONMENT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
)
"""All it gets to see of ours."""

Problem = Literal["busy", "missing", "unloadable", "failed", "died", "slow"]


class NotStarted(Exception):
    """The process did not come to listen; `detail` is what it said, or how it ended."""

    def __init__(self, problem: Problem, detail: str) -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem: Problem = problem
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Order:
    """What the process is to do: `window` tokens for each of `parallel` answers at once."""

    path: Path
    name: str
    lock: Path
    window: int
    parallel: int
    threads: int


class Child(Protocol):
    """The process that answers, as its owner uses it; `LocalChild` is one."""

    @property
    def url(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def pid(self) -> int: ...
    @property
    def alive(self) -> bool: ...
    async def ended(self, clock: Clock, *, within_s: float) -> bool: ...
    async def stop(self, clock: Clock) -> None: ...


class Start(Protocol):
    """Starts one; raises `NotStarted`."""

    async def __call__(self, order: Order, *, key: str, clock: Clock) -> Child: ...


class LocalChild:
    """A process that listens at `url` for whoever has `key`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, key: str) -> None:
        self._process = process
        self._url = url
        self._key = key

    def __repr__(self) -> str:
        return f"LocalChild(pid={self.pid}, url={self.url!r})"

    @property
    def url(self) -> str:
        return self._url

    @property
    def key(self) -> str:
        return self._key

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended, as far as the loop has heard."""
        return self._process.returncode is None

    async def ended(self, clock: Clock, *, within_s: float) -> bool:
        """Whether it ends within this time; the news of an end takes a moment."""
        try:
            async with clock.timeout(within_s):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self, clock: Clock) -> None:
        """End it; returns when it is gone. Answers under way fail."""
        await _stop(self._process, clock)


async def start_child(order: Order, *, key: str, clock: Clock) -> LocalChild:
    """Start the process and wait until it listens.

    Raises `NotStarted`. Cancelling leaves no process behind.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # neither our folder nor the working one: both hold names of other packages
        str(SERVER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        start_new_session=True,  # Ctrl-C is for the gateway, which still answers while it drains
    )
    try:
        said = await _first_line(process, order, key, clock)
        if "url" in said:
            return LocalChild(process, said["url"], key)
        problem: Problem = "died"
        if said.get("problem") in ("busy", "missing", "unloadable", "failed"):
            problem = said["problem"]  # type: ignore[assignment]  # one of those just named
        raise NotStarted(problem, said.get("detail", ""))
    except BaseException:
        await _stop(process, clock)
        raise


async def _first_line(
    process: asyncio.subprocess.Process, order: Order, key: str, clock: Clock
) -> dict[str, str]:
    assert process.stdin is not None  # both were asked for
    assert process.stdout is not None
    wanted = {
        "path": str(order.path),
        "name": order.name,
        "lock": str(order.lock),
        "window": order.window,
        "parallel": order.parallel,
        "threads": order.threads,
        "key": key,
    }
    try:
        async with clock.timeout(START_S):
            process.stdin.write(json.dumps(wanted).encode() + b"\n")
            with suppress(ConnectionError):  # it ended already; that is what is read below
                await process.stdin.drain()
            line = await process.stdout.readline()
            if not line:
                return {"detail": _ending(await process.wait())}
    except TimeoutError:
        raise NotStarted("slow", f"not ready after {START_S:g} s") from None
    said: dict[str, str] = json.loads(line)
    return said


def _ending(code: int) -> str:
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name} while it loaded"
    return f"it ended with exit code {code} while it loaded"


async def _stop(process: asyncio.subprocess.Process, clock: Clock) -> None:
    if process.returncode is not None:
        return
    assert process.stdin is not None  # it was asked for
    process.stdin.close()
    try:
        async with clock.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
