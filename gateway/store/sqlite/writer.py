"""The thread that writes: drains waiting units into one transaction, again and again.

Batching comes by itself: while a batch commits, the next one gathers. No timer, no coroutine
between two statements, one wake of the loop a batch. Only this thread touches the connection.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.crashpoints import crashpoint
from gateway.core.errors import Conflict, StoreUnavailable, TurngateError
from gateway.store.base.catalog import GUARDS, Op
from gateway.store.base.conversations import PutContent
from gateway.store.base.events import EventRow
from gateway.store.base.store import Committed, Durability, NewEvent, Receipt, Unit
from gateway.store.sqlite import statements
from gateway.store.sqlite.lock import FileLock

BATCH_OPS = 1024
"""Most operations in one transaction: bounds how long the first waits for the last."""
CHECKPOINT_BYTES = 16 << 20
"""WAL size at which the writer moves pages to the database between batches, without waiting."""
FORCED_CHECKPOINT_BYTES = 64 << 20
"""WAL size at which it waits for readers and starts the WAL from the beginning."""
IDLE_S = 0.5
"""Quiet time after which a checkpoint is in nobody's way."""


@dataclass(slots=True, eq=False)
class Submitted:
    """A unit on its way through the thread; `future` is None for a posted one."""

    unit: Unit
    future: asyncio.Future[Receipt] | None
    receipt: Receipt = field(default_factory=Receipt)
    error: TurngateError | None = None


Settle = Callable[[Sequence[Submitted], Committed | None], None]


class Writer:
    """Owns the write connection; `submit` from the loop, `settle` comes back on the loop."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        lock: FileLock | None,
        wal: str | None,
        strict: bool,
        settle: Settle,
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._wal = wal
        self._strict = strict
        self._settle = settle
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Submitted] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._dirty = False
        self._synchronous: str | None = None
        self._writes = statements.writes()
        self._raise_head = statements.bound("raise_head", ("count",))
        self._append_event = statements.bound("append_event", EventRow._fields[:-1])
        self.batches = 0
        self.operations = 0
        self._thread = threading.Thread(target=self._run, name="turngate-store", daemon=True)
        self._thread.start()

    def submit(self, item: Submitted) -> None:
        """Add a unit; order of submission is order of execution."""
        with self._wake:
            self._queue.append(item)
            self._wake.notify()

    def stop(self) -> None:
        """Finish what was submitted and end the thread; blocks until it has."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    # In the thread.

    def _run(self) -> None:
        while True:
            batch = self._drain()
            if batch is None:
                break
            if batch:
                committed = self._execute(batch)
                crashpoint("store.after_commit")
                self._loop.call_soon_threadsafe(self._settle, batch, committed)
            self._checkpoint(idle=not batch)
        self._checkpoint(idle=True)
        self._connection.close()

    def _drain(self) -> list[Submitted] | None:
        """The next batch; empty after a quiet while with something to tidy, None at the end."""
        with self._wake:
            while not self._queue:
                if self._stopping:
                    return None
                if not self._wake.wait(IDLE_S if self._dirty else None) and self._dirty:
                    return []
            batch: list[Submitted] = []
            operations = 0
            while self._queue and operations < BATCH_OPS:
                item = self._queue.popleft()
                operations += len(item.unit.ops) + 1
                batch.append(item)
            return batch

    def _execute(self, batch: list[Submitted]) -> Committed | None:
        """Run a batch in one transaction; every item ends with its receipt or its error."""
        try:
            if self._lock is not None and not self._lock.held():
                raise StoreUnavailable(
                    "the lock file of the database was removed or replaced: another process may "
                    "own it now, so this one writes nothing more; restart it"
                )
            self._begin(max(item.unit.durability for item in batch))
            for item in batch:
                self._apply(item)
            committed = self._append_events([item for item in batch if item.error is None])
            crashpoint("store.in_transaction")
            self._connection.execute("COMMIT")
        except (sqlite3.Error, StoreUnavailable) as error:
            self._reject(batch, error)
            return None
        self.batches += 1
        self.operations += sum(len(item.unit.ops) for item in batch)
        self._dirty = True
        return committed

    def _begin(self, durability: Durability) -> None:
        full = self._strict or durability is Durability.CRITICAL
        synchronous = "FULL" if full else "NORMAL"
        if synchronous != self._synchronous:
            # Inside a transaction the pragma is ignored without a word, hence here.
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        self._connection.execute("BEGIN IMMEDIATE")

    def _apply(self, item: Submitted) -> None:
        """One unit. Its own failure leaves the batch alive; a broken transaction raises."""
        ops = item.unit.ops
        try:
            if len(ops) == 1:
                self._operate(item, 0, ops[0])
                return
            if ops:
                self._connection.execute("SAVEPOINT unit")
                for index, op in enumerate(ops):
                    self._operate(item, index, op)
                self._connection.execute("RELEASE unit")
        except (TurngateError, sqlite3.Error) as error:
            # A full disk or an I/O error may have rolled back everything, savepoints included.
            if not self._connection.in_transaction:
                raise
            if len(ops) > 1:
                self._connection.execute("ROLLBACK TO unit")
                self._connection.execute("RELEASE unit")
            if isinstance(error, sqlite3.OperationalError):
                raise
            item.error = error if isinstance(error, TurngateError) else _broken(error)

    def _operate(self, item: Submitted, index: int, op: Op) -> None:
        guard = GUARDS[type(op)]
        try:
            cursor = self._connection.execute(self._writes[type(op)], op)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode in _UNIQUE:
                raise guard.duplicate(_said(guard.duplicate, op)) from error
            raise
        if guard.returns:
            rows = tuple(cursor.fetchall())
            item.receipt.rows[index] = rows
            touched = len(rows)
        else:
            touched = cursor.rowcount
        if guard.refused is not None and touched == 0:
            raise guard.refused(_said(guard.refused, op))

    def _append_events(self, items: list[Submitted]) -> Committed | None:
        new: list[NewEvent] = [event for item in items for event in item.unit.events]
        if not new:
            return None
        head = int(self._connection.execute(self._raise_head, (len(new),)).fetchone()[0])
        first = head - len(new) + 1
        bodies = _bodies(items)
        events = tuple(
            EventRow(seq, *event, bodies.get(event.content_id))
            for seq, event in enumerate(new, start=first)
        )
        self._connection.executemany(self._append_event, [row[:-1] for row in events])
        return Committed(first - 1, events)

    def _reject(self, batch: list[Submitted], cause: Exception) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                cause = error
        for item in batch:
            item.receipt.rows.clear()
            item.error = cause if isinstance(cause, StoreUnavailable) else _broken(cause)

    def _checkpoint(self, *, idle: bool) -> None:
        if self._wal is None or not self._dirty:
            return
        try:
            size = os.stat(self._wal).st_size
        except OSError:
            return
        if size >= FORCED_CHECKPOINT_BYTES:
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        elif idle or size >= CHECKPOINT_BYTES:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        if idle:
            self._dirty = False


_UNIQUE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


def _said(error: type[TurngateError], op: Op) -> str:
    name = type(op).__name__
    what: Any = op[0]
    summary = (error.__doc__ or "").split("\n")[0].rstrip(".")
    return f"{name} {what!r}: {summary[:1].lower()}{summary[1:]}"


def _broken(error: Exception) -> TurngateError:
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(f"the store refused a row: {error}")
    return StoreUnavailable(f"the store did not take the write: {error}")


def _bodies(items: list[Submitted]) -> dict[str, str]:
    """Contents written in this batch, so that live listeners need no read."""
    return {
        op.content_id: op.body
        for item in items
        for op in item.unit.ops
        if isinstance(op, PutContent)
    }
