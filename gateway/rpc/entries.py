"""Entries of the log as JSON: how one looks, and the latest encoded once for all who follow.

Nearly all of the cost of telling a follower of an entry is putting that into JSON, and a thousand
followers are told the same.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import orjson

from gateway.core import parts
from gateway.events.log import Entry
from gateway.sessions.content import words_of

REMEMBERED = 256
"""Entries kept encoded: live followers are told of one within a few passes of the loop, and a
commit brings some hundred."""
REMEMBERED_BYTES = 4 << 20
"""Their bytes together: a few of the largest messages there are."""


class Encoded(NamedTuple):
    """An entry as it is sent, and the key of the answer that it tells of; empty for none."""

    json: orjson.Fragment
    delivery_key: str
    size: int


class Entries:
    """The latest entries, by identity: one whose words were blanked is another row."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Entry, Encoded]] = OrderedDict()
        self._bytes = 0

    def encoded(self, row: Entry) -> Encoded:
        """The entry as `events.event` tells it."""
        known = self._known.get(row.seq)
        if known is not None and known[0] is row:
            return known[1]
        entry = entry_of(row)
        text = orjson.dumps(entry)
        made = Encoded(orjson.Fragment(text), entry["data"].get("delivery_key", ""), len(text))
        self._forget(row.seq)
        self._known[row.seq] = (row, made)
        self._bytes += made.size
        while len(self._known) > REMEMBERED or self._bytes > REMEMBERED_BYTES:
            self._forget(next(iter(self._known)))
        return made

    def _forget(self, seq: int) -> None:
        known = self._known.pop(seq, None)
        if known is not None:
            self._bytes -= known[1].size


def entry_of(row: Entry) -> dict[str, Any]:
    """An entry of the log as JSON: `gateway.wire.methods.events.EventEntry`."""
    said = words_of(row.body)
    return {
        "seq": row.seq,
        "at": row.at,
        "kind": row.kind,
        "session_key": row.session_key,
        "agent_id": row.agent_id,
        "turn_id": row.turn_id,
        "data": orjson.loads(row.data),
        "text": parts.text_of(said) if said is not None else None,
        "parts": parts.to_json(said or ()),
    }
