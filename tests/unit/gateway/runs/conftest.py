"""Processes on the store in memory and the clock that stands still."""

from collections.abc import AsyncIterator, Callable

import pytest

from gateway.core.clock import ManualClock
from gateway.core.ids import SequentialIds
from tests.unit.gateway.runs.scripts import Body, Process, Script
from tests.unit.gateway.runs.stores import FlakyStore

Start = Callable[..., Process]


@pytest.fixture
async def start(store: FlakyStore, clock: ManualClock) -> AsyncIterator[Start]:
    """Start a process on the store in memory, or on the one given; all end with the test."""
    ids = SequentialIds()
    processes: list[Process] = []

    def begin(body: Body, *, on: FlakyStore | None = None) -> Process:
        process = Process(on or store, Script(body), clock, ids)
        processes.append(process)
        return process

    yield begin
    for process in processes:
        await process.die()
        await process.engine.stop()
        assert not process.failed
