"""The one connection of a process that writes: drains waiting units into one transaction.

Batching comes by itself: while a batch commits, the next one gathers; operations of one kind go out
in one round trip. When something in a batch is refused, the batch is rolled back and its units are
written one by one. A connection lost during COMMIT leaves no doubt: the database is asked what
became of the transaction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import structlog

from gateway.core.clock import Clock
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import StoreUnavailable, TurngateError
from gateway.store.base.catalog import GUARDS
from gateway.store.base.store import Committed, Durability, NewEvent, Receipt
from gateway.store.grouped import Submitted
from gateway.store.postgres.connecting import FAILURES, Dial, is_lost
from gateway.store.postgres.order import Placed, together
from gateway.store.postgres.statements import Statements, bound
from gateway.store.writing import (
    check_event,
    next_batch,
    numbered,
    refusal,
    said,
    unavailable,
    words_written,
)

BATCH_OPS = 512
"""Maximum number of operations in one transaction: bounds how long the first waits for the last."""
TRIES = 2
"""How often a unit is written over a lost connection: once on the old one, once on a new one."""
LOCK_TRIES = 5
"""How often a unit that another process stood in the way of is tried again."""
BACKOFF_S = (0.1, 2.0)
"""Shortest and longest time between two attempts to connect."""
DOUBT_S = 30.0
"""How long the outcome of a COMMIT is asked for before its units are refused in doubt."""
LOCK_TOGETHER_MS = 250
"""How long a batch waits for rows another process holds: two batches may wait for each other, and
one by one their units do not."""
LOCK_ALONE_MS = 5000

Settle = Callable[[Sequence[Submitted], Committed | None], Awaitable[None]]

log = structlog.get_logger(__name__)

_IN_THE_WAY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
)
_UNKEEPABLE = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    TypeError,
    ValueError,
    OverflowError,
)


class _Apart(Exception):
    """Something in the batch was refused: its units have to be written one by one."""


class _Lost(Exception):
    """The connection is gone and nothing of the batch was written."""


class Writer:
    """Owns the writing connection; `run` is its task, `settle` hears of each batch."""

    def __init__(
        self,
        dial: Dial,
        connection: Any,
        *,
        statements: Statements,
        clock: Clock,
        strict: bool,
        settle: Settle,
    ) -> None:
        self._dial = dial
        self._connection = connection
        self._statements = statements
        self._clock = clock
        self._strict = strict
        self._settle = settle
        self._queue: deque[Submitted] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._backoff_s = 0.0
        self._not_before = 0.0
        self._append_events, _ = bound("append_events", NewEvent._fields)
        self._load_bodies, _ = bound("load_bodies", ("content_ids",))
        self._this_transaction, _ = bound("this_transaction", ())
        self._became_of, _ = bound("became_of", ("transaction",))
        self._end_session, _ = bound("end_session", ("pid",))
        self.batches = 0
        self.operations = 0

    def submit(self, item: Submitted) -> None:
        """Add a unit; order of submission is order of execution."""
        self._queue.append(item)
        self._wake.set()

    def stop(self) -> None:
        """Let `run` end once what was submitted is written or refused."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Write until stopped."""
        while True:
            while not self._queue:
                if self._stopping:
                    await self._hang_up()
                    return
                # No wait since the look at the queue: `submit`, on this loop, cannot come between.
                self._wake.clear()
                await self._wake.wait()
            batch = next_batch(self._queue, BATCH_OPS)
            try:
                await self._write(batch)
            except _Apart:
                for item in batch:
                    await self._write([item])

    async def _write(self, items: list[Submitted]) -> None:
        """Write units in one transaction and tell; raises `_Apart` when that cannot be."""
        committed: Committed | None = None
        try:
            committed = await self._insist(items)
        except _Apart:
            raise
        # A boundary: whatever it was, the writer goes on and everybody who waits is told.
        except Exception as error:  # noqa: BLE001
            for item in items:
                item.error = unavailable(error)
        await self._settle(items, committed)

    async def _insist(self, items: list[Submitted]) -> Committed | None:
        tries, locked = 0, 0
        while True:
            try:
                return await self._transaction(await self._connected(), items)
            except _Lost as error:
                tries += 1
                if tries >= TRIES:
                    raise StoreUnavailable(
                        f"{self._dial.name} was lost; nothing was written: {error}"
                    ) from error
            except _IN_THE_WAY as error:
                locked += 1
                if len(items) > 1:
                    raise _Apart from error
                if locked >= LOCK_TRIES:
                    raise StoreUnavailable(
                        f"{self._dial.name}: another process stands in the way: "
                        f"{type(error).__name__}"
                    ) from error

    async def _transaction(self, connection: Any, items: list[Submitted]) -> Committed | None:
        """All units, or none and an exception; a unit alone may end with its refusal."""
        # Asked now: once the connection is lost, its session can be named by nothing else.
        pid = connection.get_server_pid()
        try:
            await connection.execute(self._begin(items))
            try:
                told = await self._apply(connection, items)
            except (TurngateError, *_UNKEEPABLE) as error:
                if len(items) > 1:
                    raise _Apart from error
                await connection.execute("ROLLBACK")
                items[0].error = refusal(
                    error, foreign=isinstance(error, asyncpg.ForeignKeyViolationError)
                )
                return None
            transaction, committed = await self._append(connection, items, told)
            crashpoint("store.in_transaction")
        except BaseException as error:
            await self._give_up(connection, error)
            raise
        try:
            await connection.execute("COMMIT")
        except Exception as error:
            if not await self._has_committed(connection, transaction, pid):
                raise _Lost(type(error).__name__) from error
        crashpoint("store.after_commit")
        self.batches += 1
        self.operations += sum(len(item.unit.ops) for item in items)
        return committed

    def _begin(self, items: list[Submitted]) -> str:
        wait = LOCK_TOGETHER_MS if len(items) > 1 else LOCK_ALONE_MS
        begin = f"BEGIN; SET LOCAL lock_timeout TO {wait:d}"
        # What somebody was told happened must not be numbered again after a crash of the database.
        flushed = self._strict or any(
            item.unit.durability is Durability.CRITICAL or item.unit.events for item in items
        )
        return begin if flushed else f"{begin}; SET LOCAL synchronous_commit TO off"

    async def _apply(self, connection: Any, items: list[Submitted]) -> str | None:
        """Run all operations; the transaction's own number, if one of them has told it.

        A refusal in company only says that there was one: the units are then tried alone.
        """
        for item in items:
            item.receipt = Receipt(touched=[0] * len(item.unit.ops))
            for event in item.unit.events:
                check_event(event)
        transaction: str | None = None
        for group in together([item.unit.ops for item in items]):
            if len(items) > 1 and len(group) > 1:
                told = await self._operate_together(connection, items, group)
            else:
                told = None
                for placed in group:
                    told = await self._operate(connection, items[placed.unit], placed) or told
            transaction = told or transaction
        return transaction

    async def _operate_together(
        self, connection: Any, items: list[Submitted], group: list[Placed]
    ) -> str | None:
        """One statement for each, all sent before the first answer is awaited."""
        kind = type(group[0].op)
        guard = GUARDS[kind]
        sql, places = self._statements.told[kind]
        values = [[placed.op[place] for place in places] for placed in group]
        rows = await connection.fetchmany(sql, values)
        if len(rows) != len(group):  # of those that return a row each, one has touched nothing
            raise _Apart
        for placed, (*told, _) in zip(group, rows, strict=True):
            receipt = items[placed.unit].receipt
            if guard.returns:
                receipt.rows[placed.place] = (tuple(told),)
            receipt.touched[placed.place] = touched = 1 if guard.returns else told[0]
            if guard.refused is not None and touched == 0:
                raise _Apart
        return str(rows[0][-1])

    async def _operate(self, connection: Any, item: Submitted, placed: Placed) -> str | None:
        _, index, op = placed
        kind = type(op)
        guard = GUARDS[kind]
        transaction: str | None = None
        if kind in self._statements.locks:
            sql, places = self._statements.locks[kind]
            await connection.execute(sql, *(op[place] for place in places))
        tells = kind in self._statements.told
        sql, places = (self._statements.told if tells else self._statements.writes)[kind]
        values = [op[place] for place in places]
        try:
            if guard.returns or tells:
                rows = tuple(tuple(row) for row in await connection.fetch(sql, *values))
                if tells and rows:
                    transaction = rows[0][-1]
                    rows = tuple(row[:-1] for row in rows)
                if guard.returns:
                    item.receipt.rows[index] = rows
                touched = len(rows) if guard.returns else rows[0][0]
            else:
                touched = int((await connection.execute(sql, *values)).rpartition(" ")[2])
        except asyncpg.UniqueViolationError as error:
            raise guard.duplicate(said(guard.duplicate, op)) from error
        item.receipt.touched[index] = touched
        if guard.refused is not None and touched == 0:
            raise guard.refused(said(guard.refused, op))
        return transaction

    async def _append(
        self, connection: Any, items: list[Submitted], told: str | None
    ) -> tuple[str, Committed | None]:
        """Number and keep the units' events; which transaction this is, by its own number."""
        new = [event for item in items for event in item.unit.events]
        if not new:
            return told or await connection.fetchval(self._this_transaction), None
        words, missing = words_written(items, new)
        if missing:
            rows = await connection.fetch(self._load_bodies, sorted(missing))
            words.update({row[0]: row[1] for row in rows})
        # Last: this locks the head of the log until the commit, and other processes' numbers wait.
        columns = [list(column) for column in zip(*new, strict=True)]
        head, transaction = await connection.fetchrow(self._append_events, *columns)
        return transaction, numbered(int(head), new, words)

    async def _give_up(self, connection: Any, error: BaseException) -> None:
        """Leave a transaction behind; raises `_Lost` when the connection went with it."""
        if is_lost(connection, error) or not isinstance(error, Exception):
            connection.terminate()
            if isinstance(error, Exception):
                raise _Lost(type(error).__name__) from error
            return
        try:
            await connection.execute("ROLLBACK")
        except Exception as second:
            connection.terminate()
            raise _Lost(type(second).__name__) from second

    async def _has_committed(self, connection: Any, transaction: str, pid: int) -> bool:
        """What became of a transaction whose COMMIT was not answered.

        Raises `StoreUnavailable` when nobody can tell for `DOUBT_S`.
        """
        connection.terminate()
        log.warning("store.commit_in_doubt", database=self._dial.name)
        try:
            async with self._clock.timeout(DOUBT_S):
                while True:
                    try:
                        fresh = await self._connected()
                        # Its session may still be at work on what we sent before we were cut.
                        await fresh.fetchval(self._end_session, pid)
                        became = await fresh.fetchval(self._became_of, transaction)
                    except (StoreUnavailable, *FAILURES):
                        became = "unknown"
                    if became in ("committed", "aborted", None):
                        return bool(became == "committed")
                    await self._clock.sleep(BACKOFF_S[0])
        except TimeoutError as error:
            raise StoreUnavailable(
                f"{self._dial.name} was lost while it committed: whether the write holds is not "
                "known yet; sending it again is safe"
            ) from error

    async def _connected(self) -> Any:
        if not self._connection.is_closed():
            return self._connection
        now = self._clock.monotonic()
        if now < self._not_before:
            raise StoreUnavailable(f"{self._dial.name} does not answer; nothing was written")
        try:
            self._connection = await self._dial.connect()
        except TurngateError:
            least, most = BACKOFF_S
            self._backoff_s = min(most, max(least, self._backoff_s * 2))
            self._not_before = self._clock.monotonic() + self._backoff_s
            raise
        self._backoff_s = self._not_before = 0.0
        log.info("store.reconnected", database=self._dial.name)
        return self._connection

    async def _hang_up(self) -> None:
        try:
            await self._connection.close(timeout=1)
        except Exception:  # noqa: BLE001  # it is gone either way
            self._connection.terminate()
