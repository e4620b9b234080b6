"""Runs of tasks wait for a place, a few at once; one that may be poisonous has the place alone."""

from __future__ import annotations

from typing import cast

import pytest
import structlog

from gateway.core.clock import settle
from gateway.core.errors import NotFound
from gateway.core.ids import RunId
from gateway.runs.engine import Engine
from gateway.runs.queue import AT_ONCE, RunQueue
from tests.unit.gateway.runs.gates import Gates


class Held:
    """An engine whose executions stand until they are let go."""

    def __init__(self) -> None:
        self.gates = Gates()
        self.running: list[str] = []

    async def execute(self, run_id: str) -> str:
        self.running.append(run_id)
        try:
            await self.gates.passed(run_id)
        finally:
            self.running.remove(run_id)
        if run_id == "unknown":
            raise NotFound("there is no run")
        return "ended"


@pytest.fixture
def engine() -> Held:
    return Held()


@pytest.fixture
def queue() -> RunQueue:
    return RunQueue()


def put(queue: RunQueue, *names: str, alone: bool = False) -> None:
    for name in names:
        queue.put(RunId(name), alone=alone)


async def test_so_many_are_executed_at_once_in_order(queue: RunQueue, engine: Held) -> None:
    """What was put before the start waits for it."""
    names = [f"r{number}" for number in range(AT_ONCE + 2)]
    put(queue, *names)
    queue.start(cast("Engine", engine))
    await settle()
    assert engine.running == names[:AT_ONCE]
    assert len(queue) == 2
    engine.gates.open("r3")
    await settle()
    assert engine.running[-1] == names[AT_ONCE]
    engine.gates.open(*names)
    await queue.drained()
    assert engine.running == []


async def test_one_that_has_to_be_alone_waits_for_that_and_holds_up_others(
    queue: RunQueue, engine: Held
) -> None:
    """Nothing is beside it."""
    queue.start(cast("Engine", engine))
    put(queue, "first")
    put(queue, "poison", alone=True)
    put(queue, "last")
    await settle()
    assert engine.running == ["first"]
    engine.gates.open("first")
    await settle()
    assert engine.running == ["poison"]
    engine.gates.open("poison")
    await settle()
    assert engine.running == ["last"]
    engine.gates.open("last")
    await queue.drained()


async def test_one_that_cannot_be_executed_holds_up_nobody(queue: RunQueue, engine: Held) -> None:
    """It is told, and is found again by whoever looks."""
    queue.start(cast("Engine", engine))
    engine.gates.open("unknown", "next")
    with structlog.testing.capture_logs() as lines:
        put(queue, "unknown", "next")
        await queue.drained()
    assert [line["event"] for line in lines] == ["task.not_executed"]


async def test_stopping_begins_nothing_more(queue: RunQueue, engine: Held) -> None:
    """What waits is in the store, and due."""
    queue.start(cast("Engine", engine))
    put(queue, *(f"r{number}" for number in range(AT_ONCE + 1)))
    await settle()
    queue.stop()
    put(queue, "late")
    engine.gates.open(*(f"r{number}" for number in range(AT_ONCE)))
    await queue.drained()
    assert engine.running == []
