"""The database: there or not, whole or not, in whose hands."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.cli.doctor.check import Level
from gateway.cli.doctor.database import database
from gateway.store.sqlite.database import Database
from gateway.store.sqlite.lock import FileLock
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
