"""Which store the settings name: SQLite in a file or in memory, or PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from gateway.core import home
from gateway.core.clock import Clock
from gateway.settings.settings import Settings
from gateway.store.base.shared import SharedInspection
from gateway.store.base.store import Store
from gateway.store.postgres.opening import inspect_postgres, open_postgres
from gateway.store.sqlite.inspection import Inspection, inspect
from gateway.store.sqlite.store import open_sqlite


async def open_store(settings: Settings, clock: Clock) -> Store:
    """The store of the settings; raises what `open_gateway` raises."""
    strict = settings.turngate_durability == "strict"
    if settings.postgres_url:
        home.make(
            settings.turngate_home, settings.home_group
        )  # its token and its address are kept there
        return await open_postgres(settings.postgres_url, clock=clock, strict=strict)
    database = settings.database
    if database is not None:
        home.make(settings.turngate_home, settings.home_group)
        home.check_database(database, settings.home_group)
    return await open_sqlite(database, strict=strict)


def inspect_database(path: Path) -> Inspection:
    """A database file as it looks from outside; raises `SchemaMismatch`, `StoreUnavailable`."""
    return inspect(path)


async def inspect_shared(url: str, clock: Clock) -> SharedInspection:
    """A PostgreSQL database as it looks from here; changes nothing.

    Raises `SchemaMismatch`, `ConfigError` or `StoreUnavailable`.
    """
    return await inspect_postgres(url, clock)
