"""The last resort: says what hangs, then ends the process."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from gateway.core.clock import settle
from gateway.http.watchdog import EXIT_HUNG, Watchdog, waits_of


class Ends:
    """Instead of the end of the process."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.ended = threading.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.ended.set()


async def stuck() -> None:
    await asyncio.Event().wait()


async def outer() -> None:
    await stuck()


@pytest.fixture
def out(tmp_path: Path) -> Iterator[TextIO]:
    """A real file: what dumps the threads writes past Python's buffers."""
    with (tmp_path / "dump").open("w+", encoding="utf-8") as file:
        yield file


async def test_it_names_what_every_task_and_thread_waits_for_and_ends(out: TextIO) -> None:
    ends = Ends()
    watchdog = Watchdog(asyncio.get_running_loop(), 0.02, out=out, end=ends)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outer(), name="hanging")
        await settle()
        watchdog.arm()
        watchdog.arm()
        await asyncio.to_thread(ends.ended.wait, 3)
        task.cancel()
    assert ends.codes == [EXIT_HUNG]
    out.seek(0)
    said = out.read()
    assert "Thread 0x" in said
    assert "longer than 0.02 s" in said
    assert "task hanging" in said
    assert "in stuck" in said


async def test_the_whole_chain_of_awaits_is_shown() -> None:
    task = asyncio.get_running_loop().create_task(outer(), name="chain")
    await settle()
    lines = waits_of(task)
    task.cancel()
    await settle()
    assert lines[0] == "task chain"
    assert [line.rsplit(" ", 1)[1] for line in lines[1:]] == ["outer", "stuck", "Event.wait"]
