"""Asking a store again while it refuses: for what must be known or kept, however long it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.core.clock import Clock
from gateway.core.errors import StoreUnavailable

RETRY_S = 1.0
"""How soon a store that refused is asked again: a full disk or a lost database takes longer to mend
than that, and a process asks no more often than this for each thing that waits."""

T = TypeVar("T")


async def until_answered(
    ask: Callable[[], Awaitable[T]], clock: Clock, put_off: Callable[[StoreUnavailable], object]
) -> T:
    """What `ask` gives once the store does not refuse; `put_off` hears of each refusal.

    Cancelled: the last asking holds or not, as the store says.
    """
    while True:
        try:
            return await ask()
        except StoreUnavailable as error:
            put_off(error)
        await clock.sleep(RETRY_S)
