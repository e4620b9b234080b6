from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from agents.models.bounded_transport import BodyRefused, BoundedTransport


class Body(httpx2.AsyncByteStream):
    """Ten pieces of ten bytes; remembers how far it was read and that it was closed."""

    def __init__(self) -> None:
        self.sent = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(10):
            self.sent += 1
            yield b"x" * 10

    async def aclose(self) -> None:
        self.closed = True


class Inner(httpx2.AsyncBaseTransport):
    def __init__(self, body: Body, headers: dict[str, str]) -> None:
        self.body = body
        self.headers = headers
        self.closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=self.headers, stream=self.body)

    async def aclose(self) -> None:
        self.closed = True


async def read(limit: int, **headers: str) -> tuple[bytes | None, Body]:
    body = Body()
    inner = Inner(body, {name.replace("_", "-"): value for name, value in headers.items()})
    async with httpx2.AsyncClient(transport=BoundedTransport(inner, limit=limit)) as client:
        try:
            data = (await client.get("http://example.org")).content
        except BodyRefused:
            data = None
    assert inner.closed
    assert body.closed
    return data, body


async def test_a_body_within_the_bound_is_read_whole() -> None:
    data, _ = await read(100)
    assert data == b"x" * 100


async def test_reading_stops_at_the_bound() -> None:
    data, body = await read(35)
    assert data is None
    assert body.sent == 4


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "GZIP", "x-unknown"])
async def test_a_compressed_body_is_not_unpacked(encoding: str) -> None:
    data, body = await read(100, content_encoding=encoding)
    assert data is None
    assert body.sent == 0


@pytest.mark.parametrize("encoding", ["identity", ""])
async def test_a_body_that_says_it_is_plain_is(encoding: str) -> None:
    data, _ = await read(100, content_encoding=encoding)
    assert data == b"x" * 100
