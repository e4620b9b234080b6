"""A gateway on a real port and the client that ships with it, over a line that is cut again and
again: calls are answered, streams go on where they were, nothing is seen twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.client import Client
from gateway.composition.root import Chosen
from gateway.composition.serving import Served, serving
from gateway.core.clock import SystemClock
from gateway.core.errors import (
    Conflict,
    GatewayUnreachable,
    InvalidInput,
    NotFound,
    TurngateError,
    Unauthenticated,
)
from gateway.core.ids import seeded_chance
from gateway.http.bounds import Bounds, Deadlines
from gateway.link import ConnectionLost
from gateway.settings.network import TOKEN_FILE
from gateway.settings.settings import Settings
from tests.support.house import PatientModel
from tests.support.patience import PATIENCE_S
from tests.support.standins import Brisk

pytestmark = pytest.mark.timeout(60)

SEED = 20261121
"""Another seed cuts at other bytes."""
PING_S = 0.4
"""Between two pings where a test waits for some; a busy machine answers them in a tenth."""
CUT_BYTES = (1, 4000)
"""A connection ends after so many bytes from the gateway: in the handshake, in the greeting, in the
middle of an event, or after a dozen of them."""


class Cable:
    """A line between a client and the gateway that can be cut.

    With a `budget` each new connection ends when that says how many bytes of the gateway it may
    carry; 0 is no bound.
    """

    def __init__(self) -> None:
        self.target = ""
        """Address of the gateway at the other end."""
        self._transports: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None
        self.budget: Callable[[], int] = lambda: 0
        self.cuts = 0
        """How many connections were ended here."""

    @property
    def host(self) -> str:
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Near(self), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        for transport in tuple(self._transports):
            transport.abort()
        await self._server.wait_closed()

    def cut(self) -> None:
        """End every connection without a word."""
        self.cuts += 1
        for transport in tuple(self._transports):
            transport.abort()

    async def reach(self, near: _Near) -> None:
        loop = asyncio.get_running_loop()
        target = urlsplit(self.target)
        await loop.create_connection(lambda: _Far(near), target.hostname or "", target.port or 0)

    def entered(self, transport: asyncio.Transport) -> None:
        self._transports.add(transport)

    def left(self, transport: asyncio.Transport) -> None:
        self._transports.discard(transport)


class _Near(asyncio.Protocol):
    """The client's end."""

    def __init__(self, cable: Cable) -> None:
        self.cable = cable
        self.left = cable.budget()
        self.transport: asyncio.Transport
        self._early = bytearray()
        self._far: asyncio.Transport | None = None
        self._reaching: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.cable.entered(transport)
        self._reaching = asyncio.get_running_loop().create_task(self._reach())

    async def _reach(self) -> None:
        try:
            await self.cable.reach(self)
        except OSError:
            self.transport.abort()

    def reached(self, far: asyncio.Transport) -> None:
        self._far = far
        self.cable.entered(far)
        far.write(bytes(self._early))
        if self.transport.is_closing():
            far.abort()

    def data_received(self, data: bytes) -> None:
        if self._far is None:
            self._early += data
        else:
            self._far.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.cable.left(self.transport)
        if self._far is not None:
            self._far.abort()

    def carry(self, data: bytes) -> None:
        if not self.left or len(data) < self.left:
            self.left -= len(data) if self.left else 0
            self.transport.write(data)
            return
        self.transport.write(data[: self.left])
        self.cable.cuts += 1
        self.transport.close()  # what was carried arrives, nothing behind it does
        if self._far is not None:
            self._far.abort()


class _Far(asyncio.Protocol):
    """The gateway's end."""

    def __init__(self, near: _Near) -> None:
        self._near = near
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._near.reached(transport)

    def data_received(self, data: bytes) -> None:
        if not self._near.transport.is_closing():
            self._near.carry(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._near.cable.left(self._transport)
        self._near.transport.close()


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway that listens, and how to reach it."""

    served: Served
    model: PatientModel
    token: str
    cable: Cable

    @property
    def url(self) -> str:
        return self.served.server.url

    def client(self, url: str = "") -> Client:
        return Client(url or self.url, self.token, clock=Brisk(0), patience_s=PATIENCE_S)


@asynccontextmanager
async def listening(
    home: Path, *, port: int = 0, frame_bytes: int = 1 << 20
) -> AsyncIterator[Place]:
    """A gateway for the length of the block."""
    model = PatientModel()
    async with Cable() as cable:
        settings = Settings(
            turngate_home=home / "home",
            workspace_dir=home / "workspace",
            turngate_port=port,
            turngate_frame_bytes=frame_bytes,
            turngate_model="scripted",
            turngate_allowed_hosts=(cable.host,),
        )
        async with serving(
            settings,
            own_process=False,
            announce=lambda url: None,
            chosen=Chosen(model=model),
        ) as served:
            cable.target = served.server.url
            token = (home / "home" / TOKEN_FILE).read_text("utf-8").strip()
            yield Place(served, model, token, cable)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with listening(tmp_path) as found:
        yield found


async def test_a_message_is_answered_and_seen_in_lists_status_and_events(place: Place) -> None:
    """The whole way once, through the typed calls and through plain ones."""
    async with place.client() as client:
        answer = await client.send("good morning", peer_id="notes")
        assert (answer.state, answer.reply) == ("answered", "You said: good morning")
        listed = await client.call("turns.list", {"session_key": answer.session_key})
        assert [turn["turn_id"] for turn in listed["turns"]] == [answer.turn_id]
        status = await client.status()
        assert (status.running, status.model) == (True, "scripted")
        assert [one.client.split()[0] for one in status.clients] == ["turngate-client"]
        page = await client.call("events.list", {"filter": {"turn_id": answer.turn_id}})
        kinds = [event["kind"] for event in page["events"]]
        assert kinds[:3] == ["input.accepted", "turn.started", "turn.completed"]
        with pytest.raises(NotFound, match="t_nothing"):
            await client.call("turns.get", {"turn_id": "t_nothing"})


async def test_at_a_stop_whoever_waits_is_told_how_far_it_is(tmp_path: Path) -> None:
    """As a success and before the goodbye; nothing new is taken meanwhile, and the turn goes on."""

    def request(text: str) -> str:
        params = {"text": text}
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "send", "params": params})

    async with AsyncExitStack() as sockets, asyncio.timeout(PATIENCE_S):
        life = AsyncExitStack()
        place = await life.enter_async_context(listening(tmp_path))
        url = place.url.replace("http", "ws", 1) + "/ws"
        auth = {"Authorization": f"Bearer {place.token}"}
        waiting = await sockets.enter_async_context(connect(url, additional_headers=auth))
        late = await sockets.enter_async_context(connect(url, additional_headers=auth))
        await waiting.send(request("hold one"))
        await place.model.gates["one"].entered.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(life.aclose())
            while not place.served.health.ends:
                await SystemClock().sleep(0.01)
            await late.send(request("too late"))
            refused = json.loads(await late.recv())["error"]["data"]
            assert (refused["kind"], refused["retryable"]) == ("busy", True)
            place.served.server.hurry()
            told = json.loads(await waiting.recv())["result"]
            assert told["state"] in ("queued", "running")
            assert told["reply"] is None
            with pytest.raises(ConnectionClosed):
                await waiting.recv()
            assert waiting.close_code == 1012
    async with listening(tmp_path) as place, place.client() as client:
        place.model.gates["one"].release()
        assert (await client.wait(told["turn_id"])).reply == "You said: hold one"


async def test_starting_and_waiting_are_two_calls(place: Place) -> None:
    """A wait that ends too early says so, and the turn goes on."""
    async with place.client() as client:
        started = await client.start("hold one", peer_id="notes")
        early = await client.wait(started.turn_id, wait_ms=0)
        assert early.reply is None
        place.model.gates["one"].release()
        answer = await client.wait(started.turn_id)
        assert answer.reply == "You said: hold one"


async def received_over_cuts(place: Place, times: int) -> tuple[list[dict[str, Any]], list[int]]:
    """What a subscriber sees while its line is cut `times` times, and the numbers of the log."""
    chance = seeded_chance(SEED)
    seen: list[dict[str, Any]] = []
    cable = place.cable
    async with place.client() as feeder, place.client(cable.url) as eye:
        cable.budget = lambda: round(chance.uniform(*CUT_BYTES))
        cable.cut()
        fed = asyncio.Event()

        async def watch() -> None:
            async with aclosing(eye.events(after_seq=0)) as items:
                async for item in items:
                    seen.append(item)
                    if fed.is_set() and item["seq"] >= place.served.gateway.log.head:
                        return

        watching = asyncio.get_running_loop().create_task(watch())
        number = 0
        while cable.cuts < times:
            number += 1
            await feeder.send(f"message {number}", peer_id=f"p{number % 4}")
        await place.served.gateway.idle()
        fed.set()
        cable.budget = lambda: 0
        place.cable.cut()
        await feeder.send("the last one")  # whoever has seen all but waits is woken by it
        await watching
    rows = [row async for row in place.served.gateway.log.scan(0, 100_000)]
    return seen, [row.seq for row in rows]


def check_stream(seen: list[dict[str, Any]], log: list[int]) -> None:
    numbers = [item["seq"] for item in seen]
    assert numbers == log[: len(numbers)]
    assert [item["prev_seq"] for item in seen] == [0, *numbers[:-1]]
    assert all("result" in item for item in seen)


async def test_a_stream_over_a_hundred_cuts_is_the_log(place: Place) -> None:
    """Cut at random bytes: the received stream equals the log, nothing twice."""
    seen, log = await received_over_cuts(place, 100)
    check_stream(seen, log)
    assert len(seen) > 100


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_stream_over_a_thousand_cuts_is_the_log(place: Place) -> None:
    """The same, ten times as long."""
    seen, log = await received_over_cuts(place, 1000)
    check_stream(seen, log)
    assert len(seen) > 1000


async def test_a_stream_with_a_filter_has_its_own_chain(place: Place) -> None:
    """What is hidden is passed over, also across a cut."""
    async with place.client(place.cable.url) as client:
        seen: list[dict[str, Any]] = []
        async with aclosing(client.events(after_seq=0, kinds=["turn.completed"])) as items:
            for number in range(3):
                await client.send(f"message {number}")
                seen.append(await anext(items))
                place.cable.cut()
        assert [item["result"]["text"] for item in seen] == [
            f"You said: message {number}" for number in range(3)
        ]
        numbers = [item["seq"] for item in seen]
        assert [item["prev_seq"] for item in seen] == [0, *numbers[:-1]]


async def test_a_stream_that_was_left_ends_at_the_gateway_too(place: Place) -> None:
    """One connection may follow at most 64 streams at a time; one after the other is no bound."""
    async with place.client() as client:
        await client.send("something to see")
        firsts = []
        for _ in range(100):
            async with aclosing(client.events(after_seq=0)) as items:
                firsts.append((await anext(items))["seq"])
        assert firsts == [1] * 100


async def test_a_call_that_may_be_repeated_survives_the_loss_of_its_connection(
    place: Place,
) -> None:
    """The key of the message makes it the same turn, and the wait goes on."""
    async with place.client(place.cable.url) as client:
        sending = asyncio.get_running_loop().create_task(client.send("hold one"))
        await place.model.gates["one"].entered.wait()
        for _ in range(3):
            place.cable.cut()
            await client.status()
        place.model.gates["one"].release()
        answer = await sending
        assert answer.reply == "You said: hold one"
        turns = (await client.call("turns.list"))["turns"]
        assert [turn["turn_id"] for turn in turns] == [answer.turn_id]


async def test_a_call_that_must_not_be_repeated_is_told_of_the_loss(place: Place) -> None:
    """Whether it happened is for the caller to find out."""
    async with place.client(place.cable.url) as client:
        sending = asyncio.get_running_loop().create_task(
            client.call("send", {"text": "hold one"}, again=False)
        )
        await place.model.gates["one"].entered.wait()
        place.cable.cut()
        with pytest.raises(ConnectionLost):
            await sending
        place.model.gates["one"].release()
        assert (await client.status()).running


async def test_a_wrong_token_is_refused(place: Place) -> None:
    with pytest.raises(Unauthenticated):
        async with Client(place.url, "x" * 40):
            pass


async def test_where_nothing_listens_the_error_says_what_to_do(tmp_path: Path) -> None:
    async with listening(tmp_path) as place:
        url = place.url
    with pytest.raises(GatewayUnreachable, match="turngate up"):
        async with Client(url, place.token):
            pass


async def test_a_gateway_that_stays_away_is_told_after_a_while(tmp_path: Path) -> None:
    """A call waits for a restart, not for ever."""
    async with listening(tmp_path) as place:
        client = Client(place.url, place.token, patience_s=0.2)
        await client.__aenter__()
    with pytest.raises(GatewayUnreachable, match="went away"):
        await client.status()
    await client.__aexit__(None, None, None)


async def test_calls_and_streams_survive_a_restart(tmp_path: Path) -> None:
    """The gateway ends and comes back on the same port with the same home."""
    async with listening(tmp_path) as place:
        client = place.client()
        await client.__aenter__()
        items = client.events(after_seq=0)
        before = await client.send("before")
        assert (await anext(items))["result"]["turn_id"] == before.turn_id
        port = urlsplit(place.url).port or 0
    asking = asyncio.get_running_loop().create_task(client.send("after"))
    async with listening(tmp_path, port=port):
        after = await asking
        assert after.reply == "You said: after"
        numbers = [1]
        async for item in items:
            numbers.append(item["seq"])
            if (
                item["result"]["kind"] == "turn.completed"
                and item["result"]["turn_id"] == after.turn_id
            ):
                break
        assert numbers == list(range(1, len(numbers) + 1))
        await items.aclose()
        await client.__aexit__(None, None, None)


async def test_a_hundred_turns_on_one_socket_are_answered_and_a_cancel_gets_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting requests hold up nobody: not the cancel of one turn, not the question how it is, and
    not the answers to pings, without which the client would be given up."""
    hasty = partial(Bounds, Deadlines(ping_s=PING_S))
    monkeypatch.setattr("gateway.composition.serving.Bounds", hasty)
    async with listening(tmp_path) as place, place.client() as client:
        loop = asyncio.get_running_loop()
        few = asyncio.Semaphore(16)  # as many as a gateway works on side by side

        async def said(number: int) -> str | None:
            async with few:
                started = await client.start(f"{number} hold all", peer_id=f"p{number}")
            return (await client.wait(started.turn_id)).reply

        sending = [loop.create_task(said(number)) for number in range(100)]
        slow = await client.start("hold slow", peer_id="slow")
        waiting = loop.create_task(client.wait(slow.turn_id))
        await place.model.gates["all"].entered.wait()
        await client.call("turns.cancel", {"turn_id": slow.turn_id})
        assert (await waiting).state == "cancelled"
        assert (await client.status()).clients
        await SystemClock().sleep(3 * PING_S)
        assert place.served.server.clients == 1, "it was given up"
        place.model.gates["all"].release()
        assert await asyncio.gather(*sending) == [
            f"You said: {number} hold all" for number in range(100)
        ]
        with pytest.raises(Conflict):
            await client.call("turns.cancel", {"turn_id": slow.turn_id})


async def test_an_operator_lets_clients_send_larger_messages(tmp_path: Path) -> None:
    """Up to the setting over socket and HTTP, and both are told where it ends."""
    frame_bytes = 2 << 20
    async with listening(tmp_path, frame_bytes=frame_bytes) as place, place.client() as client:
        with pytest.raises(TurngateError, match="no such method"):  # so it was read
            await client.call("nothing", {"text": "x" * (frame_bytes - 2000)})
        with pytest.raises(InvalidInput, match=str(frame_bytes)):
            await client.call("nothing", {"text": "x" * frame_bytes})
        headers = {"Authorization": f"Bearer {place.token}"}
        async with httpx.AsyncClient(base_url=place.url, headers=headers, trust_env=False) as http:
            for length, status in ((frame_bytes - 2000, 200), (frame_bytes, 413)):
                call = {"jsonrpc": "2.0", "id": 1, "method": "nothing", "params": ["x" * length]}
                assert (await http.post("/rpc", json=call)).status_code == status
