"""Looking at a database file without owning it: for people who ask what is wrong.

Opens it read-only, beside a gateway that runs or without one; changes nothing.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import SchemaMismatch, StoreUnavailable
from gateway.store import statements
from gateway.store.sqlite.lock import owner

MAX_CHECKED_BYTES = 1 << 30
"""SQLite reads the whole file to check it: larger ones take minutes, which is for a quiet hour."""

_UNFINISHED = "SELECT count(*) FROM inputs WHERE state IN ('queued', 'running', 'waiting')"
_RUNS = "SELECT count(*) FROM runs WHERE task <> 'turn' AND status IN ('running', 'suspended')"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a database looks like from outside.

    `holder` is who owns it, empty for nobody; `damage` the first thing SQLite found wrong, empty
    when it is whole or was not `checked`; `unfinished` counts messages without an end, `runs` those
    of tasks.
    """

    size: int
    schema: int
    holder: str
    damage: str
    checked: bool
    unfinished: int
    runs: int


def inspect(path: Path) -> Inspection:
    """Raises `SchemaMismatch` for a newer schema, `StoreUnavailable` for what is no database."""
    newest = statements.migrations()[-1][0]
    try:
        size = path.stat().st_size
        address = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if schema > newest:
                raise SchemaMismatch(f"{path} has schema {schema}, this turngate knows {newest}")
            checked = size <= MAX_CHECKED_BYTES
            said = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if checked else "ok"
            whole = said == "ok"
            unfinished, runs = (
                connection.execute(count).fetchone()[0] if whole and schema else 0
                for count in (_UNFINISHED, _RUNS)
            )
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"{path} cannot be read as a database: {error}") from error
    damage = "" if whole else str(said)
    holder = owner(path)
    return Inspection(
        size, schema, holder.name if holder else "", damage, checked, unfinished, runs
    )
