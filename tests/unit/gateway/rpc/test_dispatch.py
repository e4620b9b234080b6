"""From a request to its answer: what is checked in which order, and what a client never learns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import structlog.testing

from gateway.rpc.dispatch import MAX_BATCH_BYTES, Dispatcher
from gateway.rpc.rpc import Rpc
from tests.unit.gateway.rpc.gates import Gates
from tests.unit.gateway.rpc.talk import ALICE, NOBODY, Refusal, World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Its methods fail on demand."""
    async with open_world(tmp_path) as opened:
        gates = Gates()
        gates.open()
        opened.dispatcher = Dispatcher(opened.gateway, gates.methods, max_result_bytes=1000)
        opened.rpc = Rpc(opened.dispatcher)
        yield opened


async def refusal(world: World, method: str, params: object = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await world.post(method, params)
    return caught.value


async def test_an_unknown_method_gets_a_hint(world: World) -> None:
    """-32601 with the nearest names."""
    error = await refusal(world, "ecko")
    assert (error.code, error.kind) == (-32601, "method_not_found")
    assert "did you mean 'echo'? `rpc.discover` describes all" in error.message


async def test_a_method_unlike_any_gets_those_of_its_namespace(tmp_path: Path) -> None:
    """And the one that describes all of them, rather than three of sixty."""
    async with open_world(tmp_path) as world:
        related = await refusal(world, "tokens.zzzzzzzzzzzz")
        assert "in tokens there are: tokens.create, tokens.list, tokens.revoke;" in related.message
        strange = await refusal(world, "zzzzzzzz")
        assert "there is no such method; `rpc.discover` describes all " in strange.message


async def test_an_error_raised_on_purpose_is_told(world: World) -> None:
    """Its words, its kind, and when to come back."""
    error = await refusal(world, "fail", ["conflict"])
    assert (error.code, error.kind, error.message) == (-32009, "conflict", "it has moved on")
    assert error.data == {"kind": "conflict", "retryable": False}
    assert (await refusal(world, "fail", ["busy"])).data["retry_after_ms"] == 7


@pytest.mark.parametrize("how", ["other", "bug", "surrogate", "object"])
async def test_anything_else_is_an_error_id(world: World, how: str) -> None:
    """The log has the story under that id; the client has nothing of it."""
    with structlog.testing.capture_logs() as logs:
        error = await refusal(world, "fail", {"name": how})
    assert (error.code, error.kind) == (-32603, "internal")
    assert "hunter2" not in orjson.dumps([error.message, error.data]).decode()
    (entry,) = [entry for entry in logs if entry["event"] == "rpc.bug"]
    assert entry["error_id"] == error.data["error_id"]
    assert entry["method"] == "fail"
    assert isinstance(entry["exc_info"], Exception)


async def test_a_result_too_large_for_a_frame_is_refused(world: World) -> None:
    """With what to do about it."""
    error = await refusal(world, "fail", ["large"])
    assert (error.code, error.kind) == (-32013, "result_too_large")
    assert "limit" in error.message
    assert len(await world.post("echo", ["x" * 900])) == 900


async def test_the_answers_to_a_batch_are_bounded_together(world: World) -> None:
    """What does not fit any more says so under its id; the rest is there."""
    rpc = Rpc(Dispatcher(world.gateway, Gates().methods))
    member = {"jsonrpc": "2.0", "method": "echo", "params": ["x" * 100_000]}
    batch = [{**member, "id": n} for n in range(10)]
    answers = orjson.loads(await rpc.handle(orjson.dumps(batch), ALICE, "") or b"")
    assert all("result" in answer for answer in answers)
    large = [{"jsonrpc": "2.0", "method": "fail", "params": ["large"], "id": n} for n in range(9)]
    rpc = Rpc(Dispatcher(world.gateway, Gates().methods, max_result_bytes=2 << 20))
    frame = await rpc.handle(orjson.dumps(large), ALICE, "") or b""
    assert len(frame) < MAX_BATCH_BYTES + 10_000
    answers = orjson.loads(frame)
    assert [answer["id"] for answer in answers] == list(range(9))
    kinds = [answer["error"]["data"]["kind"] for answer in answers if "error" in answer]
    assert kinds
    assert set(kinds) == {"result_too_large"}


async def test_a_method_for_lasting_connections_is_refused_without_one(world: World) -> None:
    """It says where to go."""
    error = await refusal(world, "lasting")
    assert (error.code, error.kind) == (-32602, "invalid")
    assert "/ws" in error.message


async def test_a_call_over_http_shares_nothing(world: World) -> None:
    """Resting is nothing, and there is no other request to take back."""
    assert await world.post("rest", ["x"]) == "x"
    assert await world.post("take_back", ["1"]) is False


async def test_who_is_nobody_is_told_to_connect(world: World) -> None:
    """Before anything of the parameters is looked at."""
    rpc = Rpc(Dispatcher(world.gateway))
    request = {"jsonrpc": "2.0", "method": "turns.get", "params": {"x": 1}, "id": 1}
    answer = orjson.loads(await rpc.handle(orjson.dumps(request), NOBODY, "") or b"")
    assert answer["error"]["data"]["kind"] == "unauthenticated"
    assert "connect" in answer["error"]["message"]


async def test_what_an_answer_sets_off_happens_over_http_too(world: World) -> None:
    """Once there is an answer; an error sets nothing off."""
    gates = Gates()
    rpc = Rpc(Dispatcher(world.gateway, gates.methods))
    for method, name in (("later", "a"), ("fail", "conflict")):
        request = {"jsonrpc": "2.0", "method": method, "params": [name], "id": 1}
        await rpc.handle(orjson.dumps(request), ALICE, "")
    assert gates.written == ["a"]
