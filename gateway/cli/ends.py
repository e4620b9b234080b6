"""How the turns said in a terminal end: what a script learns from the exit code, a program by line.

Stands between a terminal and the intake behind it. Knows nothing of where that intake is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from channels.base.channel import Intake, Terminal
from channels.base.messages import Accepted, Inbound, TurnEnd
from gateway.core.errors import TurngateError
from gateway.core.ids import TurnId
from gateway.core.tasks import Ending, TaskOwner
from gateway.telemetry.tasks import task_failed
from gateway.turns.waiting import Ended

FOLLOWED = 1000
"""Turns whose end is waited for at once; then the terminal accepts no more until one has ended."""

Follow = Callable[[TurnId], Awaitable[Ended | None]]


class Ends:
    """`channels.base.channel.Intake` in front of another. `failed`: something was not answered."""

    def __init__(self, intake: Intake, terminal: Terminal, follow: Follow | None = None) -> None:
        self._intake = intake
        self._terminal = terminal
        self._follow = follow
        self._room = asyncio.Semaphore(FOLLOWED)
        self._owner = TaskOwner("ends", task_failed)
        self.failed = False

    async def accept(self, message: Inbound) -> Accepted:
        """See `Intake`; a refusal is a failure too."""
        try:
            accepted = await self._intake.accept(message)
        except TurngateError:
            self.failed = True
            raise
        if self._follow is not None:
            await self._room.acquire()
            self._owner.start(
                "follow", self._followed(self._follow, accepted.turn_id), ending=Ending.CANCELLABLE
            )
        return accepted

    async def cancel(self, turn_id: TurnId) -> None:
        """See `Intake`."""
        await self._intake.cancel(turn_id)

    async def tell(self, end: TurnEnd) -> None:
        """A turn that was said here has ended."""
        if end.state in ("failed", "expired"):
            self.failed = True
        await self._terminal.ended(end)

    async def told(self) -> None:
        """Wait until every end that is followed has been told."""
        await self._owner.join()

    async def close(self) -> None:
        """Follow no more."""
        await self._owner.close()

    async def _followed(self, follow: Follow, turn_id: TurnId) -> None:
        try:
            ended = await follow(turn_id)
            if ended is not None:
                await self.tell(TurnEnd(turn_id, ended.state, ended.kind, ended.turn_id))
        finally:
            self._room.release()
