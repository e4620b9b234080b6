"""The store on SQLite: one writer thread, a few reading connections, one lock.

The contract is `gateway.store.base.store`; how writes are grouped is in `writer`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import ExitStack
from pathlib import Path

import aiosqlite

from gateway.core.clock import settle
from gateway.core.errors import StoreUnavailable
from gateway.store.base.query import Query, Row
from gateway.store.base.store import Loss
from gateway.store.grouped import GroupedStore, Submitted, row_type
from gateway.store.sqlite import statements
from gateway.store.sqlite.database import BUSY_TIMEOUT_MS, Database, why
from gateway.store.sqlite.files import Files
from gateway.store.sqlite.lock import FileLock
from gateway.store.sqlite.saving import refuse_saved
from gateway.store.sqlite.writer import Writer

READERS = 2
"""Reading connections; each is a thread, and a machine this store fits has few cores."""


class SqliteStore(GroupedStore):
    """`gateway.store.base.store.Store` on a file, or in memory."""

    def __init__(
        self,
        database: Database,
        connection: sqlite3.Connection,
        files: Files | None,
        lock: FileLock | None,
        *,
        strict: bool,
    ) -> None:
        super().__init__()
        self._database = database
        self._files = files
        self._readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue(maxsize=READERS)
        self._connections: list[aiosqlite.Connection] = []
        self._writer = Writer(
            connection,
            files=files,
            lock=lock,
            strict=strict,
            settle=self._settle,
        )

    def _submit(self, item: Submitted) -> None:
        self._writer.submit(item)

    async def read(self, query: Query[Row]) -> list[Row]:
        sql, names = statements.read(type(query))
        make = row_type(type(query))
        parameters = [getattr(query, name) for name in names]
        reader = await self._readers.get()
        try:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            # One hop to the reader's thread: no read transaction is open across an await.
            found = await reader.execute_fetchall(sql, parameters)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store did not answer: {why(error)}") from error
        finally:
            self._readers.put_nowait(reader)
        return [make(*row) for row in found]

    async def close(self) -> None:
        """Closing again waits for the same end. Cancelled, the writer still finishes by itself."""
        self._closed = True
        try:
            await self._close_readers()  # before the lock goes, and theirs with it
        finally:
            try:
                await asyncio.to_thread(self._writer.stop)
                await settle(1)  # the last batch is settled by a callback queued before this
            finally:
                await self._close_readers()

    async def _close_readers(self) -> None:
        while self._connections:
            await self._connections.pop().close()

    @property
    def lost(self) -> Loss | None:
        """See `gateway.store.base.store.Measured`."""
        return self._files.lost() if self._files is not None else None

    @property
    def operations_per_batch(self) -> float:
        """Mean size of a transaction so far."""
        return self._writer.operations / max(1, self._writer.batches)

    async def open_readers(self) -> None:
        """Connect the readers; called once, by `open_database`."""
        for _ in range(READERS):
            reader = await aiosqlite.connect(self._database.uri, uri=True, isolation_level=None)
            self._connections.append(reader)
            await reader.execute_fetchall(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS:d}")
            await reader.execute_fetchall("PRAGMA query_only = ON")
            # Opens its files now: later their names may lead elsewhere.
            await reader.execute_fetchall("PRAGMA schema_version")
            self._readers.put_nowait(reader)


async def open_sqlite(path: Path | None, *, strict: bool = False) -> SqliteStore:
    """Open a database file, or memory when `path` is None; makes and migrates what is missing.

    `strict` gives every write the durability of a critical one. Raises `StoreLocked`,
    `SchemaMismatch` or `StoreUnavailable`; then nothing stays open.
    """
    return await open_database(Database(path), strict=strict)


async def open_database(database: Database, *, strict: bool = False) -> SqliteStore:
    """`open_sqlite` for a database described already."""
    lock, files = None, None
    with ExitStack() as undo:
        if database.path is not None:
            lock = FileLock(database.path, make=True)
            undo.callback(lock.release)
            refuse_saved(database.path)
        connection = database.connect_writer()
        undo.callback(connection.close)
        if database.path is not None and lock is not None:
            files = Files(database.path)
            lock.opened()
        undo.pop_all()  # from here on all of it is the writer's
    store = SqliteStore(database, connection, files, lock, strict=strict)
    try:
        await store.open_readers()
    except BaseException as error:
        await store.close()
        if isinstance(error, sqlite3.Error):
            raise StoreUnavailable(f"cannot read {database.path}: {error}") from error
        raise
    return store
