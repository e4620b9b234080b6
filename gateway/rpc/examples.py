"""A call of each method as the documentation shows it and a test runs it: `examples.jsonl`.

Each line is one call of one imagined conversation, so the same ids mean the same things in all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Example:
    """JSON values."""

    params: dict[str, Any]
    result: Any


@cache
def examples() -> dict[str, Example]:
    """By the name of the method."""
    lines = (resources.files(__package__) / "examples.jsonl").read_bytes().splitlines()
    rows = map(orjson.loads, lines)
    return {row["method"]: Example(row["params"], row["result"]) for row in rows}
