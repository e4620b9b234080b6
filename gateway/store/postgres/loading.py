"""Filling an empty PostgreSQL with the rows of another store: all of them, verified, or none.

One transaction holds the rows and the proof that they are the same; who looks before its end sees
an empty database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from gateway.core.errors import Conflict, StoreDamaged
from gateway.store.postgres.connecting import Dial
from gateway.store.postgres.schema import migrate
from gateway.store.whole_tables import about

ROWS = 1000


class Rows(Protocol):
    """Another store, table by table; those that others refer to come first."""

    @property
    def tables(self) -> list[str]: ...

    def columns(self, table: str) -> list[str]: ...

    def key(self, table: str) -> list[str]: ...

    def count(self, table: str) -> int: ...

    def pieces(self, table: str) -> Iterator[list[tuple[object, ...]]]: ...


Digest = Callable[[Iterator[list[tuple[object, ...]]]], str]
Progress = Callable[[int, int], None]


async def load(url: str, source: Rows, digest: Digest, progress: Progress) -> dict[str, int]:
    """Copy every row; how many each table has.

    Raises `Conflict` when the database holds something already, `StoreDamaged` when what arrived is
    not what was sent; then nothing is kept.
    """
    total = sum(source.count(table) for table in source.tables)
    done = 0
    async with _connection(url) as (connection, name):
        await migrate(connection, name)
        async with connection.transaction():
            for table in source.tables:
                if table != "log_head" and await connection.fetchval(about("any_row", table)):
                    raise Conflict(f"{name} holds {table} already; copy into an empty database")
            await connection.execute("DELETE FROM log_head")
            for table in source.tables:
                insert = about("insert_row", table, source.columns(table))
                for piece in source.pieces(table):
                    await connection.executemany(insert, piece)
                    done += len(piece)
                    progress(done, total)
                if "ordinal" in source.columns(table):
                    await connection.execute(about("number_on", table))
            for table in source.tables:
                there = digest(iter(await _pieces(connection, source, table)))
                if there != digest(source.pieces(table)):
                    raise StoreDamaged(f"{name}: the rows of {table} are not those that were sent")
    return {table: source.count(table) for table in source.tables}


async def _pieces(connection: Any, source: Rows, table: str) -> list[list[tuple[object, ...]]]:
    found: list[list[tuple[object, ...]]] = []
    every = about("read_all", table, source.columns(table), source.key(table))
    cursor = await connection.cursor(every)
    while piece := await cursor.fetch(ROWS):
        found.append([tuple(row) for row in piece])
    return found


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[tuple[Any, str]]:
    dial = Dial(url)
    connection = await dial.connect()
    try:
        yield connection, dial.name
    finally:
        await connection.close()
