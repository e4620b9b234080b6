"""A database is looked at from outside, whoever owns it, and stays as it is."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.errors import SchemaMismatch, StoreUnavailable
from gateway.store.sqlite.database import Database
from gateway.store.sqlite.inspection import inspect
from gateway.store.sqlite.lock import FileLock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "turngate.db"
    Database(file).connect_writer().close()
    return file


def test_a_whole_database_is_called_whole(path: Path) -> None:
    seen = inspect(path)
    assert (seen.damage, seen.holder, seen.unfinished, seen.checked) == ("", "", 0, True)
    assert seen.schema >= 1
    assert seen.size == path.stat().st_size


def test_it_says_who_holds_the_database(path: Path) -> None:
    lock = FileLock(path)
    try:
        assert f"pid {os.getpid()}" in inspect(path).holder
    finally:
        lock.release()
    assert inspect(path).holder == ""


def test_a_newer_schema_is_named(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(SchemaMismatch, match="999"):
        inspect(path)


@pytest.mark.parametrize("content", [b"this is no database at all" * 50, None])
def test_what_is_no_database_is_said(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "x.db"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"x\.db"):
        inspect(file)
    assert file.exists() == (content is not None)


def test_damage_is_found(path: Path) -> None:
    """Pages overwritten in the middle: what a broken disk leaves behind."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8192] = b"\xff" * 8192
    path.write_bytes(bytes(data))
    try:
        seen = inspect(path)
    except StoreUnavailable:
        return
    assert seen.damage
