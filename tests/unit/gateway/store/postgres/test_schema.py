"""The schema: made once, refused when it is newer, and the same as SQLite's."""

import asyncio
import re

import asyncpg
import pytest

from gateway.core.errors import ConfigError, SchemaMismatch
from gateway.store.postgres import statements
from gateway.store.postgres.schema import migrate
from gateway.store.sqlite.database import Database
from tests.support import database
from tests.unit.gateway.store.postgres.conftest import Open

pytestmark = pytest.mark.postgres


async def test_both_stores_have_the_same_tables_columns_and_indexes(
    connect: Open, url: str
) -> None:
    """The scripts are written for SQLite and translated: nothing is lost or renamed on the way."""
    await connect()
    rows = await database.run(
        url,
        "SELECT table_name::text, column_name::text, is_nullable = 'NO' FROM "
        "information_schema.columns WHERE table_schema = current_schema()",
    )
    ours = {tuple(row) for row in rows if row[0] != "schema_version"}
    file = Database(None).connect_writer()
    tables = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    theirs = {
        (table, column[1], bool(column[3] or column[5]))
        for table in tables
        for column in file.execute(f"PRAGMA table_info({table})")
    }
    assert ours == theirs
    found = await database.run(
        url, "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
    )
    indexes = {row[0] for row in found if not re.search(r"_(pkey|key)$", row[0])}
    named = {
        row[0]
        for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
        if not row[0].startswith("sqlite_")
    }
    assert indexes == named | {"inputs_turn"}
    file.close()


async def test_many_starting_at_once_migrate_once(url: str) -> None:
    """The second finds what the first has made; a later turngate adds only what is new."""

    async def start(scripts: list[tuple[int, str]]) -> None:
        connection = await asyncpg.connect(url)
        await migrate(connection, "db", scripts)
        await connection.close()

    scripts = statements.migrations()
    await asyncio.gather(*(start(scripts) for _ in range(6)))
    later = [*scripts, (scripts[-1][0] + 1, "CREATE TABLE extra (a text)")]
    await asyncio.gather(*(start(later) for _ in range(6)))
    versions = await database.run(url, "SELECT version FROM schema_version ORDER BY version")
    assert [row[0] for row in versions] == [number for number, _ in later]
    assert await database.run(url, "SELECT * FROM extra") == []


async def test_a_newer_schema_is_refused(connect: Open, url: str) -> None:
    await connect()
    await database.run(url, "INSERT INTO schema_version VALUES (9000);")
    with pytest.raises(SchemaMismatch, match="9000"):
        await connect()


async def test_a_failed_migration_leaves_nothing(url: str) -> None:
    connection = await asyncpg.connect(url)
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await migrate(connection, "db", [(1, "CREATE TABLE a (b text); CREATE TABLE;")])
    assert (
        await connection.fetch("SELECT 1 FROM pg_tables WHERE schemaname = current_schema()") == []
    )
    await connection.close()


async def test_a_schema_that_is_not_there_is_a_matter_of_settings(
    connect: Open, server: None
) -> None:
    with pytest.raises(ConfigError, match="search_path"):
        await connect(database.in_schema("nowhere"))
