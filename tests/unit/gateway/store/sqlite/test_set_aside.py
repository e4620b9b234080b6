"""A former database keeps its newest writes, and a restore killed halfway is undone."""

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway.store.sqlite import upkeep
from gateway.store.sqlite.set_aside import mend, set_aside
from gateway.store.sqlite.store import open_sqlite
from tests.support.store_units import SESSION, a_session, put
from tests.unit.gateway.store.sqlite.test_files import delete
from tests.unit.gateway.store.sqlite.test_lock import ROOT
from tests.unit.gateway.store.sqlite.watched import names, outside, rows

KEYS = "SELECT session_key FROM sessions ORDER BY session_key"


def quiet(_done: int, _total: int) -> None:
    """No progress is shown."""


async def a_database(path: Path) -> None:
    store = await open_sqlite(path)
    await put(store, a_session())
    await store.close()


async def test_writes_that_a_reader_keeps_in_the_log_are_set_aside_with_it(path: Path) -> None:
    """Its checkpoint cannot pass the reader, so the log goes along."""
    await a_database(path)
    with outside(path) as reader, closing(sqlite3.connect(path)) as other:
        reader.execute("BEGIN")
        reader.execute(KEYS).fetchall()
        other.execute("UPDATE sessions SET session_key = 'newest'")
        other.commit()
        former = set_aside(path)
        assert names(Path(f"{path}-wal")) == 0
        delete(path)
        assert rows(former, KEYS) == [("newest",)]


@pytest.mark.parametrize("where", ["os.link", "os.rename", "os.replace"])
async def test_a_restore_killed_at_any_point_leaves_one_database_with_one_name(
    path: Path, where: str
) -> None:
    """The next owner takes the second name back, and everything is where it was or is restored."""
    await a_database(path)
    backup = path.with_name("copy.db")
    upkeep.back_up(path, backup, quiet)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE sessions SET session_key = 'newer'")
        connection.commit()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.unit.gateway.store.sqlite.killed",
        where,
        str(backup),
        str(path),
        cwd=ROOT,
    )
    assert await process.wait() == 9
    store = await open_sqlite(path)
    await put(store, a_session(session_key="z"))
    await store.close()
    assert names(path) == 1
    assert upkeep.check(path).problems == ()
    assert rows(path, KEYS) == [("newer",), ("z",)]
    former = upkeep.restore(backup, path, quiet)
    assert former is not None
    assert rows(path, KEYS) == [(SESSION,)]
    assert rows(former, KEYS) == [("newer",), ("z",)]


def test_only_what_a_killed_restore_left_is_taken_back(path: Path) -> None:
    """An earlier former database is another file, and stays."""
    asyncio.run(a_database(path))
    kept = path.with_name(f"{path.name}.before-restore-1")
    kept.write_text("an earlier one")
    log = path.with_name(f"{path.name}.before-restore-2-wal")
    log.write_text("the log")
    path.with_name(f"{path.name}.before-restore-2").hardlink_to(path)
    mend(path)
    assert kept.exists()
    assert Path(f"{path}-wal").read_text() == "the log"
    assert path.stat().st_nlink == 1
