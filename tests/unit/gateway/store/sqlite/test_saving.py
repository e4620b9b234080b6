"""What a lost database held is kept beside it, and is not passed over."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.store.sqlite.saving import refuse_saved, save, saved
from tests.unit.gateway.store.sqlite.watched import rows


def test_copies_are_numbered_whole_and_private(path: Path) -> None:
    """Pauses come between pieces, for who must not wait."""
    pauses = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (1)")
        path.unlink()
        first = save(connection, path, lambda: pauses.append(1))
        second = save(connection, path, lambda: None)
    assert pauses
    assert [copy.name for copy in saved(path)] == ["turngate.db.saved-1", "turngate.db.saved-2"]
    assert saved(path) == [first, second]
    assert rows(second, "SELECT x FROM t") == [(1,)]
    assert first.stat().st_mode & 0o077 == 0
    with pytest.raises(StoreUnavailable, match=r"turngate store restore .*saved-2"):
        refuse_saved(path)


def test_a_copy_that_cannot_be_finished_leaves_nothing(path: Path) -> None:
    """Half a copy would be taken for one."""

    def fail() -> None:
        raise OSError("the disk is full")

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        with pytest.raises(OSError, match="full"):
            save(connection, path, fail)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    refuse_saved(path)


def test_files_of_other_names_are_no_copies(path: Path) -> None:
    for name in ("turngate.db.saved-", "turngate.db.saved-1.partial", "x.db.saved-1"):
        path.with_name(name).touch()
    assert saved(path) == []
