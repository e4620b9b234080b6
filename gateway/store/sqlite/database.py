"""Opening a database: connection settings, schema version, migrations with a backup first.

Knows nothing of units; the writer and the readers get their connections here.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from pathlib import Path

from gateway.core.errors import SchemaMismatch, StoreUnavailable
from gateway.store.sqlite import statements

BUSY_TIMEOUT_MS = 5000
"""How long a connection waits for another; only a checkpoint ever makes it."""

_memory_names = itertools.count(1)


class Database:
    """Where connections lead: a file, or memory shared by this process's connections."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        if path is None:
            # A named memory database lives while one connection to it is open.
            name = f"/turngate-{os.getpid()}-{next(_memory_names)}"
            self.uri = f"file:{name}?vfs=memdb"
        else:
            self.uri = path.absolute().as_uri()

    def connect_writer(self) -> sqlite3.Connection:
        """The one connection that writes, migrated and ready; used from one thread only.

        Raises `StoreUnavailable` or `SchemaMismatch`.
        """
        try:
            # isolation_level None: transactions begin and end where the writer says so.
            connection = sqlite3.connect(
                self.uri,
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            if self.path is not None:
                os.chmod(self.path, 0o600)  # people's words
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS:d}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            # The writer checkpoints itself, off the way of a commit.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            self._migrate(connection)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"cannot open {self.path or ':memory:'}: {error}") from error
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        scripts = statements.migrations()
        newest = scripts[-1][0]
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > newest:
            connection.close()
            raise SchemaMismatch(
                f"{self.path} has schema {version}, this turngate knows {newest}: "
                "use the newer turngate, or restore the backup it made before migrating"
            )
        missing = [(number, script) for number, script in scripts if number > version]
        if not missing:
            return
        if version > 0 and self.path is not None:
            self._back_up(connection, version)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for number, script in missing:
                for statement in statements.split(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number:d}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            connection.execute("ROLLBACK")
            raise

    def _back_up(self, connection: sqlite3.Connection, version: int) -> None:
        target = sqlite3.connect(f"{self.path}.backup-v{version}")
        try:
            connection.backup(target)
        finally:
            target.close()
