"""What this store adds to the contract: its readers, its bounds, its failures at opening."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.core.clock import settle
from gateway.core.errors import StoreUnavailable
from gateway.store.base.bindings import BindingRow, ListBindings, PutBinding
from gateway.store.base.conversations import GetSession
from gateway.store.base.query import Query
from gateway.store.base.store import Unit
from gateway.store.grouped import PENDING_POSTED, PENDING_UNITS
from gateway.store.sqlite.store import READERS, SqliteStore
from tests.support.store_units import SESSION, a_session, put, refusal
from tests.unit.gateway.store.sqlite.watched import WatchedDatabase, outside, rows, write_lock


@dataclass(frozen=True, slots=True)
class RemoveBinding(Query[BindingRow]):
    """A query by the name of a writing statement."""

    binding_id: str


async def test_a_write_through_a_reader_fails(store: SqliteStore) -> None:
    """Whatever a query's statement says, only the writer's thread changes anything."""
    await put(store, PutBinding("b1", "{}", 1))
    for _ in range(READERS + 1):
        with pytest.raises(StoreUnavailable, match="readonly"):
            await store.read(RemoveBinding("b1"))
    assert len(await store.read(ListBindings())) == 1


async def test_no_read_transaction_stays_open(store: SqliteStore, path: Path) -> None:
    """Neither after a read nor after a cancelled one: the WAL can be emptied from outside."""
    await put(store, a_session())
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(store.read(GetSession(SESSION))) for _ in range(9)]
        await settle(1)
        for read in reads[::2]:
            read.cancel()
    await asyncio.gather(*(store.read(GetSession(SESSION)) for _ in range(READERS)))
    with outside(path) as connection:
        busy, left, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert (busy, left) == (0, 0)


async def test_readers_do_not_wait_for_the_writer(store: SqliteStore, path: Path) -> None:
    """They see what was committed last while the writer stands in front of a lock."""
    await put(store, a_session())
    async with asyncio.TaskGroup() as group:
        with write_lock(path):
            late = group.create_task(put(store, a_session(at=9)))
            await settle(2)
            (row,) = await store.read(GetSession(SESSION))
            assert row.last_active_at == 1
            assert not late.done()
    (row,) = await store.read(GetSession(SESSION))
    assert row.last_active_at == 9


async def test_committers_wait_for_room_and_posts_are_dropped_past_twice_the_bound(
    store: SqliteStore, database: WatchedDatabase, path: Path
) -> None:
    """A disk that stands still costs no more memory than this, and what is dropped is counted."""
    async with asyncio.TaskGroup() as group:
        with write_lock(path):
            for _ in range(PENDING_UNITS):
                store.post(Unit())
            waits = [group.create_task(put(store, a_session(session_key=f"s{n}"))) for n in (1, 2)]
            await settle(2)
            for _ in range(PENDING_POSTED - PENDING_UNITS):
                store.post(Unit())
            assert store.posted_refused == 0
            store.post(Unit())
            store.post(Unit())
            assert store.posted_refused == 2
            assert len(database.statements("COMMIT")) == 0
    assert all(wait.done() for wait in waits)
    assert rows(path, "SELECT count(*) FROM sessions") == [(2,)]
    store.post(Unit((a_session(session_key="later"),)))
    await store.close()
    assert store.posted_refused == 2
    assert rows(path, "SELECT count(*) FROM sessions") == [(3,)]


async def test_a_commit_that_waits_for_room_while_the_store_closes_is_refused(
    store: SqliteStore, path: Path
) -> None:
    """It was never submitted, so nothing of it is written."""
    async with asyncio.TaskGroup() as group:
        with write_lock(path):
            for _ in range(PENDING_UNITS):
                store.post(Unit())
            late = group.create_task(refusal(put(store, a_session())))
            await settle(1)
            closing = group.create_task(store.close())
            await settle(1)
            assert not late.done()
    assert closing.done()
    assert late.result() is StoreUnavailable
    assert rows(path, "SELECT count(*) FROM sessions") == [(0,)]


async def test_closing_twice_at_once_waits_for_the_same_end(store: SqliteStore, path: Path) -> None:
    """And a cancelled close leaves nothing behind that a second one would not end."""
    async with asyncio.TaskGroup() as group:
        with write_lock(path):
            store.post(Unit((a_session(),)))
            first = group.create_task(store.close())
            second = group.create_task(store.close())
            await settle(2)
            first.cancel()
            await settle(2)
            assert not second.done()
    assert first.cancelled()
    assert rows(path, "SELECT count(*) FROM sessions") == [(1,)]


async def test_a_write_that_does_not_end_is_seen(store: SqliteStore, path: Path) -> None:
    """By the time since anything ended, however much is handed in behind it."""
    await put(store, a_session())
    assert store.stuck_s == 0
    async with asyncio.TaskGroup() as group:
        with write_lock(path):
            group.create_task(put(store, a_session(at=2)))
            await settle(2)
            first = store.stuck_s
            group.create_task(put(store, a_session(at=3)))
            await settle(2)
            assert store.stuck_s > first > 0
    assert store.stuck_s == 0
