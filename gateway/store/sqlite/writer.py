"""The thread that writes: drains waiting units into one transaction, again and again.

Batching comes by itself: while a batch commits, the next one gathers. No timer, no coroutine
between two statements, one wake of the loop a batch. Only this thread touches the connection.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from gateway.core.crashpoints import crashpoint
from gateway.store.base.catalog import GUARDS, Op
from gateway.store.base.events import EventRow
from gateway.store.base.store import Committed, Durability
from gateway.store.grouped import Submitted
from gateway.store.sqlite import statements
from gateway.store.sqlite.custody import Custody
from gateway.store.sqlite.database import BUSY_TIMEOUT_MS
from gateway.store.sqlite.files import Files
from gateway.store.sqlite.lock import FileLock
from gateway.store.writing import (
    check_event,
    next_batch,
    numbered,
    refusal,
    said,
    unavailable,
    words_written,
)

BATCH_OPS = 1024
"""Maximum number of operations in one transaction: bounds how long the first waits for the last."""
CHECKPOINT_BYTES = 16 << 20
"""WAL size at which the writer moves pages to the database between batches, without waiting."""
FORCED_CHECKPOINT_BYTES = 64 << 20
"""WAL size at which it waits for readers and starts the WAL from the beginning."""
FORCED_WAIT_MS = 200
"""How long it waits for readers then: ours take less, and somebody else's may never end."""
IDLE_S = 0.5
"""Quiet time after which a checkpoint is in nobody's way."""


Settle = Callable[[Sequence[Submitted], Committed | None], None]


class Writer:
    """Owns the write connection and the lock; `submit` from the loop, `settle` comes back on it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        files: Files | None,
        lock: FileLock | None,
        strict: bool,
        settle: Settle,
    ) -> None:
        self._connection = connection
        self._files = files
        self._custody = Custody(files) if files is not None else None
        self._lock = lock
        self._strict = strict
        self._settle = settle
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Submitted] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._dirty = False
        self._forced_at = FORCED_CHECKPOINT_BYTES
        self._synchronous: str | None = None
        self._writes = statements.writes()
        self._raise_head = statements.bound("raise_head", ("count",))
        self._append_event = statements.bound("append_event", EventRow._fields[:-1])
        self._load_body = statements.bound("load_body", ("content_id",))
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
        """Finish what was submitted, let go of connection and lock; blocks until that is done."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    # In the thread.

    def _run(self) -> None:
        while (batch := self._drain()) is not None:
            if batch and not self._tell(batch, self._execute(batch)):
                break
            if self._custody is not None:
                self._custody.follow_up(self._connection, self._refuse_waiting)
            self._checkpoint(idle=not batch)
        self._checkpoint(idle=True)
        if self._custody is not None:
            self._custody.end(self._connection)
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def _tell(self, batch: Sequence[Submitted], committed: Committed | None) -> bool:
        """Hand a batch back to the loop; False when the loop is closed."""
        try:
            self._loop.call_soon_threadsafe(self._settle, batch, committed)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _drain(self) -> list[Submitted] | None:
        """The next batch; empty after a quiet while with something to tidy, None at the end."""
        with self._wake:
            while not self._queue:
                if self._stopping:
                    return None
                if not self._wake.wait(IDLE_S if self._dirty else None):
                    return []
            return next_batch(self._queue, BATCH_OPS)

    @property
    def _lost(self) -> bool:
        return self._custody is not None and self._custody.loss is not None

    def _execute(self, batch: list[Submitted]) -> Committed | None:
        """Run a batch in one transaction; every item ends with its receipt or its error."""
        try:
            if self._custody is not None:
                # A file that was deleted or replaced would take the transaction all the same.
                self._custody.check()
            # One flush serves the whole batch, so the strictest of its units decides.
            self._begin(max(item.unit.durability for item in batch))
            for item in batch:
                self._apply(item)
            committed = self._append_events([item for item in batch if item.error is None])
            crashpoint("store.in_transaction")
            self._connection.execute("COMMIT")
            if self._custody is not None:
                # Once more before anyone is told: it may have been replaced since the first look.
                self._custody.check_written()
        # A boundary: whatever it was, the thread goes on and everybody who waits is told.
        except Exception as error:  # noqa: BLE001
            self._reject(batch, error)
            return None
        crashpoint("store.after_commit")
        self.batches += 1
        self.operations += sum(len(item.unit.ops) for item in batch)
        self._dirty = self._files is not None
        return committed

    def _begin(self, durability: Durability) -> None:
        full = self._strict or durability is Durability.CRITICAL
        synchronous = _FULL if full else _NORMAL
        if synchronous != self._synchronous:
            # SQLite refuses the pragma inside a transaction, hence here.
            self._connection.execute(synchronous)
            self._synchronous = synchronous
        self._connection.execute("BEGIN IMMEDIATE")

    def _apply(self, item: Submitted) -> None:
        """One unit. Its own failure leaves the batch alive; a broken transaction raises."""
        ops = item.unit.ops
        try:
            for event in item.unit.events:
                check_event(event)
            if len(ops) == 1:
                # Without a savepoint: a statement that is refused has changed nothing.
                self._operate(item, 0, ops[0])
                return
            if ops:
                self._connection.execute("SAVEPOINT unit")
                for index, op in enumerate(ops):
                    self._operate(item, index, op)
                self._connection.execute("RELEASE unit")
        # A boundary: what is wrong with one unit, a value no column takes included, is its own.
        except Exception as error:
            # A full disk or an I/O error may have rolled back everything, savepoints included.
            if not self._connection.in_transaction:
                raise
            if len(ops) > 1:
                self._connection.execute("ROLLBACK TO unit")
                self._connection.execute("RELEASE unit")
            if isinstance(error, sqlite3.OperationalError):
                raise
            foreign = (
                isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorcode == _FOREIGN
            )
            item.error = refusal(error, foreign=foreign)

    def _operate(self, item: Submitted, index: int, op: Op) -> None:
        guard = GUARDS[type(op)]
        try:
            cursor = self._connection.execute(self._writes[type(op)], op)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode in _UNIQUE:
                raise guard.duplicate(said(guard.duplicate, op)) from error
            raise
        if guard.returns:
            rows = tuple(cursor.fetchall())
            item.receipt.rows[index] = rows
            touched = len(rows)
        else:
            touched = cursor.rowcount
        item.receipt.touched.append(touched)
        if guard.refused is not None and touched == 0:
            raise guard.refused(said(guard.refused, op))

    def _append_events(self, items: list[Submitted]) -> Committed | None:
        new = [event for item in items for event in item.unit.events]
        if not new:
            return None
        # Numbered last and inside the transaction: refused units leave no gap, and the numbers
        # follow the order of commits.
        ((head,),) = self._connection.execute(self._raise_head, (len(new),)).fetchall()
        words, missing = words_written(items, new)
        for content_id in missing:
            found = self._connection.execute(self._load_body, (content_id,)).fetchall()
            words[content_id] = found[0][0] if found else None
        committed = numbered(int(head), new, words)
        self._connection.executemany(self._append_event, [row[:-1] for row in committed.events])
        return committed

    def _reject(self, batch: list[Submitted], cause: Exception) -> None:
        if self._connection.in_transaction:
            # Should even that fail, the next batch cannot begin, and is rejected with the reason.
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
        for item in batch:
            item.error = unavailable(cause)

    def _refuse_waiting(self) -> None:
        """Nothing waits for a large database to be saved."""
        with self._wake:
            batch = next_batch(self._queue, BATCH_OPS)
        if batch:
            self._tell(batch, self._execute(batch))

    def _checkpoint(self, *, idle: bool) -> None:
        """Move pages from the WAL into the database, when that is in nobody's way or must be."""
        if not self._dirty or self._files is None or self._lost:
            return
        # Whatever fails here leaves the pages in the WAL, where they are safe and found.
        with suppress(sqlite3.Error, OSError):
            size = self._files.wal.stat().st_size
            if size >= self._forced_at:
                # Not every batch waits again for a reader that was not done.
                self._forced_at = FORCED_CHECKPOINT_BYTES + size
                self._force_checkpoint()
                self._forced_at = FORCED_CHECKPOINT_BYTES
            elif idle or size >= CHECKPOINT_BYTES:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        if idle:
            self._dirty = False

    def _force_checkpoint(self) -> None:
        """Empty the WAL; raises when a reader is in the way for too long."""
        self._connection.execute(f"PRAGMA busy_timeout = {FORCED_WAIT_MS:d}")
        try:
            found = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS:d}")
        if found[0]:
            raise sqlite3.OperationalError("a reader holds on to the WAL")


_FULL = "PRAGMA synchronous = FULL"
_NORMAL = "PRAGMA synchronous = NORMAL"
_FOREIGN = sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
_UNIQUE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
