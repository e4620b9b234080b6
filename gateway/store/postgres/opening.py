"""The ways in to a PostgreSQL database, for who may not have its client installed."""

from __future__ import annotations

from gateway.core.clock import Clock
from gateway.core.errors import ConfigError
from gateway.store.base.shared import SharedInspection
from gateway.store.base.store import Store
from gateway.store.soundness import Report

MISSING = (
    "TURNGATE_STORE names PostgreSQL and its client, asyncpg, is not installed; in a checkout of "
    "turngate run: pip install '.[postgres]'"
)


async def open_postgres(
    url: str, *, clock: Clock, strict: bool = False, callers_clock: bool = False
) -> Store:
    """A store on the database of a `postgresql://` URL; see `store.connect_store`.

    Raises `ConfigError` when the extra `postgres` is not installed.
    """
    try:
        from gateway.store.postgres.store import (  # noqa: PLC0415  # an optional dependency
            connect_store,
        )
    except ImportError as error:
        raise ConfigError(MISSING) from error
    return await connect_store(url, clock=clock, strict=strict, callers_clock=callers_clock)


async def inspect_postgres(url: str, clock: Clock) -> SharedInspection:
    """See `inspection.inspect`. Raises `ConfigError` like `open_postgres`."""
    try:
        from gateway.store.postgres.inspection import (  # noqa: PLC0415  # as above
            inspect,
        )
    except ImportError as error:
        raise ConfigError(MISSING) from error
    return await inspect(url, clock)


async def check_postgres(url: str) -> Report:
    """See `upkeep.check`. Raises `ConfigError` like `open_postgres`."""
    try:
        from gateway.store.postgres.upkeep import check  # noqa: PLC0415  # as above
    except ImportError as error:
        raise ConfigError(MISSING) from error
    return await check(url)


async def migrate_postgres(url: str) -> tuple[int, int]:
    """See `upkeep.migrate`. Raises `ConfigError` like `open_postgres`."""
    try:
        from gateway.store.postgres.upkeep import migrate  # noqa: PLC0415  # as above
    except ImportError as error:
        raise ConfigError(MISSING) from error
    return await migrate(url)
