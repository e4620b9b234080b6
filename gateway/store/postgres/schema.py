"""The schema of a database: made, or brought up to date, by whichever process comes first.

Forward only, in one transaction under a lock, so that two starting processes migrate once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.core.errors import ConfigError, SchemaMismatch
from gateway.store.postgres import statements
from gateway.store.postgres.connecting import OLDEST_SERVER

LOCK = 7_416_220_385_117_001
"""Number of the advisory lock: any that no other program in the database uses."""


async def migrate(
    connection: Any, name: str, scripts: Sequence[tuple[int, str]] | None = None
) -> None:
    """Bring the schema to the newest version known here.

    Raises `SchemaMismatch` when a newer turngate was here, `ConfigError` when there is no place
    for tables.
    """
    scripts = statements.migrations() if scripts is None else scripts
    version = connection.get_server_version()
    if version.major < OLDEST_SERVER:
        raise ConfigError(
            f"{name} is PostgreSQL {version.major}; turngate needs {OLDEST_SERVER} or newer"
        )
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        if await connection.fetchval("SELECT current_schema()") is None:
            raise ConfigError(f"{name}: the schema of its search_path is not there; create it")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)"
        )
        found = await connection.fetchval("SELECT max(version) FROM schema_version") or 0
        newest = scripts[-1][0]
        if found > newest:
            raise SchemaMismatch(
                f"{name} has schema {found}, this turngate knows {newest}: use the newer turngate, "
                "or restore the backup from before it was upgraded"
            )
        for number, script in scripts:
            if number > found:
                await connection.execute(script)
                await connection.execute("INSERT INTO schema_version VALUES ($1)", number)
