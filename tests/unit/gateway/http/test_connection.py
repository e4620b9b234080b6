"""A connection on a socket that is as slow as a test wants it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.core.clock import settle
from gateway.core.errors import Busy
from gateway.http.bounds import Bounds, Deadlines, Limits, Sizes
from gateway.http.clients import Clients
from gateway.http.connection import ANONYMOUS, ClientConnection
from gateway.identity.principal import Principal, Scope
from tests.support.patience import PATIENCE_S

ANN = Principal("ann", frozenset({Scope.CHAT}), "k_ann")
SIZES = Sizes(queue_frames=4, queue_bytes=1000)


class FakeSocket:
    """Takes everything while `is_writable`; keeps what it was given."""

    def __init__(self) -> None:
        self.on_writable: Callable[[], None] | None = None
        self.is_writable = True
        self.writes: list[list[bytes]] = []
        self.closed: list[tuple[int, str]] = []
        self.recognised = 0

    @property
    def sent(self) -> list[bytes]:
        return [message for batch in self.writes for message in batch]

    def flow(self) -> None:
        self.is_writable = True
        assert self.on_writable is not None
        self.on_writable()

    def recognise(self, principal: Principal) -> None:
        self.recognised += 1

    async def next_message(self) -> bytes | None:
        return None

    def write(self, messages: list[bytes]) -> None:
        self.writes.append(messages)

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def abort(self) -> None:
        self.closed.append((0, ""))


class Made:
    """A connection and everything around it."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.socket = FakeSocket()
        self.shed: list[str] = []
        bounds = bounds or Bounds(sizes=SIZES)
        self.clients = Clients(bounds.limits.per_principal)
        self.connection = ClientConnection(
            self.socket, "10.0.0.1", bounds, self.clients, self.shed.append
        )


@pytest.fixture
async def made() -> Made:
    return Made()


# --- who -----------------------------------------------------------------------------------------


async def test_it_is_nobody_until_it_becomes_somebody(made: Made) -> None:
    assert made.connection.principal is ANONYMOUS
    assert not any(made.connection.principal.has(scope) for scope in Scope)
    made.connection.become(ANN)
    assert made.connection.principal is ANN
    assert made.socket.recognised == 1


async def test_nobody_for_too_long_is_closed() -> None:
    made = Made(Bounds(Deadlines(auth_s=0.02)))
    async with asyncio.timeout(PATIENCE_S):
        await made.connection.flushed()
        while not made.socket.closed:
            await settle(1)
    assert made.socket.closed[0][0] == 1008
    assert made.shed == ["unauthenticated"]


async def test_somebody_is_not_closed_for_being_nobody() -> None:
    made = Made(Bounds(Deadlines(auth_s=0.0)))
    made.connection.become(ANN)
    await settle()
    assert made.socket.closed == []


async def test_a_credential_with_too_many_connections_gets_no_further_one() -> None:
    made = Made(Bounds(limits=Limits(per_principal=0)))
    with pytest.raises(Busy):
        made.connection.become(ANN)
    assert made.connection.principal is ANONYMOUS


async def test_a_closing_connection_becomes_nobody_else(made: Made) -> None:
    made.connection.close(1008, "revoked")
    with pytest.raises(Busy):
        made.connection.become(ANN)


# --- sending -------------------------------------------------------------------------------------


async def test_what_is_sent_in_one_round_leaves_in_one_write() -> None:
    made = Made(Bounds())
    await made.connection.respond(b"1")
    await made.connection.notify("m", {"a": 1})
    made.connection.preview("k", "p", {"b": 2})
    assert made.socket.writes == []
    await settle()
    assert len(made.socket.writes) == 1
    assert made.socket.sent[0] == b"1"
    assert json.loads(made.socket.sent[1]) == {"jsonrpc": "2.0", "method": "m", "params": {"a": 1}}
    assert json.loads(made.socket.sent[2])["method"] == "p"


async def test_a_burst_to_a_quick_client_is_no_slow_client(made: Made) -> None:
    for number in range(100):
        await made.connection.respond(b"%d" % number)
    await settle()
    assert made.socket.sent == [b"%d" % number for number in range(100)]
    assert made.socket.closed == []


async def test_a_slow_client_makes_senders_wait_in_their_order(made: Made) -> None:
    made.socket.is_writable = False
    async with asyncio.TaskGroup() as group:
        senders = [
            group.create_task(made.connection.respond(b"%d" % number)) for number in range(8)
        ]
        await settle()
        assert [task.done() for task in senders] == [True] * 4 + [False] * 4
        made.socket.flow()
    assert made.socket.sent == [b"%d" % number for number in range(8)]


async def test_a_later_small_message_does_not_overtake_a_waiting_large_one(made: Made) -> None:
    made.socket.is_writable = False
    await made.connection.respond(b"a" * 900)
    async with asyncio.TaskGroup() as group:
        group.create_task(made.connection.respond(b"b" * 200))
        await settle()
        group.create_task(made.connection.respond(b"c"))
        await settle()
        made.socket.flow()
    assert [message[:1] for message in made.socket.sent] == [b"a", b"b", b"c"]


async def test_one_message_larger_than_the_bound_waits_when_it_is_alone(made: Made) -> None:
    """A model's answer may be that long, as an event and as the result somebody waits for."""
    made.connection.become(ANN)
    made.socket.is_writable = False
    event, answer = b"e" * 3000, b"a" * 3000
    await made.connection.respond(event)
    async with asyncio.TaskGroup() as group:
        group.create_task(made.connection.respond(answer))
        await settle()
        assert made.socket.closed == []
        made.socket.flow()
    await settle()
    assert made.socket.sent == [event, answer]


async def test_little_waits_for_a_client_nobody_knows() -> None:
    """What answers without a credential answers much, and a stranger opens many connections."""
    made = Made(Bounds())
    made.socket.is_writable = False
    await made.connection.respond(b"x" * 300_000)
    with pytest.raises(asyncio.CancelledError):
        await made.connection.respond(b"x" * 300_000)
    assert made.socket.closed[0][0] == 1013


@pytest.mark.parametrize("frame", [b"x", b"x" * 400])
async def test_a_client_for_whom_too_much_waits_is_closed(made: Made, frame: bytes) -> None:
    """By number or by bytes. Everybody who waited learns it; nothing more is sent."""
    made.socket.is_writable = False
    ended: list[bool] = []

    async def sender() -> None:
        try:
            await made.connection.respond(frame)
        except asyncio.CancelledError:
            ended.append(True)

    async with asyncio.TaskGroup() as group:
        for _ in range(9):
            group.create_task(sender())
    assert made.socket.closed[0][0] == 1013
    assert made.shed == ["slow_client"]
    assert ended
    made.socket.is_writable = True
    await settle()
    assert made.socket.sent == []


async def test_a_cancelled_sender_sends_nothing(made: Made) -> None:
    made.socket.is_writable = False
    for _ in range(4):
        await made.connection.respond(b"x")
    async with asyncio.TaskGroup() as group:
        cancelled = group.create_task(made.connection.respond(b"cancelled"))
        later = group.create_task(made.connection.respond(b"later"))
        await settle()
        cancelled.cancel()
        await settle()
        assert not later.done()
        made.socket.flow()
    assert made.socket.sent == [b"x"] * 4 + [b"later"]


async def test_previews_are_dropped_for_a_slow_client_and_counted(made: Made) -> None:
    made.socket.is_writable = False
    for number in range(5):
        made.connection.preview(str(number), "p", {"n": number})
    assert made.shed == ["preview"] * 3  # half of the four places is theirs
    made.socket.flow()
    await settle()
    assert [json.loads(message)["params"]["n"] for message in made.socket.sent] == [0, 1]


async def test_a_client_that_becomes_slow_in_the_middle_gets_the_rest_later(made: Made) -> None:
    written: list[list[bytes]] = []

    def write(messages: list[bytes]) -> None:
        written.append(messages)
        made.socket.is_writable = False

    made.socket.write = write  # type: ignore[method-assign]
    await made.connection.respond(b"1")
    await settle()
    await made.connection.respond(b"2")
    await settle()
    assert written == [[b"1"]]
    made.socket.flow()
    await settle()
    assert written == [[b"1"], [b"2"]]


async def test_flushed_waits_for_the_socket(made: Made) -> None:
    made.socket.is_writable = False
    await made.connection.respond(b"1")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(made.connection.flushed())
        await settle()
        assert not waiting.done()
        made.socket.flow()


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "abort", "gone"])
async def test_after_the_end_nothing_is_sent_and_nobody_waits(made: Made, end: str) -> None:
    made.socket.is_writable = False
    for _ in range(4):
        await made.connection.respond(b"x")

    async def sender() -> str:
        try:
            await made.connection.respond(b"y")
        except asyncio.CancelledError:
            return "ended"
        return "sent"

    ways: dict[str, Any] = {
        "close": lambda: made.connection.close(1012, "again"),
        "abort": made.connection.abort,
        "gone": made.connection.gone,
    }
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(sender())
        flushing = group.create_task(made.connection.flushed())
        await settle()
        ways[end]()
    assert waiting.result() == "ended"
    assert flushing.done()
    assert await sender() == "ended"
    made.connection.preview("k", "p", {})
    made.socket.is_writable = True
    await settle()
    assert made.socket.sent == []


async def test_gone_it_is_counted_no_more(made: Made) -> None:
    made.connection.become(ANN)
    assert len(made.clients) == 1
    made.connection.gone()
    made.connection.gone()
    assert len(made.clients) == 0


async def test_an_answer_nothing_else_comes_with_leaves_at_once() -> None:
    """And takes along what waited for the end of the round."""
    made = Made(Bounds())
    await made.connection.respond(b"1")
    await made.connection.respond(b"2", last=True)
    assert made.socket.writes == [[b"1", b"2"]]
    await settle()
    assert made.socket.writes == [[b"1", b"2"]]
