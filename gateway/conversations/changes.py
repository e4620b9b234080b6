"""Writes that change conversations: made for good, and carried through once begun.

What changes a transcript is refused while a turn of the session has not ended, so that no answer is
written into what was meant to be empty.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gateway.core.errors import Conflict
from gateway.core.tasks import TaskOwner
from gateway.sessions.live import LiveSessions
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import ExpectIdle
from gateway.store.base.store import Durability, Receipt, Store, Unit
from gateway.telemetry.tasks import task_failed_unasked

UNDER_WAY = "a turn of this conversation has not ended yet; wait for it or cancel it first"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """Writes that were decided and not made, and what they come to."""

    ops: tuple[Op, ...]
    result: T


class Changes:
    """See the module; `close` waits for what was begun."""

    def __init__(self, store: Store, live: LiveSessions) -> None:
        self._store = store
        self._live = live
        self._owner = TaskOwner("conversations", task_failed_unasked)

    async def commit(self, *ops: Op) -> Receipt:
        """Write for good."""
        return await self._store.commit(Unit(ops, durability=Durability.CRITICAL))

    async def when_idle(self, session_key: str, *ops: Op) -> Receipt:
        """Write unless a turn of the session is under way: that raises `Conflict`.

        What was said is read from the store again afterwards.
        """
        try:
            receipt = await self.commit(ExpectIdle(session_key), *ops)
        except Conflict as error:
            raise Conflict(UNDER_WAY) from error
        self._live.forget(session_key)
        return receipt

    async def run_to_completion(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; see `TaskOwner.run_to_completion`."""
        return await self._owner.run_to_completion(name, work)

    async def close(self) -> None:
        """Wait for what was begun."""
        await self._owner.close()
