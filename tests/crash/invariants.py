"""What must hold after any crash, read from outside: the database file of a dead process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.crash.ledger import Ledger

TERMINAL = {"answered", "merged", "failed", "expired", "cancelled"}
TURN_ENDS = ("turn.completed", "turn.failed", "turn.cancelled")
INPUT_ENDS = (*TURN_ENDS, "input.merged", "input.expired", "input.cancelled")


@contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    """A look at the file; a dead process's write-ahead log is taken into account."""
    connection = sqlite3.connect(database)
    try:
        connection.execute("PRAGMA query_only = ON")
        yield connection
    finally:
        connection.close()


def completed_model_steps(database: Path) -> set[str]:
    """Runs whose model call is on record: it was paid for and must not be made again."""
    if not database.exists():
        return set()
    with opened(database) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'steps'").fetchall():
            return set()
        rows = connection.execute(
            "SELECT run_id FROM steps WHERE intent = 'model:0' AND status = 'completed'"
        )
        return {run_id for (run_id,) in rows}


def check(database: Path, ledger: Ledger) -> list[str]:
    """Every broken promise, as sentences; call after everything could come to its end."""
    broken = list(ledger.complaints)
    with opened(database) as connection:
        broken += _intact(connection)
        broken += _inputs(connection, ledger)
        broken += _events(connection)
        broken += _runs(connection)
        broken += _deliveries(connection, ledger)
        broken += _order(connection, ledger)
    return broken


def _intact(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"integrity: {line}"
    for row in connection.execute("PRAGMA foreign_key_check"):
        yield f"foreign key: {row}"


def _inputs(connection: sqlite3.Connection, ledger: Ledger) -> Iterator[str]:
    rows = {
        external: (turn, state, into)
        for external, turn, state, into in connection.execute(
            "SELECT external_id, turn_id, state, merged_into FROM inputs"
        )
    }
    for id, turn in ledger.acknowledged.items():
        if id not in rows:
            yield f"{id} was acknowledged and is gone"
        elif rows[id][0] != turn:
            yield f"{id} was acknowledged as {turn} and is {rows[id][0]}"
    states = {turn: state for turn, state, _ in rows.values()}
    for id, (turn, state, into) in rows.items():
        if state not in TERMINAL:
            yield f"{id} ({turn}) is stuck in {state}"
        if state == "merged" and states.get(into) not in TERMINAL - {"merged"}:
            yield f"{id} is merged into {into}, which is {states.get(into)}"
        if state in ("failed", "expired", "cancelled"):
            yield f"{id} ended as {state} although nothing went wrong upstream"
    # One row an input is the schema's doing; that each ended once, the log must say too.
    marks = ", ".join("?" * len(INPUT_ENDS))
    ends = dict(
        connection.execute(
            f"SELECT turn_id, count(*) FROM events WHERE kind IN ({marks}) GROUP BY turn_id",
            INPUT_ENDS,
        ).fetchall()
    )
    for id, (turn, _, _) in rows.items():
        if ends.get(turn, 0) != 1:
            yield f"{id} ({turn}) has {ends.get(turn, 0)} endings in the log"


def _events(connection: sqlite3.Connection) -> Iterator[str]:
    sequence = [seq for (seq,) in connection.execute("SELECT seq FROM events ORDER BY seq")]
    if sequence and sequence != list(range(sequence[0], sequence[0] + len(sequence))):
        yield "the log has gaps"
    (head,) = connection.execute("SELECT seq FROM log_head").fetchone()
    if sequence and sequence[-1] != head:
        yield f"the log ends at {sequence[-1]}, its head says {head}"
    ended: set[str] = set()
    for kind, turn in connection.execute("SELECT kind, turn_id FROM events ORDER BY seq"):
        if turn in ended and kind.startswith(("turn.", "input.")):
            yield f"{turn}: {kind} after its end"
        if kind in TURN_ENDS:
            ended.add(turn)


def _runs(connection: sqlite3.Connection) -> Iterator[str]:
    for run_id, status in connection.execute("SELECT run_id, status FROM runs"):
        if status != "completed":
            yield f"run {run_id} is {status}"
    for key, position, count in connection.execute(
        "SELECT session_key, position, count(*) FROM entries GROUP BY 1, 2 HAVING count(*) > 1"
    ):
        yield f"{key} has {count} entries at {position}"


def _deliveries(connection: sqlite3.Connection, ledger: Ledger) -> Iterator[str]:
    for key, state in connection.execute("SELECT key, state FROM deliveries"):
        if state != "sent":
            yield f"delivery {key} is {state}"
        if key not in ledger.shown:
            yield f"delivery {key} is {state} and was never shown"
    answered = {
        turn
        for (turn,) in connection.execute("SELECT turn_id FROM inputs WHERE state = 'answered'")
    }
    shown = {key.rpartition(":")[0] for key in ledger.shown}
    for turn in answered ^ shown:
        yield f"{turn}: answered and shown disagree"


def _order(connection: sqlite3.Connection, ledger: Ledger) -> Iterator[str]:
    ordinals = dict(connection.execute("SELECT turn_id, ordinal FROM inputs").fetchall())
    for destination, turns in ledger.order.items():
        came = [ordinals[turn] for turn in turns if turn in ordinals]
        if came != sorted(came):
            yield f"{destination}: answers came out of order"
    said: dict[str, int] = {}
    for external, session, ordinal in connection.execute(
        "SELECT external_id, session_key, ordinal FROM inputs ORDER BY ordinal"
    ):
        number = int(external.rpartition("-")[2])
        if external in ledger.refused:
            continue
        if said.get(session, -1) > number:
            yield f"{session}: {external} was accepted (ordinal {ordinal}) after a later message"
        said[session] = max(number, said.get(session, -1))
