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
from dataclasses import replace
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
from gateway.store.sqlite.files import second_name
from gateway.store.sqlite.lock import FileLock, owner
from gateway.store.sqlite.saving import PAGES, saved
from gateway.store.sqlite.set_aside import set_aside
from gateway.store.whole_tables import about

Progress = Callable[[int, int], None]
"""Called with what is done and what there is, in pages or rows."""
ROWS = 1000


def check(path: Path) -> Report:
    """Look at everything: the files around it, its own order, references, what turngate keeps true.

    Beside a running gateway it sees one moment. Raises `NotFound`, `SchemaMismatch` for a schema
    that is not this release's, `StoreUnavailable` for what is no database.
    """
    return replace(found := _examine(path), problems=(*_misplaced(path), *found.problems))


def _examine(path: Path) -> Report:
    """What is inside a database, wherever it lies."""
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
    if problems := _away(path.resolve()):
        raise StoreUnavailable("; ".join(problems))
    partial = target.with_name(f"{target.name}.partial")
    with closing(_open(path)) as connection:
        _version(connection, path)
        _copy(connection, partial, progress)
    try:
        _examine(partial).raise_problems()
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
    _examine(backup).raise_problems()
    path = path.resolve()  # a symbolic link to it stays one
    lock = FileLock(path)
    try:
        fresh = path.with_name(f"{path.name}.restoring")
        with closing(_open(backup)) as connection:
            _copy(connection, fresh, progress)
        former = set_aside(path) if path.exists() else None
        fresh.replace(path)
    finally:
        lock.release()
    if any(backup.samefile(copy) for copy in saved(path)):
        backup.unlink()  # it is the database now, and a start would ask for it again
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
        raise NotFound(_missing(path))
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
        connection.isolation_level = None
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} cannot be opened as a database: {error}") from error
    return connection


def _missing(path: Path) -> str:
    if gateway := owner(path):
        return f"{path} was deleted or moved while a gateway uses it ({gateway.name})"
    if path.parent.is_dir() and (copies := saved(path)):
        return (
            f"there is no database {path}; a gateway that lost it saved what it had: "
            f"turngate store restore {copies[-1]}"
        )
    return (
        f"there is no database {path}: turngate up makes one; if it is elsewhere, name its "
        "folder with --home or TURNGATE_HOME"
    )


def _misplaced(path: Path) -> list[str]:
    """What is wrong with the files of a database, from outside."""
    path = path.resolve()
    found = _away(path)
    for file in (path, path.with_name(f"{path.name}-wal")):
        if file.exists() and (links := file.stat().st_nlink) > 1:
            found.append(second_name(file, links))
    found += [
        f"a gateway lost this database while it ran, and saved what it had as {copy}"
        for copy in saved(path)
    ]
    return found


def _away(path: Path) -> list[str]:
    """Whether a gateway runs whose newest writes are not in these files."""
    if not path.is_file() or (gateway := owner(path)) is None:
        return []
    if not gateway.has(path):
        return [
            f"the gateway that runs ({gateway.name}) writes to another file: {path} was replaced "
            "while it was open"
        ]
    if gateway.file and not path.with_name(f"{path.name}-wal").exists():
        return [
            f"the gateway that runs ({gateway.name}) has written what is not in {path}: its "
            "write-ahead log was deleted"
        ]
    return []


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
