"""A server on a real socket with a tiny RPC behind it, for tests of the network surface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from gateway.core.clock import SystemClock
from gateway.core.errors import TurngateError, Unauthenticated
from gateway.core.ids import SystemIds
from gateway.core.tasks import Ending, TaskOwner
from gateway.http.bounds import Bounds
from gateway.http.listening import Listen
from gateway.http.ports import Surface
from gateway.http.server import Server, Stopping, serve
from gateway.identity.principal import Principal
from gateway.rpc.call import Connection
from gateway.telemetry.health import Health
from gateway.telemetry.metrics import Metrics
from gateway.wire import jsonrpc
from tests.support.credentials import MemoryCredentials
from tests.support.patience import PATIENCE_S

Perform = Callable[[str, dict[str, Any]], Coroutine[Any, Any, Any]]


class EchoRpc:
    """Answers `echo`, `connect`, `whoami`, `wait`, `flood`; counts what reached it."""

    def __init__(self, credentials: MemoryCredentials) -> None:
        self._credentials = credentials
        self.frames: list[bytes] = []
        self.connections: list[Connection] = []
        self.release = asyncio.Event()
        self.closed = 0

    def open_session(self, connection: Connection, address: str) -> EchoSession:
        self.connections.append(connection)
        return EchoSession(self, connection, address)

    async def handle(self, frame: bytes, principal: Principal, address: str) -> bytes | None:
        self.frames.append(frame)
        return await self.answer(frame, principal, None, address)

    async def answer(
        self, frame: bytes, principal: Principal, connection: Connection | None, address: str
    ) -> bytes | None:
        try:
            request = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return jsonrpc.encode(
                jsonrpc.failure(None, jsonrpc.error_object(jsonrpc.PARSE_ERROR, "not JSON"))
            )
        try:
            result = await self._perform(request, principal, connection, address)
        except TurngateError as error:
            return jsonrpc.encode(jsonrpc.failure(request.get("id"), jsonrpc.describe_error(error)))
        if "id" not in request:
            return None
        return jsonrpc.encode({"jsonrpc": "2.0", "id": request["id"], "result": result})

    async def _perform(
        self,
        request: dict[str, Any],
        principal: Principal,
        connection: Connection | None,
        address: str,
    ) -> Any:
        params = request.get("params", {})
        match request["method"]:
            case "connect" if connection is not None:
                token = str(params.get("token", ""))
                connection.become(await self._credentials.authenticate(token, address))
                return {"principal": connection.principal.name}
            case _ if not principal.credential_id:
                raise Unauthenticated("call connect first")
            case "whoami":
                return {"principal": principal.name, "address": address}
            case "wait":
                await self.release.wait()
            case "fail":
                raise RuntimeError(params["text"])
            case "blob":
                return "x" * int(params["size"])
        return params


class EchoSession:
    """One task a message."""

    def __init__(self, rpc: EchoRpc, connection: Connection, address: str) -> None:
        self._rpc = rpc
        self._connection = connection
        self._address = address
        self._tasks = TaskOwner("session", self._failed)

    async def receive(self, frame: bytes) -> None:
        self._rpc.frames.append(frame)
        self._tasks.start("request", self._answer(frame), ending=Ending.CANCELLABLE)

    async def close(self) -> None:
        await self._tasks.close()
        self._rpc.closed += 1

    async def _answer(self, frame: bytes) -> None:
        connection = self._connection
        answer = await self._rpc.answer(frame, connection.principal, connection, self._address)
        if answer is not None:
            await connection.respond(answer)

    def _failed(self, name: str, error: BaseException) -> None:
        raise AssertionError(f"{name} failed") from error


@dataclass
class Running:
    """A server that listens, and what stands behind it."""

    server: Server
    rpc: EchoRpc
    credentials: MemoryCredentials
    health: Health
    metrics: Metrics
    home: Path
    store: StoreSwitch

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def ws_url(self) -> str:
        return self.server.url.replace("http", "ws", 1) + "/ws"

    @property
    def port(self) -> int:
        return int(self.server.url.rsplit(":", 1)[1])

    @property
    def netloc(self) -> str:
        return self.server.url.split("//", 1)[1]

    def count(self, name: str, **labels: str) -> float:
        """A number of `/metrics`."""
        wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
        full = f"{name}{{{wanted}}} " if labels else f"{name} "
        for line in self.metrics.page().decode().splitlines():
            if line.startswith(full):
                return float(line.rsplit(" ", 1)[1])
        return 0.0


@dataclass
class StoreSwitch:
    """A store that says whether it can be written."""

    writable: bool = True
    asked: int = field(default=0)

    async def __call__(self) -> bool:
        self.asked += 1
        return self.writable


@asynccontextmanager
async def running(
    home: Path,
    *,
    bounds: Bounds | None = None,
    listen: Listen | None = None,
    stopping: Stopping | None = None,
    failures: int = 50,
) -> AsyncIterator[Running]:
    """A ready server on a free port of this machine."""
    clock = SystemClock()
    credentials = MemoryCredentials(failures=failures)
    rpc = EchoRpc(credentials)
    health, metrics, store = Health(clock), Metrics(), StoreSwitch()
    surface = Surface(rpc, credentials, health, metrics, store, clock, SystemIds(clock))
    async with serve(
        surface,
        listen or Listen(port=0),
        home=home,
        bounds=bounds,
        stopping=stopping or Stopping(goodbye_s=0.3),
        own_process=False,
        announce=lambda _url: None,
    ) as server:
        health.ready()
        yield Running(server, rpc, credentials, health, metrics, home, store)


async def until(condition: Callable[[], object], *, within_s: float = PATIENCE_S) -> None:
    """Wait for something that peers and kernels bring about: there is no event to wait for."""
    clock = SystemClock()
    async with asyncio.timeout(within_s):
        while not condition():
            await clock.sleep(0.002)
