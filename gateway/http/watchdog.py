"""The last resort of a stop: says what hangs, then ends the process.

A thread, because what hangs may be the loop. Ending hard is safe: everything that was acknowledged
is durable, and the next start takes up the rest.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

EXIT_HUNG = 1
"""A stop that had to be forced is no success, and a service manager should show it."""


class Watchdog:
    """Ends the process `after_s` from when it is armed. `out` is a file of the system's own."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        after_s: float,
        *,
        out: TextIO | None = None,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._loop = loop
        self._after_s = after_s
        self._out = out
        self._end = end
        self._timer: threading.Timer | None = None

    def arm(self) -> None:
        """Start counting; later calls change nothing. May be called from a signal handler."""
        if self._timer is None:
            self._timer = threading.Timer(self._after_s, self._bite)
            self._timer.name = "watchdog"
            self._timer.daemon = True
            self._timer.start()

    def _bite(self) -> None:
        out = self._out or sys.stderr
        try:
            out.write(f"turngate: the stop took longer than {self._after_s:g} s; what hangs:\n")
            for task in asyncio.all_tasks(self._loop):
                out.write("".join(f"{line}\n" for line in waits_of(task)))
            out.flush()
            faulthandler.dump_traceback(file=out, all_threads=True)
        finally:
            self._end(EXIT_HUNG)


def waits_of(task: asyncio.Task[Any]) -> list[str]:
    """Where a task waits, outermost first: a task's own stack shows the outermost frame only."""
    lines = [f"task {task.get_name()}"]
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            code = frame.f_code
            lines.append(f"  {code.co_filename}:{frame.f_lineno} in {code.co_qualname}")
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return lines
