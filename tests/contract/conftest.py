"""The stores that the contract is held against."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.core.clock import SystemClock
from gateway.store.base.store import Store
from gateway.store.postgres.opening import open_postgres
from gateway.store.sqlite.store import open_sqlite
from tests.support import database


@functools.cache
def _prepared() -> list[str]:
    """The URL of the one schema this session's tests take turns in, once it is there."""
    return []


async def _open_postgres(folder: Path) -> Store:
    if prepared := _prepared():
        await database.empty(prepared[0])
    else:
        prepared.append(await database.fresh_url())
    # The contract turns time by hand: its leases go by the time that its operations carry.
    return await open_postgres(prepared[0], clock=SystemClock(), callers_clock=True)


STORES: dict[str, Callable[[Path], Awaitable[Store]]] = {
    "sqlite-file": lambda folder: open_sqlite(folder / "turngate.db"),
    "sqlite-memory": lambda folder: open_sqlite(None),
    "postgres": _open_postgres,
}
"""How to open an empty one; a new implementation joins with a line here."""


@pytest.fixture(scope="session")
def postgres() -> None:
    """Start the server outside of any test's time."""
    database.server()


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.postgres if name == "postgres" else ())
        for name in STORES
    ]
)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    if request.param == "postgres":
        request.getfixturevalue("postgres")
    opened = await STORES[request.param](tmp_path)
    yield opened
    await opened.close()
