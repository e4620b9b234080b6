"""An output stream written in a daemon thread, so that a stalled reader stops no other output.

A write returns after the bytes have left the process. It fails with the delivery error that says
what became of them: nothing was shown (transient), the reader is gone for good (permanent), or some
of it may have been shown (unknown). Texts are written whole and one after the other; after one that
was cut short the next starts on a line of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TextIO

from channels.stdio.wake import CLOSE_S, Wake, descriptor
from gateway.core.clock import Clock
from gateway.core.errors import DeliveryPermanent, DeliveryTransient, DeliveryUnknown

GONE = frozenset(
    {errno.EPIPE, errno.EBADF, errno.EIO, errno.ENXIO, errno.ECONNRESET, errno.ENOTCONN}
)
"""Failures after which there is no reader: pipe, terminal or socket. A full disk may get space."""


@dataclass(slots=True, eq=False)
class _Job:
    data: bytes
    outcome: asyncio.Future[_Outcome]
    begun: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    written: int
    error: Exception | None = None
    """None with bytes left over: the output was closed."""


class Output:
    """One stream's writing end.

    The queue needs no bound of its own: each waiting text has a caller who waits for it. `on_gone`
    is called on the loop when the reader has gone.
    """

    def __init__(
        self, stream: TextIO, *, encoding: str, clock: Clock, on_gone: Callable[[], None]
    ) -> None:
        self._stream = stream
        self._encoding = encoding
        self._clock = clock
        self._on_gone = on_gone
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._ended = asyncio.Event()
        self._wake = Wake()
        self._started = False
        self._progress = 0
        self._cut_short = False
        self._gone = False
        self._closed = False

    async def write(self, text: str, *, stall_s: float | None) -> None:
        """Write `text`; None waits for a stalled reader as long as it takes.

        Raises `DeliveryTransient`, `DeliveryPermanent` or `DeliveryUnknown`. `stall_s` bounds the
        time without progress, not the whole. Cancelled, or stalled, before its first byte: none
        will be written. After that the rest still follows when the reader goes on.
        """
        if self._gone:
            raise DeliveryPermanent("the reader of the output has gone")
        if self._closed:
            raise DeliveryTransient("the output is closed; nothing was written")
        job = self._enqueue(text)
        try:
            outcome = await self._outcome(job, stall_s)
        except TimeoutError:
            if self._withdraw(job):
                raise DeliveryTransient(
                    f"the output was not read for {stall_s} s; nothing was written"
                ) from None
            raise DeliveryUnknown(
                f"the output was not read for {stall_s} s; what is left of the message "
                "follows when it is read again"
            ) from None
        except asyncio.CancelledError:
            self._withdraw(job)
            raise
        self._raise(job, outcome)

    async def close(self) -> None:
        """Write nothing more, let the thread end; again is nothing."""
        with self._changed:
            first, self._closed = not self._closed, True
            self._changed.notify()
        self._wake.ring()
        if not self._started:
            if first:
                self._wake.close()
            return
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(CLOSE_S):
                await self._ended.wait()

    def _enqueue(self, text: str) -> _Job:
        loop = asyncio.get_running_loop()
        # What the terminal cannot show stays readable as an escape, as Python does on stderr.
        job = _Job(text.encode(self._encoding, "backslashreplace"), loop.create_future())
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
        if not self._started:
            self._started = True
            threading.Thread(
                target=self._work, args=(loop,), name="turngate-output", daemon=True
            ).start()
        return job

    async def _outcome(self, job: _Job, stall_s: float | None) -> _Outcome:
        while True:
            before = self._progress
            try:
                async with self._clock.timeout(stall_s):
                    return await asyncio.shield(job.outcome)
            except TimeoutError:
                if self._progress == before:
                    raise

    def _withdraw(self, job: _Job) -> bool:
        with self._changed:
            if job.begun:
                return False
            self._jobs.remove(job)
            return True

    def _resolve(self, job: _Job, outcome: _Outcome) -> None:
        """Called on the loop; whoever wrote may have given up waiting."""
        if _is_gone(outcome.error) and not self._gone:
            self._gone = True
            self._on_gone()
        if not job.outcome.done():
            job.outcome.set_result(outcome)

    def _raise(self, job: _Job, outcome: _Outcome) -> None:
        """Turn anything but the whole into the error that tells what was shown."""
        if outcome.written == len(job.data):
            return
        why = "the output was closed" if outcome.error is None else str(outcome.error)
        if outcome.written:
            raise DeliveryUnknown(f"{why}; {outcome.written} of {len(job.data)} bytes were written")
        if self._gone:
            raise DeliveryPermanent(f"the reader of the output has gone: {why}") from outcome.error
        raise DeliveryTransient(f"{why}; nothing was written") from outcome.error

    # --- the thread ------------------------------------------------------------------------------

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        # A loop that was closed without `close` raises RuntimeError: nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            try:
                while (job := self._take()) is not None:
                    loop.call_soon_threadsafe(self._resolve, job, self._put(job.data))
            finally:
                self._wake.close()
                with self._changed:
                    left, self._closed = tuple(self._jobs), True
                    self._jobs.clear()
                    for job in left:
                        job.begun = True
                for job in left:
                    loop.call_soon_threadsafe(self._resolve, job, _Outcome(0))
                loop.call_soon_threadsafe(self._ended.set)

    def _take(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            if self._closed:
                return None
            job = self._jobs.popleft()
            job.begun = True
            return job

    def _put(self, data: bytes) -> _Outcome:
        fresh_line = b"\n" if self._cut_short else b""
        written = 0
        error: Exception | None = None
        try:
            for count in self._pour(fresh_line + data):
                written += count
                self._progress += count
        except (OSError, ValueError) as caught:
            error = caught
        shown = max(0, written - len(fresh_line))
        if written:
            self._cut_short = 0 < shown < len(data)
        return _Outcome(shown, error)

    def _pour(self, data: bytes) -> Iterator[int]:
        """Write piece by piece, yielding how much went; stops early when the bell rings."""
        fd = descriptor(self._stream)
        # What was printed through the stream before us stays before us.
        self._stream.flush()
        if fd is None:
            self._stream.write(data.decode(self._encoding))
            self._stream.flush()
            yield len(data)
            return
        left = memoryview(data)
        while left:
            rung, _, _ = select.select([self._wake.fd], [fd], [])
            if rung:
                return
            with contextlib.suppress(BlockingIOError):
                # So much a pipe takes without blocking once it is reported ready.
                count = os.write(fd, left[: select.PIPE_BUF])
                left = left[count:]
                yield count


def _is_gone(error: Exception | None) -> bool:
    # ValueError: the stream object was closed.
    return isinstance(error, ValueError) or (isinstance(error, OSError) and error.errno in GONE)
