"""A bell for a thread that stands in `select`: threads of the stdio channel end when told.

Descriptors are read and written with `os.read` and `os.write` after `select`. A thread that is
still inside a buffered stream when the interpreter ends takes the process down with it: the stream
is flushed or closed at exit and its lock is held. `select` and not `epoll` or `poll`: the former
refuses regular files, the latter terminals on macOS.
"""

from __future__ import annotations

import contextlib
import io
import os
from typing import TextIO

CLOSE_S = 1.0
"""How long a close waits for a thread inside a system call that no bell can reach."""


class Wake:
    """Rung by one thread; waited on, then closed, by another.

    Made early: `select` takes small descriptors only, and later sockets may have used them up.
    """

    def __init__(self) -> None:
        self.fd, self._bell = os.pipe()
        self._rung = False

    def ring(self) -> None:
        """Make `fd` readable for good; again is nothing."""
        if not self._rung:
            self._rung = True
            os.close(self._bell)

    def close(self) -> None:
        """Called by the waiting thread, as its last act."""
        os.close(self.fd)


def descriptor(stream: TextIO) -> int | None:
    """The stream's file descriptor; None for a stream that lives in memory."""
    with contextlib.suppress(io.UnsupportedOperation):
        return stream.fileno()
    return None
