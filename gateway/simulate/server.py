"""The simulated model on a real port: what `turngate simulate` runs, and tests in-process.

async with simulating() as simulator:
    simulator.set("rate-limit", key="sim-1")
    ...  # simulator.base_url, simulator.asked, simulator.counters()
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import ConfigError
from gateway.core.ids import Chance, seeded_chance
from gateway.core.tasks import Ending, TaskOwner
from gateway.simulate.control import Control
from gateway.simulate.rules import Rule, Rules
from gateway.simulate.sending import Connection
from gateway.simulate.simulator import AnswerFunction, Simulator
from gateway.telemetry.tasks import task_failed


@asynccontextmanager
async def simulating(
    *,
    rules: Iterable[Rule] = (),
    answer: AnswerFunction | None = None,
    clock: Clock | None = None,
    chance: Chance | None = None,
    address: tuple[str, int] = ("127.0.0.1", 0),
    token: str = "",
    keys: Iterable[str] = (),
) -> AsyncIterator[Simulator]:
    """A simulator that listens for the length of the block; port 0 picks a free one.

    `token` guards `POST /rpc`, which otherwise answers to this machine alone; `keys` may be shown
    there. Leaving the block cuts every connection off. Raises `ConfigError` for what cannot be
    bound.
    """
    clock = clock or SystemClock()
    standing = Rules(tuple(rules), chance or seeded_chance(0), now_s=clock.monotonic())
    simulator = Simulator(standing, clock, answer=answer)
    listener = _Listener(simulator, Control(simulator, token=token, keys=keys), clock)
    await listener.open(address)
    simulator.refuse = listener.refuse
    try:
        yield simulator
    finally:
        await listener.close()


class _Listener:
    """A listening socket that can be taken away for a while."""

    def __init__(self, simulator: Simulator, control: Control, clock: Clock) -> None:
        self._simulator = simulator
        self._clock = clock
        routes = [
            Route("/v1/chat/completions", simulator.chat, methods=["POST"]),
            Route("/v1/models", simulator.models),
            Route("/rpc", control.post, methods=["POST"]),
        ]
        self._config = Config(
            _whatever_host(Starlette(routes=routes)),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
        )
        self._config.load()
        self._state = ServerState()
        self._address = ("", 0)
        self._server: asyncio.Server | None = None
        self._tasks = TaskOwner("simulate", task_failed)

    async def open(self, address: tuple[str, int]) -> None:
        """Listen there. Raises `ConfigError`."""
        sock = _bound(*address)
        host, port = self._address = sock.getsockname()[:2]
        self._simulator.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        # Not `uvicorn.Server`, which takes over signals and polls the clock.
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accepted, sock=sock)

    def refuse(self, seconds: float) -> None:
        """Refuse connections for so long; idle ones end, answers under way go on."""
        self._stop_listening()
        for connection in self._connections():
            connection.shutdown()
        self._tasks.start("reopen", self._reopen(seconds), ending=Ending.CANCELLABLE)

    async def close(self) -> None:
        """End every connection, whatever it is doing."""
        self._stop_listening()
        await self._tasks.close()
        for connection in self._connections():
            connection.transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accepted(self) -> Connection:
        self._simulator.connections += 1
        return Connection(self._config, self._state, {})

    def _connections(self) -> list[Connection]:
        return [c for c in self._state.connections if isinstance(c, Connection)]

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _reopen(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        if self._server is None:
            await self.open(self._address)


def _whatever_host(app: ASGIApp) -> ASGIApp:
    """Also answers as a proxy: so a client can ask a host whose name means something to it."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        if "://" in scope.get("path", ""):
            scope = {**scope, "path": urlsplit(scope["path"]).path}
        await app(scope, receive, send)

    return asked


def _bound(host: str, port: int) -> socket.socket:
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # With the protocol spelt out; otherwise asyncio leaves Nagle's algorithm on and every
        # answer waits 40 ms for a delayed acknowledgement.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, UnicodeError, OverflowError) as error:
        raise ConfigError(f"{host!r} is no address here: {error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except (OSError, OverflowError) as error:
        sock.close()
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot listen on {host} port {port}: {why}") from error
    return sock
