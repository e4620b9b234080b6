"""The simulated model server: an OpenAI-compatible API over a real socket.

    async with simulating() as simulator:
        simulator.set("rate-limit", key="sim-1")
        ...  # simulator.base_url, simulator.asked, simulator.counters()

What a request is answered with is decided by, first that applies: the model name `fault:NAME`,
the answers in `simulator.script`, the rules, the `answer` function. It keeps every request, and
tells when a client went away. It starts no turn and knows nothing of the gateway it plays for.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import ConfigError
from gateway.core.ids import Chance, seeded_chance
from gateway.simulate.answers import MODEL, Raw, Reply, refusal
from gateway.simulate.asked import Asked
from gateway.simulate.catalog import FAULTS, find
from gateway.simulate.fault import Fault
from gateway.simulate.rules import FAULT_MODEL, Rule, Rules, When
from gateway.simulate.sending import Connection, Sending

KEPT = 1000
"""Requests that are remembered; older ones are only counted."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Longest request read: twice what the largest provider takes."""

Answer = str | Reply | Raw
AnswerFunction = Callable[[Asked], Answer | Awaitable[Answer]]


class Simulator:
    """A simulated model that can be asked. Made by `simulating`."""

    def __init__(
        self,
        rules: Rules,
        clock: Clock,
        *,
        answer: AnswerFunction | None = None,
        sock: socket.socket,
    ) -> None:
        self.answer = answer
        """Answers what no rule is for; None echoes."""
        self.script: deque[Answer] = deque()
        """Answers for the next requests, before any rule."""
        self.asked: deque[Asked] = deque(maxlen=KEPT)
        """The requests, oldest first."""
        self.count = 0
        """How many requests have arrived."""
        self.connections = 0
        """How many connections were ever accepted."""
        self._rules = rules
        self._clock = clock
        self._sock = sock
        self._arrived = asyncio.Condition()
        self._released = asyncio.Event()
        self._by_fault: Counter[str] = Counter()
        self._by_model: Counter[str] = Counter()
        self._by_key: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._sock.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def base_url(self) -> str:
        """What an OpenAI client is given as base URL."""
        return f"{self.url}/v1"

    def set(self, fault: str, **when: Any) -> str:
        """Answer with this fault from now on, for requests that `When(**when)` is for.

        Returns the name to `clear` it by; raises `ConfigError` for a fault nobody knows.
        """
        return self.add(Rule(When(**when), fault=find(fault)))

    def add(self, rule: Rule) -> str:
        """Put a rule before all others; returns the name to `clear` it by."""
        return self._rules.add(rule, now_s=self._clock.monotonic())

    def clear(self, name: str | None = None) -> int:
        """Take one added rule away, or all; returns how many went."""
        return self._rules.clear(name)

    def added(self) -> dict[str, Rule]:
        """The rules added while it runs, newest first."""
        return self._rules.added()

    def release(self) -> None:
        """Let every answer that holds go on."""
        self._released.set()

    async def wait_for(self, count: int) -> Asked:
        """The `count`-th request, once it has arrived; the caller bounds the wait. It must be one
        of the last `KEPT`."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: self.count >= count)
        return self.asked[count - 1 - (self.count - len(self.asked))]

    def counters(self) -> dict[str, Any]:
        """How many requests there were, by what they were answered with, by model, by key."""
        return {
            "requests": self.count,
            "connections": self.connections,
            "answers": dict(self._by_fault),
            "models": dict(self._by_model),
            "keys": dict(self._by_key),
        }

    async def models(self, _request: Request) -> Response:
        """`GET /v1/models`."""
        names = (MODEL, *(f"{FAULT_MODEL}{name}" for name in FAULTS))
        data = [{"id": n, "object": "model", "created": 0, "owned_by": "turngate"} for n in names]
        return JSONResponse({"object": "list", "data": data})

    async def chat(self, request: Request) -> Any:
        """`POST /v1/chat/completions`."""
        try:
            body = json.loads(await _body(request))
        except ValueError as error:
            return self._sent(_nothing(request), refusal(400, {"message": f"not JSON: {error}"}))
        except ClientDisconnect:
            return Response(status_code=499)
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
            return self._sent(_nothing(request), refusal(400, {"message": "messages: missing"}))
        asked = Asked(self.count + 1, self._clock.now_ms(), body, request.headers)
        self.count += 1
        self.asked.append(asked)
        async with self._arrived:
            self._arrived.notify_all()
        raw = await self._raw(asked)
        self._by_fault[asked.fault or "answer"] += 1
        self._by_model[asked.model] += 1
        self._by_key[asked.key] += 1
        return self._sent(asked, raw)

    def _sent(self, asked: Asked, raw: Raw) -> Sending:
        return Sending(asked, raw, self._released, self._clock)

    async def _raw(self, asked: Asked) -> Raw:
        try:
            answer = await self._choose(asked)
        except ConfigError as error:
            return refusal(404, {"message": str(error), "code": "model_not_found"})
        if isinstance(answer, Fault):
            asked.fault = answer.name
            return answer.raw(self._clock.now_ms())
        if isinstance(answer, str):
            answer = Reply(answer)
        if isinstance(answer, Reply):
            return answer.render(
                asked.number, asked.model, stream=asked.stream, prompt_chars=asked.prompt_chars
            )
        return answer

    async def _choose(self, asked: Asked) -> Answer | Fault:
        if self.script and not asked.model.startswith(FAULT_MODEL):
            return self.script.popleft()
        found = self._rules.choose(asked, now_s=self._clock.monotonic())
        if found is None:
            if self.answer is None:
                return f"You said: {asked.user_text}"
            answer = self.answer(asked)
            return await answer if inspect.isawaitable(answer) else answer
        return found


@asynccontextmanager
async def simulating(
    *,
    rules: tuple[Rule, ...] = (),
    answer: AnswerFunction | None = None,
    clock: Clock | None = None,
    chance: Chance | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[Simulator]:
    """A simulator that listens for the length of the block; port 0 picks a free one.

    Leaving it cuts every connection off. Raises `ConfigError` for what cannot be bound.
    """
    clock = clock or SystemClock()
    chance = chance or seeded_chance(0)
    sock = _bound(host, port)
    simulator = Simulator(
        Rules(rules, chance, now_s=clock.monotonic()), clock, answer=answer, sock=sock
    )
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", simulator.chat, methods=["POST"]),
            Route("/v1/models", simulator.models),
        ]
    )
    config = Config(
        app, log_config=None, access_log=False, lifespan="off", ws="none", server_header=False
    )
    config.load()
    state = ServerState()

    def accepted() -> Connection:
        simulator.connections += 1
        return Connection(config, state, {})

    # Not `uvicorn.Server`, which takes over signals and polls the clock.
    server = await asyncio.get_running_loop().create_server(accepted, sock=sock)
    try:
        yield simulator
    finally:
        server.close()
        for connection in list(state.connections):
            if isinstance(connection, Connection):
                connection.transport.abort()
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def _bound(host: str, port: int) -> socket.socket:
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # With the protocol spelt out; otherwise asyncio leaves Nagle's algorithm on and every
        # answer waits 40 ms for a delayed acknowledgement.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise ConfigError(f"{host!r} is no address here: {error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return sock


def _nothing(request: Request) -> Asked:
    return Asked(0, 0, {}, request.headers)


async def _body(request: Request) -> bytes:
    """The body; raises `ValueError` as soon as it is too large."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise ValueError(f"a request has at most {MAX_BODY_BYTES} bytes")
    return bytes(body)
