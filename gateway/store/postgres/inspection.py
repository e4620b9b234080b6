"""Looking at a PostgreSQL database without using it: for people who ask what is wrong.

Reads a few rows on one connection and changes nothing; tables that are not there stay away.
"""

from __future__ import annotations

import asyncpg

from gateway.core.clock import Clock
from gateway.core.errors import SchemaMismatch
from gateway.store.base.shared import SharedInspection
from gateway.store.postgres import statements
from gateway.store.postgres.connecting import Dial
from gateway.store.postgres.pooler import require_sessions

PINGS = 5
"""Round trips measured; the middle one counts, as the first of a connection is slow."""

_HERE = "SELECT to_regclass('schema_version') IS NOT NULL"
_SCHEMA = "SELECT coalesce(max(version), 0) FROM schema_version"
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_ORPHANS = "SELECT count(*) FROM runs WHERE status = 'running' AND lease_until < $1"


async def inspect(url: str, clock: Clock) -> SharedInspection:
    """Raises `SchemaMismatch` for a newer schema, `ConfigError` for an address or a pooler that
    cannot be used, or `StoreUnavailable`."""
    dial = Dial(url)
    await require_sessions(dial)
    connection = await dial.connect()
    try:
        trips, now_ms = [], 0
        for _ in range(PINGS):
            began = clock.monotonic()
            now_ms = await connection.fetchval(_NOW)
            trips.append(clock.monotonic() - began)
        ahead_ms = now_ms - clock.now_ms()
        newest = statements.migrations()[-1][0]
        schema = await connection.fetchval(_SCHEMA) if await connection.fetchval(_HERE) else 0
        if schema > newest:
            raise SchemaMismatch(f"{dial.name} has schema {schema}, this turngate knows {newest}")
        return SharedInspection(
            name=dial.name,
            server=connection.get_server_version().major,
            schema=schema,
            newest=newest,
            away_ms=1000 * sorted(trips)[PINGS // 2],
            ahead_ms=ahead_ms,
            orphans=await connection.fetchval(_ORPHANS, now_ms) if schema else 0,
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise dial.failure(error) from None
    finally:
        connection.terminate()
