"""A database taken away under its gateway: nothing is acknowledged that the next start lacks."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.core.errors import StoreUnavailable
from gateway.store.base.conversations import GetSession
from gateway.store.base.store import Durability, Unit
from gateway.store.sqlite import upkeep
from gateway.store.sqlite.saving import saved
from gateway.store.sqlite.store import SqliteStore, open_sqlite
from tests.support.store_units import SESSION, a_session, happened, put
from tests.unit.gateway.store.sqlite.test_files import delete, rename, replace
from tests.unit.gateway.store.sqlite.watched import WatchedDatabase, no_writing_beyond, rows

KEYS = "SELECT session_key FROM sessions ORDER BY session_key"


def quiet(_done: int, _total: int) -> None:
    """No progress is shown."""


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    with capture_logs() as captured:
        yield captured  # type: ignore[misc]  # structlog's own name for the same


def rename_back(path: Path) -> None:
    path.with_name("elsewhere").rename(path)


async def refused(store: SqliteStore, times: int = 3) -> None:
    for number in range(times):
        with pytest.raises(StoreUnavailable, match="Nothing more is written"):
            await put(store, a_session(session_key=f"late-{number}"))


@pytest.mark.parametrize("change", [delete, rename, replace])
@pytest.mark.parametrize("suffix", ["", "-wal"])
async def test_what_was_acknowledged_survives_and_nothing_is_acknowledged_after(
    store: SqliteStore,
    path: Path,
    lines: list[dict[str, object]],
    suffix: str,
    change: Callable[[Path], None],
) -> None:
    """Whichever of both is taken, however the process ends; it is reported once."""
    await put(store, a_session())
    change(Path(f"{path}{suffix}"))
    await refused(store)
    assert rows(saved(path)[0], KEYS) == [(SESSION,)]
    assert [line["event"] for line in lines] == ["store.lost", "store.saved"]
    assert len(await store.read(GetSession(SESSION))) == 1
    await store.close()
    if suffix:  # the database is in its place, and an orderly end leaves all of it there
        assert saved(path) == []
    else:
        with pytest.raises(StoreUnavailable, match="turngate store restore"):
            await open_sqlite(path)
        upkeep.restore(saved(path)[0], path, quiet)
        assert saved(path) == []
    assert rows(path, KEYS) == [(SESSION,)]
    await (await open_sqlite(path)).close()


@pytest.mark.parametrize("change", [delete, rename, replace])
@pytest.mark.parametrize("suffix", ["-shm", ".lock"])
async def test_a_file_without_content_is_missed_but_nothing_is_saved(
    store: SqliteStore, path: Path, suffix: str, change: Callable[[Path], None]
) -> None:
    """Another program may write to the database by now; what is in it is whole."""
    await put(store, a_session())
    change(Path(f"{path}{suffix}"))
    await refused(store)
    store.post(Unit((a_session(session_key="posted"),)))
    await store.close()
    assert store.posted_refused == 1
    assert saved(path) == []
    assert rows(path, KEYS) == [(SESSION,)]


async def test_a_database_that_comes_back_is_written_again(
    store: SqliteStore, path: Path, lines: list[dict[str, object]]
) -> None:
    """What was saved meanwhile is all in it, so the copy goes."""
    await put(store, a_session())
    rename(path)
    await refused(store)
    assert saved(path)
    rename_back(path)
    await put(store, a_session(session_key="z"))
    await store.close()
    assert saved(path) == []
    assert rows(path, KEYS) == [(SESSION,), ("z",)]
    assert [line["event"] for line in lines] == ["store.lost", "store.saved", "store.back"]


async def test_a_folder_that_went_takes_everything_with_it(
    store: SqliteStore,
    path: Path,
    lines: list[dict[str, object]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Nothing is put into a folder that was made anew: its operator wanted that one."""
    await put(store, a_session())
    elsewhere = tmp_path_factory.mktemp("else") / "where"
    path.parent.rename(elsewhere)
    path.parent.mkdir()
    await refused(store)
    assert store.lost is not None
    assert store.lost.final
    await store.close()
    assert list(path.parent.iterdir()) == []
    assert [line["event"] for line in lines] == ["store.lost"]
    assert rows(elsewhere / path.name, KEYS) == [(SESSION,)]


@pytest.mark.parametrize("suffix", ["", "-wal"])
async def test_a_file_taken_during_the_commit_is_noticed_before_the_acknowledgement(
    database: WatchedDatabase, store: SqliteStore, path: Path, suffix: str
) -> None:
    """The sender was told no, so writing goes on only after a restart, even where it is back."""
    await put(store, a_session())
    taken = Path(f"{path}{suffix}")

    def take(statement: str) -> None:
        if statement == "COMMIT" and taken.exists():
            taken.rename(path.with_name("x"))

    database.writer.set_trace_callback(take)
    unit = Unit((a_session(session_key="doubt"),), (happened(),), Durability.CRITICAL)
    with pytest.raises(StoreUnavailable, match="until the gateway is restarted"):
        await store.commit(unit)
    database.writer.set_trace_callback(None)
    path.with_name("x").rename(taken)
    await refused(store, 1)
    await store.close()
    assert saved(path) == []  # all of it is in its place again
    assert rows(path, KEYS) == [(SESSION,), ("doubt",)]


async def test_what_cannot_be_saved_is_tried_again_at_the_end(
    store: SqliteStore, path: Path, lines: list[dict[str, object]]
) -> None:
    """A full disk may have room by then; no attempt is made for each refused write."""
    await put(store, a_session())
    with no_writing_beyond(4096):
        delete(path)
        await refused(store)
    assert [line["event"] for line in lines] == ["store.lost", "store.not_saved"]
    await store.close()
    assert rows(saved(path)[0], KEYS) == [(SESSION,)]
