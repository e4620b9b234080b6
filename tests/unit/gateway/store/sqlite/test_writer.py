"""The writing thread: what is grouped, what survives which failure, how long the WAL gets."""

import asyncio
import sqlite3
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.core.clock import settle
from gateway.core.errors import NotFound, StoreUnavailable
from gateway.store.base.bindings import PutBinding, RemoveBinding
from gateway.store.base.store import Durability, NewEvent, Unit
from gateway.store.grouped import Submitted
from gateway.store.sqlite.database import BUSY_TIMEOUT_MS, Database
from gateway.store.sqlite.store import SqliteStore, open_database, open_sqlite
from gateway.store.sqlite.writer import (
    CHECKPOINT_BYTES,
    FORCED_CHECKPOINT_BYTES,
    Writer,
)
from tests.support.patience import PATIENCE_S
from tests.support.store_units import a_content, a_session, happened, put, refusal
from tests.unit.gateway.store.sqlite.watched import (
    WatchedDatabase,
    no_writing_beyond,
    outside,
    rows,
    write_lock,
)

NORMAL, FULL = 1, 2
SESSIONS = "SELECT session_key FROM sessions ORDER BY session_key"


def session(name: str) -> Unit:
    return Unit((a_session(session_key=name),))


def size(path: Path) -> int:
    return path.stat().st_size


async def together(
    store: SqliteStore, database: WatchedDatabase, *units: Unit, posted: Unit | None = None
) -> Sequence[object]:
    """Commit units in one transaction: the writer is held at a first one until all are there."""
    assert database.path is not None
    begun = len(database.statements("BEGIN"))
    with write_lock(database.path):
        store.post(Unit())
        await database.until(lambda: len(database.statements("BEGIN")) > begun)
        if posted is not None:
            store.post(posted)
        outcomes = asyncio.gather(*map(store.commit, units), return_exceptions=True)
        await settle(2)
    return await outcomes


# Groups.


async def test_units_that_wait_together_share_a_transaction(
    store: SqliteStore, database: WatchedDatabase
) -> None:
    """What gathers while a batch commits is the next batch; one COMMIT for all of it."""
    before = len(database.statements("COMMIT"))
    await together(store, database, *(session(f"s{n}") for n in range(50)))
    assert len(database.statements("COMMIT")) == before + 2
    assert store.operations_per_batch == 25


async def test_one_units_failure_neither_commits_nor_loses_anothers_writes(
    store: SqliteStore, database: WatchedDatabase, path: Path
) -> None:
    """The trap of a shared connection, where one coroutine's rollback is everybody's."""
    good = [session(f"good{n}") for n in range(8)]
    bad = [
        Unit((a_session(session_key=f"bad{n}"), RemoveBinding("none")), (happened(),))
        for n in range(8)
    ]
    mixed = [unit for pair in zip(good, bad, strict=True) for unit in pair]
    outcomes = await together(store, database, *mixed)
    assert [type(outcome) is NotFound for outcome in outcomes] == [False, True] * 8
    assert rows(path, SESSIONS) == [(f"good{n}",) for n in range(8)]
    assert rows(path, "SELECT count(*) FROM events") == [(0,)]


async def test_a_wait_cancelled_before_its_transaction_does_not_poison_the_next(
    store: SqliteStore, database: WatchedDatabase, path: Path
) -> None:
    """The unit is executed whole and committed by itself, not by whoever comes after."""
    begun = len(database.statements("BEGIN"))
    async with asyncio.TaskGroup() as group:
        with write_lock(path):
            wait = group.create_task(store.commit(session("cancelled")))
            await database.until(lambda: len(database.statements("BEGIN")) > begun)
            wait.cancel()
    await database.until(lambda: len(database.statements("COMMIT")) > 0)
    assert await refusal(put(store, a_session(session_key="bad"), RemoveBinding("x"))) is NotFound
    assert wait.cancelled()
    assert rows(path, SESSIONS) == [("cancelled",)]


# Durability.


async def test_each_batch_commits_with_the_durability_it_asked_for(
    store: SqliteStore, database: WatchedDatabase
) -> None:
    """Seen through the connection itself: the setting a COMMIT has just used."""
    seen = []
    wanted = [Durability.ORDINARY, Durability.CRITICAL, Durability.CRITICAL, Durability.POSTED]
    for durability in wanted:
        await store.commit(Unit((a_session(),), durability=durability))
        seen.append(database.writer.execute("PRAGMA synchronous").fetchone()[0])
    assert seen == [NORMAL, FULL, FULL, NORMAL]


async def test_a_batch_is_as_durable_as_its_most_demanding_unit(
    store: SqliteStore, database: WatchedDatabase
) -> None:
    """An ordinary unit beside a critical one gets more than it asked for, never less."""
    critical = Unit((a_session(),), durability=Durability.CRITICAL)
    await together(store, database, session("a"), critical, session("b"))
    assert database.writer.execute("PRAGMA synchronous").fetchone()[0] == FULL


async def test_no_setting_is_changed_within_a_transaction(
    store: SqliteStore, database: WatchedDatabase
) -> None:
    """SQLite refuses some and ignores others there; it is issued only when it differs."""
    for durability in [*Durability, *Durability, Durability.CRITICAL]:
        await store.commit(Unit((a_session(), a_session()), durability=durability))
    issued = [entry for entry in database.ran if entry[0].startswith("PRAGMA")]
    assert [within for _, within in issued] == [False] * len(issued)
    # posted and ordinary are both NORMAL: N N F N N F F
    assert len(database.statements("PRAGMA synchronous")) == 4


async def test_strict_makes_every_batch_full(path: Path) -> None:
    """Whatever the units ask for."""
    database = WatchedDatabase(path)
    store = await open_database(database, strict=True)
    for durability in Durability:
        await store.commit(Unit((a_session(),), durability=durability))
        assert database.writer.execute("PRAGMA synchronous").fetchone()[0] == FULL
    await store.close()
    assert database.statements("PRAGMA synchronous = ") == ["PRAGMA synchronous = FULL"]


# A disk that does not take it.


def fill(database: WatchedDatabase) -> None:
    """Allow the file one page more than it has: real SQLITE_FULL without a small disk."""
    pages = database.writer.execute("PRAGMA page_count").fetchone()[0]
    database.writer.execute(f"PRAGMA max_page_count = {pages + 1:d}")


def make_room(database: WatchedDatabase) -> None:
    database.writer.execute("PRAGMA max_page_count = 1000000")


BIG = "x" * 100_000
TOO_BIG: dict[str, Unit] = {
    "one operation": Unit((a_content(content_id="big", body=BIG),)),
    "the second operation": Unit((a_session(), a_content(content_id="big", body=BIG))),
    "an event": Unit(events=(NewEvent(1, "big", data=BIG),)),
}


@pytest.mark.parametrize("unit", TOO_BIG.values(), ids=TOO_BIG)
async def test_a_full_disk_rejects_the_whole_batch_and_the_store_recovers(
    store: SqliteStore, database: WatchedDatabase, path: Path, unit: Unit
) -> None:
    """A full disk may roll back everything, savepoints included: nobody is told that it held."""
    await store.commit(Unit((a_session(session_key="before"),), (happened("before"),)))
    fill(database)
    small = [Unit((a_session(session_key=f"s{n}"),), (happened(),)) for n in range(3)]
    outcomes = await together(store, database, *small, unit, *small)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 7
    assert "full" in str(outcomes[0])
    assert rows(path, SESSIONS) == [("before",)]
    assert rows(path, "SELECT seq FROM log_head") == [(1,)]
    make_room(database)
    await store.commit(unit)
    await asyncio.gather(*map(store.commit, small))
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    expected = 1 + 3 + len(unit.events)
    assert rows(path, "SELECT count(*), max(seq) FROM events") == [(expected, expected)]


async def test_a_broken_database_is_not_blamed_on_the_unit_that_found_out(
    store: SqliteStore, database: WatchedDatabase, path: Path
) -> None:
    """The transaction is alive, but its batch is rejected: who knows what else is broken."""
    await store.commit(Unit())
    database.writer.execute("ALTER TABLE bindings RENAME TO lost")
    outcomes = await together(store, database, session("a"), Unit((PutBinding("b", "{}", 1),)))
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2
    assert rows(path, SESSIONS) == []
    database.writer.execute("ALTER TABLE lost RENAME TO bindings")
    await store.commit(session("a"))


async def test_each_rejected_committer_gets_an_error_of_its_own(
    store: SqliteStore, database: WatchedDatabase
) -> None:
    """Raising one exception in several tasks would mix their tracebacks."""
    fill(database)
    outcomes = await together(store, database, *[TOO_BIG["one operation"]] * 3)
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert all(isinstance(outcome.__cause__, sqlite3.Error) for outcome in outcomes)  # type: ignore[attr-defined]  # the line above


async def test_an_io_error_rejects_the_batch_and_the_store_recovers(
    store: SqliteStore, path: Path
) -> None:
    """The write to the WAL itself fails, as late as it can."""
    await store.commit(session("before"))
    big = Unit((a_content(content_id="big", body="x" * 3_000_000), a_session(session_key="big")))
    with no_writing_beyond(2_000_000):
        assert await refusal(store.commit(big)) is StoreUnavailable
    assert rows(path, SESSIONS) == [("before",)]
    await store.commit(big)
    assert rows(path, SESSIONS) == [("before",), ("big",)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_read_only_database_rejects_writes_until_it_is_writable(
    store: SqliteStore, database: WatchedDatabase
) -> None:
    """The reason is in the message."""
    database.writer.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.commit(session("a"))
    database.writer.execute("PRAGMA query_only = OFF")
    await store.commit(session("a"))


async def test_a_failing_checkpoint_does_not_end_the_thread(
    store: SqliteStore, database: WatchedDatabase, path: Path
) -> None:
    """The pages are safe in the WAL; the next write works as if nothing had happened."""
    await store.commit(session("a"))
    with no_writing_beyond(20_000):  # the WAL is beyond already, the database not yet
        await database.until(lambda: len(database.statements("PRAGMA wal_checkpoint")) > 0)
        # The writer is idle again when it answers a unit that writes nothing.
        await refusal(put(store, RemoveBinding("none")))
    await store.commit(session("b"))
    assert rows(path, SESSIONS) == [("a",), ("b",)]


async def test_a_posted_unit_lost_with_its_batch_is_counted(
    store: SqliteStore, database: WatchedDatabase
) -> None:
    """Nobody waits for it, so the count is all there is; a guard's refusal is lost as well."""
    fill(database)
    refused = Unit((RemoveBinding("none"),))
    outcomes = await together(
        store, database, refused, TOO_BIG["one operation"], posted=session("posted")
    )
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2
    assert store.posted_refused == 1


# The WAL.


async def test_the_wal_stays_bounded_under_writes(
    store: SqliteStore, database: WatchedDatabase, path: Path
) -> None:
    """Eighty megabytes go through; the file stays near the threshold, and not every batch pays."""
    wal = Path(f"{path}-wal")
    largest = 0
    for n in range(160):
        await put(store, a_content(content_id=f"c{n}", body="x" * 500_000))
        largest = max(largest, size(wal))
    assert largest < CHECKPOINT_BYTES + (2 << 20)
    assert 2 <= len(database.statements("PRAGMA wal_checkpoint")) <= 20


async def test_a_long_reader_holds_up_no_writer(
    store: SqliteStore, database: WatchedDatabase, path: Path
) -> None:
    """The WAL cannot start over while somebody reads from it; when he ends it shrinks."""
    await store.commit(session("a"))
    wal = Path(f"{path}-wal")
    with outside(path) as reader:
        reader.execute("BEGIN")
        reader.execute(SESSIONS).fetchall()
        n = 0
        while size(wal) < FORCED_CHECKPOINT_BYTES + (4 << 20):
            await put(store, a_content(content_id=f"c{n}", body="x" * 2_000_000))
            n += 1
        assert len(database.statements("PRAGMA wal_checkpoint(TRUNCATE)")) == 1
        assert database.writer.execute("PRAGMA busy_timeout").fetchone()[0] == BUSY_TIMEOUT_MS
    while size(wal) > CHECKPOINT_BYTES:
        await put(store, a_content(content_id=f"c{n}", body="x" * 100_000))
        n += 1


async def test_what_was_written_reaches_the_database_when_it_is_quiet(
    store: SqliteStore, database: WatchedDatabase, path: Path
) -> None:
    """A copy of the file alone has it then; afterwards the thread sleeps until the next unit."""
    await store.commit(session("a"))
    await database.until(lambda: len(database.statements("PRAGMA wal_checkpoint")) > 0)
    await refusal(put(store, RemoveBinding("none")))  # the checkpoint before it is over
    with outside(path, options="immutable=1") as connection:
        assert connection.execute(SESSIONS).fetchall() == [("a",)]
    store.post(Unit((a_session(),)))


@pytest.mark.parametrize("where", ["file", "memory"])
async def test_an_idle_thread_does_not_wake(where: str, path: Path) -> None:
    """It waits without a timeout: once tidied up with a file, at once in memory."""
    database = WatchedDatabase(path if where == "file" else None)
    store = await open_database(database)
    await store.commit(session("a"))
    if where == "file":
        await database.until(lambda: len(database.statements("PRAGMA wal_checkpoint")) > 0)
    async with asyncio.timeout(PATIENCE_S):
        while _writers_timeout() is not None:
            await settle(1)
    await store.close()


def _writers_timeout() -> object:
    """What the writing thread passed to `Condition.wait`; ... while it is somewhere else."""
    (thread,) = [t for t in threading.enumerate() if t.name == "turngate-store"]
    frame = sys._current_frames()[thread.ident or 0]  # noqa: SLF001  # the interpreter's own way
    if frame.f_code is not threading.Condition.wait.__code__:
        return ...
    return frame.f_locals["timeout"]


# Ends.


async def test_closing_leaves_one_file_with_everything_in_it(path: Path) -> None:
    """The WAL is moved into the database; the lock file stays."""
    store = await open_sqlite(path)
    await store.commit(session("a"))
    await store.close()
    assert sorted(item.name for item in path.parent.iterdir()) == [
        "turngate.db",
        "turngate.db.lock",
    ]
    assert rows(path, SESSIONS) == [("a",)]


async def test_closing_reaches_the_database_although_others_look_at_it(path: Path) -> None:
    """A copy of the one file is complete, whoever else has it open."""
    store = await open_sqlite(path)
    await store.commit(session("a"))
    with outside(path) as reader:
        assert reader.execute(SESSIONS).fetchall() == [("a",)]
        await store.close()
        with outside(path, options="immutable=1") as connection:
            assert connection.execute(SESSIONS).fetchall() == [("a",)]


def test_a_loop_that_closed_without_the_store_ends_the_thread(path: Path) -> None:
    """Nobody is left to tell; what was submitted holds, and nothing is printed."""
    connection = Database(path).connect_writer()
    loop = asyncio.new_event_loop()

    async def start() -> Writer:
        return Writer(connection, files=None, lock=None, strict=False, settle=lambda *_: None)

    writer = loop.run_until_complete(start())
    with write_lock(path):
        writer.submit(Submitted(session("a"), None))
        loop.close()
    writer.stop()
    assert rows(path, SESSIONS) == [("a",)]
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute(SESSIONS)
