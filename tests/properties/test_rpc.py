"""Whatever arrives: a valid answer or none, never an exception, never a bug inside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.wire import jsonrpc
from gateway.wire.jsonrpc import Refused, Request
from tests.properties.messages import calls, check, check_frame, frames, requests
from tests.support.patience import PATIENCE_S
from tests.unit.gateway.rpc.talk import ADMIN, ALICE, MemoryConnection, World, open_world


class House:
    """A gateway on a loop of its own, for as many examples as there are."""

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self.world: World = self.run(self._stack.enter_async_context(open_world(folder)))
        self.run(self.world.talk(ALICE).call("send", text="hello"))

    def run(self, work: Any) -> Any:
        """Its result, in time."""
        return self._runner.run(asyncio.wait_for(work, PATIENCE_S))

    def close(self) -> None:
        self.run(self._stack.aclose())
        self._runner.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path)
    yield opened
    opened.close()


@given(frames)
@example(b'{"a":"\\"' + b'\\"' * 50_000)  # a string without end, full of quotes
@example('{"jsonrpc":"2.0","method":"status","id":' + "9" * 5000 + "}")
@example("[" * 100_000)
def test_reading_never_raises(frame: bytes | str) -> None:
    """Every member is a request or its refusal, and a refusal can be written."""
    parsed = jsonrpc.parse(frame)
    assert parsed.batch or len(parsed.members) <= 1
    for member in parsed.members:
        match member:
            case Request():
                assert isinstance(member.method, str)
                assert isinstance(member.params, dict | list)
                assert not isinstance(member.id, bool)
            case Refused():
                check(orjson.loads(member.frame()))


@given(requests)
def test_what_is_taken_for_a_request_is_one(value: dict[str, Any]) -> None:
    """By the letter of the specification, looked at independently."""
    try:
        text = json.dumps(value, allow_nan=False)
        read = orjson.loads(text)
    except ValueError:
        return  # not JSON, or a number no double holds
    (member,) = jsonrpc.parse(text).members or (None,)
    is_id = "id" not in read or (
        isinstance(read["id"], str | int | float | None) and not isinstance(read["id"], bool)
    )
    is_request = (
        read.get("jsonrpc") == "2.0"
        and isinstance(read.get("method"), str)
        and isinstance(read.get("params"), dict | list | None)
        and is_id
    )
    if isinstance(read.get("id"), float) and abs(read["id"]) >= 2.0**63:
        is_request = False
    assert isinstance(member, Request) is is_request


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames)
def test_any_frame_gets_a_valid_answer_or_none(house: House, frame: bytes | str) -> None:
    """Over HTTP, as an admin: whatever is in it reaches as far as it can."""
    check_frame(house.run(house.world.rpc.handle(frame, ADMIN, "10.0.0.1")))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(frames, max_size=5))
def test_any_frames_leave_a_connection_alive(house: House, sent: list[bytes | str]) -> None:
    """All that is written is valid, and the next request is answered."""

    async def converse() -> None:
        connection = MemoryConnection(ADMIN)
        session = house.world.rpc.open_session(connection, "10.0.0.1")
        for frame in sent:
            await session.receive(frame)
        await session.receive(b'{"jsonrpc":"2.0","method":"__listMethods","id":"the last"}')
        await connection.until(lambda: any(b'"the last"' in frame for frame in connection.frames))
        await session.close()
        for frame in connection.frames:
            check_frame(frame)

    house.run(converse())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls())
def test_no_call_finds_a_bug(house: House, call: tuple[str, Any]) -> None:
    """Every method, with parameters near those it takes: a result or a refusal of its own."""
    method, params = call
    request = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
    try:
        frame = orjson.dumps(request)
    except TypeError:
        return  # surrogates and numbers beyond 64 bits do not get this far

    async def ask() -> bytes | None:
        # Waits end as their time comes.
        answer = house.world.rpc.handle(frame, ADMIN, "10.0.0.1")
        return await house.world.clock.drive(answer)

    check_frame(house.run(ask()))
