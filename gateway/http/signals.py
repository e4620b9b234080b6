"""SIGTERM and SIGINT: the first asks for a stop, the second does not ask.

Plain handlers instead of the loop's own, which would not run while something blocks the loop; the
watchdog starts counting in the handler for the same reason.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signals(
    on_first: Callable[[], None], *, end: Callable[[int], object] = os._exit
) -> Iterator[None]:
    """Call `on_first` at the first signal; the second ends the process at once, as the shell knows
    it (128 and the number). What was acknowledged is durable by then.

    For the main thread. The handlers that were there come back at the end.
    """
    asked = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            end(128 + number)
        asked = True
        on_first()

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
