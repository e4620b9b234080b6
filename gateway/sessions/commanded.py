"""A command as an input keeps it: what was typed, and what its sender was allowed at that moment.

It is in no transcript: no model sees a command or the answer to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Commanded:
    """`text` begins with a slash; `scopes` are names of those the sender's credential had."""

    text: str
    scopes: frozenset[str]

    def stored(self) -> str:
        """The body of its content row."""
        return orjson.dumps({"text": self.text, "command": sorted(self.scopes)}).decode()


def commanded(body: str | None) -> Commanded | None:
    """The command in a content row; None where it holds something else or was deleted."""
    if body is None:
        return None
    value = orjson.loads(body)
    if "command" not in value:
        return None
    return Commanded(str(value["text"]), frozenset(map(str, value["command"])))
