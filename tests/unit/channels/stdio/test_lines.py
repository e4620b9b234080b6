"""Cutting bytes into lines, and the thread that reads them."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from channels.stdio.lines import MAX_LINE_BYTES, WAITING_LINES, LineReader, LineSplitter, TooLong
from gateway.core.clock import ManualClock, SystemClock, settle
from tests.support.patience import PATIENCE_S
from tests.unit.channels.recording import open_pipes

# --- cutting -------------------------------------------------------------------------------------


def split(chunks: list[bytes], limit: int = 1000) -> list[bytes | None]:
    """All lines; None for one that was too long."""
    splitter = LineSplitter(limit)
    lines = [line for data in chunks for line in splitter.feed(data)]
    if not splitter.empty:
        lines += splitter.finish()
    return [None if isinstance(line, TooLong) else line for line in lines]


@given(st.lists(st.text("ab\n", max_size=8).map(str.encode), max_size=8))
def test_lines_do_not_depend_on_how_the_bytes_came(chunks: list[bytes]) -> None:
    *lines, rest = b"".join(chunks).split(b"\n")
    assert split(chunks) == [*lines, *([rest] if rest else [])]


@given(st.lists(st.text("ab\n", max_size=8).map(str.encode), max_size=8), st.integers(0, 5))
def test_a_long_line_takes_no_other_with_it(chunks: list[bytes], limit: int) -> None:
    expected = [None if line is None or len(line) > limit else line for line in split(chunks)]
    assert split(chunks, limit) == expected


def test_a_long_line_is_reported_before_its_end() -> None:
    splitter = LineSplitter(4)
    assert [type(line) for line in splitter.feed(b"aaaaa")] == [TooLong]
    assert list(splitter.feed(b"aaaaa")) == []
    assert not splitter.empty
    assert list(splitter.feed(b"a\nb\n")) == [b"b"]


def test_windows_line_ends_are_line_ends() -> None:
    assert split([b"a\r", b"\nb\r\nc\rd\n"]) == [b"a", b"b", b"c\rd"]


def test_a_byte_order_mark_before_the_first_line_is_no_part_of_it() -> None:
    assert split([b"\xef", b"\xbb\xbfa\r\n\xef\xbb\xbfb\n"]) == [b"a", b"\xef\xbb\xbfb"]


# --- reading -------------------------------------------------------------------------------------


async def drain(reader: LineReader) -> list[bytes]:
    lines = []
    async with asyncio.timeout(PATIENCE_S):
        while (line := await reader.next()) is not None:
            assert isinstance(line, bytes)
            lines.append(line)
    return lines


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "turngate-stdin"]


def join_threads() -> None:
    for thread in reading_threads():
        thread.join(PATIENCE_S)
    assert reading_threads() == []


async def test_lines_come_from_a_pipe_and_end_with_it() -> None:
    async with open_pipes() as pipes:
        reader = LineReader(pipes.streams.stdin, clock=SystemClock())
        reader.start()
        reader.start()
        pipes.write("one\n\ntwo\nunfinished")
        pipes.hang_up()
        assert await drain(reader) == [b"one", b"", b"two", b"unfinished"]
        assert await reader.next() is None
        join_threads()
        await reader.close()


async def test_lines_come_from_a_regular_file(tmp_path: Path) -> None:
    """`turngate chat < questions`; not every way of waiting for input can wait for a file."""
    path = tmp_path / "questions"
    path.write_bytes(b"one\ntwo\n")
    with path.open() as stdin:
        reader = LineReader(stdin, clock=SystemClock())
        reader.start()
        assert await drain(reader) == [b"one", b"two"]
        join_threads()
    await reader.close()


async def test_lines_come_from_a_stream_in_memory() -> None:
    reader = LineReader(io.StringIO("one\nzw\u00f6lf \ud83d\n"), clock=SystemClock())
    reader.start()
    assert await drain(reader) == [b"one", "zw\u00f6lf \ud83d".encode("utf-8", "surrogatepass")]
    await reader.close()


async def test_a_stream_that_is_closed_has_ended() -> None:
    stream = io.StringIO("never read\n")
    stream.close()
    reader = LineReader(stream, clock=SystemClock())
    reader.start()
    assert await drain(reader) == []
    await reader.close()


async def test_a_long_line_is_dropped_to_its_end() -> None:
    async with open_pipes() as pipes:
        reader = LineReader(pipes.streams.stdin, clock=SystemClock())
        reader.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                pipes.pour(b"x" * MAX_LINE_BYTES + b"\n" + b"y" * (MAX_LINE_BYTES + 1) + b"\nz\n")
            )
            assert await reader.next() == b"x" * MAX_LINE_BYTES
            assert isinstance(await reader.next(), TooLong)
            assert await reader.next() == b"z"
        await reader.close()
        join_threads()


class CountingStream(io.StringIO):
    """One line a read, and how many reads there were."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.left = lines
        self.reads = 0

    def read(self, size: int | None = -1, /) -> str:
        if self.left == 0:
            return ""
        self.left -= 1
        self.reads += 1
        return f"line {self.reads}\n"


async def test_reading_pauses_when_nobody_takes_the_lines() -> None:
    stream = CountingStream(lines=200)
    reader = LineReader(stream, clock=SystemClock())
    reader.start()
    for taken in range(1, 201):
        assert await reader.next() == b"line %d" % taken
        # One more is in the thread's hand.
        assert stream.reads <= taken + WAITING_LINES + 1
    assert await reader.next() is None
    await reader.close()


async def test_stopping_ends_the_wait_and_the_thread() -> None:
    async with open_pipes() as pipes, asyncio.TaskGroup() as tasks:
        reader = LineReader(pipes.streams.stdin, clock=SystemClock())
        reader.start()
        waiting = tasks.create_task(reader.next())
        await settle()
        reader.stop()
        reader.stop()
        assert await waiting is None
        join_threads()
        reader.start()
        assert reading_threads() == []


async def test_stopping_ends_a_thread_that_waits_for_room() -> None:
    async with open_pipes() as pipes:
        reader = LineReader(pipes.streams.stdin, clock=SystemClock())
        reader.start()
        pipes.write("line\n" * (WAITING_LINES * 3))
        assert await reader.next() == b"line"
        await reader.close()
        join_threads()
        assert await reader.next() is None


async def test_stopping_before_starting_leaves_no_descriptor() -> None:
    before = len(os.listdir("/dev/fd"))
    reader = LineReader(io.StringIO(), clock=SystemClock())
    reader.stop()
    assert len(os.listdir("/dev/fd")) <= before
    assert await reader.next() is None


async def test_cancelling_the_wait_takes_no_line() -> None:
    async with open_pipes() as pipes, asyncio.TaskGroup() as tasks:
        reader = LineReader(pipes.streams.stdin, clock=SystemClock())
        reader.start()
        waiting = tasks.create_task(reader.next())
        await settle()
        waiting.cancel()
        await asyncio.wait({waiting})
        pipes.write("still there\n")
        assert await reader.next() == b"still there"
        await reader.close()
        join_threads()


async def test_a_terminal_that_hangs_up_has_ended() -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as stdin:
        reader = LineReader(stdin, clock=SystemClock())
        reader.start()
        os.write(ours, b"hello\n")
        assert await reader.next() == b"hello"
        os.close(ours)
        assert await drain(reader) == []
        join_threads()
    await reader.close()


class Stuck(io.StringIO):
    """A stream whose read returns when the test says so; it has no descriptor to wait on."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def read(self, size: int | None = -1, /) -> str:
        self.released.wait(PATIENCE_S)
        return ""


async def test_closing_does_not_wait_for_ever_for_a_read() -> None:
    clock, stream = ManualClock(), Stuck()
    reader = LineReader(stream, clock=clock)
    reader.start()
    async with asyncio.TaskGroup() as tasks:
        closing = tasks.create_task(reader.close())
        await clock.advance(1)
        await closing
    assert reading_threads()
    stream.released.set()
    join_threads()


class Directory(io.StringIO):
    """`turngate chat < .`: the descriptor can be waited for and not read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._fd = os.open(path, os.O_RDONLY)

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)
        super().close()


async def test_a_descriptor_that_cannot_be_read_has_ended(tmp_path: Path) -> None:
    with Directory(tmp_path) as stdin:
        reader = LineReader(stdin, clock=SystemClock())
        reader.start()
        assert await drain(reader) == []
        join_threads()
    await reader.close()


def test_a_loop_that_ends_without_stopping_ends_the_thread() -> None:
    """Nobody is left to read for; the thread says nothing about it."""
    ours, theirs = os.pipe()

    async def abandon() -> None:
        reader.start()
        await settle()

    with os.fdopen(ours) as stdin, os.fdopen(theirs, "w") as writer:
        reader = LineReader(stdin, clock=SystemClock())
        asyncio.run(abandon())
        writer.write("too late\n")
        writer.flush()
        join_threads()
    reader.stop()
