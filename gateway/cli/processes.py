"""`turngate up --processes N`: one parent that owns the port, and gateways that share it.

The parent binds once and passes its sockets on, starts again what dies, and hands signals down. It
serves no clients itself, so there is little in it that could fail.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence

import click
import structlog

from gateway.composition.serving import listen_of, prepare
from gateway.core.clock import Clock, SystemClock
from gateway.core.tasks import Ending, TaskOwner
from gateway.http.listening import open_sockets, url_of
from gateway.settings.settings import Settings
from gateway.telemetry.tasks import task_failed

BACKOFF_S = (0.5, 30.0)
"""Shortest and longest pause before a process that died is started again."""
STABLE_S = 60.0
"""A process that lived this long was no failure to start."""
CONFIG_EXIT = 78
"""What a process ends with that would end so again: a setting is wrong."""

log = structlog.get_logger(__name__)


async def supervise(
    settings: Settings, arguments: Sequence[str], *, listening: Callable[[], None]
) -> int:
    """Run `settings.turngate_processes` gateways until a signal; the exit code.

    `arguments` are those of `turngate`, for the children; `listening` is called once the port is
    open. Raises `ConfigError` and what opening the store raises.
    """
    await prepare(settings)
    listen = listen_of(settings)
    sockets = open_sockets(listen.hosts, listen.port)
    try:
        for sock in sockets:
            sock.listen()
        numbers = [sock.fileno() for sock in sockets]
        click.echo(url_of(listen.scheme, sockets))
        listening()
        return await _Parent(settings.turngate_processes, arguments, numbers).run()
    finally:
        for sock in sockets:
            sock.close()


class _Parent:
    def __init__(self, count: int, arguments: Sequence[str], sockets: Sequence[int]) -> None:
        self._count = count
        self._command = (sys.executable, "-m", "gateway", *arguments, "--processes", "1")
        self._sockets = tuple(sockets)
        self._clock: Clock = SystemClock()
        self._running: set[asyncio.subprocess.Process] = set()
        self._stopping = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._pass_on, number)
        children = TaskOwner("processes", self._failed)
        for place in range(self._count):
            children.start(f"{place}", self._keep(place), ending=Ending.FINISHABLE)
        await children.join()
        return self._code

    async def _keep(self, place: int) -> None:
        """One place in the row: a process, and after it the next one."""
        least, most = BACKOFF_S
        pause = least
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            code = await self._live()
            if self._stopping.is_set():
                return
            log.error("process.ended", place=place, code=code)
            if code == CONFIG_EXIT:
                self._code = code
                self._pass_on(signal.SIGTERM)
                return
            if self._clock.monotonic() - began >= STABLE_S:
                pause = least
            try:
                async with self._clock.timeout(pause):
                    await self._stopping.wait()
            except TimeoutError:
                pause = min(most, pause * 2)

    async def _live(self) -> int:
        """Start a process and wait for its end. Its stdin ends with us, and it with its stdin."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=self._sockets,
            env={**os.environ, "TURNGATE_SOCKETS": ",".join(map(str, self._sockets))},
        )
        self._running.add(process)
        if self._stopping.is_set():
            process.terminate()
        try:
            return await process.wait()
        finally:
            self._running.discard(process)

    def _pass_on(self, number: int) -> None:
        self._stopping.set()
        for process in self._running:
            if process.returncode is None:
                process.send_signal(number)

    def _failed(self, name: str, error: BaseException) -> None:
        task_failed(name, error)
        self._code = 1
        self._pass_on(signal.SIGTERM)


def stop_with_parent() -> None:
    """Stop in order when the parent is gone: it holds the other end of our stdin."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(0, gone)
