"""A clock that stands still, and a store in memory that misbehaves when it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.core.clock import ManualClock
from gateway.store.sqlite.store import open_sqlite
from tests.unit.gateway.runs.stores import FlakyStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store() -> AsyncIterator[FlakyStore]:
    opened = FlakyStore(await open_sqlite(None))
    yield opened
    await opened.close()
