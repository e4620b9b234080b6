"""Requests without an answer yet: an id stands for one of them, and its client may take it back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.core.errors import InvalidInput, RequestCancelled
from gateway.wire.jsonrpc import Id, Request

Answer = bytes | None


@dataclass(slots=True, eq=False)
class Flight:
    """One request on its way. `task` works on it at the moment."""

    task: asyncio.Task[object] | None = None
    taken_back: bool = False

    async def run(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `work` answers; raises `RequestCancelled` once the client took the request back."""
        self._check()
        task = self.task = asyncio.current_task()
        assert task is not None
        try:
            return await work()
        except asyncio.CancelledError:
            # Whoever else cancelled the task, as the end of the connection does, is obeyed.
            if not self.taken_back or task.uncancel() > 0:
                raise
            raise RequestCancelled from None
        finally:
            self.task = None

    def _check(self) -> None:
        if self.taken_back:
            raise RequestCancelled


class Flights:
    """All of one connection."""

    def __init__(self) -> None:
        self._by_id: dict[Id, Flight] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def enter(self, request: Request) -> Flight:
        """A request begins; raises `InvalidInput` while another of its id has no answer."""
        if request.notification or request.id is None:
            return Flight()
        if request.id in self._by_id:
            raise InvalidInput("another request of this id is still being worked on")
        flight = self._by_id[request.id] = Flight()
        return flight

    def leave(self, request: Request, flight: Flight) -> None:
        """It has its answer, which nobody can take back any more."""
        if self._by_id.get(request.id) is flight:
            del self._by_id[request.id]

    def cancel(self, id: Id) -> bool:
        """Take a request back; whether there was one."""
        flight = self._by_id.get(id)
        if flight is None or flight.taken_back:
            return False
        flight.taken_back = True
        if flight.task is not None:
            flight.task.cancel()
        return True
