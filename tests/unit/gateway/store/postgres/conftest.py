"""Databases of one test's own; every test here that asks for one needs a server."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.core.clock import SystemClock
from gateway.store.postgres.store import PostgresStore, connect_store
from tests.support import database

Open = Callable[..., Awaitable[PostgresStore]]


@pytest.fixture(scope="session")
def server() -> None:
    """Start the server outside of any test's time."""
    database.server()


@pytest.fixture
async def url(server: None) -> str:
    """An empty schema."""
    return await database.fresh_url()


@pytest.fixture
async def connect(url: str) -> AsyncIterator[Open]:
    """Opens stores on one database, and closes them."""
    opened: list[PostgresStore] = []

    async def connect(at: str = "") -> PostgresStore:
        store = await connect_store(at or url, clock=SystemClock(), callers_clock=True)
        opened.append(store)
        return store

    yield connect
    for store in opened:
        await store.close()
