"""What a gateway saves when its database is taken away while it runs, and what becomes of that.

The open connection still has everything, so it is copied beside where the database was. No gateway
starts past such a copy: with a new database in its place the loss would not be seen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gateway.core.errors import StoreUnavailable
from gateway.store.sqlite.database import keep_private

PAGES = 256
"""Pages copied at a time, 1 MiB."""


def saved(database: Path) -> list[Path]:
    """The copies beside a database, oldest first."""
    prefix = f"{database.name}.saved-"
    found = [path for path in database.parent.iterdir() if path.name.startswith(prefix)]
    return sorted((path for path in found if _number(path)), key=_number)


def refuse_saved(database: Path) -> None:
    """Raise `StoreUnavailable` where a copy waits for its operator."""
    if copies := saved(database):
        raise StoreUnavailable(
            f"a gateway lost {database} while it ran and saved what it had as {copies[-1]}. Put "
            f"that in place: turngate store restore {copies[-1]}; or move it to another folder to "
            "go on without it"
        )


def save(connection: sqlite3.Connection, database: Path, pause: Callable[[], None]) -> Path:
    """Copy what a connection has; where it is now.

    `pause` is called between pieces. Raises `OSError` or `sqlite3.Error`; then there is no copy.
    """
    number = max((_number(path) for path in saved(database)), default=0) + 1
    target = database.with_name(f"{database.name}.saved-{number}")
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        keep_private(partial)
        with closing(sqlite3.connect(partial)) as copy:
            connection.backup(copy, pages=PAGES, progress=lambda *_: pause(), sleep=0)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return target


def _number(path: Path) -> int:
    text = path.name.rpartition("-")[2]
    return int(text) if text.isdecimal() else 0
