"""Waiting in a profile's line: the only part of it that knows of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agents.resilience.line import Line, Ticket


@asynccontextmanager
async def in_line(line: Line, ticket: Ticket, told: Callable[[int], None]) -> AsyncIterator[bool]:
    """A place among the requests under way, after a wait where there is none; yields whether it
    had to wait. `told` hears of each new place in the line, 0 at its end. Cancelling leaves it."""
    waited = not line.enter(ticket)
    try:
        if waited:
            await _admitted(ticket, told)
        yield waited
    finally:
        line.leave(ticket)


async def _admitted(ticket: Ticket, told: Callable[[int], None]) -> None:
    admitted = asyncio.Event()

    def changed() -> None:
        told(ticket.place)
        if not ticket.place:
            admitted.set()

    ticket.changed = changed
    told(ticket.place)
    await admitted.wait()
