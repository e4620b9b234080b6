"""The store on PostgreSQL: one writing connection, a pool of readers, one that listens.

The contract is `gateway.store.base.store`; how writes are grouped is in `writer`. Several processes
share one database: each hears the events of all, in order, through its own `listen`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import asyncpg
import structlog

from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable
from gateway.core.tasks import Ending, TaskOwner
from gateway.store.base.events import EventRow, GetLogBounds, ReadEvents
from gateway.store.base.query import Query, Row
from gateway.store.base.shared import Heard
from gateway.store.base.store import Committed
from gateway.store.grouped import GroupedStore, Submitted, row_type
from gateway.store.postgres.connecting import FAILURES, Dial
from gateway.store.postgres.follower import Follower
from gateway.store.postgres.pooler import require_sessions
from gateway.store.postgres.schema import migrate
from gateway.store.postgres.statements import Statements
from gateway.store.postgres.writer import Writer
from gateway.telemetry.tasks import task_failed

READERS = 4
"""Reading connections of one process; three more write, listen and wait for a failure."""
READ_TRIES = 3
"""How often a read is tried: each of the pool's connections may have died quietly."""
CLOSE_S = 5.0
PAGE = 500

log = structlog.get_logger(__name__)


class PostgresStore(GroupedStore):
    """`gateway.store.base.store.Store` on a database that other processes use too."""

    def __init__(self, dial: Dial, clock: Clock, statements: Statements) -> None:
        super().__init__()
        self._dial = dial
        self._clock = clock
        self._statements = statements
        self._owner = TaskOwner("store", task_failed)
        self._writing = TaskOwner("store", task_failed)
        self._head = 0
        self._writer: Writer
        self._follower: Follower
        self._pool: Any = None

    async def open(self, connection: Any, *, strict: bool) -> None:
        """Start on a connection whose schema is right; called once, by `connect_store`."""
        self._pool = await self._dial.pool(READERS)
        schema = await connection.fetchval("SELECT current_schema()")
        channel = f"turngate_{hashlib.sha256(schema.encode()).hexdigest()[:16]}"
        (bounds,) = await self.read(GetLogBounds())
        self._head = bounds.head
        self._writer = Writer(
            self._dial,
            connection,
            statements=self._statements,
            clock=self._clock,
            strict=strict,
            settle=self._written,
        )
        self._follower = Follower(self._dial, self._clock, channel, self._catch_up)
        self._writing.start("write", self._writer.run(), ending=Ending.FINISHABLE)
        self._owner.start("follow", self._follower.run(), ending=Ending.ETERNAL)
        self._owner.start("tell", self._follower.tell(), ending=Ending.ETERNAL)

    def _submit(self, item: Submitted) -> None:
        self._writer.submit(item)

    async def read(self, query: Query[Row]) -> list[Row]:
        sql, names = self._statements.read(type(query))
        make = row_type(type(query))
        parameters = [getattr(query, name) for name in names]
        for left in reversed(range(READ_TRIES)):
            if self._closed:
                raise StoreUnavailable("the store is closed")
            try:
                return [make(*row) for row in await self._fetch(sql, parameters)]
            except FAILURES as error:
                if not left or isinstance(error, asyncpg.DataError):
                    raise StoreUnavailable(
                        f"{self._dial.name} did not answer: {type(error).__name__}"
                    ) from error
        raise AssertionError("unreachable")

    async def _fetch(self, sql: str, parameters: list[Any]) -> list[Any]:
        async with self._pool.acquire() as connection:
            try:
                return list(await connection.fetch(sql, *parameters))
            except asyncpg.InternalClientError:
                connection.terminate()  # it would wait for ever for what it thinks is under way
                raise

    def say(self, topic: str, text: str) -> None:
        """Tell every other process soon."""
        self._follower.say(topic, text)

    def hear(self, topic: str, heard: Heard) -> None:
        """Call with everything other processes say on a topic."""
        self._follower.hear(topic, heard)

    async def close(self) -> None:
        """Closing again waits for the same end. Cancelled, connections are cut."""
        self._closed = True
        try:
            self._writer.stop()
            await self._writing.close()
            await self._follower.flush()
            await self._owner.close()
            async with self._clock.timeout(CLOSE_S):
                await self._pool.close()
        except TimeoutError:
            log.warning("store.cut", database=self._dial.name)
        finally:
            self._pool.terminate()

    async def abandon(self) -> None:
        """Let go of what a failed `open` has made."""
        if self._pool is not None:
            self._pool.terminate()

    @property
    def operations_per_batch(self) -> float:
        """Mean size of a transaction so far."""
        return self._writer.operations / max(1, self._writer.batches)

    async def _written(self, batch: Sequence[Submitted], committed: Committed | None) -> None:
        """A batch is over: everybody here hears its events after all those before them."""
        if committed is not None:
            self._follower.committed()
            if committed.prev != self._head:
                try:
                    await self._catch_up()
                except StoreUnavailable as error:  # the follower goes on with it
                    log.warning("store.follow_put_off", reason=str(error))
            else:
                self._pass_on(committed.events)
        self._settle(batch, None)

    async def _catch_up(self) -> None:
        """Tell of what the log has beyond what was told."""
        more = True
        while more:
            rows = await self.read(ReadEvents(self._head, PAGE))
            self._pass_on(tuple(row for row in rows if row.seq > self._head))
            more = len(rows) == PAGE

    def _pass_on(self, events: tuple[EventRow, ...]) -> None:
        if events:
            self._head = events[-1].seq
            self._tell(Committed(events[0].seq - 1, events))


async def connect_store(
    url: str, *, clock: Clock, strict: bool = False, callers_clock: bool = False
) -> PostgresStore:
    """Open a database; makes and migrates what is missing.

    `strict` gives every write the durability of a critical one. `callers_clock`: leases go by the
    time that operations carry instead of the database's, for who turns time by hand. Raises
    `ConfigError`, `SchemaMismatch` or `StoreUnavailable`; then nothing stays open.
    """
    dial = Dial(url)
    await require_sessions(dial)
    connection = await dial.connect()
    store = PostgresStore(dial, clock, Statements(callers_clock=callers_clock))
    try:
        await migrate(connection, dial.name)
        await store.open(connection, strict=strict)
    except BaseException as error:
        connection.terminate()
        await store.abandon()
        if isinstance(error, asyncpg.PostgresError):
            raise dial.failure(error) from error
        raise
    return store
