"""Small stand-ins for what a test wants to be quick, quiet or watched."""

from __future__ import annotations

import io

from gateway.core.clock import SystemClock


class Middle:
    """Chance that is always the middle: pauses without jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Brisk(SystemClock):
    """Real time whose pauses are cut short."""

    def __init__(self, longest_s: float = 0.05) -> None:
        super().__init__()
        self._longest_s = longest_s

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, self._longest_s))


class Terminal(io.StringIO):
    """A stream somebody reads."""

    def isatty(self) -> bool:
        return True
