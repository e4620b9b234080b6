"""Connections to servers that misbehave: what is left of one response reaches no other request."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelRequest
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile
from agents.models.upstream_connection import MAX_BUFFERED, UpstreamConnection
from agents.models.upstream_transport import UpstreamTransport
from gateway.core.clock import SystemClock, settle
from gateway.core.errors import ModelFailed
from gateway.core.parts import Text
from tests.support.certificates import self_signed
from tests.support.patience import PATIENCE_S
from tests.support.raw_upstream import (
    Connection,
    RawUpstream,
    Script,
    chunked,
    counted,
    events,
    raw_upstream,
)

STALE = events("an answer for somebody else")


def left_over(mine: bytes) -> dict[str, tuple[bytes, ...]]:
    """What a server sends for one request, in writes of its own; `mine` is the answer to it."""
    whole = chunked(mine)
    return {
        "a second response behind the first": (whole + chunked(STALE),),
        "a second response in its own packet": (whole, chunked(STALE)),
        "half a response behind the first": (whole + chunked(STALE)[:40],),
        "a head, and its body later": (whole + counted(STALE)[:60], counted(STALE)[60:]),
        "more than the length said": (counted(mine + STALE, len(mine)),),
        "less than the length said": (counted(mine, len(mine + STALE)),),
        "a chunk behind the last": (whole + b"5\r\nstale\r\n0\r\n\r\n",),
        "a last chunk twice": (whole + b"0\r\n\r\n",),
        "no last chunk": (whole[:-5],),
        "half a last chunk": (whole[:-2],),
        "an answer behind the end of the answer": (chunked(mine + STALE)[:-5],),
        "a broken chunk behind the answer": (whole[:-5] + b"zz\r\n",),
        "line breaks": (counted(mine) + b"\r\n",),
        "continue, then two": (b"HTTP/1.1 100 Continue\r\n\r\n" + whole + whole,),
        "an interim response behind it": (whole + b"HTTP/1.1 103 Early Hints\r\n\r\n",),
        "says it closes and does not": (
            whole.replace(b"200 OK\r\n", b"200 OK\r\nconnection: close\r\n"),
        ),
        "an old version": (whole.replace(b"HTTP/1.1", b"HTTP/1.0"), chunked(STALE)),
        "no length": (b"HTTP/1.1 200 OK\r\n\r\n" + mine + STALE,),
    }


@asynccontextmanager
async def asking(script: Script) -> AsyncIterator[tuple[RawUpstream, OpenAIModel]]:
    async with raw_upstream(script) as upstream:
        model = OpenAIModel(Profile(upstream.url, "sk-test", "m"))
        yield upstream, model
        await model.close()


async def ask(model: OpenAIModel, text: str) -> str:
    request = ModelRequest("m", "", (UserMessage((Text(text),)),))
    return (await model.complete(request, ModelContext(SystemClock(), lambda _: None))).text


def text_of(body: str) -> str:
    return "two" if '"two"' in body else "one"


@pytest.mark.parametrize("how", left_over(b""))
async def test_what_is_left_of_an_answer_reaches_no_other_conversation(how: str) -> None:
    """The first conversation has its answer, the connection is closed, the second has its own."""

    async def script(connection: Connection) -> None:
        mine = events(f"for {text_of(await connection.request())}")
        for piece in left_over(mine)[how]:
            await connection.write(piece)
            await settle()
        await connection.gone()

    async with asking(script) as (upstream, model):
        assert await ask(model, "one") == "for one"
        await upstream.connections[0].closed.wait()
        assert await ask(model, "two") == "for two"
        assert [connection.asked for connection in upstream.connections] == [1, 1]


async def test_a_refusal_ends_its_connection() -> None:
    """It may have come before the request was read, which the server then takes for another."""

    async def script(connection: Connection) -> None:
        if text_of(await connection.request()) == "one":
            await connection.write(counted(b'{"error": {"message": "no"}}', status="429 No"))
        else:
            await connection.write(chunked(events("for two")))
        await connection.gone()

    async with asking(script) as (upstream, model):
        with pytest.raises(ModelFailed):
            await ask(model, "one")
        assert await ask(model, "two") == "for two"
        assert len(upstream.connections) == 2


async def test_what_arrives_on_an_idle_connection_ends_it() -> None:
    answered = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.write(chunked(events(f"for {text_of(await connection.request())}")))
        await answered.wait()
        await connection.write(chunked(STALE))
        await connection.gone()

    async with asking(script) as (upstream, model):
        assert await ask(model, "one") == "for one"
        answered.set()
        await upstream.connections[0].closed.wait()
        assert await ask(model, "two") == "for two"


async def test_a_healthy_connection_serves_both_conversations() -> None:
    async def script(connection: Connection) -> None:
        while True:
            mine = chunked(events(f"for {text_of(await connection.request())}"))
            await connection.write(mine[:-2])
            await settle()
            await connection.write(mine[-2:])

    async with asking(script) as (upstream, model):
        for text in ("one", "two", "one"):
            assert await ask(model, text) == f"for {text}"
        assert [connection.asked for connection in upstream.connections] == [3]


# --- the transport by itself ---


@asynccontextmanager
async def client(
    script: Script, *, context: ssl.SSLContext | None = None, most: int = 4
) -> AsyncIterator[tuple[RawUpstream, httpx2.AsyncClient]]:
    transport = UpstreamTransport(
        context or ssl.create_default_context(), max_connections=most, max_idle=most
    )
    async with (
        raw_upstream(script) as upstream,
        httpx2.AsyncClient(transport=transport, trust_env=False) as client,
    ):
        yield upstream, client


async def echo(connection: Connection) -> None:
    while True:
        await connection.write(counted((await connection.request()).encode()))


async def test_an_answer_before_the_request_was_sent_ends_the_connection() -> None:
    """The rest of the request may be read as a request of its own, and answered."""

    async def early(connection: Connection) -> None:
        await connection.write(counted(b"early"))
        await connection.closed.wait()

    async with client(early) as (upstream, http):
        response = await http.post(upstream.url, content=b"x" * (32 << 20))
        assert response.text == "early"
        assert (await http.post(upstream.url, content=b"y")).text == "early"
        assert len(upstream.connections) == 2


async def test_what_waits_in_the_system_is_seen_before_the_event_loop_reads_it() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: UpstreamConnection(lambda _: None), sock=ours
        )
        assert connection.quiet()
        theirs.send(b"HTTP/1.1 200 OK\r\n")
        assert not connection.quiet()
        connection.close()
        assert not connection.quiet()


async def test_a_request_leaves_in_one_piece() -> None:
    async with client(echo) as (upstream, http):
        response = await http.post(upstream.url, content=b"a" * 100_000)
        assert response.content == b"a" * 100_000


@pytest.mark.parametrize("header", ["x\r\ny: z", "x\ny", "x\0y"])
async def test_a_header_cannot_hold_another(header: str) -> None:
    async with client(echo) as (upstream, http):
        with pytest.raises(httpx2.LocalProtocolError):
            await http.post(upstream.url, content=b"", headers={"x-name": header})
        assert upstream.connections == []


async def test_connections_are_bounded_and_places_are_given_back() -> None:
    gate = asyncio.Event()

    async def held(connection: Connection) -> None:
        await connection.request()
        await gate.wait()
        await connection.write(counted(b"fine"))

    async with client(held, most=2) as (upstream, http):
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(http.post(upstream.url)) for _ in range(6)]
            while len(upstream.connections) < 2:
                await settle(1)
            await settle()
            assert len(upstream.connections) == 2
            asked[0].cancel()
            gate.set()
        assert [task.result().text for task in asked[1:]] == ["fine"] * 5


async def test_no_place_in_time_is_a_timeout() -> None:
    async def silent(connection: Connection) -> None:
        await connection.closed.wait()

    async with client(silent, most=1) as (upstream, http), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(http.post(upstream.url))
        await settle()
        with pytest.raises(httpx2.PoolTimeout):
            await http.post(upstream.url, timeout=httpx2.Timeout(5, pool=0.01))
        first.cancel()


async def test_a_server_that_reads_nothing_is_a_timeout_of_writing() -> None:
    async def deaf(connection: Connection) -> None:
        await connection.closed.wait()

    async with client(deaf) as (upstream, http):
        brief = httpx2.Timeout(PATIENCE_S, read=0.05, write=0.05)
        with pytest.raises(httpx2.WriteTimeout):
            await http.post(upstream.url, content=b"x" * (32 << 20), timeout=brief)


async def test_a_reader_that_is_slow_stops_the_server_and_loses_nothing() -> None:
    body = b"0123456789" * MAX_BUFFERED

    async def full(connection: Connection) -> None:
        await connection.request()
        await connection.write(counted(body))

    async with client(full) as (upstream, http), http.stream("POST", upstream.url) as response:
        await settle()
        assert upstream.connections[0].asked == 1
        assert b"".join([piece async for piece in response.aiter_raw()]) == body


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", chunked(b"x")[:-3]])
async def test_a_server_that_hangs_up_is_an_error_of_the_protocol(sent: bytes) -> None:
    async def cut(connection: Connection) -> None:
        await connection.request()
        await connection.write(sent)
        await connection.hang_up()

    async with client(cut) as (upstream, http):
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.post(upstream.url)


async def test_an_unknown_certificate_is_refused_and_a_known_one_taken(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    cert, key = self_signed(tmp_path_factory.mktemp("cert"))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        with pytest.raises(asyncio.IncompleteReadError):
            await echo(connection)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serving)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    for context, known in (
        (ssl.create_default_context(), False),
        (ssl.create_default_context(cafile=cert), True),
    ):
        transport = UpstreamTransport(context, max_connections=1, max_idle=1)
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as http:
            if known:
                for text in ("one", "two"):
                    assert (await http.post(url, content=text.encode())).text == text
            else:
                with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                    await http.post(url)
    server.close()


async def test_a_server_that_accepts_and_hangs_up_is_an_error_at_once() -> None:
    """Also where that is known before the request is written."""
    ours, theirs = socket.socketpair()
    theirs.close()
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: UpstreamConnection(lambda _: None), sock=ours
    )
    await settle()
    with pytest.raises(httpx2.RemoteProtocolError, match="closed the connection"):
        await connection.ask(b"POST / HTTP/1.1\r\n\r\n", None)


async def test_closing_fails_what_is_under_way() -> None:
    async def silent(connection: Connection) -> None:
        await connection.gone()

    async with client(silent) as (upstream, http), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(_failed(http, upstream.url))
        while not upstream.connections:
            await settle(1)
        await http.aclose()
        assert await first


async def _failed(http: httpx2.AsyncClient, url: str) -> bool:
    with pytest.raises(httpx2.TransportError):
        await http.post(url)
    return True
