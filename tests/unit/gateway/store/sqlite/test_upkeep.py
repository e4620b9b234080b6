"""A database is looked at, copied while in use, put back, and never harmed by any of that."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    SchemaMismatch,
    StoreDamaged,
    StoreLocked,
    StoreUnavailable,
)
from gateway.store import statements
from gateway.store.base.store import Unit
from gateway.store.sqlite import upkeep
from gateway.store.sqlite.lock import FileLock
from gateway.store.sqlite.store import open_sqlite
from tests.support.store_units import (
    a_begin,
    a_completion,
    a_content,
    a_delivery,
    a_run,
    a_run_end,
    a_session,
    an_entry,
    an_input,
    happened,
)


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """A file with one of everything, left in order."""
    path = tmp_path / "turngate.db"
    store = await open_sqlite(path)
    ops = (
        a_content(),
        a_session(),
        an_input(),
        an_entry(),
        a_run(),
        a_begin(),
        a_completion(),
        a_run_end(),
        a_delivery(),
    )
    await store.commit(Unit(ops, (happened(), happened(content_id="c1"))))
    await store.close()
    return path


def change(path: Path, sql: str) -> None:
    """What no gateway does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


def test_a_database_a_gateway_has_left_is_sound(database: Path) -> None:
    """Nothing is found, and rows are counted."""
    report = upkeep.check(database)
    assert report.problems == ()
    assert (report.rows["inputs"], report.rows["events"]) == (1, 2)
    assert report.version == statements.migrations()[-1][0]
    report.raise_problems()


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("DELETE FROM events WHERE seq = 1", "the log has a hole"),
        ("UPDATE log_head SET seq = 7", "the log has a hole"),
        ("UPDATE inputs SET ended_at = 5", "an input has ended without an end"),
        ("UPDATE inputs SET state = 'answered'", "an input has ended without an end"),
        (
            "UPDATE inputs SET state = 'merged', ended_at = 5, merged_into = 't9'",
            "merged into a turn that is not there: t1",
        ),
        ("UPDATE inputs SET state = 'running'", "an input is at work and its run is not: t1"),
        (
            "UPDATE runs SET task = 'turn', status = 'running', ended_at = NULL",
            "a turn is unfinished and its input is not at work: r1",
        ),
        ("UPDATE deliveries SET turn_id = 't9'", "a delivery is on its way for a turn"),
        ("UPDATE runs SET ended_at = NULL", "a run has ended and is still held"),
        ("UPDATE runs SET epoch = 0", "a run has ended and is still held"),
        ("UPDATE steps SET result = NULL", "complete without a result"),
        ("UPDATE steps SET result = 'blob:aa'", "its long result is gone: r1 0"),
        ("UPDATE runs SET result = 'blob:aa'", "the long result of a run is gone: r1"),
        ("DELETE FROM contents", "words are gone that something points at: entry"),
        ("UPDATE entries SET position = 3", "a transcript has a hole"),
        ("PRAGMA foreign_keys = OFF; DELETE FROM runs", "a row of steps (None) belongs to none"),
    ],
)
def test_each_broken_promise_is_found_and_named(database: Path, sql: str, problem: str) -> None:
    """With what breaks it."""
    change(database, sql)
    report = upkeep.check(database)
    assert any(problem in found for found in report.problems), report.problems
    with pytest.raises(StoreDamaged, match="problems"):
        report.raise_problems()


def test_a_damaged_file_is_told_as_such(database: Path, tmp_path: Path) -> None:
    """A page overwritten, no database at all, nothing there."""
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    with pytest.raises(StoreDamaged):
        upkeep.check(database).raise_problems()
    (tmp_path / "text").write_text("this is no database, but it is long enough " * 100)
    with pytest.raises(StoreUnavailable, match="as a database"):
        upkeep.check(tmp_path / "text")
    with pytest.raises(NotFound):
        upkeep.check(tmp_path / "nothing")


async def test_a_backup_is_made_while_a_gateway_writes(tmp_path: Path, database: Path) -> None:
    """Of one moment, checked, for its owner only; it overwrites nothing."""
    store = await open_sqlite(database)
    target = tmp_path / "copy.db"
    try:
        await store.commit(Unit(events=tuple(happened() for _ in range(500))))
        digest = upkeep.back_up(database, target, quiet)
        await store.commit(Unit(events=(happened(),)))
        assert upkeep.check(target).rows["events"] == 502
        assert upkeep.check(database).rows["events"] == 503
        assert len(digest) == 64
        assert target.stat().st_mode & 0o077 == 0
        with pytest.raises(Conflict, match="overwrites nothing"):
            upkeep.back_up(database, target, quiet)
    finally:
        await store.close()


def test_a_backup_into_a_folder_that_is_not_there_names_the_folder(
    database: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match=r"no folder .*/nowhere to put"):
        upkeep.back_up(database, tmp_path / "nowhere" / "copy.db", quiet)


def test_a_damaged_database_makes_no_backup(database: Path, tmp_path: Path) -> None:
    """A copy that only looks like one would be found out too late."""
    change(database, "DELETE FROM events WHERE seq = 1")
    with pytest.raises(StoreDamaged):
        upkeep.back_up(database, tmp_path / "copy.db", quiet)
    assert not list(tmp_path.glob("copy.db*"))


async def test_a_backup_is_put_back_and_what_was_there_is_kept(
    database: Path, tmp_path: Path
) -> None:
    """Never under a gateway; what it wrote last is in the former file."""
    target = tmp_path / "copy.db"
    upkeep.back_up(database, target, quiet)
    store = await open_sqlite(database)
    await store.commit(Unit(events=(happened(),)))
    with pytest.raises(StoreLocked):
        upkeep.restore(target, database, quiet)
    await store.close()
    former = upkeep.restore(target, database, quiet)
    assert former is not None
    assert upkeep.check(former).rows["events"] == 3
    assert upkeep.check(database).rows["events"] == 2
    store = await open_sqlite(database)
    await store.close()
    assert upkeep.restore(target, tmp_path / "fresh.db", quiet) is None


def test_a_damaged_backup_changes_nothing(database: Path, tmp_path: Path) -> None:
    """It is looked at first."""
    target = tmp_path / "copy.db"
    upkeep.back_up(database, target, quiet)
    change(target, "UPDATE runs SET epoch = 0")
    before = database.read_bytes()
    with pytest.raises(StoreDamaged):
        upkeep.restore(target, database, quiet)
    with pytest.raises(InvalidInput, match="is the database itself"):
        upkeep.restore(database, database, quiet)
    with pytest.raises(NotFound, match="no backup"):
        upkeep.restore(tmp_path / "nothing", database, quiet)
    assert database.read_bytes() == before


def test_an_older_schema_is_migrated_with_a_backup(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And until then refused with what to do; never while a gateway runs."""
    path = database
    scripts = statements.migrations()
    number, newest = scripts[-1][0], scripts[-1][0] + 1
    later = (newest, "ALTER TABLE sessions ADD COLUMN note TEXT NOT NULL DEFAULT '';\n")
    monkeypatch.setattr(statements, "migrations", lambda: [*scripts, later])
    with pytest.raises(SchemaMismatch, match="turngate store migrate"):
        upkeep.check(path)
    lock = FileLock(path)
    with pytest.raises(StoreLocked):
        upkeep.migrate(path)
    lock.release()
    assert upkeep.migrate(path) == (number, newest)
    assert upkeep.migrate(path) == (newest, newest)
    assert upkeep.check(path).problems == ()
    assert Path(f"{path}.backup-v{number}").exists()
    change(path, f"PRAGMA user_version = {newest + 1}")
    with pytest.raises(SchemaMismatch, match="the newer turngate"):
        upkeep.check(path)
