"""The stores that the contract is held against."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.store.base.store import Store
from gateway.store.sqlite.store import open_sqlite

STORES: dict[str, Callable[[Path], Awaitable[Store]]] = {
    "sqlite-file": lambda folder: open_sqlite(folder / "turngate.db"),
    "sqlite-memory": lambda folder: open_sqlite(None),
}
"""How to open an empty one; a new implementation joins with a line here."""


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    opened = await STORES[request.param](tmp_path)
    yield opened
    await opened.close()
