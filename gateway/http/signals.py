"""SIGTERM and SIGINT: the first asks for a stop, the second for a quicker one, the third ends.

Plain handlers instead of the loop's own, which would not run while something blocks the loop; the
watchdog starts counting in the handler for the same reason.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

from gateway.core.clock import Clock

SIGNALS = (signal.SIGTERM, signal.SIGINT)

SAME_WISH_S = 1.0
"""Signals closer than this are one wish: `timeout` signals a process and then its whole group, a
shell's Ctrl-C reaches a process that its parent signals as well, and fingers stutter."""


def stop_on_signals(
    on_ask: Callable[[int], None],
    on_hurry: Callable[[], None],
    *,
    clock: Clock,
    end: Callable[[int], object] = os._exit,
) -> Callable[[], None]:
    """From now on call `on_ask` with the first signal's number and `on_hurry` at the second.

    The third ends the process at once, as the shell knows it (128 and the number). What was
    acknowledged is durable by then. For the main thread; what is returned brings the handlers back
    that were there, for a process that lives on.
    """
    heard = 0
    last_at = 0.0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal heard, last_at
        now = clock.monotonic()
        if heard and now - last_at < SAME_WISH_S:
            return
        heard, last_at = heard + 1, now
        if heard == 1:
            on_ask(number)
        elif heard == 2:
            on_hurry()
        else:
            end(128 + number)

    before = {number: signal.signal(number, handle) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return restore
