"""Who owns a file: one process, provably, and no longer than it lives."""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.errors import StoreLocked, StoreUnavailable
from gateway.store.base.conversations import GetSession
from gateway.store.base.runs import AbandonedRuns, GetRun
from gateway.store.sqlite.lock import FileLock, owner
from gateway.store.sqlite.store import SqliteStore, open_sqlite
from tests.support.store_units import SESSION, a_run, a_session, one, put
from tests.unit.gateway.store.sqlite.watched import names, rows

ROOT = Path(__file__).parents[5]


def lock_file(database: Path) -> Path:
    return Path(f"{database}.lock")


def move(path: Path, to: Path) -> Path:
    return path.rename(to)


@asynccontextmanager
async def other_process(path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A process that opens `path`, and the line it says; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.unit.gateway.store.sqlite.holder",
        str(path),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield process, (await process.stdout.readline()).decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_second_process_is_told_who_owns_the_file(store: SqliteStore, path: Path) -> None:
    """And what to use when several are wanted."""
    await put(store, a_session())
    async with other_process(path) as (_, line):
        assert line.startswith("StoreLocked: ")
        assert f"pid {os.getpid()}" in line
        assert "PostgreSQL" in line
        assert str(path) in line
    await put(store, a_session(at=2))


async def test_a_killed_owner_leaves_nothing_to_wait_for(path: Path) -> None:
    """The file opens at once, and leases that had hours to go are over, with the next epoch."""
    async with other_process(path) as (process, line):
        assert line == "open\n"
        with pytest.raises(StoreLocked, match=f"pid {process.pid} "):
            await open_sqlite(path)
        process.kill()
        await process.wait()
    store = await open_sqlite(path)
    for run in await store.read(AbandonedRuns(1, "", 9)):
        assert (run.status, run.epoch, run.holder, run.lease_until) == ("running", 2, "", 0)
    assert len(await store.read(AbandonedRuns(1, "", 9))) == 2
    assert (await one(store, GetSession(SESSION))).principal == "ann"
    await store.close()


async def test_an_owner_that_closed_leaves_its_runs_to_the_next(path: Path) -> None:
    """The same holds after an orderly end: whoever opens the file owns what was running."""
    store = await open_sqlite(path)
    await put(store, a_run(lease_until=2**50))
    with pytest.raises(StoreLocked):
        await open_sqlite(path)
    await store.close()
    store = await open_sqlite(path)
    assert (await one(store, GetRun("r1"))).epoch == 2
    await store.close()


async def test_a_link_to_a_file_is_locked_as_the_file(store: SqliteStore, path: Path) -> None:
    """Two names of one database do not make two owners."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    with pytest.raises(StoreLocked):
        await open_sqlite(link)


@pytest.mark.parametrize("folder", ["", "elsewhere"])
async def test_a_hard_link_to_a_file_lets_no_second_owner_in(
    store: SqliteStore, path: Path, folder: str
) -> None:
    """It has a lock file of its own, so the lock that counts is on the file itself."""
    await put(store, a_session())
    link = path.parent / folder / "link.db"
    link.parent.mkdir(exist_ok=True)
    link.hardlink_to(path)
    async with other_process(link) as (_, line):
        assert "has 2 names" in line
    with pytest.raises(StoreUnavailable, match="2 names"):
        await put(store, a_session(at=2))
    link.unlink()
    await put(store, a_session(at=2))


async def test_a_database_renamed_under_its_owner_lets_no_second_owner_in(
    store: SqliteStore, path: Path
) -> None:
    """There is one name again, so only the lock of the file keeps the second one out."""
    await put(store, a_session())
    moved = move(path, path.with_name("moved.db"))
    async with other_process(moved) as (_, line):
        assert line.startswith("StoreLocked: ")
        assert "another name" in line
    move(moved, path)
    await put(store, a_session(at=2))
    assert rows(path, "SELECT count(*) FROM sessions") == [(1,)]


async def test_a_database_with_two_names_is_not_opened(path: Path) -> None:
    """Which of them has the newest writes beside it, no process can tell."""
    await (await open_sqlite(path)).close()
    link = path.with_name("link.db")
    link.hardlink_to(path)
    for name in (path, link):
        with pytest.raises(StoreUnavailable, match=f"samefile .*{name.name}"):
            await open_sqlite(name)
    link.unlink()
    await (await open_sqlite(path)).close()


async def test_the_lock_of_the_file_outlasts_every_connection(
    store: SqliteStore, path: Path
) -> None:
    """Closing a descriptor of a database drops the locks SQLite holds on it for the process."""
    await put(store, a_session())
    await store.close()
    assert names(Path(f"{path}-wal")) == 0  # the last connection to close had them still
    FileLock(path).release()


async def test_the_owner_of_a_file_is_told_apart_from_outside(path: Path) -> None:
    """Which process, and whether the file it writes has the name still."""
    assert owner(path) is None
    store = await open_sqlite(path)
    found = owner(path)
    assert found is not None
    assert found.name.startswith(f"pid {os.getpid()} on ")
    assert found.has(path)
    other = path.with_name("other.db")
    other.touch()
    assert not found.has(other)
    await store.close()
    assert owner(path) is None


async def test_the_store_goes_on_when_the_process_changes_folder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path means the place it meant when the store was opened."""
    monkeypatch.chdir(path.parent)
    store = await open_sqlite(Path(path.name))
    monkeypatch.chdir("/")
    await put(store, a_session())
    await store.close()
    assert rows(path, "SELECT session_key FROM sessions") == [(SESSION,)]


def test_a_lock_says_who_holds_it(path: Path) -> None:
    """A shorter name leaves nothing of a longer one before; only its owner may read it."""
    lock_file(path).write_text("pid 99999999999999999999999 on a-host-with-a-long-name\n" * 9)
    lock = FileLock(path)
    text = lock_file(path).read_text()
    assert text.startswith(f"pid {os.getpid()} on ")
    assert text.count("\n") == 1
    with pytest.raises(StoreLocked, match=f"pid {os.getpid()} "):
        FileLock(path)
    lock.release()
    FileLock(path).release()


def test_a_lock_file_is_private(path: Path) -> None:
    """It is beside people's words, and nobody else has any business with it."""
    FileLock(path).release()
    assert stat.S_IMODE(lock_file(path).stat().st_mode) == 0o600


def test_a_missing_folder_is_named(path: Path) -> None:
    """The operator mistyped a path, or forgot to mount it."""
    with pytest.raises(StoreUnavailable, match=r"missing/turngate\.db\.lock.*folder"):
        FileLock(path.parent / "missing" / "turngate.db")
