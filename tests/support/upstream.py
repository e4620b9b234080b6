"""An OpenAI-compatible server for tests, over a real socket: scripted answers and every fault.

    async with Upstream(lambda call: f"answer {call.number}") as upstream:
        ...  # upstream.base_url, upstream.calls, upstream.release()

What a call is answered with is decided by, first that applies: the model name `fault:NAME` (see
`FAULTS`), the answers queued in `upstream.script`, the `reply` function. It counts and keeps every
request, and tells when a client went away. Connections are kept alive until the end.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tests.support.upstream_faults import FAULTS
from tests.support.upstream_replies import Raw, Reply


@dataclass(slots=True)
class Call:
    """One request as it came in."""

    number: int
    """From 1, over the life of the server."""
    body: dict[str, Any]
    headers: Mapping[str, str]
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client closed the connection before its answer was complete."""

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body.get("messages", []))

    @property
    def user_text(self) -> str:
        """The last user message; parts other than text are left out."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                content = message.get("content")
                if isinstance(content, str):
                    return content
                return "".join(part.get("text", "") for part in content or [])
        return ""


Answer = str | Reply | Raw
ReplyFunction = Callable[[Call], Answer | Awaitable[Answer]]


class Upstream:
    """The server; enter it to listen on a port of its own."""

    def __init__(self, reply: ReplyFunction = lambda call: f"You said: {call.user_text}") -> None:
        self.reply = reply
        self.script: deque[Answer] = deque()
        self.calls: list[Call] = []
        self.arrived = asyncio.Condition()
        self._released = asyncio.Event()
        self.connections = 0
        """How many connections were ever accepted."""
        self._state = ServerState()
        # With the protocol spelt out; otherwise asyncio leaves Nagle's algorithm on and every
        # answer waits 40 ms for a delayed acknowledgement.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}/v1"

    @property
    def count(self) -> int:
        """How many requests have arrived."""
        return len(self.calls)

    def release(self) -> None:
        """Let every answer that holds go on."""
        self._released.set()

    async def wait_for(self, count: int) -> Call:
        """The `count`-th request, once it has arrived; the caller bounds the wait."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.calls) >= count)
        return self.calls[count - 1]

    async def __aenter__(self) -> Self:
        app = Starlette(
            routes=[
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/models", self._models),
            ]
        )
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        config.load()
        self._socket.bind(("127.0.0.1", 0))

        def accepted() -> H11Protocol:
            self.connections += 1
            return H11Protocol(config, self._state, {})

        # The protocol without `uvicorn.Server`, which takes over signals and polls the clock.
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(accepted, sock=self._socket)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._state.connections):
            if isinstance(connection, H11Protocol):
                connection.transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _models(self, request: Request) -> JSONResponse:
        return JSONResponse({"object": "list", "data": [{"id": "test", "object": "model"}]})

    async def _chat(self, request: Request) -> _Sending:
        call = Call(len(self.calls) + 1, await request.json(), request.headers)
        self.calls.append(call)
        async with self.arrived:
            self.arrived.notify_all()
        answer = await self._answer(call)
        if isinstance(answer, str):
            answer = Reply(answer)
        stream = bool(call.body.get("stream"))
        raw = (
            answer.render(call.number, call.model, stream) if isinstance(answer, Reply) else answer
        )
        return _Sending(call, raw, self._released)

    async def _answer(self, call: Call) -> Answer:
        if call.model.startswith("fault:"):
            return FAULTS[call.model.removeprefix("fault:")]
        if self.script:
            return self.script.popleft()
        answer = self.reply(call)
        return await answer if inspect.isawaitable(answer) else answer


class _Sending:
    """Writes a `Raw` answer to the wire, as an ASGI response."""

    def __init__(self, call: Call, raw: Raw, released: asyncio.Event) -> None:
        self._call = call
        self._raw = raw
        self._released = released

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = self._raw
        if raw.hold_before == 0 and not await self._held(receive):
            return
        await send(
            {
                "type": "http.response.start",
                "status": raw.status,
                "headers": [(k.encode(), v.encode()) for k, v in raw.headers.items()],
            }
        )
        for number, piece in enumerate(raw.pieces):
            if number and number == raw.hold_before and not await self._held(receive):
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if raw.complete:
            await send({"type": "http.response.body", "body": b""})
        # Returning without the end makes the server close the connection.

    async def _held(self, receive: Receive) -> bool:
        """Wait for `release`; False when the client went away instead."""
        gone = asyncio.ensure_future(_disconnected(receive))  # noqa: TID251 - joined below
        released = asyncio.ensure_future(self._released.wait())  # noqa: TID251 - joined below
        try:
            await asyncio.wait({gone, released}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                self._call.gone.set()
            return not gone.done()
        finally:
            gone.cancel()
            released.cancel()
            await asyncio.gather(gone, released, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
