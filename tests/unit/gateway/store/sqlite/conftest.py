"""A store on a file, watched from outside."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store.sqlite.store import SqliteStore, open_database
from tests.unit.gateway.store.sqlite.watched import WatchedDatabase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database file is or will be."""
    return tmp_path / "turngate.db"


@pytest.fixture
async def database(path: Path) -> WatchedDatabase:
    """The database `store` is opened on."""
    return WatchedDatabase(path)


@pytest.fixture
async def store(database: WatchedDatabase) -> AsyncIterator[SqliteStore]:
    """An open store; closed at the end unless the test did."""
    opened = await open_database(database)
    yield opened
    await opened.close()
