"""The database: there or not, whole or not, in whose hands."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cli.doctor.check import Level
from gateway.cli.doctor.database import database, judged
from gateway.store.base.shared import SharedInspection
from gateway.store.sqlite.database import Database
from gateway.store.sqlite.lock import FileLock
from tests.support import database as postgres
from tests.unit.gateway.cli.doctor.scene import scene


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "home" / "turngate.db"
    file.parent.mkdir()
    Database(file).connect_writer().close()
    return file


async def test_a_database_to_come_is_fine(tmp_path: Path) -> None:
    assert (await database(scene(tmp_path))).level is Level.OK


async def test_memory_is_a_warning(tmp_path: Path) -> None:
    assert (await database(scene(tmp_path, turngate_store=":memory:"))).level is Level.WARN


async def test_a_whole_one_is_fine(path: Path, tmp_path: Path) -> None:
    finding = await database(scene(tmp_path))
    assert finding.level is Level.OK
    assert "whole" in finding.saw


async def test_what_was_left_unfinished_is_counted(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO runs (run_id, task, manifest_hash, session_key, input, status, epoch, "
            "holder, lease_until, created_at, updated_at) "
            "VALUES ('r', 'report', '', '', '{}', 'suspended', 1, '', 0, 0, 0)"
        )
    finding = await database(scene(tmp_path))
    assert finding.level is Level.OK
    assert "0 messages and 1 runs of tasks are taken up at the next start" in finding.saw


async def test_one_that_is_held_by_whoever_does_not_listen_is_a_warning(
    path: Path, tmp_path: Path
) -> None:
    lock = FileLock(path)
    try:
        finding = await database(scene(tmp_path))
    finally:
        lock.release()
    assert finding.level is Level.WARN
    assert "pid" in finding.saw


@pytest.fixture
def garbage(path: Path) -> Path:
    path.write_bytes(b"garbage" * 1000)
    return path


async def test_a_newer_schema_is_a_failure(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    finding = await database(scene(tmp_path))
    assert finding.level is Level.FAIL
    assert "999" in finding.saw


async def test_garbage_is_a_failure_and_the_backup_is_the_way_out(
    garbage: Path, tmp_path: Path
) -> None:
    finding = await database(scene(tmp_path))
    assert finding.level is Level.FAIL
    assert "backup" in finding.fix


@pytest.mark.postgres
async def test_postgres_tells_what_it_is_and_how_far_away(tmp_path: Path) -> None:
    finding = await database(scene(tmp_path, turngate_store=await postgres.fresh_url()))
    assert finding.level is Level.OK
    assert "PostgreSQL" in finding.saw
    assert "ms away, tables will be made" in finding.saw


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql://ann:secret@127.0.0.1:1/turngate", "is the server running"),
        ("postgresql://ann:secret@[", "TURNGATE_STORE"),
    ],
)
async def test_postgres_that_cannot_be_used_is_a_failure(
    address: str, words: str, tmp_path: Path
) -> None:
    finding = await database(scene(tmp_path, turngate_store=address))
    assert finding.level is Level.FAIL
    assert words in finding.fix
    assert "secret" not in finding.saw + finding.fix


SEEN = SharedInspection("postgresql://db/turngate", 16, 1, 1, away_ms=1.0, ahead_ms=0, orphans=0)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (replace(SEEN, away_ms=50.0), "50.0 ms away"),
        (replace(SEEN, ahead_ms=-240_000), "4 minutes apart"),
    ],
)
def test_postgres_far_away_or_in_another_time_is_a_warning(
    seen: SharedInspection, words: str
) -> None:
    finding = judged(seen)
    assert finding.level is Level.WARN
    assert words in finding.saw


def test_what_the_next_start_will_do_is_told() -> None:
    finding = judged(replace(SEEN, newest=2, orphans=3))
    assert finding.level is Level.OK
    assert "schema 1, brought to 2 at the next start" in finding.saw
    assert "3 runs of dead processes" in finding.saw
