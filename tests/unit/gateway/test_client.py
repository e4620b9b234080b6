"""The client against a gateway whose every frame a test decides."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from gateway.client import PENDING_EVENTS, Client
from gateway.core.errors import (
    Bug,
    Busy,
    Conflict,
    Forbidden,
    GatewayUnreachable,
    InvalidInput,
    RunError,
)
from gateway.link import ConnectionLost
from gateway.wire.jsonrpc import MAX_FRAME_BYTES
from tests.support.patience import PATIENCE_S
from tests.support.standins import Brisk


class Stage:
    """A gateway by hand: `next` is what a client sent, `say` what it gets."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue(100)
        self.greeting: dict[str, Any] = {
            "result": {"seq": 7, "limits": {"frame_bytes": MAX_FRAME_BYTES}}
        }
        self.greeted = 0
        self._socket: ServerConnection | None = None

    async def serve(self, socket: ServerConnection) -> None:
        self._socket = socket
        try:
            async for text in socket:
                frame = json.loads(text)
                if frame["method"] == "connect":
                    self.greeted += 1
                    await self.say({"id": frame["id"], **self.greeting})
                else:
                    await self.frames.put(frame)
        except ConnectionClosed:
            pass

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return await self.frames.get()

    async def say(self, message: dict[str, Any]) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps({"jsonrpc": "2.0", **message}))

    async def refuse(self, frame: dict[str, Any], kind: str, **data: Any) -> None:
        error = {"code": -32000, "message": f"{kind}!", "data": {"kind": kind, **data}}
        await self.say({"id": frame["id"], "error": error})

    async def event(self, subscription: str, seq: int) -> None:
        params = {"subscription": subscription, "seq": seq, "prev_seq": seq - 1, "result": {}}
        await self.say({"method": "events.event", "params": params})

    def hang_up(self) -> None:
        assert self._socket is not None
        self._socket.transport.abort()


@asynccontextmanager
async def staged(stage: Stage) -> AsyncIterator[str]:
    async with serve(stage.serve, "127.0.0.1", 0, max_size=8 << 20) as server:
        (listener,) = server.sockets
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Stage, Client]]:
    stage = Stage()
    async with (
        staged(stage) as url,
        Client(url, "t", clock=Brisk(0), patience_s=2.0) as client,
    ):
        yield stage, client


def asked(client: Client, *, again: bool = True) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(client.call("status", again=again))


async def test_a_cancelled_call_is_taken_back() -> None:
    async with pair() as (stage, client):
        task = asked(client)
        frame = await stage.next()
        task.cancel()
        taken = await stage.next()
        assert (taken["method"], taken["params"]) == ("$/cancelRequest", {"id": frame["id"]})
        assert "id" not in taken


async def test_answers_find_their_calls_in_any_order() -> None:
    """What belongs to nobody is passed over."""
    async with pair() as (stage, client):
        first, second = asked(client), asked(client)
        one, two = await stage.next(), await stage.next()
        await stage.say({"id": None, "error": {"code": -32700, "message": "?"}})
        await stage.say({"id": 999, "result": "nobody's"})
        await stage.say({"id": two["id"], "result": 2})
        await stage.say({"id": one["id"], "result": 1})
        assert [await first, await second] == [1, 2]


async def test_a_call_is_sent_again_after_a_loss_unless_it_must_not_be() -> None:
    async with pair() as (stage, client):
        harmless, once = asked(client), asked(client, again=False)
        await stage.next()
        await stage.next()
        stage.hang_up()
        with pytest.raises(ConnectionLost):
            await once
        frame = await stage.next()
        await stage.say({"id": frame["id"], "result": "in the end"})
        assert await harmless == "in the end"
        assert stage.greeted == 2


async def test_a_busy_gateway_is_asked_again_when_it_says_so() -> None:
    async with pair() as (stage, client):
        patient, once = asked(client), asked(client, again=False)
        await stage.refuse(await stage.next(), "busy", retry_after_ms=10)
        await stage.refuse(await stage.next(), "busy", retry_after_ms=10)
        with pytest.raises(Busy):
            await once
        frame = await stage.next()
        await stage.say({"id": frame["id"], "result": "now"})
        assert await patient == "now"


async def test_a_gateway_that_stays_busy_is_believed() -> None:
    """The pauses asked for add up; past the patience the refusal is the answer."""
    async with pair() as (stage, client):
        task = asked(client)
        await stage.refuse(await stage.next(), "busy", retry_after_ms=10_000)
        with pytest.raises(Busy):
            await task


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("conflict", Conflict), ("run_parked", RunError), ("internal", Bug), ("from-tomorrow", Bug)],
)
async def test_refusals_arrive_as_the_classes_they_were(
    kind: str, expected: type[Exception]
) -> None:
    async with pair() as (stage, client):
        task = asked(client)
        await stage.refuse(await stage.next(), kind)
        with pytest.raises(expected, match="!"):
            await task


async def test_a_request_no_gateway_takes_is_not_sent() -> None:
    """It would end the connection, and be sent again on the next one."""
    async with pair() as (stage, client):
        with pytest.raises(InvalidInput, match="bytes"):
            await client.send("x" * MAX_FRAME_BYTES)
        assert stage.frames.empty()


@pytest.mark.parametrize(
    ("says", "bound"),
    [({"limits": {"frame_bytes": 1 << 10}}, 1 << 10), ({}, MAX_FRAME_BYTES)],
    ids=["says", "an earlier version"],
)
async def test_a_request_may_be_as_large_as_the_gateway_says(
    says: dict[str, Any], bound: int
) -> None:
    """Our decision: one that says nothing takes what gateways took before they said it."""
    stage = Stage()
    stage.greeting = {"result": {"seq": 7, **says}}
    async with staged(stage) as url, Client(url, "t") as client:
        with pytest.raises(InvalidInput, match=f"takes {bound}$"):
            await client.send("x" * bound)


async def test_where_nobody_listens_the_reason_is_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(GatewayUnreachable, match=r"\(Connection refused\); start one with"):
        async with Client(url, "t"):
            pass


async def test_limits_that_are_none_come_from_no_gateway() -> None:
    stage = Stage()
    stage.greeting = {"result": {"seq": 7, "limits": "wide"}}
    async with staged(stage) as url:
        with pytest.raises(GatewayUnreachable, match="no gateway"):
            async with Client(url, "t"):
                pass


async def test_events_behind_the_answer_in_the_same_packet_are_seen() -> None:
    async with pair() as (stage, client), aclosing(client.events(after_seq=4)) as items:
        first = asyncio.get_running_loop().create_task(anext(items))
        frame = await stage.next()
        assert frame["params"] == {"filter": {}, "after_seq": 4}
        await stage.say({"id": frame["id"], "result": {"subscription": "s", "seq": 4}})
        for seq in (5, 6):
            await stage.event("s", seq)
        assert (await first)["seq"] == 5
        assert (await anext(items))["prev_seq"] == 5


async def test_a_stream_goes_on_behind_what_its_consumer_took() -> None:
    """Also behind what was only told of, and not from what still waited when the line broke."""
    async with pair() as (stage, client), aclosing(client.events()) as items:
        first = asyncio.get_running_loop().create_task(anext(items))
        frame = await stage.next()
        await stage.say({"id": frame["id"], "result": {"subscription": "s", "seq": 4}})
        await stage.event("s", 5)
        assert (await first)["prev_seq"] == 4
        told = {"subscription": "s", "seq": 9, "prev_seq": 5}
        await stage.say({"method": "events.caught_up", "params": told})
        stage.hang_up()
        second = asyncio.get_running_loop().create_task(anext(items))
        frame = await stage.next()
        assert frame["params"]["after_seq"] in (5, 9)  # the notice may not have left any more
        await stage.say({"id": frame["id"], "result": {"subscription": "r", "seq": 9}})
        await stage.event("s", 10)  # of the stream before: nobody's
        await stage.event("r", 10)
        assert await second == {
            "subscription": "r",
            "seq": 10,
            "prev_seq": 5,
            "result": {},
        }


async def test_a_stream_that_falls_behind_is_ended_and_asked_for_again() -> None:
    async with pair() as (stage, client), aclosing(client.events(after_seq=0)) as items:
        first = asyncio.get_running_loop().create_task(anext(items))
        frame = await stage.next()
        await stage.say({"id": frame["id"], "result": {"subscription": "s", "seq": 0}})
        for seq in range(1, PENDING_EVENTS + 10):
            await stage.event("s", seq)
        probe = asked(client)
        frame = await stage.next()
        await stage.say({"id": frame["id"], "result": "all of it was read"})
        await probe
        last = (await first)["seq"]
        following = asyncio.get_running_loop().create_task(_take(items, PENDING_EVENTS + 5))
        left, frame = await stage.next(), await stage.next()
        assert (left["method"], left["params"]) == ("events.unsubscribe", {"subscription": "s"})
        resumed = frame["params"]["after_seq"]
        await stage.say({"id": frame["id"], "result": {"subscription": "r", "seq": resumed}})
        for seq in range(resumed + 1, resumed + 10):
            await stage.event("r", seq)
        numbers = await following
        assert numbers == list(range(last + 1, last + 1 + PENDING_EVENTS + 5))


async def _take(items: AsyncIterator[dict[str, Any]], count: int) -> list[int]:
    return [(await anext(items))["seq"] for _ in range(count)]


async def test_leaving_ends_what_still_waits() -> None:
    stage = Stage()
    async with staged(stage) as url:
        async with Client(url, "t", clock=Brisk(0)) as client:
            items = client.events(after_seq=0)
            waiting = asyncio.get_running_loop().create_task(anext(items))
            frame = await stage.next()
            await stage.say({"id": frame["id"], "result": {"subscription": "s", "seq": 0}})
            task = asked(client)
            await stage.next()
        with pytest.raises(ConnectionLost):
            await task
        with pytest.raises(ConnectionLost):
            await waiting


async def test_a_token_that_is_revoked_meanwhile_ends_it() -> None:
    async with pair() as (stage, client):
        error = {"code": -32003, "message": "not any more", "data": {"kind": "forbidden"}}
        stage.greeting = {"error": error}
        task = asked(client)
        await stage.next()
        stage.hang_up()
        with pytest.raises(Forbidden, match="not any more"):
            await task


async def test_nonsense_ends_it_instead_of_hanging() -> None:
    async with pair() as (stage, client):
        task = asked(client)
        frame = await stage.next()
        await stage.say({"id": frame["id"]})
        with pytest.raises(Bug):
            await task


async def test_who_answers_nonsense_to_the_greeting_is_no_gateway() -> None:
    stage = Stage()
    stage.greeting = {"result": "hello"}
    async with staged(stage) as url:
        with pytest.raises(GatewayUnreachable, match="no gateway"):
            async with Client(url, "t"):
                pass


async def test_a_redirect_is_not_followed() -> None:
    """The token is for the address that was named."""
    stage = Stage()
    async with staged(stage) as elsewhere:

        def redirect(connection: ServerConnection, request: Request) -> Response:
            return Response(307, "Temporary Redirect", Headers(Location=f"{elsewhere}/ws"))

        async with serve(stage.serve, "127.0.0.1", 0, process_request=redirect) as server:
            (listener,) = server.sockets
            with pytest.raises(GatewayUnreachable, match="307"):
                async with Client(f"http://127.0.0.1:{listener.getsockname()[1]}", "t"):
                    pass
    assert stage.greeted == 0


@pytest.mark.parametrize("url", ["", "localhost:8765", "ftp://localhost"])
async def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="http://host:port"):
        Client(url, "t")
