"""The small parts under the dispatcher, where a whole gateway would hide them."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing

from gateway.core.clock import ManualClock, settle
from gateway.core.errors import Bug, Busy, Conflict
from gateway.core.ids import SequentialIds
from gateway.core.parts import File, Image, Text
from gateway.core.tasks import TaskOwner
from gateway.rpc.cursors import before, decode, encode, next_cursor
from gateway.rpc.dispatch import Dispatcher
from gateway.rpc.rpc import Alone
from gateway.rpc.slots import PATIENCE_S, WORKING, Place, Slots
from gateway.rpc.speaking import shapes
from gateway.rpc.subscriptions import ConnectionSubscriptions
from gateway.wire.jsonrpc import Request
from tests.unit.gateway.rpc.gates import Gates
from tests.unit.gateway.rpc.talk import ALICE, World


async def test_places_are_taken_in_order_and_given_back() -> None:
    """As many as there are; a cancelled wait takes none."""
    clock = ManualClock()
    slots = Slots(clock, working=1)
    first, second, third = Place(slots), Place(slots), Place(slots)
    await first.take()
    loop = asyncio.get_running_loop()
    waiting = [loop.create_task(place.take()) for place in (second, third)]
    await settle()
    waiting[0].cancel()
    first.leave()
    first.leave()  # once is enough
    await waiting[1]
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    second.leave()
    late = loop.create_task(second.take())
    await clock.advance(PATIENCE_S)
    with pytest.raises(Busy, match=str(WORKING)):
        await late
    third.leave()
    await second.take()


async def test_who_has_no_place_rests_all_the_same() -> None:
    """There is nothing to give back; an exception does not take one."""
    slots = Slots(ManualClock(), working=1)
    place = Place(slots)
    async with place.resting():
        pass
    await place.take()
    with pytest.raises(ValueError, match="x"):
        async with place.resting():
            raise ValueError("x")
    await Place(slots).take()
    async with Alone().resting():
        assert Alone().cancel(1) is False


async def test_what_must_not_be_cut_goes_on(world: World) -> None:
    """The one who asked is gone; a refusal is nobody's news then, anything else is logged."""
    shared = world.dispatcher.shared
    gate = asyncio.Event()
    done: list[str] = []

    async def work(error: Exception | None = None) -> None:
        await gate.wait()
        done.append("done")
        if error is not None:
            raise error

    loop = asyncio.get_running_loop()
    errors = (None, Conflict("moved on"), RuntimeError("a bug"))
    asking = [loop.create_task(shared.run_to_completion("work", work(error))) for error in errors]
    await settle()
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    assert done == []
    gate.set()
    with structlog.testing.capture_logs() as logs:
        await shared.close()
    assert done == ["done"] * 3
    assert [str(entry["exc_info"]) for entry in logs] == ["a bug"]


async def test_a_stream_is_started_once_and_ended_before_it_began() -> None:
    """Whatever the order of the calls."""
    started: list[str] = []

    async def pump(id: str) -> None:
        started.append(id)

    owner = TaskOwner("test", lambda name, error: None)
    streams = ConnectionSubscriptions(SequentialIds(), owner)
    first, second = streams.add(pump), streams.add(pump)
    assert streams.end(second) is True
    for id in (first, first, second, "nothing"):
        streams.start(id)
    await owner.join()
    assert started == [first]
    assert streams.end("nothing") is False


def test_a_cursor_is_read_as_it_was_written() -> None:
    """Of any kinds; empty is the first page."""
    assert decode(encode("a:☃", 5), str, int) == ("a:☃", 5)
    assert before(encode(7)) == 7
    assert before("") > 2**62
    assert next_cursor([1, 2], 3, lambda row: row) is None
    assert decode(next_cursor([1, 2], 2, lambda row: row) or "", int) == (2,)


def test_parts_of_other_times_are_shown_as_they_are() -> None:
    """What was once accepted is not refused when it is read."""
    kept = (Text("a"), Image("ftp://x"), File("n", "gopher://x"))
    assert [shape.model_dump()["type"] for shape in shapes(kept)] == ["text", "image", "file"]


async def test_a_lasting_method_finds_its_client_or_a_bug(world: World) -> None:
    """The dispatcher refuses before; this is for who calls a handler by himself."""
    call = world.dispatcher.call(ALICE, Alone(), "")
    with pytest.raises(Bug):
        _ = call.lasting


async def test_an_error_that_cannot_be_written_is_a_bug(world: World) -> None:
    """Its words are not Unicode text; the client gets an id instead."""
    gates = Gates()
    dispatcher = Dispatcher(world.gateway, gates.methods)
    call = dispatcher.call(ALICE, Alone(), "")
    frame = await dispatcher.answer(Request("fail", ["words"], 1), call)
    assert b"internal" in (frame or b"")
