"""Whether a pooler in between hands one connection's server to another, found out by trying.

A pooler in transaction mode (PgBouncer's `pool_mode = transaction`, often port 6543) gives a client
another server for each transaction. What turngate keeps for the life of a connection is
lost there: LISTEN, prepared statements, the settings of a session. Poolers do not say their mode,
so two connections are compared.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from gateway.core.errors import ConfigError
from gateway.store.postgres.connecting import FAILURES, Dial

FIX = (
    "a connection pooler in transaction mode stands before it, which loses what turngate keeps for "
    "the life of a connection: use the pooler's session mode, or the direct address of the "
    "database (often port 5432 instead of 6543)"
)


async def require_sessions(dial: Dial) -> None:
    """Returns when connections keep their servers.

    Raises `ConfigError` with the fix when they do not, and `StoreUnavailable` like `Dial.connect`.
    Costs two connections that are closed again.
    """
    first = await dial.bare()
    try:
        second = await dial.bare()
        try:
            shared = await _share_a_server(first, second)
        finally:
            second.terminate()
    except FAILURES as error:
        raise dial.failure(error) from error
    finally:
        first.terminate()
    if shared:
        raise ConfigError(f"{dial.name}: {FIX}")


async def _share_a_server(first: Any, second: Any) -> bool:
    """Whether the two were served by one process, or the first by two.

    A pooler that lends servers in turn gives the first another one as soon as it asks twice. One
    that lends the last used gives the first one's to the second, which holds it in a transaction;
    then the first gets another.
    """
    before, again = await _server_of(first), await _server_of(first)
    await second.execute("BEGIN")
    held = await _pid(second)
    after = await _server_of(first)
    await second.execute("ROLLBACK")
    return held == before or not before == again == after


async def _server_of(connection: Any) -> int:
    """Inside of a transaction, where even the two halves of one question meet the same server."""
    await connection.execute("BEGIN")
    found = await _pid(connection)
    await connection.execute("ROLLBACK")
    return found


async def _pid(connection: Any) -> int:
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    if not isinstance(pid, int):
        raise asyncpg.InterfaceError(f"a process id is a number, got {type(pid).__name__}")
    return pid
