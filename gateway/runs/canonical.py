"""One text for one value: what runs may keep, canonical JSON (RFC 8785) and its hash.

Manifests and step inputs are compared by hash across processes and releases, so key order, number
format and escapes must not matter. Integers beyond ±(2⁵³-1) are hashed as
`{"__bigint": "<decimal>"}`, since RFC 8785 numbers are doubles.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import orjson
import rfc8785

from gateway.core.errors import InvalidInput

Json = Any
"""None, bool, str, finite float, int, or list and dict of these; the functions below check."""

MAX_DEPTH = 100
"""Deepest nesting; a value that holds itself is found by it."""

_SAFE_INTEGER = 2**53 - 1


def canonical(value: Json) -> bytes:
    """The canonical text; raises `InvalidInput` naming the place of what JSON cannot hold."""
    _check(value)
    return rfc8785.dumps(_tagged(value))


def fingerprint(value: Json) -> str:
    """SHA-256 of the canonical text, lower-case hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def json_text(value: Json) -> str:
    """The value as text that reads back equal; raises `InvalidInput` like `canonical`.

    Integers are kept within 64 bits.
    """
    _check(value)
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise InvalidInput(f"this cannot be kept as JSON: {error}") from error


def _check(value: Json) -> None:
    if not _is_plain(value, MAX_DEPTH):
        raise InvalidInput(_problem(value, "$", MAX_DEPTH))


def _is_plain(value: Json, depth: int) -> bool:
    # Exact types: a subclass (enum, datetime, named tuple) would silently become something else.
    kind = type(value)
    if kind is str:
        return value.isascii() or _is_text(value)
    if kind is float:
        return math.isfinite(value)
    if kind is dict:
        return depth > 0 and all(
            type(key) is str and _is_plain(key, 0) and _is_plain(item, depth - 1)
            for key, item in value.items()
        )
    if kind is list:
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    return value is None or kind is bool or kind is int


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _problem(value: Json, path: str, depth: int) -> str:
    """Where and why the value is not plain; only asked once it is known that it is not."""
    kind = type(value)
    if kind in (dict, list):
        return _problem_inside(value, path, depth)
    if kind is str:
        return f"{path} is {value[:80]!r}, which is not Unicode text"
    if kind is float:
        return f"{path} is {value!r}; JSON has finite numbers only"
    return f"{path} is a {kind.__name__}; use None, bool, str, int, float, list or dict"


def _problem_inside(value: dict[Any, Any] | list[Any], path: str, depth: int) -> str:
    if depth == 0:
        return f"{path} is nested deeper than {MAX_DEPTH}"
    if isinstance(value, list):
        places = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        wrong = [key for key in value if type(key) is not str or not _is_text(key)]
        if wrong:
            return f"{path} has the key {wrong[0]!r}; JSON keys are strings of Unicode text"
        places = [(f"{path}.{key}", item) for key, item in value.items()]
    return next(
        _problem(item, place, depth - 1) for place, item in places if not _is_plain(item, depth - 1)
    )


def _tagged(value: Json) -> Any:
    kind = type(value)
    if kind is int and abs(value) > _SAFE_INTEGER:
        return {"__bigint": str(value)}
    if kind is list:
        return [_tagged(item) for item in value]
    if kind is dict:
        return {key: _tagged(item) for key, item in value.items()}
    return value
