"""Opening: settings of a connection, file mode, migrations, and what is refused."""

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.core.errors import SchemaMismatch, StoreLocked, StoreUnavailable
from gateway.store import statements
from gateway.store.base.conversations import ListSessions
from gateway.store.sqlite.database import Database
from gateway.store.sqlite.lock import FileLock
from gateway.store.sqlite.store import open_database, open_sqlite
from tests.support.store_units import a_session, put
from tests.unit.gateway.store.sqlite.watched import no_writing_beyond, rows

MASTER = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
ONE = (1, statements.migrations()[0][1])
TWO = (2, "ALTER TABLE bindings ADD COLUMN note TEXT;\nCREATE TABLE extra (\n  a TEXT\n) STRICT;\n")
BROKEN = (2, "CREATE TABLE extra (a TEXT) STRICT;\nCREATE TABLE runs (a TEXT) STRICT;\n")


def open_and_close(path: Path | None, migrations: Sequence[tuple[int, str]] | None = None) -> None:
    Database(path, migrations=migrations).connect_writer().close()


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def content(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Settings.


@pytest.mark.parametrize(
    ("pragma", "file", "memory"),
    [
        ("journal_mode", "wal", "memory"),
        ("foreign_keys", 1, 1),
        ("busy_timeout", 5000, 5000),
        ("wal_autocheckpoint", 0, 0),
        ("temp_store", 2, 2),
    ],
)
def test_the_writer_is_set_up(path: Path, pragma: str, file: object, memory: object) -> None:
    """Each of these has another value by default."""
    for where, expected in ((path, file), (None, memory)):
        connection = Database(where).connect_writer()
        assert connection.execute(f"PRAGMA {pragma}").fetchone()[0] == expected
        connection.close()


def test_a_new_file_is_private(path: Path) -> None:
    """The database and what SQLite puts beside it hold people's words."""
    connection = Database(path).connect_writer()
    connection.execute("INSERT INTO contents VALUES ('c', 's', 'words')")
    assert [mode(Path(f"{path}{end}")) for end in ("", "-wal", "-shm")] == [0o600] * 3
    connection.close()


def test_an_open_file_is_made_private(path: Path) -> None:
    """Somebody copied it with a careless mode."""
    open_and_close(path)
    path.chmod(0o664)
    open_and_close(path)
    assert mode(path) == 0o600


async def test_memory_databases_are_strangers_to_each_other() -> None:
    """Several gateways fit into one test process."""
    one, other = [await open_sqlite(None) for _ in range(2)]
    await put(one, a_session())
    assert await one.read(ListSessions(2**40, "", 9))
    assert not await other.read(ListSessions(2**40, "", 9))
    await one.close()
    await other.close()


async def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    """Characters that mean something in a URI are part of the name."""
    path = tmp_path / "a b?mode=ro&x#%41é.db"
    store = await open_sqlite(path)
    await put(store, a_session())
    await store.close()
    assert names(tmp_path) == [path.name, f"{path.name}.lock"]


# Migrations.


def test_migrations_are_numbered_without_gaps() -> None:
    """From one; the number is the schema's version."""
    assert [number for number, _ in statements.migrations()] == list(
        range(1, len(statements.migrations()) + 1)
    )


async def test_an_older_schema_is_backed_up_and_migrated(path: Path) -> None:
    """What was stored is in both; the backup is as private as the database."""
    store = await open_database(Database(path, migrations=[ONE]))
    await put(store, a_session())
    await store.close()
    store = await open_database(Database(path, migrations=[ONE, TWO]))
    await put(store, a_session(session_key="new"))
    await store.close()
    backup = Path(f"{path}.backup-v1")
    assert rows(path, "PRAGMA user_version") == [(2,)]
    assert rows(path, "SELECT * FROM extra") == []
    assert rows(path, "SELECT count(*) FROM sessions") == [(2,)]
    assert rows(backup, "PRAGMA user_version") == [(1,)]
    assert rows(backup, "SELECT count(*) FROM sessions") == [(1,)]
    assert rows(backup, "PRAGMA integrity_check") == [("ok",)]
    assert mode(backup) == 0o600


def test_a_new_or_current_database_needs_no_backup(path: Path) -> None:
    """Opening it any number of times leaves the folder as it is."""
    for _ in range(2):
        open_and_close(path, [ONE, TWO])
    open_and_close(None, [ONE, TWO])
    assert names(path.parent) == [path.name]


def test_a_backup_cut_by_a_crash_is_made_again(path: Path) -> None:
    """It has another name until it is whole."""
    open_and_close(path, [ONE])
    Path(f"{path}.backup-v1.partial").write_bytes(b"half a page")
    open_and_close(path, [ONE, TWO])
    assert rows(Path(f"{path}.backup-v1"), "PRAGMA user_version") == [(1,)]
    assert not Path(f"{path}.backup-v1.partial").exists()


def test_a_failing_migration_changes_nothing(path: Path) -> None:
    """Neither its first half nor the version; the repaired one runs as if nothing had been."""
    open_and_close(path, [ONE])
    before = rows(path, MASTER)
    with pytest.raises(StoreUnavailable, match="table runs already exists"):
        open_and_close(path, [ONE, BROKEN])
    assert rows(path, MASTER) == before
    assert rows(path, "PRAGMA user_version") == [(1,)]
    open_and_close(path, [ONE, TWO])
    assert rows(path, "PRAGMA user_version") == [(2,)]


async def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    """The message names both versions and the two ways out; nothing stays open or locked."""
    open_and_close(path, [ONE, TWO])
    before = content(path)
    with pytest.raises(SchemaMismatch, match=r"schema 2.*knows 1.*newer turngate.*backup"):
        await open_database(Database(path, migrations=[ONE]))
    assert content(path) == before
    await (await open_database(Database(path, migrations=[ONE, TWO]))).close()


# What cannot be opened.


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    """It is named and left as it is, and the lock is let go."""
    write(path, b"these are not the pages you are looking for" * 100)
    with pytest.raises(
        StoreUnavailable, match=r"turngate\.db: file is not a database; .* restore FILE"
    ):
        await open_sqlite(path)
    assert content(path).startswith(b"these are not the pages")
    FileLock(path).release()


def test_a_folder_is_refused(path: Path) -> None:
    """With the reason the system gives."""
    path.mkdir()
    with pytest.raises(StoreUnavailable, match=r"cannot open .*turngate\.db: .*directory"):
        open_and_close(path)


async def test_a_disk_that_takes_nothing_is_said_to_be_the_reason(path: Path) -> None:
    """Even opening writes; once there is room it works, and nobody is in the way."""
    open_and_close(path)
    with (
        no_writing_beyond(0),
        pytest.raises(StoreUnavailable, match=r"cannot open .*turngate\.db: disk I/O error"),
    ):
        await open_sqlite(path)
    await (await open_sqlite(path)).close()


async def test_a_refused_open_can_be_tried_again(path: Path) -> None:
    """Nothing of the first attempt is in the way."""
    lock = FileLock(path)
    with pytest.raises(StoreLocked):
        await open_sqlite(path)
    lock.release()
    await (await open_sqlite(path)).close()
