"""One text for one value: canonical JSON (RFC 8785) and its hash.

Manifests and step inputs are compared by hash across processes and releases, so key order, number
format and escapes must not matter. Integers beyond ±(2⁵³-1) travel as `{"__bigint": "<decimal>"}`,
since RFC 8785 numbers are doubles.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import rfc8785

from gateway.core.errors import InvalidInput

Json = Any
"""None, bool, str, finite float, int, or list and dict of these; `canonical` checks."""

_SAFE_INTEGER = 2**53 - 1


def canonical(value: Json) -> bytes:
    """The canonical text; raises `InvalidInput` naming the place of what JSON cannot hold."""
    return rfc8785.dumps(_plain(value, "$"))


def fingerprint(value: Json) -> str:
    """SHA-256 of the canonical text, lower-case hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _plain(value: Json, path: str) -> Any:
    # Exact types: a subclass (enum, datetime, named tuple) would silently become something else.
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if abs(value) <= _SAFE_INTEGER else {"__bigint": str(value)}
    if kind is float:
        if math.isfinite(value):
            return value
        raise InvalidInput(f"{path} is {value!r}; JSON has finite numbers only")
    if kind is list:
        return [_plain(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise InvalidInput(f"{path} has the key {key!r}; JSON keys are strings")
        return {key: _plain(item, f"{path}.{key}") for key, item in value.items()}
    raise InvalidInput(
        f"{path} is a {kind.__name__}; use None, bool, str, int, float, list or dict"
    )
