"""Frames to requests and answers to frames: what is let through and what is answered instead."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest

from gateway.core.errors import TABLE, Busy, NotFound
from gateway.wire import jsonrpc
from gateway.wire.jsonrpc import Parsed, Refused, Request

PARSE, INVALID = -32700, -32600


def refused(frame: bytes | str) -> tuple[int, Any, str]:
    """Code, id and message of what a frame is refused with."""
    (member,) = jsonrpc.parse(frame).members
    assert isinstance(member, Refused)
    return member.error["code"], member.id, member.error["message"]


def taken(value: Any) -> Request:
    """The request a value is."""
    (member,) = jsonrpc.parse(orjson.dumps(value)).members
    assert isinstance(member, Request)
    return member


def a_request(**changes: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "status", "id": 1, **changes}


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"nonsense", "not JSON"),
        (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": Infinity}', "not JSON"),
        (b'{"a": "\\ud800"}', "surrogate"),
        ('{"a": "\ud800"}', "surrogate"),
        (b'{"a": ' + b"9" * 4300 + b"}", "infinity"),
        (b"[" * 100_000, "depth"),
        (b"[" * 100_000 + b"]" * 100_000, "depth"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "depth"),
    ],
)
def test_what_is_not_json_is_a_parse_error(frame: bytes | str, said: str) -> None:
    """Whatever the reader trips over, without an id and without what was sent."""
    code, id, message = refused(frame)
    assert (code, id) == (PARSE, None)
    assert said in message


def test_a_frame_that_is_too_long_is_not_read() -> None:
    """The bound is for whoever has no bound on its transport."""
    assert refused(b" " * (jsonrpc.MAX_FRAME_BYTES + 1))[0] == INVALID
    (member,) = jsonrpc.parse(orjson.dumps(a_request()), max_bytes=10).members
    assert isinstance(member, Refused)


@pytest.mark.parametrize("depth", [jsonrpc.MAX_DEPTH, jsonrpc.MAX_DEPTH + 1, 1000])
def test_containers_within_each_other_are_bounded(depth: int) -> None:
    """The request itself counts as one; what follows could not be written back."""
    frame = orjson.dumps(a_request(params=0)).replace(b":0", b":" + _nested(depth - 1))
    (member,) = jsonrpc.parse(frame).members
    assert isinstance(member, Request) is (depth <= jsonrpc.MAX_DEPTH)


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("frame", "id", "name"),
    [
        (b'{"jsonrpc":"2.0","method":"a","method":"b","id":7}', 7, "'method'"),
        (b'{"jsonrpc":"2.0","method":"a","id":7,"id":8}', None, "'id'"),
        (b'{"jsonrpc":"2.0","method":"a","id":7,"params":{"x":{"y":1,"y":1}}}', 7, "'y'"),
        (b'{"jsonrpc":"2.0","method":"a","id":7,"params":{"":1,"":2}}', 7, "''"),
        (b'{"jsonrpc":"2.0","method":"a","id":7,"params":{"a\\"b":1,"a\\u0022b":2}}', 7, "b'"),
        (b'[{"jsonrpc":"2.0","method":"a","id":7},{"x":1,"x":2}]', None, "'x'"),
    ],
)
def test_a_name_that_stands_twice_is_refused(frame: bytes, id: int | None, name: str) -> None:
    """Two readers would take two different values; the id is echoed unless it is the doubtful."""
    code, found, message = refused(frame)
    assert (code, found) == (INVALID, id)
    assert name in message


@pytest.mark.parametrize(
    "value",
    [
        "colons: {} [] , : \\ \" ' \\\\",
        "\\",
        '\\\\\\"',
        {"a:b": {"c": [":", {"d": ":"}]}},
        [[], [[]], {}, [{}], ""],
        "ünï ☃ \u2028 \x00",
    ],
)
def test_text_in_strings_is_not_taken_for_structure(value: Any) -> None:
    """Quotes, backslashes and colons within strings are words."""
    assert taken(a_request(params={"value": value})).params == {"value": value}


@pytest.mark.parametrize(
    "id", [1, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 1.5, -0.0, 1e18, "", "1", "ü" * 256, None]
)
def test_an_id_is_echoed_as_it_came(id: Any) -> None:
    """Numbers stay numbers of their kind, and null is an id like another."""
    request = taken(a_request(id=id))
    assert request.id == id
    assert type(request.id) is type(id)
    assert not request.notification
    frame = orjson.loads(jsonrpc.encode(jsonrpc.failure(request.id, {})))
    assert (frame["id"], type(frame["id"])) == (id, type(id))


@pytest.mark.parametrize(
    "id",
    [
        b"true",
        b"false",
        b"[]",
        b"{}",
        b"1" * 30,
        b"-" + b"9" * 25,
        b"1e300",
        b'"' + b"x" * 257 + b'"',
    ],
)
def test_an_id_that_cannot_be_echoed_is_refused(id: bytes) -> None:
    """Booleans, containers, texts without end, and integers beyond 64 bits."""
    frame = b'{"jsonrpc":"2.0","method":"status","id":' + id + b"}"
    code, found, _ = refused(frame)
    assert (code, found) == (INVALID, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"jsonrpc": "1.0"}, "jsonrpc"),
        ({"jsonrpc": 2.0}, "jsonrpc"),
        ({"method": 1}, "method"),
        ({"method": None}, "method"),
        ({"params": "bar"}, "params"),
        ({"params": 1}, "params"),
        ({"params": False}, "params"),
    ],
)
def test_a_wrong_member_is_named_and_the_id_is_echoed(changes: dict[str, Any], said: str) -> None:
    """Whoever waits for the id learns of it."""
    code, id, message = refused(orjson.dumps(a_request(**changes)))
    assert (code, id) == (INVALID, 1)
    assert message.startswith(said)


@pytest.mark.parametrize("missing", ["jsonrpc", "method"])
def test_a_missing_member_is_named(missing: str) -> None:
    """The two that every request has."""
    value = a_request()
    del value[missing]
    assert refused(orjson.dumps(value))[2].startswith(missing)


@pytest.mark.parametrize("value", [1, "x", None, True, 1.5])
def test_a_scalar_is_no_request(value: Any) -> None:
    """Only objects are."""
    assert refused(orjson.dumps(value))[:2] == (INVALID, None)


def test_members_nobody_asked_for_are_let_through() -> None:
    """Clients add tracing and the like."""
    assert taken(a_request(meta={"trace": 1}, auth=None)).method == "status"


@pytest.mark.parametrize(
    ("params", "read"), [(None, {}), ({}, {}), ([], []), ({"a": 1}, {"a": 1}), ([1], [1])]
)
def test_params_are_an_object_an_array_or_null(params: Any, read: Any) -> None:
    """Null means none, as several clients send it."""
    assert taken(a_request(params=params)).params == read


def test_a_request_without_params_or_id() -> None:
    """A notification is what has no id member."""
    request = taken({"jsonrpc": "2.0", "method": "x"})
    assert request == Request("x", {}, None, notification=True)


@pytest.mark.parametrize(
    "value",
    [
        {"jsonrpc": "2.0", "id": 1, "result": None},
        {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": ""}},
        {"id": 1, "result": 1},
    ],
)
def test_a_response_is_not_answered(value: Any) -> None:
    """Nobody asked; two servers that answer each other never end."""
    assert jsonrpc.parse(orjson.dumps(value)) == Parsed(())
    assert jsonrpc.parse(orjson.dumps([value, value])) == Parsed((), batch=True)


@pytest.mark.parametrize(
    "value", [{"id": 1, "result": 1, "error": {}}, {"result": 1}, {"foo": "boo"}, {}]
)
def test_what_only_looks_like_a_response_is_refused(value: Any) -> None:
    """It has no method and is none."""
    assert refused(orjson.dumps(value))[0] == INVALID


def test_each_member_of_a_batch_is_judged_alone() -> None:
    """The good ones are not lost with the bad ones."""
    parsed = jsonrpc.parse(orjson.dumps([a_request(), 1, a_request(id=2, method=3), {"id": 4}]))
    assert parsed.batch
    good, scalar, bad, nothing = parsed.members
    assert isinstance(good, Request)
    for member, id in ((scalar, None), (bad, 2), (nothing, 4)):
        assert isinstance(member, Refused)
        assert (member.error["code"], member.id) == (INVALID, id)


@pytest.mark.parametrize(("count", "batch"), [(0, False), (1, True), (50, True), (51, False)])
def test_a_batch_has_one_to_fifty_members(count: int, batch: bool) -> None:
    """Outside of that it is one mistake, not many."""
    parsed = jsonrpc.parse(orjson.dumps([a_request(id=n) for n in range(count)]))
    assert parsed.batch is batch
    assert len(parsed.members) == (count if batch else 1)


def test_ten_thousand_members_are_one_refusal() -> None:
    """The answer is not larger than the question."""
    code, id, message = refused(orjson.dumps([a_request()] * 10_000))
    assert (code, id) == (INVALID, None)
    assert "10000" in message


def test_binary_and_text_frames_are_read_alike() -> None:
    """Clients send either."""
    frame = orjson.dumps(a_request(params={"text": "ü☃"}))
    assert jsonrpc.parse(frame) == jsonrpc.parse(frame.decode())


def test_an_error_says_what_to_branch_on() -> None:
    """Kind, whether to try again and when, and the id of a log entry where there is one."""
    told = jsonrpc.describe_error(Busy("later", retry_after_ms=20))
    assert told == {
        "code": -32029,
        "message": "later",
        "data": {"kind": "busy", "retryable": True, "retry_after_ms": 20},
    }
    assert jsonrpc.describe_error(NotFound("no"))["data"] == {
        "kind": "not_found",
        "retryable": False,
    }
    bug = jsonrpc.error_object(jsonrpc.PARSE_ERROR, "x", error_id="e_1")
    assert bug["data"]["error_id"] == "e_1"


def test_the_protocols_own_kinds_are_nobody_elses() -> None:
    """A client tells them apart from what methods answer."""
    kinds = {row.kind for row in jsonrpc.PROTOCOL_ROWS}
    assert len(kinds) == 3
    assert not kinds & {row.kind for row in TABLE.values()}


def test_what_is_not_a_number_is_written_as_null() -> None:
    """A bare NaN is not JSON."""
    frame = jsonrpc.notification("x", {"a": math.nan, "b": [math.inf, -math.inf]})
    assert orjson.loads(frame) == {
        "jsonrpc": "2.0",
        "method": "x",
        "params": {"a": None, "b": [None, None]},
    }


def test_what_json_cannot_say_is_a_type_error() -> None:
    """The one who encodes answers something else then."""
    with pytest.raises(TypeError):
        jsonrpc.encode({"a": "\ud800"})
    with pytest.raises(TypeError):
        jsonrpc.encode({"a": object()})


def test_answers_to_a_batch_are_an_array() -> None:
    """To nothing but notifications there is no answer at all."""
    assert jsonrpc.batch([]) is None
    assert orjson.loads(jsonrpc.batch([b'{"a":1}', b"2"]) or b"") == [{"a": 1}, 2]


def test_a_refusal_is_a_whole_answer() -> None:
    """With its id."""
    refusal = Refused(jsonrpc.error_object(jsonrpc.INVALID_REQUEST, "no"), 5)
    answer = orjson.loads(refusal.frame())
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] == 5
    assert answer["error"]["data"]["kind"] == "invalid_request"


def test_a_frame_full_of_names_with_one_twice_costs_no_more_than_another() -> None:
    """Comparing each with each takes minutes, in which nobody is served; strangers may ask."""
    names = [f'"{number}":0' for number in range(80_000)]
    frame = "{" + ",".join([*names, '"7":1']) + "}"
    (refused,) = jsonrpc.parse(frame).members
    assert isinstance(refused, Refused)
    assert refused.error["message"].endswith("'7'")
