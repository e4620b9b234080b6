"""One client's requests side by side: places, the line, taking back, batches, the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.clock import settle
from gateway.rpc.dispatch import Dispatcher
from gateway.rpc.rpc import Rpc
from gateway.rpc.session import ALWAYS, RpcSession
from gateway.rpc.slots import LINE, PATIENCE_S, WORKING
from tests.unit.gateway.rpc.gates import Gates
from tests.unit.gateway.rpc.talk import Refusal, Talk, World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def gates() -> Gates:
    return Gates()


@pytest.fixture
def talk(world: World, gates: Gates) -> Talk:
    """A client of a gateway whose methods stand still."""
    world.dispatcher = Dispatcher(world.gateway, gates.methods)
    world.rpc = Rpc(world.dispatcher)
    return world.talk()


async def test_requests_are_answered_as_they_are_done(talk: Talk, gates: Gates) -> None:
    """A slow one holds up nobody."""
    slow = await talk.request("hold", {"name": "slow"})
    assert await talk.call("echo", name="fast") == "fast"
    assert talk.find(slow) is None
    gates.open()
    assert (await talk.answer(slow))["result"] == "slow"


async def test_receiving_never_waits_for_an_answer(talk: Talk, gates: Gates) -> None:
    """All are read, so many are worked on, the others stand in line and go in order."""
    for n in range(3 * WORKING):
        await talk.request("hold", {"name": str(n)})
    await gates.until(WORKING)
    await settle()
    assert gates.entered == [str(n) for n in range(WORKING)]
    gates.open()
    await gates.until(3 * WORKING)
    await talk.connection.until(lambda: len(talk.connection.frames) == 3 * WORKING)
    assert gates.entered == [str(n) for n in range(3 * WORKING)]


async def test_who_waits_too_long_in_line_is_told(world: World, talk: Talk, gates: Gates) -> None:
    """Nothing was done, and the answer says when to try again."""
    for _ in range(WORKING):
        await talk.request("hold")
    late = await talk.request("hold", {"name": "late"})
    notification = {"jsonrpc": "2.0", "method": "hold", "params": {"name": "note"}}
    await talk.send(notification)
    await gates.until(WORKING)
    await world.clock.advance(PATIENCE_S)
    error = (await talk.answer(late))["error"]
    assert (error["code"], error["data"]["kind"]) == (-32029, "busy")
    assert error["data"]["retryable"] is True
    assert error["data"]["retry_after_ms"] > 0
    assert "late" not in gates.entered
    assert len(talk.connection.frames) == 1  # nobody waits for the notification's


async def test_a_full_line_is_told_at_once(talk: Talk, gates: Gates) -> None:
    """Without waiting for anybody's patience."""
    for _ in range(WORKING + LINE):
        await talk.request("hold")
    await gates.until(WORKING)
    await settle()
    with pytest.raises(Refusal, match="busy"):
        await talk.call("hold")


async def test_some_methods_pass_by_the_line(talk: Talk, gates: Gates) -> None:
    """However full it is."""
    for _ in range(WORKING + LINE + 5):
        await talk.request("hold")
    assert await talk.call("quick", name="here") == "here"


async def test_a_resting_request_leaves_its_place_to_others(talk: Talk, gates: Gates) -> None:
    """Hundreds wait, and there is work all the same."""
    for n in range(10 * WORKING):
        await talk.request("rest", {"name": str(n)})
    await gates.until(10 * WORKING)
    assert await talk.call("echo", name="free") == "free"
    gates.open()
    await talk.connection.until(lambda: len(talk.connection.frames) == 10 * WORKING + 1)


async def test_a_rested_request_takes_a_place_again(talk: Talk, gates: Gates) -> None:
    """So many are worked on, wherever they come from."""
    rested = [await talk.request("rest") for _ in range(WORKING)]
    await gates.until(WORKING)
    for _ in range(WORKING):
        await talk.request("hold")
    await gates.until(2 * WORKING)
    assert talk.find(rested[0]) is None
    gates.open()
    for id in rested:
        await talk.answer(id)


async def test_requests_without_answer_are_bounded(world: World, talk: Talk, gates: Gates) -> None:
    """Those that only wait included."""
    talk.session = RpcSession(world.dispatcher, talk.connection, address="", in_flight=40)
    for _ in range(40):
        await talk.request("rest")
    await gates.until(40)
    with pytest.raises(Refusal, match=r"busy.*40 requests"):
        await talk.call("rest")
    assert await talk.call("quick", name="here") == "here"


async def test_an_id_stands_for_one_request_at_a_time(talk: Talk, gates: Gates) -> None:
    """The second is refused without an id: under it, the first would seem to be answered."""
    await talk.request("hold", {"name": "first"}, id=7)
    await talk.request("hold", {"name": "second"}, id=7)
    answer = await talk.next_answer()
    assert answer["id"] is None
    assert answer["error"]["code"] == -32600
    gates.open()
    assert (await talk.answer(7))["result"] == "first"
    await talk.request("echo", {"name": "third"}, id=7)
    await talk.connection.until(lambda: len(talk.connection.frames) == 3)
    assert talk.answers()[-1]["result"] == "third"


async def test_ids_of_two_kinds_are_two_ids(talk: Talk, gates: Gates) -> None:
    """A text and a number; null never stands for anything."""
    for id in (1, "1"):
        await talk.request("hold", {"name": "x"}, id=id)
    for _ in range(2):
        await talk.send({"jsonrpc": "2.0", "method": "hold", "id": None})
    await gates.until(4)
    gates.open()
    await talk.connection.until(lambda: len(talk.connection.frames) == 4)
    assert sorted(str(answer["id"]) for answer in talk.answers()) == ["1", "1", "None", "None"]


async def test_a_request_is_taken_back(talk: Talk, gates: Gates) -> None:
    """It is answered as such, once, and what it waited for is let go."""
    await talk.request("hold", {"name": "a"}, id="x")
    await gates.until(1)
    assert await talk.call("take_back", name="x") is True
    error = (await talk.answer("x"))["error"]
    assert (error["code"], error["data"]["kind"]) == (-32800, "request_cancelled")
    assert gates.cancelled == ["a"]
    assert await talk.call("take_back", name="x") is False
    gates.open()
    await settle()
    assert len(talk.connection.frames) == 3


async def test_a_request_in_line_is_taken_back(talk: Talk, gates: Gates) -> None:
    """It never begins."""
    for _ in range(WORKING):
        await talk.request("hold")
    await talk.request("hold", {"name": "never"}, id="x")
    await gates.until(WORKING)
    assert await talk.call("take_back", name="x") is True
    assert await talk.call("take_back", name="x") is False
    gates.open()
    assert (await talk.answer("x"))["error"]["code"] == -32800
    assert "never" not in gates.entered


async def test_another_clients_request_cannot_be_taken_back(
    world: World, talk: Talk, gates: Gates
) -> None:
    """Ids are a connection's own."""
    other = world.talk()
    await talk.request("hold", {"name": "a"}, id="x")
    await gates.until(1)
    assert await other.call("take_back", name="x") is False
    gates.open()
    assert (await talk.answer("x"))["result"] == "a"


async def test_an_answer_on_its_way_is_not_taken_back(talk: Talk, gates: Gates) -> None:
    """A slow reader gets the whole of it."""
    talk.connection.stall()
    await talk.request("echo", {"name": "whole"}, id="x")
    await settle()
    await talk.request("take_back", {"name": "x"}, id="y")
    await settle()
    talk.connection.flow()
    assert (await talk.answer("x"))["result"] == "whole"
    assert (await talk.answer("y"))["result"] is False


async def test_a_batch_is_answered_as_one_in_its_order(talk: Talk) -> None:
    """Members run one after the other in one place; notifications leave no gap."""
    await talk.send(
        [
            {"jsonrpc": "2.0", "method": "echo", "params": ["a"], "id": 1},
            {"jsonrpc": "2.0", "method": "echo", "params": ["b"]},
            {"jsonrpc": "2.0", "method": "fail", "params": ["conflict"], "id": 2},
            {"jsonrpc": "2.0", "method": "echo", "params": ["c"], "id": 1},
            {"jsonrpc": "2.0", "method": "alone", "id": 3},
        ]
    )
    answers = await talk.next_answer()
    assert [answer["id"] for answer in answers] == [1, 2, None, 3]
    assert answers[0]["result"] == "a"
    assert answers[2]["error"]["code"] == -32600
    assert answers[3]["error"]["code"] == -32602


async def test_a_member_of_a_batch_is_taken_back(talk: Talk, gates: Gates) -> None:
    """The others are answered."""
    batch = [
        {"jsonrpc": "2.0", "method": "hold", "params": [name], "id": name}
        for name in ("a", "b", "c")
    ]
    await talk.send(batch)
    await gates.until(1)
    assert await talk.call("take_back", name="a") is True
    assert await talk.call("take_back", name="c") is True
    gates.open()
    await talk.connection.until(lambda: len(talk.connection.frames) == 3)
    answers = talk.answers()[-1]
    assert [answer.get("result") for answer in answers] == [None, "b", None]
    assert [answer["error"]["code"] for answer in answers if "error" in answer] == [-32800] * 2


async def test_a_batch_takes_one_place_and_is_refused_as_a_whole(
    world: World, talk: Talk, gates: Gates
) -> None:
    """Each member is told under its id; one that only passes by the line does."""
    for _ in range(WORKING):
        await talk.request("hold")
    await gates.until(WORKING)
    seen = len(talk.connection.frames)
    echo = [{"jsonrpc": "2.0", "method": "echo", "id": n} for n in (1, 2)]
    await talk.send([*echo, {"jsonrpc": "2.0", "method": "echo"}])
    await settle()
    await world.clock.advance(PATIENCE_S)
    await talk.connection.until(lambda: len(talk.connection.frames) > seen)
    refused = talk.answers()[-1]
    assert [(answer["id"], answer["error"]["code"]) for answer in refused] == [
        (1, -32029),
        (2, -32029),
    ]
    await talk.send([{"jsonrpc": "2.0", "method": "quick", "params": ["q"], "id": 1}])
    await talk.connection.until(lambda: len(talk.connection.frames) > seen + 1)
    assert talk.answers()[-1] == [{"jsonrpc": "2.0", "result": "q", "id": 1}]


async def test_refusals_are_written_before_more_is_read(talk: Talk) -> None:
    """Who sends nonsense without reading the answers is slowed down by itself."""
    talk.connection.stall()
    loop = asyncio.get_running_loop()
    waiting = [talk.session.receive(b"nonsense"), talk.session.receive(b"[1]")]
    tasks = [loop.create_task(one) for one in waiting]
    await settle()
    assert not any(task.done() for task in tasks)
    talk.connection.flow()
    for task in tasks:
        await task
    assert len(talk.connection.frames) == 2


async def test_requests_past_the_line_are_bounded_too(talk: Talk) -> None:
    """A client that does not read its answers is not read from any more."""
    talk.connection.stall()
    for _ in range(ALWAYS):
        await talk.request("quick")
    more = asyncio.get_running_loop().create_task(talk.request("quick"))
    await settle()
    assert not more.done()
    talk.connection.flow()
    await more
    await talk.connection.until(lambda: len(talk.connection.frames) == ALWAYS + 1)


async def test_what_comes_behind_connect_is_answered_as_that_client(
    talk: Talk, gates: Gates
) -> None:
    """A script that pipes its lines in one go need not wait in between."""
    await talk.request("connect", {"name": "zoe"})
    who = await talk.request("who")
    await settle()
    assert talk.find(who) is None
    gates.open()
    assert (await talk.answer(who))["result"] == "zoe"


async def test_a_greeting_in_a_batch_waits_for_nobody(talk: Talk, gates: Gates) -> None:
    """Nor do the members behind it, which come after it anyway."""
    gates.open()
    await talk.send(
        [
            {"jsonrpc": "2.0", "method": "connect", "params": ["zoe"], "id": 1},
            {"jsonrpc": "2.0", "method": "who", "id": 2},
        ]
    )
    assert [answer["result"] for answer in await talk.next_answer()] == ["zoe", "zoe"]


async def test_what_an_answer_sets_off_comes_after_it(talk: Talk, gates: Gates) -> None:
    """Not at all when there is none."""
    talk.connection.stall()
    await talk.request("later", {"name": "a"})
    await talk.request("fail", {"name": "conflict"})
    await settle()
    assert gates.written == []
    talk.connection.flow()
    await talk.connection.until(lambda: len(talk.connection.frames) == 2)
    await settle()
    assert gates.written == ["a"]


async def test_closing_ends_requests(world: World, talk: Talk, gates: Gates) -> None:
    """Nothing is written to a client that is gone, and nothing more is taken in."""
    await talk.request("hold", {"name": "a"})
    await talk.request("rest", {"name": "b"})
    await talk.request("hold", {"name": "c"}, id="x")
    await gates.until(3)
    await talk.session.close()
    assert sorted(gates.cancelled) == ["a", "b", "c"]
    await talk.request("echo", {"name": "d"})
    await settle()
    assert talk.connection.frames == []
    await talk.session.close()


async def test_a_request_taken_back_as_the_client_leaves_ends(talk: Talk, gates: Gates) -> None:
    """The two ends do not wait for each other."""
    await talk.request("hold", {"name": "a"}, id="x")
    await gates.until(1)
    talk.connection.stall()
    await talk.request("take_back", {"name": "x"})
    await settle(2)
    await talk.session.close()
    assert talk.connection.frames == []


async def test_presence_follows_the_client(world: World, talk: Talk, gates: Gates) -> None:
    """Who it is, what it calls itself, and that it is gone."""
    present = world.dispatcher.shared.present
    assert [(one.principal, one.client) for one in present] == [("alice", "")]
    gates.open()
    await talk.call("connect", name="zoe")
    assert [(one.principal, one.client) for one in present] == [("zoe", "a test")]
    await talk.session.close()
    assert not present
