"""Transcripts in memory: loaded at the first turn, extended at each boundary, let go when idle.

The store is the truth; this is a cache with a bound in number and in time. A session that is being
used is never let go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import structlog

from agents.base import messages
from agents.base.messages import Message, Messages
from gateway.core.clock import Clock
from gateway.core.errors import InvalidInput
from gateway.store.base.conversations import EntryRow, LoadTranscript
from gateway.store.base.store import Store

log = structlog.get_logger(__name__)

IDLE_S = 15 * 60.0
"""How long an idle conversation stays in memory."""
MAX_LIVE = 1000
"""Most conversations in memory; past it the least recently used idle ones leave."""


class Session:
    """One conversation: its messages in order. `revision` is the next free position."""

    __slots__ = ("history", "key", "revision", "used_at", "users")

    def __init__(self, key: str, history: list[Message], revision: int) -> None:
        self.key = key
        self.history = history
        self.revision = revision
        self.used_at = 0.0
        self.users = 0

    def extend(self, new: Messages) -> None:
        """Take in what a boundary has just made durable."""
        self.history.extend(new)
        self.revision += len(new)


class LiveSessions:
    """The conversations in memory."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        idle_s: float = IDLE_S,
        max_live: int = MAX_LIVE,
    ) -> None:
        self._store = store
        self._clock = clock
        self._idle_s = idle_s
        self._max_live = max_live
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    @asynccontextmanager
    async def using(self, key: str) -> AsyncIterator[Session]:
        """A session that stays in memory for the length of the block.

        Who uses it at the same time gets the same one, unless it was forgotten in between. Raises
        `StoreUnavailable` when it has to be read and cannot be; then nothing stays.
        """
        session = self._sessions.get(key)
        if session is None:
            rows = await self._store.read(LoadTranscript(key))
            session = self._sessions.setdefault(key, _load(key, rows))
        session.users += 1
        try:
            yield session
        finally:
            session.users -= 1
            session.used_at = self._clock.monotonic()
            if self._sessions.get(key) is session:
                self._sessions.move_to_end(key)
            self._let_go()

    def forget(self, key: str) -> None:
        """Read this conversation from the store the next time; who uses it now keeps the old."""
        self._sessions.pop(key, None)

    def sweep(self) -> int:
        """Let go of what has been idle too long; returns how many."""
        horizon = self._clock.monotonic() - self._idle_s
        gone = [
            key
            for key, session in self._sessions.items()
            if not session.users and session.used_at <= horizon
        ]
        for key in gone:
            del self._sessions[key]
        return len(gone)

    def _let_go(self) -> None:
        excess = len(self._sessions) - self._max_live
        if excess <= 0:
            return
        idle = (key for key, session in self._sessions.items() if not session.users)
        for key in [key for key, _ in zip(idle, range(excess), strict=False)]:
            del self._sessions[key]


def _load(key: str, rows: list[EntryRow]) -> Session:
    """A blanked entry keeps its position and says nothing, and so does one nobody can read."""
    history: list[Message] = []
    for row in rows:
        if row.body is None:
            continue
        try:
            history.append(messages.from_json(orjson.loads(row.body)))
        except (ValueError, InvalidInput) as error:
            log.error("session.entry_unreadable", position=row.position, reason=str(error))
    return Session(key, history, rows[-1].position + 1 if rows else 0)
