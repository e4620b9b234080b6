"""A database of several processes is held against the same rules as a file."""

from __future__ import annotations

import pytest

from gateway.core.errors import NotFound, SchemaMismatch, StoreDamaged, StoreUnavailable
from gateway.store.base.store import Unit
from gateway.store.postgres import statements, upkeep
from tests.support import database
from tests.support.store_units import (
    a_begin,
    a_completion,
    a_content,
    a_delivery,
    a_run,
    a_session,
    an_input,
    happened,
    put,
)
from tests.unit.gateway.store.postgres.conftest import Open

pytestmark = pytest.mark.postgres
NEWEST = statements.migrations()[-1][0]


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE log_head SET seq = 7;", "the log has a hole"),
        ("UPDATE inputs SET ended_at = 5;", "an input has ended without an end"),
        ("UPDATE steps SET result = 'blob:aa';", "its long result is gone: r1 0"),
        ("DELETE FROM contents;", "words are gone that something points at: input t1"),
    ],
)
async def test_a_broken_promise_is_found_and_named(
    connect: Open, url: str, sql: str, problem: str
) -> None:
    """Beside a gateway that uses it."""
    store = await connect()
    await put(store, a_content(), a_session(), an_input(), a_delivery())
    await put(store, a_run(task="report"), a_begin(), a_completion())
    await store.commit(Unit(events=(happened(), happened())))
    sound = await upkeep.check(url)
    assert (sound.problems, sound.version) == ((), NEWEST)
    assert (sound.rows["inputs"], sound.rows["events"]) == (1, 2)
    await database.run(url, sql)
    report = await upkeep.check(url)
    assert any(problem in found for found in report.problems), report.problems
    with pytest.raises(StoreDamaged, match="problems"):
        report.raise_problems()


async def test_a_schema_is_made_and_brought_up_to_date_by_hand(url: str) -> None:
    with pytest.raises(NotFound, match="no tables"):
        await upkeep.check(url)
    assert await upkeep.migrate(url) == (0, NEWEST)
    assert await upkeep.migrate(url) == (NEWEST, NEWEST)
    assert (await upkeep.check(url)).problems == ()
    await database.run(url, "DELETE FROM schema_version; INSERT INTO schema_version VALUES (0);")
    await database.run(url, "INSERT INTO schema_version VALUES (999);")
    with pytest.raises(SchemaMismatch, match="the newer turngate"):
        await upkeep.check(url)


async def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnavailable, match="does not answer") as told:
        await upkeep.check("postgresql://ann:secret@127.0.0.1:1/turngate")
    assert "secret" not in str(told.value)
