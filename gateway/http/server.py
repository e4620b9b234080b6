"""The server: listens, and stops in an order that loses nothing and ends in time.

Stopping: no new sockets → no new work (refused with a type) → what runs may go on for a while →
waiting clients are answered → what is queued leaves → goodbye (1012: come back) → the rest is cut
off. Every step has its own bound; a watchdog covers the whole.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from uvicorn.config import Config

from gateway.core.tasks import Ending, TaskOwner
from gateway.http import gateway_file
from gateway.http.app import build
from gateway.http.bounds import Bounds
from gateway.http.clients import Clients
from gateway.http.http_protocol import HttpProtocol
from gateway.http.listening import BACKLOG, Listen, sockets_of, tls_context, url_of
from gateway.http.ports import Surface
from gateway.http.proxies import Proxies
from gateway.http.signals import stop_on_signals
from gateway.http.socket_protocol import SocketProtocol
from gateway.http.sockets import Sockets, Uses, raise_file_limit
from gateway.http.watchdog import Watchdog
from gateway.telemetry.health import REASONS, Health, probe_lag
from gateway.telemetry.tasks import task_failed

log = structlog.get_logger(__name__)


HURRIED_S = 1.0
"""How long each step may still take once somebody asked again."""
CUT_S = 1.0
"""How long cancelled tasks may take to end; then they are left behind."""

Step = Callable[[], Coroutine[Any, Any, None]]


async def _nothing() -> None:
    """There is nothing to do."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """What happens to work when the server stops, and how long each step may take."""

    drain: Step = _nothing
    """Returns when what runs has ended; it is not waited for longer than `drain_s`."""
    answer_waiters: Step = _nothing
    """Tell everybody who still waits for a turn how far it is."""
    hurry: Callable[[], None] = lambda: None
    """Somebody asked again: `drain` is to give back what runs and return soon."""
    drain_s: float = 20.0
    answer_s: float = 1.0
    flush_s: float = 1.5
    goodbye_s: float = 2.0
    watchdog_s: float = 28.0
    """Below the 30 s after which orchestrators kill."""


class Server:
    """A server that listens. `url` is how this machine reaches it."""

    def __init__(self, url: str, clients: Clients, bounds: Uses) -> None:
        self.url = url
        self.bounds = bounds
        """How far the bounds on connections, and on what waits for slow ones, are used."""
        self.hurried = asyncio.Event()
        self._clients = clients
        self._asked = asyncio.Event()
        self._because: Exception | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def clients(self) -> int:
        """How many WebSockets are open."""
        return len(self._clients)

    def stop(self) -> None:
        """Ask for a stop; may be called from a signal handler, again, or from another thread."""
        self._loop.call_soon_threadsafe(self._asked.set)

    def hurry(self) -> None:
        """Ask for an end within seconds; may be called like `stop`, before or while it stops."""
        self._loop.call_soon_threadsafe(self.hurried.set)

    def give_up(self, because: Exception) -> None:
        """Ask for an end within seconds, with the reason why nothing can go on; from the loop."""
        self._because = because
        self.hurried.set()
        self._asked.set()

    async def asked_to_stop(self) -> None:
        """Wait for a signal or for `stop`; cancelling it has no other effect.

        Raises what `give_up` was called with.
        """
        await self._asked.wait()
        if self._because is not None:
            raise self._because


@asynccontextmanager
async def serve(
    surface: Surface,
    listen: Listen,
    *,
    home: Path,
    bounds: Bounds | None = None,
    stopping: Stopping | None = None,
    own_process: bool = True,
    announce: Callable[[str], None] | None = None,
    command: str = "up",
) -> AsyncIterator[Server]:
    """Listen for the length of the block; leaving it stops in order.

    On entry the sockets listen, `gateway.json` in `home` says where, and `announce` was called with
    the URL (default: one line on stdout; for a process that needs its stdout pass another).
    `command` is what runs it. Raises `ConfigError` for what cannot be bound or used.

    With `own_process` the signals are handled here, and from the first one, or from leaving the
    block, the watchdog counts until the process ends. Cancelled while it stops, it cuts everything
    off at once.
    """
    steps = stopping or Stopping()
    running = _Running(surface, listen, home, bounds or Bounds(), steps, command)
    try:
        server = await running.start()
        watchdog = Watchdog(asyncio.get_running_loop(), steps.watchdog_s)

        def on_signal(_number: int) -> None:
            watchdog.arm()
            server.stop()

        if own_process:  # for good: what is left to do is to end
            stop_on_signals(on_signal, server.hurry, clock=surface.clock)
        (announce or _print)(server.url)
        try:
            yield server
        finally:
            if own_process:
                watchdog.arm()
            await running.stop(server.hurried)
    finally:
        await running.cut_off()


class _Running:
    """The parts of a running server and the steps of its stop."""

    def __init__(
        self,
        surface: Surface,
        listen: Listen,
        home: Path,
        bounds: Bounds,
        stopping: Stopping,
        command: str,
    ) -> None:
        self._command = command
        self._surface = surface
        self._listen = listen
        self._home = home
        self._bounds = bounds
        self._stopping = stopping
        self._clients = Clients(bounds.limits.per_principal, bounds.sizes)
        self._proxies = Proxies(listen.trusted_proxies)
        self._state = Sockets(
            bounds, is_proxy=self._proxies.trusts, shed=surface.metrics.shed, pace=surface.pace
        )
        self._listeners: list[asyncio.Server] = []
        self._tasks = TaskOwner("http", task_failed)

    async def start(self) -> Server:
        """Listen and say where."""
        loop = asyncio.get_running_loop()
        context = tls_context(self._listen)
        raise_file_limit(self._bounds.limits.connections)
        sockets = sockets_of(self._listen)
        url = url_of(self._listen.scheme, sockets)
        config = self._config([sock.getsockname()[:2] for sock in sockets], url)

        def protocol() -> HttpProtocol:
            return HttpProtocol(config, self._state, {}, loop)

        for sock in sockets:
            self._listeners.append(
                await loop.create_server(
                    protocol,
                    sock=sock,
                    backlog=BACKLOG,  # asyncio listens again, with its own number
                    ssl=context,
                    ssl_handshake_timeout=self._bounds.deadlines.head_s if context else None,
                )
            )
        health, metrics = self._surface.health, self._surface.metrics
        metrics.connections("websocket", lambda: len(self._clients))
        metrics.connections("http", lambda: len(self._state) - len(self._clients))
        health.listen(metrics.health)
        for reason in REASONS:
            metrics.reason(reason, partial(_holds, health, reason))
        metrics.health(health.state)
        self._surface.credentials.on_revoked(self._clients.revoked)
        self._tasks.start(
            "lag", probe_lag(self._surface.clock, health, metrics.loop_lag), ending=Ending.ETERNAL
        )
        gateway_file.write(self._home, url, os.getpid(), self._command)
        log.info("http.listening", url=url)
        return Server(url, self._clients, lambda: self._state.uses(self._clients.holdings.total))

    def _config(self, bound: list[tuple[str, int]], url: str) -> Config:
        listen, deadlines = self._listen, self._bounds.deadlines
        app = build(
            self._surface,
            bounds=self._bounds,
            clients=self._clients,
            listen=listen,
            bound=bound,
            proxies=self._proxies,
            url=url,
        )
        config = Config(
            app,
            interface="asgi3",
            http=HttpProtocol,
            ws=SocketProtocol,
            lifespan="off",
            log_config=None,
            access_log=False,  # the guard writes it
            proxy_headers=False,  # the guard decides whom to believe
            server_header=False,
            date_header=False,
            ws_per_message_deflate=False,  # costs 64 KiB a socket, and frames are small
            ws_ping_interval=deadlines.ping_s,
            ws_ping_timeout=deadlines.ping_s,
            timeout_keep_alive=deadlines.keep_alive_s,  # type: ignore[arg-type]  # for call_later
            h11_max_incomplete_event_size=self._bounds.sizes.head,
        )
        config.load()
        return config

    async def stop(self, hurried: asyncio.Event) -> None:
        """All steps in order; a step that fails or takes too long is logged and passed over."""
        for listener in self._listeners:
            listener.close()
        gateway_file.remove(self._home, os.getpid())
        self._surface.health.drain()
        log.info("http.stopping", clients=len(self._clients))
        steps = self._stopping
        urged = self._tasks.start("urged", hurried.wait(), ending=Ending.CANCELLABLE)
        for name, work, bound_s in (
            ("drain", steps.drain, steps.drain_s),
            ("answer_waiters", steps.answer_waiters, steps.answer_s),
            ("flush", self._flush, steps.flush_s),
            ("goodbye", self._goodbye, steps.goodbye_s),
        ):
            # A task of its own, so that the watchdog can name it and one that ignores its
            # cancellation holds nobody up.
            task = self._tasks.start(f"stop.{name}", work(), ending=Ending.CANCELLABLE)
            try:
                await self._step(task, urged, bound_s)
            except TimeoutError:
                log.warning("http.stop_step_late", step=name, bound_s=bound_s)
            finally:
                task.cancel()

    async def _step(
        self, task: asyncio.Task[None], urged: asyncio.Task[Any], bound_s: float
    ) -> None:
        """Wait for a step; raises `TimeoutError` when it takes too long, or longer than urged."""
        async with self._surface.clock.timeout(bound_s):
            await asyncio.wait({task, urged}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            self._stopping.hurry()
            async with self._surface.clock.timeout(min(bound_s, HURRIED_S)):
                await asyncio.wait({task})

    async def _flush(self) -> None:
        for client in self._clients:
            await client.flushed()

    async def _goodbye(self) -> None:
        for client in self._clients:
            client.close(1012, "the gateway restarts: reconnect and resume")
        for connection in tuple(self._state.connections):
            connection.shutdown()
        await self._state.emptied()

    async def cut_off(self) -> None:
        """End whatever is left; returns within a second."""
        for listener in self._listeners:
            listener.close()
        for client in self._clients:
            client.abort()
        self._state.abort_all()
        for task in self._state.tasks:
            task.cancel()
        with suppress(TimeoutError):
            async with self._surface.clock.timeout(CUT_S):
                if self._state.tasks:
                    await asyncio.wait(tuple(self._state.tasks))
                await self._tasks.close()
        self._surface.health.stop()


def _holds(health: Health, reason: str) -> float:
    return float(reason in health.reasons)


def _print(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
