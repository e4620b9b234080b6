"""What becomes of a text when its reader stalls, leaves, or the disk is full."""

from __future__ import annotations

import asyncio
import io
import os
import resource
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

from channels.stdio.output import Output
from gateway.core.clock import Clock, ManualClock, SystemClock, settle
from gateway.core.errors import (
    DeliveryError,
    DeliveryPermanent,
    DeliveryTransient,
    DeliveryUnknown,
)
from tests.support.patience import PATIENCE_S
from tests.unit.channels.recording import BUFFER_BYTES, Pipes, open_pipes

MORE_THAN_A_PIPE = "x" * 1024 * 1024 + "\n"


class Written:
    """An output, and how often it said that its reader has gone."""

    def __init__(self, stream: TextIO, clock: Clock, encoding: str = "utf-8") -> None:
        self.gone = 0
        self.output = Output(stream, encoding=encoding, clock=clock, on_gone=self._count)

    async def write(self, text: str) -> None:
        await self.output.write(text, stall_s=10)

    def _count(self) -> None:
        self.gone += 1


@asynccontextmanager
async def on_a_pipe(
    clock: Clock | None = None, *, buffer: int = BUFFER_BYTES
) -> AsyncIterator[tuple[Written, Pipes]]:
    async with open_pipes(buffer=buffer) as pipes:
        written = Written(pipes.streams.stdout, clock or SystemClock())
        try:
            yield written, pipes
        finally:
            await written.output.close()
            for thread in threading.enumerate():
                if thread.name == "turngate-output":
                    thread.join(PATIENCE_S)
                    assert not thread.is_alive()


async def outcome(write: Coroutine[Any, Any, None]) -> Exception | None:
    """How a write ends, as a value: it ends in a task of its own."""
    try:
        await write
    except DeliveryError as error:
        return error
    return None


Writing = asyncio.Task[Exception | None]


async def stalled(written: Written, pipes: Pipes, tasks: asyncio.TaskGroup) -> Writing:
    """A write of which the reader took one byte and no more."""
    writing = tasks.create_task(outcome(written.write(MORE_THAN_A_PIPE)))
    assert await pipes.stdout.bytes(1) == b"x"
    pipes.stdout.stall()
    return writing


async def run_out(clock: ManualClock, writing: Writing) -> Exception | None:
    """Let time pass until the write gives up; the thread may still make progress meanwhile."""
    while not writing.done():
        await clock.advance(10)
    return writing.result()


async def test_a_write_returns_when_the_text_has_left() -> None:
    async with on_a_pipe() as (written, pipes):
        await written.write("zwölf 🐙\n")
        assert await pipes.stdout.line() == "zwölf 🐙\n"


async def test_a_text_longer_than_a_pipe_waits_for_its_reader() -> None:
    async with on_a_pipe() as (written, pipes), asyncio.TaskGroup() as tasks:
        tasks.create_task(written.write(MORE_THAN_A_PIPE))
        assert await pipes.stdout.line() == MORE_THAN_A_PIPE


async def test_texts_leave_whole_and_in_order() -> None:
    async with on_a_pipe() as (written, pipes), asyncio.TaskGroup() as tasks:
        texts = [f"{n}" * 50_000 + "\n" for n in range(8)]
        for text in texts:
            tasks.create_task(written.write(text))
        assert [await pipes.stdout.line() for _ in texts] == texts


async def test_what_was_printed_before_stays_before() -> None:
    async with on_a_pipe() as (written, pipes):
        pipes.streams.stdout.write("banner\n")
        await written.write("answer\n")
        assert [await pipes.stdout.line(), await pipes.stdout.line()] == ["banner\n", "answer\n"]


async def test_what_the_encoding_lacks_is_escaped() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    written = Written(stream, SystemClock(), encoding="ascii")
    await written.write("na\u00efve \ud83d\n")
    await written.output.close()
    stream.seek(0)
    assert stream.read() == "na\\xefve \\ud83d\n"


# --- a reader that stalls ------------------------------------------------------------------------


async def test_a_stalled_write_is_unknown_and_the_rest_still_follows() -> None:
    clock = ManualClock()
    async with on_a_pipe(clock) as (written, pipes), asyncio.TaskGroup() as tasks:
        error = await run_out(clock, await stalled(written, pipes, tasks))
        assert isinstance(error, DeliveryUnknown)
        assert "the output was not read for 10 s" in str(error)
        pipes.stdout.resume()
        assert await pipes.stdout.line() == MORE_THAN_A_PIPE[1:]
        await written.write("next\n")
        assert await pipes.stdout.line() == "next\n"


async def test_a_write_behind_a_stalled_one_is_taken_back() -> None:
    clock = ManualClock()
    async with on_a_pipe(clock) as (written, pipes), asyncio.TaskGroup() as tasks:
        await stalled(written, pipes, tasks)
        behind = tasks.create_task(outcome(written.write("behind\n")))
        error = await run_out(clock, behind)
        assert isinstance(error, DeliveryTransient)
        assert "nothing was written" in str(error)
        pipes.stdout.resume()
        assert await pipes.stdout.line() == MORE_THAN_A_PIPE[1:]
        await written.write("next\n")
        assert await pipes.stdout.line() == "next\n"


async def test_progress_starts_the_wait_anew() -> None:
    """A slow reader is no stalled one, however long the text takes."""
    clock = ManualClock()
    async with (
        on_a_pipe(clock, buffer=65_536) as (written, pipes),
        asyncio.TaskGroup() as tasks,
    ):
        # Twice what pipe and buffers hold: to have read that much, something was written since.
        piece = 1024 * 1024
        writing = tasks.create_task(outcome(written.write("x" * 4 * piece)))
        for _ in range(4):
            await pipes.stdout.bytes(piece)
            await clock.advance(9)
        assert await writing is None


async def test_a_patient_write_waits_as_long_as_it_takes() -> None:
    clock = ManualClock()
    async with on_a_pipe(clock) as (written, pipes), asyncio.TaskGroup() as tasks:
        await stalled(written, pipes, tasks)
        behind = tasks.create_task(outcome(written.output.write("patient\n", stall_s=None)))
        await clock.advance(3600)
        assert not behind.done()
        pipes.stdout.resume()
        assert await pipes.stdout.line() == MORE_THAN_A_PIPE[1:]
        assert await pipes.stdout.line() == "patient\n"
        assert await behind is None


@pytest.mark.parametrize("begun", [True, False])
async def test_a_cancelled_write_is_finished_when_begun_and_else_never_happens(
    begun: bool,
) -> None:
    async with on_a_pipe() as (written, pipes), asyncio.TaskGroup() as tasks:
        writing = await stalled(written, pipes, tasks)
        behind = tasks.create_task(outcome(written.write("behind\n")))
        await settle()
        (writing if begun else behind).cancel()
        await settle()
        pipes.stdout.resume()
        assert await pipes.stdout.line() == MORE_THAN_A_PIPE[1:]
        if not begun:
            await written.write("next\n")
        assert await pipes.stdout.line() == ("behind\n" if begun else "next\n")


# --- a reader that leaves ------------------------------------------------------------------------


async def test_a_text_for_a_reader_who_has_gone_is_undeliverable() -> None:
    async with on_a_pipe() as (written, pipes):
        await pipes.stdout.leave()
        for _ in range(2):
            with pytest.raises(DeliveryPermanent, match="has gone"):
                await written.write("too late\n")
        assert written.gone == 1


async def test_a_text_the_reader_leaves_in_the_middle_of_is_unknown() -> None:
    async with on_a_pipe() as (written, pipes), asyncio.TaskGroup() as tasks:
        writing = await stalled(written, pipes, tasks)
        behind = tasks.create_task(outcome(written.write("behind\n")))
        await settle()
        await pipes.stdout.leave()
        assert isinstance(await writing, DeliveryUnknown)
        assert isinstance(await behind, DeliveryPermanent)
        assert written.gone == 1


async def test_a_leaving_is_noticed_when_nobody_waits_any_more() -> None:
    clock = ManualClock()
    async with on_a_pipe(clock) as (written, pipes), asyncio.TaskGroup() as tasks:
        await run_out(clock, await stalled(written, pipes, tasks))
        await pipes.stdout.leave()
        assert isinstance(await outcome(written.write("next\n")), DeliveryPermanent)
        assert written.gone == 1


async def test_a_stream_somebody_closed_has_no_reader() -> None:
    stream = io.StringIO()
    stream.close()
    written = Written(stream, SystemClock())
    with pytest.raises(DeliveryPermanent, match="closed file"):
        await written.write("too late\n")
    assert written.gone == 1
    await written.output.close()


# --- a disk that is full -------------------------------------------------------------------------


@pytest.fixture
def full_disk() -> Iterator[TextIO]:
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("a device of Linux")
    with device.open("w") as stream:
        yield stream


async def test_a_full_disk_may_get_space_again(full_disk: TextIO) -> None:
    written = Written(full_disk, SystemClock())
    for _ in range(2):
        with pytest.raises(DeliveryTransient, match="nothing was written"):
            await written.write("answer\n")
    assert written.gone == 0
    await written.output.close()


async def test_after_a_text_cut_short_the_next_starts_on_its_own_line(tmp_path: Path) -> None:
    """Else a program that reads lines would lose the next one as well."""
    path = tmp_path / "log"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with path.open("w") as stream:
        written = Written(stream, SystemClock())
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
        try:
            with pytest.raises(DeliveryUnknown, match="65536 of 100001 bytes were written"):
                await written.write("x" * 100_000 + "\n")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await written.write("next\n")
        await written.write("last\n")
        await written.output.close()
    assert path.read_text() == "x" * 65_536 + "\nnext\nlast\n"


# --- closing -------------------------------------------------------------------------------------


async def test_closing_tells_every_writer_what_became_of_his_text() -> None:
    async with on_a_pipe() as (written, pipes), asyncio.TaskGroup() as tasks:
        writing = await stalled(written, pipes, tasks)
        behind = tasks.create_task(outcome(written.write("behind\n")))
        await settle()
        await written.output.close()
        await written.output.close()
        assert isinstance(await writing, DeliveryUnknown)
        assert isinstance(await behind, DeliveryTransient)
        with pytest.raises(DeliveryTransient, match="closed; nothing was written"):
            await written.write("too late\n")
        assert written.gone == 0


class Stuck(io.StringIO):
    """A stream whose write returns when the test says so, as a dead network disk does."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()

    def write(self, text: str, /) -> int:
        self.entered.set()
        self.released.wait(PATIENCE_S)
        return len(text)


async def test_closing_does_not_wait_for_ever_for_a_system_call() -> None:
    clock, stream = ManualClock(), Stuck()
    written = Written(stream, clock)
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(outcome(written.write("answer\n")))
        await asyncio.to_thread(stream.entered.wait, PATIENCE_S)
        closing = tasks.create_task(written.output.close())
        await clock.advance(1)
        await closing
        assert not writing.done()
        stream.released.set()
        assert await writing is None


async def test_closing_before_writing_leaves_no_descriptor() -> None:
    before = len(os.listdir("/dev/fd"))
    output = Written(io.StringIO(), SystemClock()).output
    await output.close()
    await output.close()
    assert len(os.listdir("/dev/fd")) <= before
