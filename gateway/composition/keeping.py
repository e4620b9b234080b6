"""Keeping a store beside a gateway: what `turngate store` does, on the store the settings name.

It chooses between kinds of stores as the composition root does, and starts nothing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.core.errors import ConfigError
from gateway.settings.settings import Settings
from gateway.store.postgres.opening import check_postgres, migrate_postgres
from gateway.store.soundness import Report
from gateway.store.sqlite import upkeep
from gateway.store.sqlite.upkeep import Progress


def database(settings: Settings) -> Path:
    """The database file of these settings; raises `ConfigError` when there is none."""
    if settings.postgres_url:
        raise ConfigError(
            "TURNGATE_STORE names PostgreSQL, which has tools of its own for copies: pg_dump and "
            "pg_restore"
        )
    if settings.database is None:
        raise ConfigError("TURNGATE_STORE=:memory: leaves nothing to keep")
    return settings.database


def check(settings: Settings) -> Report:
    """What is found in the database."""
    if settings.postgres_url:
        return asyncio.run(check_postgres(settings.postgres_url))
    return upkeep.check(database(settings))


def back_up(settings: Settings, target: Path, progress: Progress) -> str:
    """Copy the database, while a gateway uses it or not; the copy's SHA-256."""
    return upkeep.back_up(database(settings), target, progress)


def restore(settings: Settings, backup: Path, progress: Progress) -> Path | None:
    """Put a backup in the database's place; where what was there is now."""
    return upkeep.restore(backup, database(settings), progress)


def migrate(settings: Settings) -> tuple[int, int]:
    """Bring the schema up to date; the versions before and after."""
    if settings.postgres_url:
        return asyncio.run(migrate_postgres(settings.postgres_url))
    return upkeep.migrate(database(settings))


async def copy(settings: Settings, url: str, progress: Progress) -> dict[str, int]:
    """Copy the database into an empty PostgreSQL; how many rows each table has.

    Raises `StoreLocked` while a gateway runs, `ConfigError` without the extra `postgres`.
    """
    try:
        from gateway.store.postgres.loading import (  # noqa: PLC0415  # an optional dependency
            load,
        )
    except ImportError as error:
        raise ConfigError(
            "asyncpg, the client of PostgreSQL, is not installed; in a checkout of turngate run: "
            "pip install '.[postgres]'"
        ) from error
    source = upkeep.Source(database(settings))
    try:
        return await load(url, source, upkeep.digest, progress)
    finally:
        source.close()
