"""Keeping a PostgreSQL database: looking whether it is sound, bringing its schema up to date.

Copies are made and put back by its own tools, which do it better.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from gateway.core.errors import NotFound, SchemaMismatch
from gateway.store.postgres import schema, statements
from gateway.store.postgres.connecting import Dial
from gateway.store.soundness import Report, broken, rules
from gateway.store.whole_tables import about

_HERE = "SELECT to_regclass('schema_version') IS NOT NULL"
_VERSION = "SELECT coalesce(max(version), 0) FROM schema_version"
_TABLES = (
    "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() "
    "AND tablename <> 'schema_version' ORDER BY tablename"
)


async def check(url: str) -> Report:
    """Look at everything turngate keeps true; beside running gateways it sees one moment.

    Raises `NotFound` without tables, `SchemaMismatch` for a schema that is not this release's,
    `ConfigError` or `StoreUnavailable`.
    """
    newest = statements.migrations()[-1][0]
    async with _connection(url) as (connection, name):
        version = await _version(connection)
        if not version:
            raise NotFound(f"{name} has no tables: turngate up makes them")
        if version != newest:
            what = "turngate store migrate" if version < newest else "the newer turngate"
            raise SchemaMismatch(
                f"{name} has schema {version}, this turngate knows {newest}: use {what}"
            )
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            problems: list[str] = []
            for rule, sql in rules():
                problems += broken(rule, await connection.fetch(sql))
            tables = [row[0] for row in await connection.fetch(_TABLES)]
            rows = {table: await connection.fetchval(about("count_all", table)) for table in tables}
    return Report(name, version, tuple(problems), rows)


async def migrate(url: str) -> tuple[int, int]:
    """Bring the schema up to date; the versions before, 0 for none, and after.

    Raises like `schema.migrate`, and `StoreUnavailable`. A backup is made by nobody.
    """
    async with _connection(url) as (connection, name):
        before = await _version(connection)
        await schema.migrate(connection, name)
        return before, await _version(connection)


async def _version(connection: Any) -> int:
    return int(await connection.fetchval(_VERSION)) if await connection.fetchval(_HERE) else 0


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[tuple[Any, str]]:
    dial = Dial(url)
    connection = await dial.connect()
    try:
        yield connection, dial.name
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise dial.failure(error) from None
    finally:
        connection.terminate()
