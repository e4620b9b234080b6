"""Looking at a database from outside: nothing is made, and what is there is told."""

import pytest

from gateway.core.clock import SystemClock
from gateway.core.errors import ConfigError, SchemaMismatch, StoreUnavailable
from gateway.store.postgres import statements
from gateway.store.postgres.inspection import inspect
from tests.support import database
from tests.unit.gateway.store.postgres.conftest import Open

pytestmark = pytest.mark.postgres
NEWEST = statements.migrations()[-1][0]


async def test_an_empty_database_stays_empty(url: str) -> None:
    seen = await inspect(url, SystemClock())
    assert (seen.schema, seen.newest, seen.orphans) == (0, NEWEST, 0)
    tables = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema()"
    assert await database.run(url, tables) == []


async def test_one_in_use_tells_its_schema_and_how_far_it_is(connect: Open, url: str) -> None:
    await connect()
    seen = await inspect(url, SystemClock())
    assert seen.schema == NEWEST
    assert seen.away_ms > 0
    assert abs(seen.ahead_ms) < 60_000, "one machine, one clock"


async def test_runs_of_a_dead_process_are_counted(connect: Open, url: str) -> None:
    await connect()
    await database.run(
        url,
        "INSERT INTO runs (run_id, task, manifest_hash, session_key, input, status, epoch, holder,"
        " lease_until, created_at, updated_at)"
        " SELECT 'r' || n, 't', '', '', '', 'running', 1, 'gone', until, 1, 1"
        " FROM (VALUES (1, 1000), (2, 99999999999999)) AS held (n, until);",
    )
    assert (await inspect(url, SystemClock())).orphans == 1


async def test_a_newer_schema_is_refused(connect: Open, url: str) -> None:
    await connect()
    await database.run(url, "INSERT INTO schema_version VALUES (999);")
    with pytest.raises(SchemaMismatch, match="999"):
        await inspect(url, SystemClock())


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("postgresql://ann:secret@127.0.0.1:1/turngate", StoreUnavailable, "does not answer"),
        ("postgresql://[", ConfigError, "expected"),
    ],
)
async def test_what_cannot_be_reached_is_told_without_its_password(
    address: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as told:
        await inspect(address, SystemClock())
    assert "secret" not in str(told.value)
