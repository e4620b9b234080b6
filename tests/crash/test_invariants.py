"""The checks themselves: each broken promise is found in a file that was spoilt on purpose."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.crash import invariants
from tests.crash.driver import Driver
from tests.crash.ledger import Ledger

pytestmark = [pytest.mark.crash, pytest.mark.timeout(60)]

SPOILT = {
    "an acknowledged input is gone": (
        "DELETE FROM inputs WHERE ordinal = (SELECT min(ordinal) FROM inputs)",
        "is gone",
    ),
    "an input is stuck": (
        "UPDATE inputs SET state = 'running' WHERE ordinal = (SELECT min(ordinal) FROM inputs)",
        "is stuck in running",
    ),
    "a turn ended twice": (
        "INSERT INTO events SELECT seq + 100000, at, kind, session_key, agent_id, turn_id, data, "
        "content_id FROM events WHERE kind = 'turn.completed' LIMIT 1",
        "has 2 endings",
    ),
    "the log has a hole": (
        "DELETE FROM events WHERE seq = (SELECT min(seq) + 1 FROM events)",
        "gaps",
    ),
    "a run never ended": ("UPDATE runs SET status = 'suspended'", "is suspended"),
    "a delivery is lost": (
        "UPDATE deliveries SET state = 'pending' WHERE ordinal = 1",
        "is pending",
    ),
}


async def test_an_undisturbed_gateway_breaks_nothing_and_a_spoilt_file_is_noticed(
    tmp_path: Path,
) -> None:
    """A check that cannot fail would prove nothing about the kills."""
    async with Driver(tmp_path, seed=1) as driver:
        await driver.kill_at("turn.after_boundary", 5)
        report = await driver.settle()
        ledger = driver.ledger
    assert report.broken == []
    whole = (tmp_path / "turngate.db").read_bytes()
    for what, (statement, sentence) in SPOILT.items():
        copy = tmp_path / "spoilt.db"
        copy.write_bytes(whole)
        with sqlite3.connect(copy) as connection:
            connection.execute(statement)
        connection.close()
        found = invariants.check(copy, ledger)
        assert any(sentence in line for line in found), (what, found)


def test_a_message_shown_with_two_texts_or_two_turns_is_noticed() -> None:
    """What the receiver sees is judged as it comes."""
    ledger = Ledger()
    message = {"type": "message", "delivery_key": "t:1", "turn_id": "t", "destination": "d"}
    ledger.heard({**message, "text": "one"})
    ledger.heard({**message, "text": "one"})
    assert ledger.resent == 1
    assert ledger.complaints == []
    ledger.heard({**message, "text": "two"})
    ledger.heard({"type": "accepted", "id": "a", "turn_id": "t1"})
    ledger.heard({"type": "accepted", "id": "a", "turn_id": "t2"})
    assert len(ledger.complaints) == 2
