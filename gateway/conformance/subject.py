"""The server being checked: its address, a token, and plain ways to say something to it.

Straight over `websockets` and `httpx2`, with nothing that mends what a server does wrongly: no
reconnect, no retry, no id made up behind one's back.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from gateway.core.clock import Clock

PATIENCE_S = 5.0
"""Longest an answer may take that waits for nothing."""
TURN_S = 90.0
"""Longest a turn may take: a model thinks."""
MAX_FRAME = 8 << 20
"""Longest frame taken in: twice what the protocol allows at most."""


class Breach(Exception):
    """A check found that the server does otherwise; the text says what was expected and came."""


class _Straight(connect):
    """A redirect would carry the token to an address nobody has named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Talk:
    """One WebSocket. `told` keeps the notifications that came meanwhile."""

    def __init__(self, socket: ClientConnection, clock: Clock, patience_s: float) -> None:
        self._socket = socket
        self._clock = clock
        self._patience_s = patience_s
        self._ids = itertools.count(1)
        self.told: list[dict[str, Any]] = []

    async def say(self, frame: str | bytes, *, as_text: bool | None = None) -> None:
        """Send a frame as it is; `as_text` sends bytes as if they were text."""
        try:
            await self._socket.send(frame, text=as_text)
        except ConnectionClosed as error:
            raise Breach(f"the connection is gone: {error}") from None

    async def hear(self, within_s: float | None = None) -> Any:
        """The next answer; notifications before it are kept."""
        while True:
            message = await self._next(within_s or self._patience_s)
            if not (isinstance(message, dict) and "method" in message):
                return message
            self.told.append(message)

    async def hear_nothing(self, for_s: float) -> None:
        """Whether no answer comes for so long."""
        try:
            async with self._clock.timeout(for_s):
                answer = await self.hear()
        except TimeoutError:
            return
        raise Breach(f"expected no answer; got {str(answer)[:200]}")

    async def ask(
        self, method: str, params: Any = None, *, id: Any = None, within_s: float | None = None
    ) -> Any:
        """Call a method and hear the next answer."""
        await self.say(request(method, params, id=next(self._ids) if id is None else id))
        return await self.hear(within_s)

    async def call(self, method: str, params: Any = None, *, within_s: float | None = None) -> Any:
        """The result of a method that must succeed."""
        answer = await self.ask(method, params, within_s=within_s)
        if not isinstance(answer, dict) or "result" not in answer:
            raise Breach(f"{method} was expected to succeed; got {str(answer)[:200]}")
        return answer["result"]

    async def notified(self, method: str, within_s: float | None = None) -> dict[str, Any]:
        """The parameters of the next notification of this name."""
        while True:
            while self.told:
                message = self.told.pop(0)
                if message["method"] == method:
                    params: dict[str, Any] = message["params"]
                    return params
            message = await self._next(within_s or self._patience_s)
            if not (isinstance(message, dict) and "method" in message):
                raise Breach(f"expected a notification {method!r}; got {str(message)[:200]}")
            self.told.append(message)

    async def closed(self) -> int:
        """The code the server closes with."""
        try:
            async with self._clock.timeout(self._patience_s):
                while True:
                    await self._socket.recv()
        except ConnectionClosed:
            return self._socket.close_code or 0
        except TimeoutError:
            raise Breach("the connection was expected to be closed; it is open") from None

    async def _next(self, within_s: float) -> Any:
        try:
            async with self._clock.timeout(within_s):
                frame = await self._socket.recv()
        except ConnectionClosed as error:
            raise Breach(f"expected an answer; the connection was closed: {error}") from None
        except TimeoutError:
            raise Breach(f"expected an answer; none came in {within_s:g} s") from None
        return parsed(frame)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP; `body` is None where nothing did."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Subject:
    """A server at `url` (`http://host:port`). `name` is in every peer and key this run makes up."""

    url: str
    token: str
    name: str
    clock: Clock
    patience_s: float = PATIENCE_S
    _count: Any = field(default_factory=itertools.count)

    @property
    def ws_url(self) -> str:
        """Where its WebSocket is."""
        return f"{self.url.rstrip('/').replace('http', 'ws', 1)}/ws"

    @property
    def bearer(self) -> dict[str, str]:
        """The header that says who asks."""
        return {"Authorization": f"Bearer {self.token}"}

    def fresh(self) -> str:
        """A name nobody has used: of a peer, or a key."""
        return f"{self.name}-{next(self._count)}"

    @asynccontextmanager
    async def socket(
        self, headers: Mapping[str, str] | None = None, *, query: str = ""
    ) -> AsyncIterator[Talk]:
        """A WebSocket; with the token in its header unless other headers are given."""
        opening = _Straight(
            self.ws_url + query,
            additional_headers=self.bearer if headers is None else headers,
            compression=None,
            proxy=None,
            max_size=MAX_FRAME,
            open_timeout=self.patience_s,
            close_timeout=1,
        )
        try:
            socket = await opening
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise Breach(f"expected a WebSocket at {self.ws_url}: {error}") from None
        try:
            yield Talk(socket, self.clock, self.patience_s)
        finally:
            await socket.close()

    async def refused_socket(self, headers: Mapping[str, str], *, query: str = "") -> int:
        """The status a handshake is refused with."""
        opening = _Straight(
            self.ws_url + query, additional_headers=headers, proxy=None, compression=None
        )
        try:
            socket = await opening
        except InvalidStatus as error:
            return error.response.status_code
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise Breach(f"expected a refusal with a status: {error}") from None
        await socket.close()
        raise Breach("the handshake was expected to be refused; it was accepted")

    async def post(
        self,
        body: str | bytes,
        headers: Mapping[str, str] | None = None,
        *,
        path: str = "/rpc",
        content_type: str = "application/json",
    ) -> Reply:
        """POST a body; with the token in its header unless other headers are given."""
        return await self._http(
            "POST",
            path,
            {"Content-Type": content_type, **(self.bearer if headers is None else headers)},
            body,
        )

    async def get(self, path: str) -> Reply:
        """GET a page, as a stranger."""
        return await self._http("GET", path, {}, "")

    async def _http(
        self, method: str, path: str, headers: Mapping[str, str], body: str | bytes
    ) -> Reply:
        url = self.url.rstrip("/") + path
        try:
            async with httpx2.AsyncClient(trust_env=False, timeout=self.patience_s) as client:
                answer = await client.request(method, url, headers=dict(headers), content=body)
        except httpx2.HTTPError as error:
            raise Breach(f"{method} {url} was expected to be answered: {error!r}") from None
        kind = answer.headers.get("content-type", "")
        is_json = kind.startswith("application/json")
        body_found = parsed(answer.content) if is_json and answer.content else answer.content
        return Reply(answer.status_code, body_found or None)


def request(method: str, params: Any = None, *, id: Any) -> str:
    """A request as text."""
    message = {"jsonrpc": "2.0", "id": id, "method": method}
    return json.dumps(message if params is None else message | {"params": params})


def parsed(frame: str | bytes) -> Any:
    """A frame's value; what JSON has no word for is a breach like no JSON at all."""
    try:
        return json.loads(frame, parse_constant=_no_number)
    except ValueError as error:
        raise Breach(f"expected JSON: {error}; got {frame[:200]!r}") from None


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
