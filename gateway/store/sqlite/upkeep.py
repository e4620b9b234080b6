"""Keeping a database file: looking whether it is sound, copying it while in use, putting it back.

Synchronous, for commands: no loop and no gateway is needed. What writes takes the lock of the file
first, so it is refused while a gateway runs; what reads is a reader like any other.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import orjson

from gateway.core.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    SchemaMismatch,
    StoreDamaged,
    StoreUnavailable,
)
from gateway.store import statements
from gateway.store.soundness import Report, broken, rules
from gateway.store.sqlite.database import Database, keep_private
from gateway.store.sqlite.lock import FileLock
from gateway.store.whole_tables import about

Progress = Callable[[int, int], None]
"""Called with what is done and what there is, in pages or rows."""
PAGES = 256
"""Pages copied at once, 1 MiB: the gateway's writes go on in between."""
ROWS = 1000


def check(path: Path) -> Report:
    """Look at everything: the file's own order, references, and what turngate keeps true.

    Beside a running gateway it sees one moment. Raises `NotFound`, `SchemaMismatch` for a schema
    that is not this release's, `StoreUnavailable` for what is no database.
    """
    with closing(_open(path)) as connection:
        try:
            version = _version(connection, path)
            connection.execute("BEGIN")  # one moment for all questions
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(20)")]
            problems = [] if found == ["ok"] else [f"the file: {line}" for line in found]
            for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
                problems.append(f"a row of {table} ({row}) belongs to none of {parent}")
            for rule, sql in rules():
                problems += broken(rule, connection.execute(sql).fetchall())
            rows = {table: _count(connection, table) for table in tables(connection)}
        except sqlite3.DatabaseError as error:
            raise StoreDamaged(f"{path} cannot be read: {error}") from error
    return Report(str(path), version, tuple(problems), rows)


def back_up(path: Path, target: Path, progress: Progress) -> str:
    """Copy a database while a gateway uses it; the copy's SHA-256, once it is whole and sound.

    The copy is of one moment. Raises like `check`, `Conflict` when the target is there already,
    and `StoreUnavailable` when it cannot be made.
    """
    if target.exists():
        raise Conflict(f"{target} is there already; a backup overwrites nothing")
    if not target.parent.is_dir():
        raise NotFound(f"there is no folder {target.parent} to put the backup in")
    partial = target.with_name(f"{target.name}.partial")
    with closing(_open(path)) as connection:
        _version(connection, path)
        _copy(connection, partial, progress)
    try:
        check(partial).raise_problems()
    except Exception:
        partial.unlink()
        raise
    partial.replace(target)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def restore(backup: Path, path: Path, progress: Progress) -> Path | None:
    """Put a backup in a database's place; where what was there is now, None if nothing was.

    Raises `StoreLocked` while a gateway runs, `InvalidInput` when both are one file, and whatever
    `check` finds wrong with the backup; then nothing has changed. Killed in between, the former
    database is in its place.
    """
    if not backup.is_file():
        raise NotFound(f"there is no backup {backup}; turngate store backup makes one")
    if path.exists() and backup.samefile(path):
        raise InvalidInput(f"{backup} is the database itself; name a backup of it")
    check(backup).raise_problems()
    lock = FileLock(path)
    try:
        fresh = path.with_name(f"{path.name}.restoring")
        with closing(_open(backup)) as connection:
            _copy(connection, fresh, progress)
        former = _set_aside(path)
        for name in ("-wal", "-shm"):  # of the former; the new one would take them for its own
            path.with_name(path.name + name).unlink(missing_ok=True)
        fresh.replace(path)
    finally:
        lock.release()
    return former


def migrate(path: Path) -> tuple[int, int]:
    """Bring the schema up to date, with a backup first; the versions before and after.

    Raises `StoreLocked` while a gateway runs, `SchemaMismatch` for a newer schema.
    """
    with closing(_open(path)) as connection:
        before = int(connection.execute("PRAGMA user_version").fetchone()[0])
    lock = FileLock(path)
    try:
        with closing(Database(path).connect_writer()) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return before, int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        lock.release()


def tables(connection: sqlite3.Connection) -> list[str]:
    """Every table, those that others refer to first."""
    found = [row[0] for row in connection.execute(_TABLES)]
    return sorted(found, key=lambda table: (table != "runs", table))


_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_COLUMNS = "SELECT name, pk FROM pragma_table_info(?) ORDER BY cid"


class Source:
    """A database as rows, for copying it into another kind of store; nobody writes meanwhile."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)
        try:
            check(path).raise_problems()
            self._connection = _open(path)
        except BaseException:
            self._lock.release()
            raise
        self.tables = tables(self._connection)

    def columns(self, table: str) -> list[str]:
        """The names of a table's columns, in order."""
        return [row[0] for row in self._connection.execute(_COLUMNS, (table,))]

    def key(self, table: str) -> list[str]:
        """The columns of its primary key, which its rows are ordered by."""
        info = self._connection.execute(_COLUMNS, (table,)).fetchall()
        return [row[0] for row in sorted(info, key=lambda row: int(row[1])) if row[1]]

    def count(self, table: str) -> int:
        return _count(self._connection, table)

    def pieces(self, table: str) -> Iterator[list[tuple[object, ...]]]:
        """Its rows in the order of its key, some at a time."""
        every = about("read_all", table, self.columns(table), self.key(table))
        cursor = self._connection.execute(every)
        while piece := cursor.fetchmany(ROWS):
            yield piece

    def close(self) -> None:
        self._connection.close()
        self._lock.release()


def digest(rows: Iterator[list[tuple[object, ...]]]) -> str:
    """One hash of many rows, in their order."""
    found = hashlib.sha256()
    for piece in rows:
        for row in piece:
            found.update(orjson.dumps(row))
    return found.hexdigest()


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise NotFound(
            f"there is no database {path}: turngate up makes one; if it is elsewhere, name its "
            "folder with --home or TURNGATE_HOME"
        )
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
        connection.isolation_level = None
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} cannot be opened as a database: {error}") from error
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    newest = statements.migrations()[-1][0]
    if version != newest:
        what = "turngate store migrate" if version < newest else "the newer turngate"
        raise SchemaMismatch(
            f"{path} has schema {version}, this turngate knows {newest}: use {what}"
        )
    return version


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(about("count_all", table)).fetchone()[0])


def _copy(connection: sqlite3.Connection, target: Path, progress: Progress) -> None:
    """The whole database under a name of its own; only its owner may read it."""
    target.unlink(missing_ok=True)
    try:
        keep_private(target)
        with closing(sqlite3.connect(target)) as copy:
            connection.backup(
                copy,
                pages=PAGES,
                progress=lambda _, left, total: progress(total - left, total),
                sleep=0.01,
            )
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, whatever the source had
        with target.open("rb") as file:
            os.fsync(file.fileno())
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise StoreUnavailable(f"{target} cannot be written: {error}") from error


def _set_aside(path: Path) -> Path | None:
    """Keep what is at `path` under another name too; its last writes included if it can be read."""
    if not path.exists():
        return None
    former = next(
        name
        for number in range(1, 10_000)
        if not (name := path.with_name(f"{path.name}.before-restore-{number}")).exists()
    )
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:  # damaged: that may be why it is being replaced
        pass
    os.link(path, former)
    return former
