"""Entries of the log as all followers are sent them."""

from __future__ import annotations

import orjson
import pytest

from gateway.events.log import Entry
from gateway.rpc import entries as module
from gateway.rpc.entries import Entries, entry_of
from gateway.wire.jsonrpc import notification


def entry(seq: int, body: str | None = '{"text": "hello"}') -> Entry:
    data = '{"delivery_key": "d1"}'
    return Entry(seq, 7, "turn.completed", "s", "main", "t1", data, "c1", body)


def test_an_entry_is_encoded_once_for_all_who_are_told_of_it() -> None:
    entries, row = Entries(), entry(1)
    first = entries.encoded(row)
    assert entries.encoded(row) is first
    assert first.delivery_key == "d1"
    frame = notification("events.event", {"result": first.json})
    assert orjson.loads(frame)["params"]["result"] == entry_of(row)


def test_words_that_were_blanked_are_not_told_any_more() -> None:
    """The log reads the row again then, under the same number."""
    entries = Entries()
    entries.encoded(entry(1))
    again = entries.encoded(entry(1, body=None))
    assert orjson.loads(orjson.dumps(again.json))["text"] is None


def test_the_latest_are_kept_by_number_and_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    entries, rows = Entries(), [entry(seq) for seq in range(5)]
    told = [entries.encoded(row) for row in rows]
    kept = [entries.encoded(row) is one for row, one in zip(rows[2:], told[2:], strict=True)]
    assert kept == [True] * 3
    assert entries.encoded(rows[0]) is not told[0]
    monkeypatch.setattr(module, "REMEMBERED_BYTES", told[0].size)
    large = entries.encoded(rows[1])
    assert entries.encoded(rows[1]) is large
    assert entries.encoded(rows[4]) is not told[4]
