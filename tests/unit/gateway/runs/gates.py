"""Places that are passed once they are opened, by name."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Gates:
    """One gate a name."""

    def __init__(self) -> None:
        self._gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def open(self, *names: str) -> None:
        for name in names:
            self._gates[name].set()

    async def passed(self, name: str) -> None:
        await self._gates[name].wait()
