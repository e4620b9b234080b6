"""The way in to the PostgreSQL store, for who may not have its client installed."""

from __future__ import annotations

from gateway.core.clock import Clock
from gateway.core.errors import ConfigError
from gateway.store.base.store import Store


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
        raise ConfigError(
            "TURNGATE_STORE names PostgreSQL and its client is not installed; install it with: "
            "pip install 'turngate[postgres]'"
        ) from error
    return await connect_store(url, clock=clock, strict=strict, callers_clock=callers_clock)
