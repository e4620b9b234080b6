"""A clock that stands still and a store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.core.clock import ManualClock
from gateway.store.base.store import Store
from gateway.store.sqlite.store import open_sqlite


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    opened = await open_sqlite(None)
    yield opened
    await opened.close()
