"""JSON-RPC 2.0 frames without I/O: text to checked requests, answers to text.

`parse` never raises: anything wrong with a frame or a member of a batch becomes the error that
is to be answered. Nothing here knows a method. Called by `gateway.rpc` and usable by a client.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.errors import Row, TurngateError, describe

MAX_FRAME_BYTES = 1 << 20
"""Longest frame read, unless a setting says otherwise; how long a message may be, intake says."""
MAX_BATCH = 50
"""Maximum members of a batch: enough to fill a page of a console, too few to hide a flood in."""
MAX_DEPTH = 64
"""Maximum number of containers within each other; our deepest parameter has six."""
MAX_ID_CHARS = 256
"""Longest id that is echoed: a UUID has 36."""

PARSE_ERROR = Row(-32700, "parse_error")
INVALID_REQUEST = Row(-32600, "invalid_request")
METHOD_NOT_FOUND = Row(-32601, "method_not_found")
PROTOCOL_ROWS = (PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND)
"""What the protocol itself refuses with; all other errors are in `gateway.core.errors.TABLE`."""

Id = str | int | float | None
JsonParams = dict[str, Any] | list[Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A call. A notification never gets an answer."""

    method: str
    params: JsonParams
    id: Id = None
    notification: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """What to answer to something that is no request."""

    error: dict[str, Any]
    id: Id = None

    def frame(self) -> bytes:
        """The answer as text."""
        return encode(failure(self.id, self.error))


Member = Request | Refused


@dataclass(frozen=True, slots=True)
class Parsed:
    """The members of a frame; none when it held nothing but responses, which were not requested."""

    members: tuple[Member, ...]
    batch: bool = False


def parse(frame: bytes | str, *, max_bytes: int = MAX_FRAME_BYTES) -> Parsed:
    """Read a frame; binary ones hold UTF-8 like the others."""
    if len(frame) > max_bytes:
        return _refused(INVALID_REQUEST, f"a frame has at most {max_bytes} bytes")
    try:
        text = frame.encode() if isinstance(frame, str) else frame
        value = orjson.loads(text)
    except UnicodeEncodeError:
        return _refused(PARSE_ERROR, "not JSON: the text holds a lone surrogate")
    except orjson.JSONDecodeError as error:
        return _refused(PARSE_ERROR, f"not JSON: {error}")
    members = _count_members(value)
    if members is None:
        return _refused(INVALID_REQUEST, f"more than {MAX_DEPTH} arrays and objects in each other")
    # Outside of strings a colon follows each name and stands nowhere else.
    if _STRING.sub(b"", text).count(b":") != members:
        return _name_standing_twice(text, value)
    if not isinstance(value, list):
        return Parsed(_members([value]))
    if not value:
        return _refused(INVALID_REQUEST, "a batch has at least one member")
    if len(value) > MAX_BATCH:
        return _refused(
            INVALID_REQUEST, f"a batch has at most {MAX_BATCH} members, this one has {len(value)}"
        )
    return Parsed(_members(value), batch=True)


def error_object(
    row: Row, message: str, *, retry_after_ms: int | None = None, error_id: str = ""
) -> dict[str, Any]:
    """The `error` member of an answer; clients branch on `data.kind`."""
    data: dict[str, Any] = {"kind": row.kind, "retryable": row.retryable}
    if retry_after_ms is not None:
        data["retry_after_ms"] = retry_after_ms
    if error_id:
        data["error_id"] = error_id
    return {"code": row.code, "message": message, "data": data}


def describe_error(error: TurngateError) -> dict[str, Any]:
    """The `error` member for an error raised on purpose."""
    return error_object(describe(error), str(error), retry_after_ms=error.retry_after_ms)


def failure(id: Id, error: Mapping[str, Any]) -> dict[str, Any]:
    """An answer that says what went wrong."""
    return {"jsonrpc": "2.0", "id": id, "error": error}


def notification(method: str, params: Mapping[str, Any]) -> bytes:
    """Something the server tells by itself."""
    return encode({"jsonrpc": "2.0", "method": method, "params": params})


def encode(message: Mapping[str, Any]) -> bytes:
    """JSON text; what is not a number becomes null. Raises `TypeError` for what JSON cannot say."""
    return orjson.dumps(message)


def batch(answers: list[bytes]) -> bytes | None:
    """The answers to a batch as one frame; nothing when it held notifications only."""
    return b"[" + b",".join(answers) + b"]" if answers else None


# Run on text that is JSON already, where every quote outside of a string opens one: linear.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def _refused(row: Row, message: str, id: Id = None) -> Parsed:
    return Parsed((Refused(error_object(row, message), id),))


def _count_members(value: Any) -> int | None:
    """How many named members there are in all; None past the depth."""
    found = 0
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                found += len(item)
                below += item.values()
            elif type(item) is list:
                below += item
        level = [item for item in below if type(item) is dict or type(item) is list]
        if not level:
            return found
    return None


def _name_standing_twice(text: bytes, value: Any) -> Parsed:
    """Readers disagree which of two equal names counts: neither does. The slow way finds it."""
    twice: set[str] = set()
    outermost: set[str] = set()

    def members(pairs: list[tuple[str, Any]]) -> None:
        nonlocal outermost
        seen = Counter(name for name, _ in pairs)
        outermost = {name for name, times in seen.items() if times > 1}
        twice.update(outermost)

    json.loads(text, object_pairs_hook=members)
    known = isinstance(value, dict) and "id" not in outermost
    names = ", ".join(sorted(repr(name)[:66] for name in twice)[:3])
    return _refused(
        INVALID_REQUEST,
        f"a name stands twice in one object: {names}",
        _echo(value) if known else None,
    )


def _members(values: list[Any]) -> tuple[Member, ...]:
    return tuple(member for value in values if (member := _member(value)) is not None)


def _member(value: Any) -> Member | None:
    """One request; None for a response, which is never answered: two servers would loop."""
    if not isinstance(value, dict):
        return Refused(error_object(INVALID_REQUEST, "a request is an object"))
    if "method" not in value and "id" in value and ("result" in value) != ("error" in value):
        return None
    problem = _problem(value)
    if problem:
        return Refused(error_object(INVALID_REQUEST, problem), _echo(value))
    params = value.get("params")
    return Request(
        value["method"],
        {} if params is None else params,
        value.get("id"),
        notification="id" not in value,
    )


def _problem(value: dict[str, Any]) -> str:
    """What keeps an object from being a request; unknown members do not."""
    if value.get("jsonrpc") != "2.0":
        return 'jsonrpc must be "2.0"'
    if not isinstance(value.get("method"), str):
        return "method must be a string"
    if not isinstance(value.get("params"), dict | list | None):
        return "params must be an object, an array or null"
    if "id" in value and not _is_id(value["id"]):
        return (
            f"id must be a string of at most {MAX_ID_CHARS} characters or a number within 64 bits"
        )
    return ""


def _is_id(value: Any) -> bool:
    match value:
        case bool():
            return False
        case str():
            return len(value) <= MAX_ID_CHARS
        case float():
            # An integer beyond 64 bits is read as a float and could not be echoed.
            return abs(value) < 2.0**63
        case int() | None:
            return True
        case _:
            return False


def _echo(value: dict[str, Any]) -> Id:
    """The id of something that is no request, as far as it has one."""
    found = value.get("id")
    return found if _is_id(found) else None
