"""Lines of an input stream, read in a daemon thread so that the loop never waits for a person.

`LineSplitter` is pure. `LineReader` owns the stream from `start` on: it reads around the stream's
own buffer, so no other code may have read from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Iterator
from typing import TextIO

from channels.stdio.wake import CLOSE_S, Wake, descriptor
from gateway.core.clock import Clock

MAX_LINE_BYTES = 1024 * 1024
"""Longest line accepted; the same bound as a frame of the other channels."""

WAITING_LINES = 16
"""Lines read and not taken. When they are so many, reading pauses and the writer's pipe fills."""

READ_BYTES = 65_536


class TooLong:
    """Stands for a line past the bound; its bytes are gone."""


class LineSplitter:
    """Cuts bytes into lines without their ends, within memory that does not grow with the line."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False
        self._first = True

    def feed(self, data: bytes) -> Iterator[bytes | TooLong]:
        """The lines that `data` completes; one too long is reported as soon as that is known."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            yield from self._grow(data[start:end])
            yield from self.finish()
            start = end + 1
        yield from self._grow(data[start:])

    def finish(self) -> Iterator[bytes | TooLong]:
        """End the current line; at the end of input that is the unterminated one, if any."""
        if not self._skipping:
            line = bytes(self._rest.removesuffix(b"\r"))
            # Windows editors and PowerShell begin a text with a byte order mark.
            yield line.removeprefix(BOM_UTF8) if self._first else line
        self._skipping = self._first = False
        self._rest.clear()

    @property
    def empty(self) -> bool:
        """Whether the current line has no bytes yet."""
        return not self._rest and not self._skipping

    def _grow(self, data: bytes) -> Iterator[TooLong]:
        if self._skipping:
            return
        if len(self._rest) + len(data) > self._limit:
            self._skipping = True
            self._rest.clear()
            yield TooLong()
        else:
            self._rest += data


class LineReader:
    """Hands lines from a thread to the loop, in order, at most `WAITING_LINES` ahead."""

    def __init__(self, stream: TextIO, *, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._splitter = LineSplitter()
        self._items: deque[bytes | TooLong] = deque()
        self._changed = threading.Condition()
        self._arrived = asyncio.Event()
        self._ended = asyncio.Event()
        self._wake = Wake()
        self._started = False
        self._finished = False
        self._stopped = False

    def start(self) -> None:
        """Begin to read; again is nothing."""
        if self._started or self._stopped:
            return
        self._started = True
        loop = asyncio.get_running_loop()
        threading.Thread(
            target=self._work, args=(loop,), name="turngate-stdin", daemon=True
        ).start()

    async def next(self) -> bytes | TooLong | None:
        """The next line; None after the end of input or `stop`. Cancelling takes none."""
        while True:
            with self._changed:
                if self._items and not self._stopped:
                    self._changed.notify()
                    return self._items.popleft()
                if self._finished or self._stopped:
                    return None
                self._arrived.clear()
            await self._arrived.wait()

    def stop(self) -> None:
        """Read no further, forget what waits; called on the loop."""
        with self._changed:
            first, self._stopped = not self._stopped, True
            self._items.clear()
            self._changed.notify()
        self._arrived.set()
        self._wake.ring()
        if first and not self._started:
            self._wake.close()

    async def close(self) -> None:
        """Stop, and wait for the thread to leave the stream, so that its owner may close it."""
        self.stop()
        if self._started:
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(CLOSE_S):
                    await self._ended.wait()

    # --- the thread ------------------------------------------------------------------------------

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        # RuntimeError: the loop was closed without `stop`, nobody is left to read for.
        # ValueError: somebody closed the stream object, which is an end as well.
        with contextlib.suppress(RuntimeError, ValueError):
            try:
                self._read_all(loop)
            finally:
                self._wake.close()
                with self._changed:
                    self._finished = True
                loop.call_soon_threadsafe(self._arrived.set)
                loop.call_soon_threadsafe(self._ended.set)

    def _read_all(self, loop: asyncio.AbstractEventLoop) -> None:
        fd = descriptor(self._stream)
        while data := _text(self._stream) if fd is None else _read(fd, self._wake):
            for line in self._splitter.feed(data):
                if not self._hand_over(line, loop):
                    return
        if not self._splitter.empty:
            for line in self._splitter.finish():
                self._hand_over(line, loop)

    def _hand_over(self, line: bytes | TooLong, loop: asyncio.AbstractEventLoop) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < WAITING_LINES or self._stopped)
            if self._stopped:
                return False
            self._items.append(line)
        loop.call_soon_threadsafe(self._arrived.set)
        return True


def _text(stream: TextIO) -> bytes:
    return stream.read(READ_BYTES).encode("utf-8", "surrogatepass")


def _read(fd: int, wake: Wake) -> bytes:
    """Some bytes; none at the end, when the bell rings, and when the other side is gone."""
    try:
        while True:
            readable, _, _ = select.select([fd, wake.fd], [], [])
            if wake.fd in readable:
                return b""
            # Somebody else may have made the descriptor non-blocking and have been faster.
            with contextlib.suppress(BlockingIOError):
                return os.read(fd, READ_BYTES)
    except OSError:  # a terminal that was hung up: there is no more input
        return b""
