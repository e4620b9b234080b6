"""How to reach one database: where it is, what a connection is like, and which errors mean lost.

Holds the URL and never shows it: reports of where something failed have a name without
secrets.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.store.postgres.address import EXPECTED, parse_address

STATEMENT_S = 30.0
"""How long one statement may take; ours are milliseconds, locks in their way included."""
CACHED_STATEMENTS = 300
"""Prepared statements a connection keeps: more than there are."""
OLDEST_SERVER = 14

FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # how the client puts it when it is cut between two states
    OSError,
)
"""What a connection may say of itself, its server or a statement; timeouts are `OSError`."""
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,  # it is shutting down, or starting
    asyncpg.exceptions.ReadOnlySQLTransactionError,  # it has become somebody's copy
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,
    OSError,
)


class Dial:
    """Makes connections to the database of one URL."""

    def __init__(self, url: str) -> None:
        """Raises `ConfigError` for what is no address; see `parse_address`."""
        self._address = parse_address(url)
        self.name = self._address.name

    async def connect(self) -> Any:
        """A connection, ready; raises `StoreUnavailable`, or `ConfigError` if it never will be."""
        connection = await self._connect(_OPTIONS)
        try:
            await prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def bare(self) -> Any:
        """A connection that keeps no prepared statement. Raises like `connect`."""
        return await self._connect({**_OPTIONS, "statement_cache_size": 0})

    async def _connect(self, options: dict[str, Any]) -> Any:
        address = self._address
        try:
            return await asyncpg.connect(address.url, timeout=address.connect_s, **options)
        except Exception as error:  # noqa: BLE001  # a boundary: a text may hold the password
            raise self.failure(error) from None

    async def pool(self, size: int) -> Any:
        """A pool of at most `size` connections, for reading. Raises like `connect`."""
        try:
            return await asyncpg.create_pool(
                self._address.url,
                min_size=1,
                max_size=size,
                timeout=self._address.connect_s,
                init=prepare,
                reset=_leave_alone,
                **_OPTIONS,
            )
        except Exception as error:  # noqa: BLE001  # a boundary, as above
            raise self.failure(error) from None

    def failure(self, error: Exception) -> StoreUnavailable | ConfigError:
        """What a failed connection means, in words without secrets."""
        if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
            return ConfigError(
                f"{self.name} does not let us in: check user and password in TURNGATE_STORE"
            )
        if isinstance(error, asyncpg.InvalidCatalogNameError):
            return ConfigError(f"{self.name}: there is no such database; create it (createdb)")
        if isinstance(error, (asyncpg.InterfaceError, ValueError)):
            return ConfigError(
                f"the address of PostgreSQL cannot be used ({type(error).__name__}); {EXPECTED}"
            )
        return StoreUnavailable(f"{self.name} does not answer: {type(error).__name__}")


_OPTIONS: dict[str, Any] = {
    "command_timeout": STATEMENT_S,
    "statement_cache_size": CACHED_STATEMENTS,
    "max_cached_statement_lifetime": 0,
    "server_settings": {"timezone": "UTC"},
}


async def prepare(connection: Any) -> None:
    """Let text hold what PostgreSQL's cannot, a zero character."""
    await connection.set_type_codec(
        "text", schema="pg_catalog", encoder=_escape, decoder=_unescape, format="text"
    )


def is_lost(connection: Any, error: BaseException) -> bool:
    """Whether an error says that the connection, or the server behind it, is gone."""
    return isinstance(error, _LOST) or connection.is_closed()


def _escape(text: str) -> str:
    if "\0" in text or "\x1b" in text:
        return text.replace("\x1b", "\x1b1").replace("\0", "\x1b0")
    return text


def _unescape(text: str) -> str:
    if "\x1b" in text:
        return text.replace("\x1b0", "\0").replace("\x1b1", "\x1b")
    return text


async def _leave_alone(connection: Any) -> None:
    """Nothing to reset: our reads leave nothing behind, and asking would cost a round trip."""
