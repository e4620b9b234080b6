"""JSON-RPC 2.0 to the letter: the examples of its specification, over both ways in.

The methods are those the examples call; parser, dispatch and answers are the product's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import Field

from gateway.core.clock import settle
from gateway.rpc.call import Call
from gateway.rpc.dispatch import Dispatcher
from gateway.rpc.method import Method
from gateway.rpc.rpc import Rpc
from gateway.wire.methods.base import Bare, Params
from tests.unit.gateway.rpc.talk import ALICE, MemoryConnection, World, open_world


class Subtract(Params):
    minuend: int
    subtrahend: int


class Numbers(Params):
    values: list[int] = Field(default=[])

    @classmethod
    def named(cls, values: list[Any]) -> dict[str, Any]:
        return {"values": values}


class Number(Bare[int]):
    pass


class Data(Bare[list[str | int]]):
    pass


async def subtract(call: Call, params: Subtract) -> Number:
    return Number(params.minuend - params.subtrahend)


async def total(call: Call, params: Numbers) -> Number:
    return Number(sum(params.values))


async def get_data(call: Call, params: Numbers) -> Data:
    return Data(["hello", 5])


METHODS: tuple[Method[Any], ...] = (
    Method("subtract", None, subtract),
    Method("sum", None, total),
    Method("update", None, total),
    Method("notify_hello", None, total),
    Method("get_data", None, get_data),
)
PARSE_ERROR = {"jsonrpc": "2.0", "error": -32700, "id": None}
INVALID = {"jsonrpc": "2.0", "error": -32600, "id": None}


def result(value: Any, id: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "result": value, "id": id}


EXAMPLES: list[tuple[str, str, Any]] = [
    (
        "positional parameters",
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        result(19, 1),
    ),
    (
        "positional parameters, the other way round",
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        result(-19, 2),
    ),
    (
        "named parameters",
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, '
        '"id": 3}',
        result(19, 3),
    ),
    (
        "named parameters, in the other order",
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, '
        '"id": 4}',
        result(19, 4),
    ),
    ("a notification", '{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    ("a notification nobody knows", '{"jsonrpc": "2.0", "method": "foobar"}', None),
    (
        "a method that does not exist",
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        {"jsonrpc": "2.0", "error": -32601, "id": "1"},
    ),
    (
        "invalid JSON",
        '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        PARSE_ERROR,
    ),
    ("an invalid request", '{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID),
    (
        "a batch of invalid JSON",
        '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, '
        '{"jsonrpc": "2.0", "method"]',
        PARSE_ERROR,
    ),
    ("an empty batch", "[]", INVALID),
    ("a batch that is not empty and invalid", "[1]", [INVALID]),
    ("an invalid batch", "[1,2,3]", [INVALID, INVALID, INVALID]),
    (
        "a batch",
        """[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]""",
        [
            result(7, "1"),
            result(19, "2"),
            INVALID,
            {"jsonrpc": "2.0", "error": -32601, "id": "5"},
            result(["hello", 5], "9"),
        ],
    ),
    (
        "a batch of notifications",
        '[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]}, '
        '{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]',
        None,
    ),
]
"""Every example of the specification, with its answer; of an error its code is fixed."""


def coded(answer: Any) -> Any:
    """An answer with the error reduced to its code, as the examples have it."""
    if isinstance(answer, list):
        return [coded(member) for member in answer]
    if isinstance(answer, dict) and "error" in answer:
        assert isinstance(answer["error"]["message"], str)
        return {**answer, "error": answer["error"]["code"]}
    return answer


Ask = Callable[[str | bytes], Awaitable[Any]]


async def over_post(world: World, rpc: Rpc) -> AsyncIterator[Ask]:
    """One frame, one answer."""

    async def ask(frame: str | bytes) -> Any:
        answer = await rpc.handle(frame, ALICE, "10.0.0.1")
        return None if answer is None else orjson.loads(answer)

    yield ask


async def over_socket(world: World, rpc: Rpc) -> AsyncIterator[Ask]:
    """Frames of a connection; nothing more comes once everything has settled."""
    connection = MemoryConnection(ALICE)
    session = rpc.open_session(connection, "10.0.0.1")

    async def ask(frame: str | bytes) -> Any:
        await session.receive(frame)
        await settle()
        answers = [orjson.loads(answer) for answer in connection.frames]
        connection.frames.clear()
        assert len(answers) <= 1
        return answers[0] if answers else None

    yield ask
    await session.close()


@pytest.fixture(params=[over_post, over_socket])
async def ask(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ask]:
    """How a frame gets its answer."""
    async with open_world(tmp_path) as world:
        rpc = Rpc(Dispatcher(world.gateway, METHODS))
        async for asking in request.param(world, rpc):
            yield asking
        await rpc.close()


@pytest.mark.parametrize(
    ("frame", "expected"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES]
)
async def test_an_example_of_the_specification(ask: Ask, frame: str, expected: Any) -> None:
    """As text and as bytes; the order within a batch is free, ours is that of the requests."""
    assert coded(await ask(frame)) == expected
    assert coded(await ask(frame.encode())) == expected


async def test_parameters_that_do_not_fit(ask: Ask) -> None:
    """-32602 with the id, whether named or positional, missing, wrong or too many."""
    for params in (
        "{}",
        "[]",
        "[1]",
        "[1,2,3]",
        '{"minuend":1}',
        '{"minuend":"1","subtrahend":2}',
        '{"minuend":1,"subtrahend":2,"more":3}',
        '{"minuend":1.0,"subtrahend":2}',
        '{"minuend":true,"subtrahend":2}',
        "[1,100000000000000000000]",
    ):
        frame = f'{{"jsonrpc":"2.0","method":"subtract","params":{params},"id":8}}'
        assert coded(await ask(frame)) == {"jsonrpc": "2.0", "error": -32602, "id": 8}, params
        assert await ask(frame.replace(',"id":8', "")) is None
