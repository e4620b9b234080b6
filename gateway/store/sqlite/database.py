"""Opening a database: connection settings, schema version, migrations with a backup first.

Knows nothing of units; the writer and the readers get their connections here.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from gateway.core.errors import SchemaMismatch, StoreUnavailable
from gateway.store import statements as shared
from gateway.store.sqlite import statements

BUSY_TIMEOUT_MS = 5000
"""How long a connection waits for another; only a checkpoint ever makes it."""
WAL_KEPT_BYTES = 8 << 20
"""What remains of the WAL's file when it starts from the beginning: less than the size at which the
writer checkpoints, so that the file's size says how much waits for one."""

_memory_names = itertools.count(1)


def why(error: Exception) -> str:
    """What SQLite says, and what to do where the file itself is at fault."""
    damaged = getattr(error, "sqlite_errorcode", 0) in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )
    fix = "; put a backup in its place: turngate store restore FILE" if damaged else ""
    return f"{error}{fix}"


class Database:
    """Where connections lead: a file, or memory shared by this process's connections.

    `migrations` are numbered scripts, all that were ever released, in order.
    """

    def __init__(
        self, path: Path | None, *, migrations: Sequence[tuple[int, str]] | None = None
    ) -> None:
        # Resolved once: a link is another name of the same file, and the process may change folder.
        self.path = path.resolve() if path is not None else None
        self._migrations = shared.migrations() if migrations is None else migrations
        if self.path is None:
            # A named memory database lives while one connection to it is open.
            name = f"/turngate-{os.getpid()}-{next(_memory_names)}"
            self.uri = f"file:{name}?vfs=memdb"
        else:
            self.uri = self.path.as_uri()

    def connect_writer(self) -> sqlite3.Connection:
        """The one connection that writes, migrated and ready; used from one thread only.

        Whoever calls it owns the database: the leases of all former owners end here. Raises
        `StoreUnavailable` or `SchemaMismatch`; then nothing stays open.
        """
        try:
            if self.path is not None:
                keep_private(self.path)
            with ExitStack() as undo:
                # isolation_level None: transactions begin and end where the writer says so.
                connection = sqlite3.connect(
                    self.uri,
                    uri=True,
                    isolation_level=None,
                    check_same_thread=False,
                    cached_statements=256,
                )
                undo.callback(connection.close)
                self._prepare(connection)
                undo.pop_all()
                return connection
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(
                f"cannot open {self.path or ':memory:'}: {why(error)}"
            ) from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS:d}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        # The writer checkpoints itself, off the way of a commit.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES:d}")
        self._migrate(connection)
        connection.execute(statements.bound("release_leases", ()))

    def _migrate(self, connection: sqlite3.Connection) -> None:
        newest = self._migrations[-1][0]
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > newest:
            raise SchemaMismatch(
                f"{self.path} has schema {version}, this turngate knows {newest}: "
                "use the newer turngate, or restore the backup it made before migrating"
            )
        missing = [(number, script) for number, script in self._migrations if number > version]
        if not missing:
            return
        if version > 0 and self.path is not None:
            _back_up(connection, Path(f"{self.path}.backup-v{version}"))
        connection.execute("BEGIN IMMEDIATE")
        try:
            for number, script in missing:
                for statement in statements.split(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number:d}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    # Under another name until it is whole: a crash leaves no backup that only looks like one.
    partial = Path(f"{path}.partial")
    partial.unlink(missing_ok=True)
    keep_private(partial)
    target = sqlite3.connect(partial)
    try:
        connection.backup(target)
    finally:
        target.close()
    partial.replace(path)


def keep_private(path: Path) -> None:
    """Make the file if it is missing; either way it holds people's words, so only ours to read.

    On a volume of another owner the modes are left as they are: only an owner may change them.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        found = os.fstat(fd)
        if found.st_uid == os.geteuid():
            os.fchmod(fd, stat.S_IMODE(found.st_mode) & 0o700)
    finally:
        os.close(fd)
