"""The store on SQLite: one writer thread, a few reading connections, one lock.

The contract is `gateway.store.base.store`; how writes are grouped is in `writer`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, get_args

import aiosqlite

from gateway.core.clock import settle
from gateway.core.errors import StoreUnavailable
from gateway.store.base.query import Query, Row
from gateway.store.base.store import Committed, Listener, Receipt, Unit
from gateway.store.sqlite import statements
from gateway.store.sqlite.database import BUSY_TIMEOUT_MS, Database
from gateway.store.sqlite.lock import FileLock
from gateway.store.sqlite.writer import Submitted, Writer

READERS = 2
"""Reading connections; each is a thread, and a machine this store fits has few cores."""
PENDING_UNITS = 10_000
"""Most units waiting for the writer; past it `commit` waits, which slows their makers down."""


class SqliteStore:
    """`gateway.store.base.store.Store` on a file, or in memory."""

    def __init__(self, database: Database, lock: FileLock | None, *, strict: bool) -> None:
        self._database = database
        self._lock = lock
        self._listeners: list[Listener] = []
        self._pending = 0
        self._room = asyncio.Event()
        self._closed = False
        self._readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue(maxsize=READERS)
        self._connections: list[aiosqlite.Connection] = []
        self.posted_refused = 0
        connection = database.connect_writer()
        if lock is not None:
            connection.execute(statements.bound("release_leases", ()))
        self._writer = Writer(
            connection,
            lock=lock,
            wal=f"{database.path}-wal" if database.path else None,
            strict=strict,
            settle=self._settle,
        )

    async def commit(self, unit: Unit) -> Receipt:
        while self._pending >= PENDING_UNITS:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise StoreUnavailable("the store is closed; nothing was written")
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._pending += 1
        self._writer.submit(Submitted(unit, future))
        return await future

    def post(self, unit: Unit) -> None:
        if self._closed:
            self.posted_refused += 1
            return
        self._pending += 1
        self._writer.submit(Submitted(unit, None))

    async def read(self, query: Query[Row]) -> list[Row]:
        sql, names = statements.read(type(query))
        make = _row_type(type(query))
        parameters = [getattr(query, name) for name in names]
        reader = await self._readers.get()
        try:
            # One hop to the reader's thread: no read transaction is open across an await.
            found = await reader.execute_fetchall(sql, parameters)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store did not answer: {error}") from error
        finally:
            self._readers.put_nowait(reader)
        return [make(*row) for row in found]

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._writer.stop)
        await settle(1)  # the last batch is settled by a callback queued before this
        for reader in self._connections:
            await reader.close()
        if self._lock is not None:
            self._lock.release()

    @property
    def operations_per_batch(self) -> float:
        """Mean size of a transaction so far."""
        return self._writer.operations / max(1, self._writer.batches)

    async def open_readers(self) -> None:
        """Connect the readers; called once, by `open_sqlite`."""
        for _ in range(READERS):
            reader = await aiosqlite.connect(self._database.uri, uri=True, isolation_level=None)
            self._connections.append(reader)
            await reader.execute_fetchall(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS:d}")
            await reader.execute_fetchall("PRAGMA query_only = ON")
            self._readers.put_nowait(reader)

    def _settle(self, batch: Sequence[Submitted], committed: Committed | None) -> None:
        """On the loop: listeners first, so that who awaited a commit finds its events heard."""
        self._pending -= len(batch)
        self._room.set()
        if committed is not None:
            for listener in self._listeners:
                listener(committed)
        for item in batch:
            if item.future is None:
                self.posted_refused += item.error is not None
            elif not item.future.done():
                if item.error is not None:
                    item.future.set_exception(item.error)
                else:
                    item.future.set_result(item.receipt)


def _row_type(query: type[Query[Row]]) -> type[Row]:
    """`Query[EventRow]` says which tuple a statement's rows become."""
    bases = cast("tuple[Any, ...]", query.__orig_bases__)  # type: ignore[attr-defined]  # typing's own record of the parameter
    return cast("type[Row]", get_args(bases[0])[0])


async def open_sqlite(path: Path | None, *, strict: bool = False) -> SqliteStore:
    """Open a database file, or memory when `path` is None; makes and migrates what is missing.

    `strict` gives every write the durability of a critical one. Raises `StoreLocked`,
    `SchemaMismatch` or `StoreUnavailable`; then nothing stays open.
    """
    lock = FileLock(path) if path is not None else None
    try:
        store = SqliteStore(Database(path), lock, strict=strict)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    await store.open_readers()
    return store
