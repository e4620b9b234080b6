"""An HTTP transport that ends bodies without end: a bound below everything that reads one.

Wraps another transport. Error bodies, which the SDK reads whole before anyone can look, are bounded
as well. Part of the OpenAI client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

MAX_BODY_BYTES = 50 * 1024 * 1024
"""Largest body read; an answer of the largest output limit takes a tenth, framing included."""


class BodyRefused(Exception):
    """The body is not read any further; the message says why."""


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Sends with `inner` and stops reading past `limit` bytes."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, *, limit: int = MAX_BODY_BYTES) -> None:
        self._inner = inner
        self._limit = limit

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        encoding = response.headers.get("content-encoding", "identity")
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)  # what an async transport returns
        if encoding.strip().lower() not in ("", "identity"):
            await stream.aclose()
            # A compressed body can unpack to a thousand times its size.
            raise BodyRefused("sent a compressed answer although it was asked not to")
        response.stream = _Bounded(stream, self._limit)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for piece in self._inner:
            read += len(piece)
            if read > self._limit:
                raise BodyRefused(f"sent more than {self._limit} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()
