"""The examples of the JSON-RPC 2.0 specification (section 7), over both transports.

Its methods `subtract`, `update` and the like stand for any method: here they are some that every
server of this protocol has and that change nothing. What is answered is as in the specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.conformance.check import (
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    Check,
    holds,
    refused,
    result_of,
    silent,
)
from gateway.conformance.subject import Breach, Subject

CLAUSE = "JSON-RPC 2.0, section 7"
KINDS = {
    PARSE_ERROR: "parse_error",
    INVALID_REQUEST: "invalid_request",
    METHOD_NOT_FOUND: "method_not_found",
}


@dataclass(frozen=True, slots=True)
class One:
    """The answer under an id: a result, or the error of a code."""

    id: Any = None
    code: int = 0

    def check(self, answer: Any) -> None:
        """Whether this is it."""
        if self.code:
            refused(answer, self.id, self.code, KINDS[self.code])
        else:
            result_of(answer, self.id)


Expected = One | Sequence[One] | None
"""One answer, an array of them in any order, or none."""

EXAMPLES: tuple[tuple[str, str, Expected], ...] = (
    (
        "positional parameters",
        '{"jsonrpc": "2.0", "method": "turns.list", "params": [1], "id": 1}',
        One(1),
    ),
    (
        "positional parameters, others",
        '{"jsonrpc": "2.0", "method": "turns.list", "params": [2, ""], "id": 2}',
        One(2),
    ),
    (
        "named parameters",
        '{"jsonrpc": "2.0", "method": "turns.list", "params": {"limit": 1, "cursor": ""}, "id": 3}',
        One(3),
    ),
    (
        "named parameters in another order",
        '{"jsonrpc": "2.0", "method": "turns.list", "params": {"cursor": "", "limit": 1}, "id": 4}',
        One(4),
    ),
    ("a notification", '{"jsonrpc": "2.0", "method": "turns.list", "params": [1]}', None),
    ("a notification of nobody's method", '{"jsonrpc": "2.0", "method": "foobar"}', None),
    (
        "a method that is not there",
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        One("1", METHOD_NOT_FOUND),
    ),
    (
        "invalid JSON",
        '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        One(None, PARSE_ERROR),
    ),
    (
        "an invalid request",
        '{"jsonrpc": "2.0", "method": 1, "params": "bar"}',
        One(None, INVALID_REQUEST),
    ),
    (
        "a batch of invalid JSON",
        '[{"jsonrpc": "2.0", "method": "status", "id": "1"}, {"jsonrpc": "2.0", "method"',
        One(None, PARSE_ERROR),
    ),
    ("an empty batch", "[]", One(None, INVALID_REQUEST)),
    ("a batch of one that is no request", "[1]", [One(None, INVALID_REQUEST)]),
    ("a batch of three that are no requests", "[1, 2, 3]", [One(None, INVALID_REQUEST)] * 3),
    (
        "a batch of everything",
        '[{"jsonrpc": "2.0", "method": "turns.list", "params": [1], "id": "1"},'
        ' {"jsonrpc": "2.0", "method": "turns.list", "params": [7]},'
        ' {"jsonrpc": "2.0", "method": "turns.list", "params": [2], "id": "2"},'
        ' {"foo": "boo"},'
        ' {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},'
        ' {"jsonrpc": "2.0", "method": "status", "id": "9"}]',
        [One("1"), One("2"), One(None, INVALID_REQUEST), One("5", METHOD_NOT_FOUND), One("9")],
    ),
    (
        "a batch of notifications",
        '[{"jsonrpc": "2.0", "method": "turns.list", "params": [1]},'
        ' {"jsonrpc": "2.0", "method": "status"}]',
        None,
    ),
)


async def over_socket(subject: Subject, frame: str, expected: Expected) -> None:
    """Send it on a WebSocket; behind it questions whose answers show that no other came."""
    async with subject.socket() as talk:
        await talk.say(frame)
        if expected is not None:
            _compare(await talk.hear(), expected)
        await silent(talk)


async def over_http(subject: Subject, frame: str, expected: Expected) -> None:
    """POST it; nothing to answer is an empty body."""
    reply = await subject.post(frame)
    if expected is None:
        holds(reply.status in (202, 204), "expected 204 and no body", reply)
        holds(reply.body is None, "expected no body", reply)
    else:
        holds(reply.status == 200, "expected status 200", reply)
        _compare(reply.body, expected)


def _compare(answer: Any, expected: Expected) -> None:
    if isinstance(expected, One):
        expected.check(answer)
        return
    holds(isinstance(answer, list), "expected an array of answers", answer)
    wanted = list(expected or ())
    holds(len(answer) == len(wanted), f"expected {len(wanted)} answers", answer)
    for one in answer:
        _strike(one, wanted)


def _strike(answer: Any, wanted: list[One]) -> None:
    problem: Breach | None = None
    for one in wanted:
        try:
            one.check(answer)
        except Breach as breach:
            problem = problem or breach
        else:
            wanted.remove(one)
            return
    raise problem or Breach(f"one answer too many: {answer!r}")


def _check(transport: str, name: str, frame: str, expected: Expected) -> Check:
    say = over_socket if transport == "WebSocket" else over_http

    async def run(subject: Subject) -> None:
        await say(subject, frame, expected)

    return Check(f"example: {name} ({transport})", CLAUSE, run)


CHECKS = tuple(
    _check(transport, *example) for transport in ("WebSocket", "HTTP") for example in EXAMPLES
)
